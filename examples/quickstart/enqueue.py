#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Enqueues one job with nothing but pika and prints its id: enqueue.py [TASK [JSON]]

A job is a plain AMQP message: the task is its `type`, the payload its JSON body, the id its
`message_id`. docs/wire.md has the rest."""

import json
import os
import sys
import uuid

import pika

task = sys.argv[1] if len(sys.argv) > 1 else "cress.echo"
payload = json.loads(sys.argv[2]) if len(sys.argv) > 2 else "Hello World!"
job = str(uuid.uuid4())

url = os.environ.get("CRESS_BROKER_URL", "amqp://guest:guest@localhost:5672/")
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()
channel.confirm_delivery()  # basic_publish then returns when RabbitMQ has the job safe
channel.basic_publish(
    exchange="", routing_key="default", mandatory=True,  # no queue `default` yet: an error, not a loss
    body=json.dumps(payload),
    properties=pika.BasicProperties(type=task, message_id=job, delivery_mode=2,
                                    content_type="application/json"))
connection.close()
print(job)
