# SPDX-License-Identifier: Apache-2.0
"""Every program of examples/tutorials with its counterpart in Python, in both directions, and what
the programs say when something is wrong."""

import os
import re
import signal
import unittest

import cresstest
from cresstest import ROOT, unique, wait_for

PYTHON = os.path.join(ROOT, "examples", "tutorials", "python")
WAITING = "[*] Waiting for "


def program(language, name):
    """What cresstest starts: a name in the build folder, or a script's whole path."""
    return os.path.join(PYTHON, name + ".py") if language == "python" else "examples/tutorials/" + name


class TutorialTest(cresstest.TestCase):
    def setUp(self):
        super().setUp()
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"  # nothing is written beside the scripts
        self.client = self.broker()
        self.client.delete("hello", "task_queue", "rpc_queue")

    def start_tutorial(self, language, name, *args, ready=WAITING):
        """A program that runs until it is stopped, when it has said that it is `ready`."""
        started = self.start(program(language, name), *args)
        self.wait_line(started, ready)
        return started

    def run_tutorial(self, language, name, *args, status=0, **environment):
        """Runs a program to its end, and returns what it printed: to stdout if it went well."""
        done = cresstest.run(program(language, name), *args, **environment)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stderr if status else done.stdout

    def wait_line(self, running, text, count=1):
        """Waits until `text` was printed `count` times."""
        def probe():
            if running.out().count(text) >= count:
                return True
            if running.process.poll() is not None and running.out().count(text) < count:
                raise AssertionError("%s ended with %s:\n%s%s" % (
                    running.name, running.process.returncode, running.out(), running.log()))
            return False
        wait_for(probe, "%d x %r from %s" % (count, text, running.name))

    def assert_stops(self, running, number=signal.SIGTERM):
        running.signal(number)
        self.assertEqual(running.wait(), 0, running.log())
        self.assertEqual(running.log(), "")


