#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tutorial 2: gives one task, the words of the command line, to the workers."""

import sys

import pika
import tutorial

task = " ".join(sys.argv[1:]) or "Hello World!"
channel = tutorial.connect()
channel.queue_declare("task_queue", durable=True, arguments=tutorial.QUORUM)
channel.basic_publish(exchange="", routing_key="task_queue", body=task,
                      properties=pika.BasicProperties(delivery_mode=2))
channel.connection.close()
print(" [x] Sent", task)
