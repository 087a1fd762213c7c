# SPDX-License-Identifier: Apache-2.0
"""What the tutorial programs share: tutorial.c with RabbitMQ's Python client, pika."""

import os
import signal

import pika

QUORUM = {"x-queue-type": "quorum"}


def connect():
    """A channel on a connection of its own to the broker at CRESS_BROKER_URL."""
    url = os.environ.get("CRESS_BROKER_URL", "amqp://guest:guest@localhost:5672/")
    return pika.BlockingConnection(pika.URLParameters(url)).channel()


def declare_hello(channel):
    """Takes the queue "hello" as it is, or makes it; returns the channel to go on with."""
    connection = channel.connection
    try:
        channel.queue_declare("hello", passive=True)
    except pika.exceptions.ChannelClosedByBroker:
        channel = connection.channel()
        channel.queue_declare("hello", durable=True, arguments=QUORUM)
    return channel


def consume(channel, waiting):
    """Says that it is `waiting`, and calls the consumers back until CTRL+C or SIGTERM."""
    def stop(*_):
        raise KeyboardInterrupt
    signal.signal(signal.SIGTERM, stop)
    try:
        print(waiting, flush=True)
        channel.start_consuming()
    except KeyboardInterrupt:
        channel.connection.close()
