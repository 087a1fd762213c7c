#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""send.c with RabbitMQ's Python client: one message, "Hello World!", to the queue "hello"."""

import os

import pika

url = os.environ.get("CRESS_BROKER_URL", "amqp://guest:guest@localhost:5672/")
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()
try:
    channel.queue_declare(queue="hello", passive=True)
except pika.exceptions.ChannelClosedByBroker:  # there is none yet: make it on a fresh channel
    channel = connection.channel()
    channel.queue_declare(queue="hello")

channel.basic_publish(exchange="", routing_key="hello", body="Hello World!")
print(" [x] Sent 'Hello World!'")
connection.close()
