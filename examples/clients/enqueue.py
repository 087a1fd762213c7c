#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""enqueue.py TASK [PAYLOAD] [QUEUE]: publishes a job with pika and prints its id."""
import json
import os
import sys
import uuid

import pika

task = sys.argv[1]
payload = sys.argv[2] if len(sys.argv) > 2 else "null"
queue = sys.argv[3] if len(sys.argv) > 3 else "default"
json.loads(payload)  # raises what is wrong with it

url = os.environ.get("CRESS_BROKER_URL", "amqp://guest:guest@localhost:5672/")
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()
channel.confirm_delivery()
job = str(uuid.uuid4())
channel.basic_publish(  # raises UnroutableError or NackError when the job is not safe
    exchange="", routing_key=queue, body=payload, mandatory=True,
    properties=pika.BasicProperties(type=task, message_id=job, delivery_mode=2,
                                    content_type="application/json"))
print(job)
connection.close()
