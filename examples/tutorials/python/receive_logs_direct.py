#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tutorial 4: prints the log messages of the given severities."""

import sys

import tutorial


def show(_channel, method, _properties, body):
    print(" [x] %s:%s" % (method.routing_key, body.decode()), flush=True)


if len(sys.argv) < 2:
    sys.exit("usage: receive_logs_direct.py [info] [warning] [error]")
channel = tutorial.connect()
channel.exchange_declare("direct_logs", "direct")
own = channel.queue_declare("", exclusive=True).method.queue
for key in sys.argv[1:]:
    channel.queue_bind(own, "direct_logs", routing_key=key)
channel.basic_consume(own, show, auto_ack=True)
tutorial.consume(channel, " [*] Waiting for logs. To exit press CTRL+C")
