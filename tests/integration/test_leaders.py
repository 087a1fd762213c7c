# SPDX-License-Identifier: Apache-2.0
"""Queues that RabbitMQ never gives a leader: it was killed while it made them, so that their member is there, and has no
log. Made here by taking away that member's data and starting it anew, which is what RabbitMQ does when it comes back."""

import os
import re
import subprocess
import time
import unittest

from cresstest import ROOT, TestCase, env, http, run, unique, wait_for

EVAL = """Name = <<"%s">>, Server = {binary_to_atom(<<"%%2F_", Name/binary>>, utf8), node()},
Interrupt = fun() ->
    ra:force_delete_server(quorum_queues, Server),
    {ok, Queue} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"/">>, queue, Name)),
    rabbit_quorum_queue:recover(<<"/">>, [Queue])
end,
Wait = fun Again() -> case catch ra:members(Server, 200) of {ok, _, _} -> Interrupt(); _ -> Again() end end,
%s, ok."""


def rabbitmq_eval(text):
    return subprocess.run([os.path.join(ROOT, "scripts", "stack"), "rabbitmqctl", "--dir", env("CRESS_TEST_STACK"), "-q",
                           "eval", text], check=True, capture_output=True, text=True).stdout.strip()


def interrupt(queue):
    """The queue, which exists, loses its log and its leader."""
    rabbitmq_eval(EVAL % (queue, "Interrupt()"))


def interrupt_making(queue):
    """Likewise, as soon as somebody makes it."""
    rabbitmq_eval(EVAL % (queue, "spawn(Wait)"))


def elect(queue):
    rabbitmq_eval("""ra:trigger_election({'%%2F_%s', node()}).""" % queue)


def has_leader(queue):
    return rabbitmq_eval("""element(1, catch ra:members({'%%2F_%s', node()}, 500)).""" % queue) == "ok"


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

    def test_a_delay_without_a_leader(self):
        """A shorter one takes its place at once, and a new one before long."""
        worker = self.worker("--queues", self.queue)
        self.wait_state(self.enqueue("--delay", "2s"), "succeeded")
        interrupt("cress.wait.1536")
        gateway = self.start("cress-gateway", "--listen", "127.0.0.1:0").wait_log("ready on ")
        address = re.search(r"ready on (\S+)", gateway.log()).group(1)
        wait_for(lambda: http("GET", address + "/readyz").status == 200, "readiness")
        slowest, jobs = 0, []
        for _ in range(5):
            began = time.monotonic()
            answer = http("POST", address + "/v1/jobs", {"task": "cress.noop", "queue": self.queue, "delay_ms": 2000})
            slowest = max(slowest, time.monotonic() - began)
            self.assertEqual(answer.status, 202, answer.body)
            jobs.append(answer.json()["id"])
        self.assertLess(slowest, 3)
        for job in jobs:
            self.wait_state(job, "succeeded")
        gateway.wait_log("is replaced", deadline=60)
        job = http("POST", address + "/v1/jobs", {"task": "cress.noop", "queue": self.queue, "delay_ms": 2000}).json()
        self.wait_state(job["id"], "succeeded")
        self.assertIsNotNone(self.broker().ready("cress.wait.1536.2"))
        worker.stop()


if __name__ == "__main__":
    unittest.main()
