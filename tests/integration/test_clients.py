# SPDX-License-Identifier: Apache-2.0
"""The programs of examples/clients and the ten-liners of docs/wire.md: jobs from AMQP clients that
know nothing of Cress."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

from cresstest import DEADLINE, ROOT, TestCase, env, unique, wait_for

CLIENTS = os.path.join(ROOT, "examples/clients")
INSTALL_DEADLINE = 120  # seconds; a package registry is far away


def wire_snippet(language):
    with open(os.path.join(ROOT, "docs/wire.md"), encoding="utf-8") as file:
        found = re.search(r"```%s\n(.*?)```" % language, file.read(), re.S)
    return found.group(1)


class Cases:
    """What every program does; `command` starts it."""

    def setUp(self):
        super().setUp()
        self.queue = unique("clients")
        self.worker("--queues", "default," + self.queue)

    def enqueue(self, *words):
        return subprocess.run([*self.command, *words], capture_output=True, text=True,
                              timeout=DEADLINE, check=False, env=self.environment())

    def environment(self):
        return dict(os.environ)

    def test_enqueues(self):
        result = self.enqueue("cress.echo", '{"a": ["é", 1]}', self.queue)
        self.assertEqual(result.returncode, 0, result.stderr)
        record = self.wait_state(result.stdout.strip(), "succeeded")
        self.assertEqual(json.loads(record["result"]), {"a": ["é", 1]})

    def test_defaults(self):
        result = self.enqueue("cress.noop")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(self.wait_state(result.stdout.strip(), "succeeded")["queue"], "default")

    def test_a_queue_that_is_not_there(self):
        result = self.enqueue("cress.noop", "null", unique("nowhere"))
        self.assertNotEqual(result.returncode, 0)
        self.assertEqual(result.stdout, "")

    def test_a_payload_that_is_not_json(self):
        result = self.enqueue("cress.noop", "{")
        self.assertNotEqual(result.returncode, 0)
        self.assertEqual(result.stdout, "")

    def check_snippet(self, source, command):
        """The text of docs/wire.md, with this broker's address and a task that is quick."""
        self.assertIn("amqp://guest:guest@localhost:5672/", source)
        self.assertIn("page.render", source)
        source = source.replace("amqp://guest:guest@localhost:5672/", env("CRESS_BROKER_URL"))
        source = source.replace('"page.render"', '"cress.echo"').replace('"default"', '"%s"' % self.queue)
        before = set(self.redis().command("KEYS", "cress:job:*"))
        subprocess.run([*command, source], check=True, timeout=DEADLINE, env=self.environment())
        jobs = []

        def ended():
            jobs[:] = set(self.redis().command("KEYS", "cress:job:*")) - before
            return len(jobs) == 1
        wait_for(ended, "the job of the ten-liner")
        record = self.wait_state(jobs[0][len("cress:job:"):], "succeeded")
        self.assertIn("url", json.loads(record["result"]))


class Python(Cases, TestCase):
    command = ["/usr/bin/python3", os.path.join(CLIENTS, "enqueue.py")]

    def test_ten_lines(self):
        self.check_snippet(wire_snippet("python"), ["/usr/bin/python3", "-c"])


class Node(Cases, TestCase):
    command = ["node", os.path.join(CLIENTS, "enqueue.js")]
    folder = None

    @classmethod
    def setUpClass(cls):
        if not shutil.which("node") or not shutil.which("npm"):
            raise unittest.SkipTest("NOT TESTED: node or npm is not installed")
        cls.folder = tempfile.mkdtemp(prefix="cresstest-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        try:
            result = subprocess.run(
                ["npm", "install", "--prefix", cls.folder, "--no-audit", "--no-fund", "--no-save", "amqplib"],
                capture_output=True, text=True, timeout=INSTALL_DEADLINE, check=False)
            problem = result.stderr.strip().split("\n")[0] if result.returncode else None
        except subprocess.TimeoutExpired:
            problem = "it took too long"
        if problem:
            print("NOT TESTED: npm install amqplib failed: " + problem, file=sys.stderr)
            raise unittest.SkipTest("NOT TESTED: npm cannot install amqplib: " + problem)

    def environment(self):
        return dict(os.environ, NODE_PATH=os.path.join(self.folder, "node_modules"))

    def test_ten_lines(self):
        self.check_snippet(wire_snippet("js"), ["node", "-e"])
