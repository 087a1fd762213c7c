#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tutorial 7: three ways to know that the broker has a message, timed.

    publisher_confirms.py [COUNT [QUEUE]]

Built on pika's SelectConnection: its BlockingConnection only knows the first of the three."""

import os
import sys
import time

import pika

count = int(sys.argv[1]) if len(sys.argv) > 1 else 10000
queue = sys.argv[2] if len(sys.argv) > 2 else "publisher_confirms"
url = os.environ.get("CRESS_BROKER_URL", "amqp://guest:guest@localhost:5672/")


class Publisher:
    """Publishes batch after batch, each one when all of the batch before is confirmed."""

    def __init__(self):
        self.ways = iter([("individually", 1), ("in batches of 100", 100), ("asynchronously", count)])
        self.number = 0
        self.pending = set()

    def opened(self, connection):
        self.connection = connection
        connection.channel(on_open_callback=self.ready)

    def ready(self, channel):
        self.channel = channel
        channel.add_on_close_callback(self.failed)
        given = len(sys.argv) > 2
        channel.queue_declare(queue, passive=given, exclusive=not given)
        channel.confirm_delivery(self.confirmed, callback=lambda _: self.next_way())

    def failed(self, _channel, reason):
        if isinstance(reason, pika.exceptions.ChannelClosedByBroker):
            sys.exit("error: " + str(reason))

    def next_way(self):
        self.how, self.batch = next(self.ways, (None, 0))
        if not self.how:
            self.connection.close()
            return
        self.start = time.monotonic()
        self.left = count
        self.publish()

    def publish(self):
        for _ in range(min(self.batch, self.left)):
            self.number += 1
            self.left -= 1
            self.pending.add(self.number)
            self.channel.basic_publish(exchange="", routing_key=queue, body=str(self.number))

    def confirmed(self, frame):
        if isinstance(frame.method, pika.spec.Basic.Nack):
            sys.exit("error: the broker could not keep the message")
        last = frame.method.delivery_tag
        if frame.method.multiple:
            self.pending = {number for number in self.pending if number > last}
        else:
            self.pending.discard(last)
        if not self.pending and self.left:
            self.publish()
        elif not self.pending:
            ms = (time.monotonic() - self.start) * 1000
            print("Published %d messages %s in %d ms" % (count, self.how, ms), flush=True)
            self.next_way()


publisher = Publisher()
connection = pika.SelectConnection(
    pika.URLParameters(url), on_open_callback=publisher.opened,
    on_close_callback=lambda closed, _: closed.ioloop.stop())
connection.ioloop.start()