class Pairs:
    """What holds whoever sends and whoever receives; the classes below say in which language."""

    def hello(self):
        receiver = self.start_tutorial(self.receiver, "receive")
        self.assertEqual(self.run_tutorial(self.sender, "send"), " [x] Sent 'Hello World!'\n")
        self.wait_line(receiver, " [x] Received Hello World!\n")
        self.run_tutorial(self.sender, "send")
        self.wait_line(receiver, " [x] Received Hello World!\n", 2)
        self.assert_stops(receiver)

    def test_1_hello_world(self):
        self.hello()

    def test_1_sender_starts_first(self):
        self.run_tutorial(self.sender, "send")
        receiver = self.start_tutorial(self.receiver, "receive")
        self.wait_line(receiver, " [x] Received Hello World!\n")
        self.assert_stops(receiver, signal.SIGINT)

    def test_1_whatever_the_queue_is(self):
        kinds = [{}, {"durable": True}, {"durable": True, "arguments": {"x-queue-type": "quorum"}}]
        for kind in kinds:
            with self.subTest(kind=kind):
                self.client.delete("hello")
                self.client.channel.queue_declare("hello", **kind)
                self.hello()

    def test_2_work_queue(self):
        worker = self.start_tutorial(self.receiver, "worker")
        for task in ("First", "Second", "Third task."):
            self.assertEqual(self.run_tutorial(self.sender, "new_task", *task.split()),
                             " [x] Sent %s\n" % task)
        self.wait_line(worker, " [x] Done\n", 3)
        self.assertEqual(re.findall(r"Received (.*)\n", worker.out()),
                         ["First", "Second", "Third task."])
        self.assert_stops(worker)
        self.assertEqual(self.client.ready("task_queue"), 0)

    def test_2_tasks_are_persistent(self):
        self.run_tutorial(self.sender, "new_task")
        properties, body = self.client.take("task_queue")
        self.assertEqual((properties.delivery_mode, body), (2, b"Hello World!"))

    def test_2_idle_workers_get_the_tasks(self):
        busy = self.start_tutorial(self.receiver, "worker")
        self.run_tutorial(self.sender, "new_task", "busy" + "." * 60)
        self.wait_line(busy, "Received busy")
        idle = self.start_tutorial(self.sender, "worker")
        for number in range(4):
            self.run_tutorial(self.sender, "new_task", "task%d" % number)
        self.wait_line(idle, " [x] Done\n", 4)
        self.assertEqual(busy.out().count("Received"), 1)

    def test_2_a_dead_workers_task_goes_to_another(self):
        for first, second in ((self.sender, self.receiver), (self.receiver, self.sender)):
            dying = self.start_tutorial(first, "worker")
            self.run_tutorial(self.sender, "new_task", "two seconds..")
            self.wait_line(dying, "Received two seconds..")
            heir = self.start_tutorial(second, "worker")
            dying.kill()
            self.wait_line(heir, "Received two seconds..")
            self.wait_line(heir, " [x] Done\n")
            self.assertNotIn("Done", dying.out())
            self.assert_stops(heir)

    def test_3_everyone_gets_a_copy(self):
        listeners = [self.start_tutorial(self.receiver, "receive_logs") for _ in range(2)]
        self.assertEqual(self.run_tutorial(self.sender, "emit_log"), " [x] Sent info: Hello World!\n")
        text = unique("the disk is full")
        self.run_tutorial(self.sender, "emit_log", *text.split())
        for listener in listeners:
            self.wait_line(listener, " [x] %s\n" % text)
            self.assertIn(" [x] info: Hello World!\n", listener.out())
            self.assert_stops(listener)

    def test_4_only_the_wanted_severities(self):
        listener = self.start_tutorial(self.receiver, "receive_logs_direct", "warning", "error")
        self.assertEqual(self.run_tutorial(self.sender, "emit_log_direct"),
                         " [x] Sent info:Hello World!\n")
        for severity in ("warning", "info", "error"):
            self.run_tutorial(self.sender, "emit_log_direct", severity, "the", "disk")
        self.wait_line(listener, " [x] error:the disk\n")
        self.assertEqual(re.findall(r"\[x\] (.*)\n", listener.out()),
                         ["warning:the disk", "error:the disk"])
        self.assert_stops(listener)

    def test_5_patterns(self):
        listener = self.start_tutorial(self.receiver, "receive_logs_topic", "kern.*", "*.critical")
        everything = self.start_tutorial(self.receiver, "receive_logs_topic", "#")
        self.assertEqual(self.run_tutorial(self.sender, "emit_log_topic"),
                         " [x] Sent anonymous.info:Hello World!\n")
        keys = ["kern.info", "cron.info", "kern.sub.info", "cron.critical", "kern.critical"]
        for key in keys:
            self.run_tutorial(self.sender, "emit_log_topic", key, "text")
        self.wait_line(everything, " [x] kern.critical:text\n")
        self.assertEqual(re.findall(r"\[x\] (.*):text\n", everything.out()), keys)
        self.wait_line(listener, " [x] kern.critical:text\n")
        self.assertEqual(re.findall(r"\[x\] (.*):text\n", listener.out()),
                         ["kern.info", "cron.critical", "kern.critical"])
        self.assert_stops(listener)
        self.assert_stops(everything)

    def test_6_rpc(self):
        server = self.start_tutorial(self.receiver, "rpc_server", ready=" [x] Awaiting RPC requests")
        answers = {"30": "832040", "0": "0", "1": "1", "90": "2880067194370816120",
                   "91": "error: not a number from 0 to 90", "x": "error: not a number from 0 to 90"}
        for n, answer in answers.items():
            self.assertEqual(self.run_tutorial(self.sender, "rpc_client", n),
                             " [x] Requesting fib(%s)\n [.] Got %s\n" % (n, answer))
            self.assertIn(" [.] fib(%s)\n" % n, server.out())
        self.client.publish("rpc_queue", b"5")  # nobody waits for the answer: the server goes on
        self.wait_line(server, " [.] fib(5)\n")
        self.assertIn("Got 55\n", self.run_tutorial(self.sender, "rpc_client", "10"))
        self.assert_stops(server)

    def test_7_confirmed_messages_are_there(self):
        self.client.channel.queue_declare("hello", durable=True,
                                          arguments={"x-queue-type": "quorum"})
        out = self.run_tutorial(self.sender, "publisher_confirms", "250", "hello")
        self.assertRegex(out, r"\APublished 250 messages individually in \d+ ms\n"
                              r"Published 250 messages in batches of 100 in \d+ ms\n"
                              r"Published 250 messages asynchronously in \d+ ms\n\Z")
        receiver = self.start_tutorial(self.receiver, "receive")
        self.wait_line(receiver, "Received 750\n")
        self.assertEqual(re.findall(r"Received (\d+)\n", receiver.out()),
                         [str(number) for number in range(1, 751)])
        self.assert_stops(receiver)


