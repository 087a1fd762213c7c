#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tutorial 6: answers requests with Fibonacci numbers."""

import pika
import tutorial


def fib(text):
    if not text.isdecimal() or int(text) > 90:
        return "error: not a number from 0 to 90"
    this, following = 0, 1
    for _ in range(int(text)):
        this, following = following, this + following
    return str(this)


def answer(channel, method, properties, body):
    print(" [.] fib(%s)" % body.decode(), flush=True)
    if properties.reply_to:
        channel.basic_publish(
            exchange="", routing_key=properties.reply_to, body=fib(body.decode()),
            properties=pika.BasicProperties(correlation_id=properties.correlation_id))
    channel.basic_ack(method.delivery_tag)


channel = tutorial.connect()
channel.queue_declare("rpc_queue", durable=True, arguments=tutorial.QUORUM)
channel.basic_qos(prefetch_count=1)
channel.basic_consume("rpc_queue", answer)
tutorial.consume(channel, " [x] Awaiting RPC requests")
