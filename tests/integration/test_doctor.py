# SPDX-License-Identifier: Apache-2.0
"""cress doctor on real servers that are ill: each fault is found, named, and an exit status. The stack is this
test's own, because what is done to it concerns all of its clients."""

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import unittest
import urllib.parse

from cresstest import ROOT, Broker, Program, Redis, run, unique, wait_for

STACK = os.path.join(ROOT, "scripts", "stack")


class DoctorTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="cress-doctor-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.addClassCleanup(cls.stack, "stop")
        cls.stack("start", CRESS_STACK_MANAGEMENT="1")
        lines = [line[len("export "):].split("=", 1) for line in cls.stack("env").splitlines()]
        cls.env = {name: value.replace("\\", "") for name, value in lines}
        cls.start_worker()

    @classmethod
    def start_worker(cls):
        worker = Program("cress-worker", **cls.env)
        cls.addClassCleanup(worker.close)
        worker.wait_log("worker ready")
        cls.ask = staticmethod(Redis(cls.env["CRESS_STORE_URL"]).command)
        wait_for(lambda: cls.doctor_of({})[0] == 0, "all to be well")

    @classmethod
    def stack(cls, *words, **environment):
        done = subprocess.run([STACK, words[0], "--dir", cls.folder, *words[1:]], capture_output=True, text=True,
                              env=dict(os.environ, **environment), check=False)
        if done.returncode:
            raise AssertionError("scripts/stack %s: %s%s" % (" ".join(words), done.stdout, done.stderr))
        return done.stdout

    @classmethod
    def doctor_of(cls, environment, *args):
        done = run("cress", "doctor", "--json", *args, **dict(cls.env, **environment))
        return done.returncode, {row["check"]: (row["status"], row["detail"]) for row in json.loads(done.stdout)}

    def find(self, check, says, status="fail", code=69, args=(), **environment):
        """Waits until the doctor says so: RabbitMQ notices some things a moment later."""
        last = []

        def probe():
            last[:] = self.doctor_of(environment, *args)
            found, text = last[1][check]
            return found == status and says in text
        try:
            wait_for(probe, "%s: %s, %s" % (check, status, says))
        except AssertionError as error:
            raise AssertionError("%s; last: %s" % (error, last)) from None
        self.assertEqual(last[0], code)
        return last[1]

    @contextlib.contextmanager
    def ctl(self, do, undo):
        self.stack("rabbitmqctl", *do)
        try:
            yield
        finally:
            self.stack("rabbitmqctl", *undo)

    @contextlib.contextmanager
    def redis_set(self, name, value, before):
        self.ask("CONFIG", "SET", name, value)
        try:
            yield
        finally:
            self.ask("CONFIG", "SET", name, before)

    def user(self, configure, write, read):
        """The URL of a user with these permissions."""
        name = unique("user")
        self.stack("rabbitmqctl", "add_user", name, "secret")
        self.addCleanup(self.stack, "rabbitmqctl", "delete_user", name)
        self.stack("rabbitmqctl", "set_permissions", name, configure, write, read)
        return "amqp://%s:secret@%s" % (name, self.env["CRESS_BROKER_URL"].split("@")[1])

    def store_user(self, *rules):
        name = unique("user")
        self.ask("ACL", "SETUSER", name, "on", ">secret", "allkeys", "allchannels", "+@all", *rules)
        self.addCleanup(self.ask, "ACL", "DELUSER", name)
        return "redis://%s:secret@%s" % (name, self.env["CRESS_STORE_URL"].split("@")[1])