class CToPython(Pairs, TutorialTest):
    sender, receiver = "c", "python"


class PythonToC(Pairs, TutorialTest):
    sender, receiver = "python", "c"


class CToC(Pairs, TutorialTest):
    sender, receiver = "c", "c"


class Failures(TutorialTest):
    """Each message says what failed, why, and what to do."""

    def dies(self, name, *args, **environment):
        """The two lines that `name` says when it dies."""
        said = self.run_tutorial("c", name, *args, status=1, **environment)
        self.assertRegex(said, r"\Aerror: cannot .*: .*\n       .*\n\Z")
        return said

    def address(self, pattern, replacement):
        return re.sub(pattern, replacement, cresstest.env("CRESS_BROKER_URL"))

    def test_no_broker(self):
        said = self.dies("send", CRESS_BROKER_URL=self.address(r":\d+(/|$)", r":1\1"))
        self.assertIn("cannot connect to the broker", said)
        self.assertIn("Is RabbitMQ running", said)

    def test_bad_addresses(self):
        self.assertIn("read CRESS_BROKER_URL", self.dies("send", CRESS_BROKER_URL="nonsense"))
        said = self.dies("send", CRESS_BROKER_URL="amqps://localhost/")
        self.assertIn("without TLS", said)

    def test_wrong_password_is_named_and_not_shown(self):
        said = self.dies("worker", CRESS_BROKER_URL=self.address(r":[^:@]*@", ":wrongword@"))
        self.assertIn("ACCESS_REFUSED", said)
        self.assertIn("Check user and password", said)
        self.assertNotIn("wrongword", said)

    def test_wrong_virtual_host(self):
        said = self.dies("send", CRESS_BROKER_URL=self.address(r"(:\d+)(/.*)?$", r"\1/nowhere"))
        self.assertIn("NOT_ALLOWED", said)

    def test_queue_of_another_kind(self):
        self.client.channel.queue_declare("task_queue", durable=True)
        for name in ("new_task", "worker"):
            said = self.dies(name)
            self.assertIn("cannot declare queue task_queue: PRECONDITION_FAILED", said)
            self.assertIn("delete it", said)

    def test_rpc_without_server(self):
        self.assertIn("cannot find the queue of rpc_server: NOT_FOUND", self.dies("rpc_client"))

    def test_confirms_into_nothing(self):
        self.assertIn("NOT_FOUND", self.dies("publisher_confirms", "10", unique("nowhere")))

    def test_refused_publish_is_noticed(self):
        # a fanout exchange that clients may not publish to: the refusal comes after the publish
        self.client.channel.exchange_delete("logs")
        self.client.channel.exchange_declare("logs", "fanout", internal=True)
        try:
            said = self.dies("emit_log")
        finally:
            self.client.channel.exchange_delete("logs")
        self.assertRegex(said, "PRECONDITION_FAILED|ACCESS_REFUSED")

    def test_deleted_queue_ends_the_worker(self):
        worker = self.start_tutorial("c", "worker")
        self.client.delete("task_queue")
        self.assertEqual(worker.wait(), 1)
        self.assertIn("the queue was deleted", worker.log())

    def test_usage(self):
        for name in ("receive_logs_direct", "receive_logs_topic"):
            self.assertRegex(self.run_tutorial("c", name, status=1), r"\Ausage: " + name)
        for count in ("0", "x", "1000000000"):
            said = self.run_tutorial("c", "publisher_confirms", count, status=1)
            self.assertRegex(said, r"\Ausage: publisher_confirms")

    def test_a_stopped_worker_finishes_its_task(self):
        worker = self.start_tutorial("c", "worker")
        self.run_tutorial("c", "new_task", "one second.")
        self.wait_line(worker, "Received one second.")
        self.assert_stops(worker)
        self.assertIn(" [x] Done\n", worker.out())
        self.assertEqual(self.client.ready("task_queue"), 0)


if __name__ == "__main__":
    unittest.main()
