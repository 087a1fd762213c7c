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
import urllib.parse

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

    def test_a_task_is_needed(self):
        result = self.enqueue()
        self.assertNotEqual(result.returncode, 0)
        self.assertEqual(result.stdout, "")

    def snippet(self, language):
        """The text of docs/wire.md, with this broker's address and a task that is quick."""
        source = wire_snippet(language)
        self.assertIn("page.render", source)
        for quote in "'\"":
            source = source.replace(quote + "page.render" + quote, quote + "cress.echo" + quote)
            source = source.replace(quote + "default" + quote, quote + self.queue + quote)
        return source.replace("amqp://guest:guest@localhost:5672/", env("CRESS_BROKER_URL"))

    def check_snippet(self, *command):
        before = set(self.redis().command("KEYS", "cress:job:*"))
        subprocess.run(command, check=True, timeout=DEADLINE, env=self.environment())
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
        self.check_snippet("/usr/bin/python3", "-c", self.snippet("python"))


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
        self.check_snippet("node", "-e", self.snippet("js"))


class Php(Cases, TestCase):
    command = ["php", os.path.join(CLIENTS, "enqueue.php")]

    @classmethod
    def setUpClass(cls):
        if not shutil.which("php") or not os.path.exists("/usr/share/php/PhpAmqpLib/autoload.php"):
            raise unittest.SkipTest("NOT TESTED: sudo apt-get install -y php-cli php-amqplib")

    def test_ten_lines(self):
        url = urllib.parse.urlsplit(env("CRESS_BROKER_URL"))
        source = self.snippet("php").replace("'localhost', 5672, 'guest', 'guest'", "'%s', %d, '%s', '%s'" % (
            url.hostname, url.port, url.username, url.password))
        self.assertIn(str(url.port), source)
        self.check_snippet("php", "-r", "require 'PhpAmqpLib/autoload.php';\n" + source)


class Go(Cases, TestCase):
    gopath = "/usr/share/gocode"  # of Debian's packages
    folder = None

    @classmethod
    def setUpClass(cls):
        if not shutil.which("go") or not os.path.exists(cls.gopath + "/src/github.com/rabbitmq/amqp091-go"):
            raise unittest.SkipTest(
                "NOT TESTED: sudo apt-get install -y golang-go golang-github-rabbitmq-amqp091-go-dev")
        cls.folder = tempfile.mkdtemp(prefix="cresstest-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.command = [cls.build(os.path.join(CLIENTS, "enqueue.go"))]

    @classmethod
    def build(cls, source):
        program = os.path.join(cls.folder, os.path.basename(source)[:-len(".go")])
        subprocess.run(["go", "build", "-o", program, source], check=True, timeout=INSTALL_DEADLINE,
                       env=dict(os.environ, GOPATH=cls.gopath, GO111MODULE="off", GOFLAGS="",
                                GOCACHE=os.path.join(cls.folder, "cache")))
        return program

    def test_ten_lines(self):
        path = os.path.join(self.folder, "snippet.go")
        with open(path, "w", encoding="utf-8") as file:
            file.write('package main\nimport ("context"; "encoding/json"; "log"'
                       '; amqp "github.com/rabbitmq/amqp091-go")\n'
                       "func main() {\nctx := context.Background()\n%s\n"
                       "if err != nil || !safe { log.Fatal(err) }\n}\n" % self.snippet("go"))
        self.check_snippet(self.build(path))
