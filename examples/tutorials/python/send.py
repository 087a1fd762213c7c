#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tutorial 1: puts one message into the queue "hello"."""

import tutorial

channel = tutorial.declare_hello(tutorial.connect())
channel.basic_publish(exchange="", routing_key="hello", body="Hello World!")
channel.connection.close()
print(" [x] Sent 'Hello World!'")
