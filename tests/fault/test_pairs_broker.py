# SPDX-License-Identifier: Apache-2.0
"""RabbitMQ that is killed, restarted, full or too small, while delayed jobs and retries of others go on."""

import json
import threading
import unittest

import cresstest
import pika
from cresstest import env, http, unique, wait_for
from faulttest import LONG, PLACES, FaultCase, StackServer, by_length, note_figures, rabbitmqctl

FULL = '{"max-length":1,"overflow":"reject-publish"}'
STUCK_BEFORE = 32  # messages that RabbitMQ's at-least-once dead-lettering has under way at once
QUEUES = 64
BODY = 80000  # bytes
LIMIT_MAX = 1 << 27  # RabbitMQ's own


def delays(number):
    """From the shortest to some seconds: each delay queue of those gets a few."""
    return 64 + number * 211 % 4000


class BrokerPairsTest(FaultCase):
    def setUp(self):
        super().setUp()
        self.rabbitmq = StackServer("rabbitmq")
        self.addCleanup(self.rabbitmq.start)

    def own_vhost(self):
        """A virtual host in which no queue was ever used."""
        name = unique("pairs")
        rabbitmqctl("-q", "add_vhost", name)
        self.addCleanup(rabbitmqctl, "-q", "delete_vhost", name)
        self.addCleanup(self.rabbitmq.start)
        user = pika.URLParameters(env("CRESS_BROKER_URL")).credentials.username
        rabbitmqctl("-q", "set_permissions", "-p", name, user, ".*", ".*", ".*")
        self.url = env("CRESS_BROKER_URL").rstrip("/") + "/" + name
        self.environment["CRESS_BROKER_URL"] = self.url

    def foreign(self):
        client = cresstest.Broker(self.url)
        self.addCleanup(client.close)
        return client

    def test_broker_killed_and_first_use_of_delays(self):
        """A queue that was declared just before a kill may have no leader for ever: no job is lost in it, and nobody
        waits for it."""
        for turn in range(by_length(2, 8)):
            self.own_vhost()
            gateway = self.start_gateway()
            worker = self.start_worker()  # declares what it needs meanwhile
            count = by_length(120, 200)
            load = self.start_load([gateway], count, 40, first=10000 * turn, runs=0, delay_ms=delays)
            self.pause(0.0, 0.5)
            self.rabbitmq.kill()
            self.rabbitmq.start()
            self.lifted()
            plain = self.start_load([gateway], count, 40, first=10000 * turn + 5000, runs=0)
            load.join()
            plain.join()
            load.add(plain)
            # the worker may have been ready, and have had some
            self.reconcile("RabbitMQ killed + first use of delay queues", load, late=10, twice=PLACES, broker=self.url)
            worker.stop()

    @unittest.skipUnless(LONG, "RabbitMQ may hold what is due at its start for three minutes: docs/reliability.md")
    def test_broker_restarted_with_many_queues(self):
        """Delayed jobs come due while the broker reads its queues: none waits for what was not there for a moment."""
        self.own_vhost()
        client = self.foreign()
        for n in range(QUEUES):
            client.channel.queue_declare("other-%d" % n, durable=True, arguments={"x-queue-type": "quorum"})
        self.ready_worker()
        gateway = self.start_gateway()
        times = by_length(1, 4)
        for turn in range(times):
            load = self.start_load([gateway], 100, 100, first=1000 * turn, runs=0,
                                   delay_ms=lambda number: 1500 + number * 97 % 4000)
            load.join()
            self.fault()
            self.rabbitmq.stop()
            self.rabbitmq.start()
            self.lifted()
            self.reconcile("RabbitMQ restarted + %d queues, delayed jobs" % QUEUES, load, late=15,
                           broker=self.url)

    def test_full_queue_and_retries_of_another(self):
        """More jobs than RabbitMQ has under way at once are due in a queue that is full. Those of other queues do not
        wait for them, and they come when there is room."""
        self.own_vhost()
        full = unique("full")
        self.start("cress-worker", "--queues", full, **self.environment).wait_log("worker ready").stop()
        rabbitmqctl("-q", "set_policy", "-p", self.url.rsplit("/", 1)[1], "full", "^%s$" % full, FULL)
        gateway = self.start_gateway()
        self.ready_worker()
        wait_for(lambda: http("GET", gateway.url + "/readyz").status == 200, "the gateway to be ready")
        stuck = [http("POST", gateway.url + "/v1/jobs", {"task": "cress.noop", "queue": full, "delay_ms": 1500}).json()
                 ["id"] for _ in range(3 * STUCK_BEFORE)]
        self.wait_due(stuck)
        load = self.start_load([gateway], by_length(300, 1500), 50, fails=1, backoff_ms=1500)
        self.reconcile("full queue + retries of another", load, late=10, broker=self.url)
        rabbitmqctl("-q", "clear_policy", "-p", self.url.rsplit("/", 1)[1], "full")
        self.start("cress-worker", "--queues", full, **self.environment)
        wait_for(lambda: self.states(stuck) == {"succeeded"}, "those of the full queue to run", 120)

    def wait_due(self, jobs):
        redis = self.redis()
        seconds, micros = redis.command("TIME")
        due = max(int(redis.record(job)["run_at_ms"]) for job in jobs)

        def is_past():
            seconds, micros = redis.command("TIME")
            return int(seconds) * 1000 + int(micros) // 1000 > due + 500
        wait_for(is_past, "them to be due")

    def states(self, jobs):
        return set(self.records(self.redis(), jobs).values())

    # --- what is too large ---

    def set_size_limit(self, size):
        """For channels that are opened from now on."""
        self.addCleanup(rabbitmqctl, "-q", "eval", "application:set_env(rabbit, max_message_size, %d)." % LIMIT_MAX)
        rabbitmqctl("-q", "eval", "application:set_env(rabbit, max_message_size, %d)." % size)

    def test_too_large_and_its_neighbours(self):
        """Some clients submit what is over RabbitMQ's limit, and hear so; those beside them notice nothing."""
        self.set_size_limit(BODY)
        gateway = self.start_gateway()
        self.ready_worker()
        load = self.start_load([gateway], by_length(1000, 8000), 200)
        answers = []

        def submit():
            body = {"task": "ledger", "queue": self.queue, "payload": "x" * (BODY + 1000)}
            while load.is_alive():
                answers.append(http("POST", gateway.url + "/v1/jobs", body))
        thread = threading.Thread(target=submit, daemon=True)
        thread.start()
        load.join()
        thread.join()
        self.assertEqual({(answer.status, answer.json()["code"]) for answer in answers}, {(413, "too_large_for_broker")})
        self.assertEqual(set(load.answers), {202}, load.answers)
        self.reconcile("too large for RabbitMQ + jobs beside it", load, late=5, faults=len(answers))

    def test_copies_that_are_too_large_and_retries_beside_them(self):
        """Jobs that were taken are too large for the broker when they are to be tried again: they end, and keep no place
        and no neighbour from anything."""
        self.ready_worker().stop()
        gateway = self.start_gateway()
        wait_for(lambda: http("GET", gateway.url + "/readyz").status == 200, "the gateway to be ready")
        body = {"task": "cress.fail", "queue": self.queue, "payload": {"x": "x" * BODY}}
        large = [http("POST", gateway.url + "/v1/jobs", body).json()["id"] for _ in range(2 * PLACES + 8)]
        self.set_size_limit(BODY)
        self.ready_worker()
        load = self.start_load([gateway], by_length(300, 1500), 50, fails=1, backoff_ms=500)
        wait_for(lambda: self.states(large) == {"failed"}, "the large ones to end: %s" % self.states(large), 60)
        load.join()
        client = self.broker()
        wait_for(lambda: not client.ready(self.queue), "the queue to be empty")
        self.machine.measure()
        client.delete(self.queue + ".dead")
        self.reconcile("copies too large for RabbitMQ + retries beside them", load, late=10, faults=len(large))


if __name__ == "__main__":
    unittest.main()
