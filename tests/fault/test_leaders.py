# SPDX-License-Identifier: Apache-2.0
"""Queues that RabbitMQ never gives a leader: it was killed while it made them, so that their member is there, and has no
log. Made here by taking away that member's data and starting it anew, which is what RabbitMQ does when it comes back."""

import os
import re
import subprocess
import tempfile
import time
import unittest

from cresstest import ROOT, TestCase, env, http, run, unique, wait_for
from faulttest import LONG

EVAL = """Name = <<"%s">>, Server = {binary_to_atom(<<"%%2F_", Name/binary>>, utf8), node()},
Interrupt = fun() ->
    ra:force_delete_server(quorum_queues, Server),
    {ok, Queue} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"/">>, queue, Name)),
    rabbit_quorum_queue:recover(<<"/">>, [Queue])
end,
Stop = fun() -> ra:force_delete_server(quorum_queues, Server) end,
Wait = fun Again(Then) -> case catch ra:members(Server, 200) of {ok, _, _} -> Then(); _ -> Again(Then) end end,
%s, ok."""


def rabbitmq_eval(text):
    return subprocess.run([os.path.join(ROOT, "scripts", "stack"), "rabbitmqctl", "--dir", env("CRESS_TEST_STACK"), "-q",
                           "eval", text], check=True, capture_output=True, text=True).stdout.strip()


def interrupt(queue, how="Interrupt"):
    """The queue, which exists, loses its log and its leader; with how="Stop" its process, too."""
    rabbitmq_eval(EVAL % (queue, how + "()"))


def interrupt_making(queue, how="Interrupt"):
    """Likewise, as soon as somebody makes it."""
    rabbitmq_eval(EVAL % (queue, "spawn(fun() -> Wait(%s) end)" % how))


def elect(queue):
    rabbitmq_eval("""ra:trigger_election({'%%2F_%s', node()}).""" % queue)


def has_leader(queue):
    return rabbitmq_eval("""element(1, catch ra:members({'%%2F_%s', node()}, 500)).""" % queue) == "ok"


@unittest.skipUnless(LONG, "it leaves a RabbitMQ behind in which some queue may have no process: docs/reliability.md")
class LeadersTest(TestCase):
    def setUp(self):
        super().setUp()
        self.queue = unique("leaders")

    def enqueue(self, *args):
        done = run("cress", "enqueue", "cress.echo", "1", "--queue", self.queue, *args)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.strip()

    def test_a_work_queue_that_was_interrupted_is_made_again(self):
        interrupt_making(self.queue + ".low")
        worker = self.start("cress-worker", "--queues", self.queue)
        worker.wait_log("was interrupted in its making", deadline=60)
        worker.wait_log("worker ready", deadline=60)
        self.assertTrue(has_leader(self.queue + ".low"))
        self.wait_state(self.enqueue("--priority", "low"), "succeeded")

    def test_a_work_queue_without_a_process_is_made_again(self):
        interrupt_making(self.queue + ".low", "Stop")
        worker = self.worker("--queues", self.queue)
        self.assertIn("interrupted in its making", worker.log())
        self.wait_state(self.enqueue("--priority", "low"), "succeeded")

    def test_a_queue_without_a_process_disturbs_no_other(self):
        """RabbitMQ ends the connection of whoever consumes it."""
        other = unique("other")
        self.worker("--queues", self.queue + "," + other).stop()
        interrupt(self.queue + ".low", "Stop")
        worker = self.start("cress-worker", "--queues", self.queue + "," + other)
        worker.wait_log("no_process")
        end = time.monotonic() + 10
        while time.monotonic() < end:
            done = run("cress", "enqueue", "cress.echo", "1", "--queue", other, "--wait")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.wait_state(self.enqueue(), "succeeded")
        self.assertLess(worker.log().count("INTERNAL_ERROR"), 10)

    def test_one_that_another_has_made_is_left_alone(self):
        """It may hold what others were told is safe. Whoever gives it a leader has it back."""
        self.worker("--queues", self.queue).stop()
        interrupt(self.queue + ".low")
        worker = self.start("cress-worker", "--queues", self.queue)
        worker.wait_log("no_answer", deadline=60)
        end = time.monotonic() + 20
        wait_for(lambda: time.monotonic() > end, "more than the time after which it would be made again")
        self.assertNotIn("interrupted in its making", worker.log())
        elect(self.queue + ".low")
        worker.wait_log("worker ready", deadline=60)
        self.wait_state(self.enqueue("--priority", "low"), "succeeded")

    def gateway(self, *args):
        gateway = self.start("cress-gateway", "--listen", "127.0.0.1:0", *args).wait_log("ready on ")
        gateway.url = re.search(r"ready on (\S+)", gateway.log()).group(1)
        wait_for(lambda: self.readiness(gateway).status == 200, "readiness")
        return gateway

    def readiness(self, gateway):
        return http("GET", gateway.url + "/readyz")

    def post(self, gateway, queue, **fields):
        return http("POST", gateway.url + "/v1/jobs", {"task": "cress.noop", "queue": queue, **fields})

    def test_a_queue_that_a_producer_made(self):
        interrupt_making(self.queue + ".high")
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = os.path.join(folder.name, "cress.conf")
        with open(path, "w", encoding="ascii") as file:
            file.write("[queue %s]\n" % self.queue)
        gateway = self.gateway("--config", path)

        def is_taken():
            self.readiness(gateway)  # proves that RabbitMQ is well
            return self.post(gateway, self.queue, priority="high").status == 202
        wait_for(is_taken, "a queue that takes jobs", deadline=90)
        self.assertIn("interrupted in its making", gateway.log())
        self.assertTrue(has_leader(self.queue + ".high"))

    def test_readiness(self):
        """Not ready: when no queue takes anything that was asked for lately."""
        self.worker("--queues", self.queue)
        other = unique("other")
        self.worker("--queues", other)
        gateway = self.gateway()
        interrupt(self.queue)
        self.assertEqual(self.post(gateway, self.queue).status, 503)
        answer = wait_for(lambda: (a := self.readiness(gateway)).status == 503 and a, "a gateway that is not ready")
        self.assertIn("queues_sick", answer.body.decode())
        self.assertIn(self.queue, answer.body.decode())
        self.assertEqual(self.post(gateway, other).status, 202)

    def test_a_delay_without_a_leader(self):
        """A shorter one takes its place at once, and a new one before long."""
        self.broker().delete("cress.wait.1536", *["cress.wait.1536.%d" % n for n in range(2, 10)])  # of earlier runs
        worker = self.worker("--queues", self.queue)
        self.wait_state(self.enqueue("--delay", "2s"), "succeeded")
        interrupt("cress.wait.1536")
        gateway = self.gateway()
        slowest, jobs = 0, []
        for _ in range(5):
            began = time.monotonic()
            answer = self.post(gateway, self.queue, delay_ms=2000)
            slowest = max(slowest, time.monotonic() - began)
            self.assertEqual(answer.status, 202, answer.body)
            jobs.append(answer.json()["id"])
        self.assertLess(slowest, 3)
        for job in jobs:
            self.wait_state(job, "succeeded")
        gateway.wait_log("is replaced", deadline=60)
        job = self.post(gateway, self.queue, delay_ms=2000).json()
        self.wait_state(job["id"], "succeeded")
        self.assertIsNotNone(self.broker().ready("cress.wait.1536.2"))
        worker.stop()


if __name__ == "__main__":
    unittest.main()
