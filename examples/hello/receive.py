#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""receive.c with RabbitMQ's Python client: prints what arrives in the queue "hello"."""

import os
import signal
import sys

import pika


def stop(*_):
    raise KeyboardInterrupt


def show(_channel, _method, _properties, body):
    print(" [x] Received %s" % body.decode(), flush=True)


signal.signal(signal.SIGTERM, stop)
url = os.environ.get("CRESS_BROKER_URL", "amqp://guest:guest@localhost:5672/")
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()
try:
    channel.queue_declare(queue="hello", passive=True)
except pika.exceptions.ChannelClosedByBroker:  # there is none yet: make it on a fresh channel
    channel = connection.channel()
    channel.queue_declare(queue="hello")

channel.basic_consume(queue="hello", on_message_callback=show, auto_ack=True)
print(" [*] Waiting for messages. To exit press CTRL+C", flush=True)
try:
    channel.start_consuming()
except KeyboardInterrupt:
    connection.close()
    sys.exit(0)
