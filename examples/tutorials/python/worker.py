#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tutorial 2: does tasks one at a time; each dot in one is a second of work."""

import time

import tutorial


def work(channel, method, _properties, body):
    print(" [x] Received", body.decode(), flush=True)
    time.sleep(body.count(b"."))
    print(" [x] Done", flush=True)
    channel.basic_ack(method.delivery_tag)


channel = tutorial.connect()
channel.queue_declare("task_queue", durable=True, arguments=tutorial.QUORUM)
channel.basic_qos(prefetch_count=1)
channel.basic_consume("task_queue", work)
tutorial.consume(channel, " [*] Waiting for messages. To exit press CTRL+C")
