# SPDX-License-Identifier: Apache-2.0
"""What a RabbitMQ user must be allowed to do: where workers have declared everything, writing is enough for a producer."""

import os
import re
import subprocess
import tempfile
import unittest

from cresstest import ROOT, TestCase, env, run, unique


def rabbitmqctl(*args):
    subprocess.run([os.path.join(ROOT, "scripts", "stack"), "rabbitmqctl", "--dir", env("CRESS_TEST_STACK"), *args],
                   check=True, capture_output=True)


class PermissionsTest(TestCase):
    def setUp(self):
        super().setUp()
        self.queue = unique("permissions")

    def user(self, configure, write, read):
        """The URL of a new user."""
        name = unique("user")
        rabbitmqctl("add_user", name, "secret")
        self.addCleanup(rabbitmqctl, "delete_user", name)
        rabbitmqctl("set_permissions", name, configure, write, read)
        return re.sub(r"//[^@]*@", "//%s:secret@" % name, env("CRESS_BROKER_URL"))

    def enqueue(self, url, *args):
        return run("cress", "enqueue", "cress.noop", *args, CRESS_BROKER_URL=url)

    def test_a_producer_that_may_only_write(self):
        url = self.user("^$", ".*", "^$")
        self.worker("--queues", self.queue)
        for delay in ([], ["--delay", "1500ms"], ["--delay", "30d"]):
            done = self.enqueue(url, "--queue", self.queue, *delay)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.wait_state(done.stdout.strip(), "scheduled" if "30d" in delay else "succeeded")

    def test_a_refusal_names_permission_and_object(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "cress.conf")
            with open(path, "w", encoding="ascii") as file:
                file.write("[queue %s]\n" % self.queue)
            done = self.enqueue(self.user("^$", ".*", ".*"), "--queue", self.queue, "--config", path)
            self.assertNotEqual(done.returncode, 0)
            self.assertRegex(done.stderr, "access to queue '%s.*permission to configure" % self.queue)
            self.worker("--queues", self.queue)
            done = self.enqueue(self.user(".*", "^$", ".*"), "--queue", self.queue, "--config", path)
            self.assertNotEqual(done.returncode, 0)
            self.assertRegex(done.stderr, "access to exchange .*permission to write")

    def test_a_worker_that_may_not_configure(self):
        self.worker("--queues", self.queue).stop()
        url = self.user("^$", ".*", ".*")
        self.worker("--queues", self.queue, CRESS_BROKER_URL=url)
        done = self.enqueue(url, "--queue", self.queue, "--delay", "300ms")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.wait_state(done.stdout.strip(), "succeeded")


if __name__ == "__main__":
    unittest.main()
