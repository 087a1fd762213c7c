#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tutorial 6: asks the RPC server for a Fibonacci number and prints the answer."""

import sys
import uuid

import pika
import tutorial

n = sys.argv[1] if len(sys.argv) > 1 else "30"
request = str(uuid.uuid4())
channel = tutorial.connect()
channel.queue_declare("rpc_queue", passive=True)
own = channel.queue_declare("", exclusive=True).method.queue
print(" [x] Requesting fib(%s)" % n, flush=True)
channel.basic_publish(exchange="", routing_key="rpc_queue", body=n,
                      properties=pika.BasicProperties(reply_to=own, correlation_id=request))
for method, properties, body in channel.consume(own, auto_ack=True, inactivity_timeout=30):
    if method is None:
        sys.exit("no answer: is an RPC server running?")
    if properties.correlation_id == request:
        print(" [.] Got", body.decode())
        break
channel.connection.close()
