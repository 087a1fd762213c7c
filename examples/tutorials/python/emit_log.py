#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tutorial 3: sends one log message to everyone who listens."""

import sys

import tutorial

text = " ".join(sys.argv[1:]) or "info: Hello World!"
channel = tutorial.connect()
channel.exchange_declare("logs", "fanout")
channel.basic_publish(exchange="logs", routing_key="", body=text)
channel.connection.close()
print(" [x] Sent", text)
