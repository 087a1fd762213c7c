#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tutorial 1: prints each message that arrives in the queue "hello"."""

import tutorial


def show(_channel, _method, _properties, body):
    print(" [x] Received", body.decode(), flush=True)


channel = tutorial.declare_hello(tutorial.connect())
channel.basic_consume("hello", show, auto_ack=True)
tutorial.consume(channel, " [*] Waiting for messages. To exit press CTRL+C")
