#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tutorial 5: sends one log message with a routing key: the first word of the command line."""

import sys

import tutorial

key = sys.argv[1] if len(sys.argv) > 1 else "anonymous.info"
text = " ".join(sys.argv[2:]) or "Hello World!"
channel = tutorial.connect()
channel.exchange_declare("topic_logs", "topic")
channel.basic_publish(exchange="topic_logs", routing_key=key, body=text)
channel.connection.close()
print(" [x] Sent %s:%s" % (key, text))
