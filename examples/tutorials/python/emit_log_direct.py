#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tutorial 4: sends one log message with a severity: the first word of the command line."""

import sys

import tutorial

key = sys.argv[1] if len(sys.argv) > 1 else "info"
text = " ".join(sys.argv[2:]) or "Hello World!"
channel = tutorial.connect()
channel.exchange_declare("direct_logs", "direct")
channel.basic_publish(exchange="direct_logs", routing_key=key, body=text)
channel.connection.close()
print(" [x] Sent %s:%s" % (key, text))
