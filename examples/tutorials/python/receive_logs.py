#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tutorial 3: prints every log message from now on."""

import tutorial


def show(_channel, _method, _properties, body):
    print(" [x]", body.decode(), flush=True)


channel = tutorial.connect()
channel.exchange_declare("logs", "fanout")
own = channel.queue_declare("", exclusive=True).method.queue
channel.queue_bind(own, "logs")
channel.basic_consume(own, show, auto_ack=True)
tutorial.consume(channel, " [*] Waiting for logs. To exit press CTRL+C")