class BrokerTest(DoctorTest):
    def test_memory_alarm(self):
        with self.ctl(["set_vm_memory_high_watermark", "absolute", "1"], ["set_vm_memory_high_watermark", "0.4"]):
            rows = self.find("alarms", "memory alarm on cress@localhost")
            self.assertEqual(rows["publish"][0], "fail")
            self.find("publish", "takes no messages", CRESS_BROKER_MANAGEMENT_URL="")
        self.find("publish", "was taken", status="ok", code=0)

    def test_disk_alarm(self):
        with self.ctl(["set_disk_free_limit", "900GB"], ["set_disk_free_limit", "50MB"]):
            self.find("alarms", "disk alarm on cress@localhost")
            self.find("publish", "takes no messages", CRESS_BROKER_MANAGEMENT_URL="")
        self.find("alarms", "none", status="ok", code=0)

    def test_policies(self):
        for key, value in (("message-ttl", "60000"), ("max-length", "5"), ("expires", "600000")):
            with self.ctl(["set_policy", "--apply-to", "queues", "meddle", "^default", json.dumps({key: int(value)})],
                          ["clear_policy", "meddle"]):
                self.find("policies", "policy meddle sets %s = %s on queue default" % (key, value))
        self.find("policies", "none", status="ok", code=0)
        rows = self.find("policies", "not looked at", status="skip", code=0, CRESS_BROKER_MANAGEMENT_URL="")
        self.assertIn("broker.management_url", rows["policies"][1])

    def test_management_that_refuses(self):
        url = urllib.parse.urlsplit(self.env["CRESS_BROKER_MANAGEMENT_URL"])
        wrong = "http://cress:wrong@%s:%d/" % (url.hostname, url.port)
        self.find("policies", "answers 401", status="warn", code=0, CRESS_BROKER_MANAGEMENT_URL=wrong)
        self.find("policies", "unknown", status="warn", code=0, CRESS_BROKER_MANAGEMENT_URL="http://127.0.0.1:1")

    def test_permissions(self):
        self.find("consume", "refused for user", args=("--broker-url", self.user(".*", ".*", "^$")))
        rows = self.find("publish", "write permission", args=("--broker-url", self.user(".*", "^$", ".*")))
        self.assertEqual(rows["consume"][0], "ok")
        rows = self.find("consume", "may consume", status="ok", code=0, args=("--broker-url", self.user("^$", ".*", ".*")))
        self.assertEqual(rows["publish"][0], "ok")

    def test_looking_takes_no_job(self):
        queue = unique("idle")
        worker = Program("cress-worker", "--queues", queue, **self.env)
        self.addCleanup(worker.close)
        worker.wait_log("worker ready")
        worker.stop()
        for _ in range(3):
            done = run("cress", "enqueue", "cress.noop", "--queue", queue, **self.env)
            self.assertEqual(done.returncode, 0, done.stderr)
        self.find("consume", "may consume", status="ok", code=0)
        client = Broker(self.env["CRESS_BROKER_URL"])
        self.addCleanup(client.close)
        wait_for(lambda: client.ready(queue) == 3, "all three in their queue")

    def test_deleted_virtual_host(self):
        url = self.env["CRESS_BROKER_URL"] + "/" + unique("gone")
        rows = self.find("broker", "not found", args=("--broker-url", url))
        self.assertIn("list_vhosts", rows["broker"][1])

    def test_deleted_due_queue(self):
        done = run("cress", "enqueue", "cress.noop", "--delay", "1h", **self.env)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.stack("rabbitmqctl", "delete_queue", "cress.due")
        code, rows = self.doctor_of({})
        # a worker may have declared it again by now; if not, the doctor says that it is gone
        self.assertEqual((code, rows["delays"][0]) in ((0, "ok"), (69, "fail")), True, rows["delays"])
        self.find("delays", "1 messages wait", status="ok", code=0)


class StoreTest(DoctorTest):
    def test_eviction(self):
        with self.redis_set("maxmemory-policy", "allkeys-lru", "noeviction"):
            self.find("memory", "allkeys-lru")
        with self.redis_set("maxmemory-policy", "volatile-lru", "noeviction"):
            self.find("memory", "volatile-lru", status="warn", code=0)

    def test_full(self):
        with self.redis_set("maxmemory", "1", "0"):
            self.find("memory", "Redis is full")

    def test_no_persistence(self):
        with self.redis_set("appendonly", "no", "yes"):
            self.find("persistence", "keeps nothing over a restart")
            with self.redis_set("save", "3600 1", ""):
                self.find("persistence", "snapshots only", status="warn", code=0)
            self.find("persistence", "config|get", status="warn", code=0,
                      args=("--store-url", self.store_user("-config")))

    def test_a_user_who_may_not_ask(self):
        rows = self.find("memory", "may not use INFO", status="warn", code=0,
                         args=("--store-url", self.store_user("-info")))
        self.assertEqual((rows["store"][0], rows["persistence"][0]), ("ok", "warn"))


del DoctorTest  # has no tests of its own

if __name__ == "__main__":
    unittest.main()
