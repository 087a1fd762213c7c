# SPDX-License-Identifier: Apache-2.0
"""scripts/stack: servers that are killed come back where their clients look for them, and nothing of a
stack outlives it."""

import os
import signal
import socket
import subprocess
import tempfile
import unittest

from cresstest import ROOT, wait_for

STACK = os.path.join(ROOT, "scripts", "stack")


class StackTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="cress stack ")  # a path with blanks is a path
        self.addCleanup(folder.cleanup)
        self.dir = folder.name
        self.addCleanup(self.stack, "stop")

    def stack(self, command, *args, code=0):
        done = subprocess.run([STACK, command, "--dir", self.dir, *args], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stdout

    def port(self):
        with open(os.path.join(self.dir, "port"), encoding="utf-8") as file:
            return int(file.read())

    def kill(self, *names):
        for name in names:
            with open(os.path.join(self.dir, name + ".pid"), encoding="utf-8") as file:
                os.kill(int(file.read()), signal.SIGKILL)

    def is_free(self, port):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) != 0

    def test_a_killed_broker_keeps_its_port(self):
        self.stack("start", "--only", "rabbitmq")
        port = self.port()
        for names in (["rabbitmq"], ["rabbitmq", "epmd"]):
            self.kill(*names)
            self.stack("start", "--only=rabbitmq")
            self.assertEqual(self.port(), port)
        self.kill("epmd")
        self.stack("rabbitmqctl", "-q", "list_queues", code=78)  # starts no name server of its own
        self.stack("stop")
        for n in range(9):
            wait_for(lambda: self.is_free(port + n), "port %d of the stack is free" % n)

    def test_a_port_that_someone_took(self):
        self.stack("start", "--only", "redis")
        port = self.port()
        with socket.create_server(("127.0.0.1", port)):
            self.stack("start", "--only", "rabbitmq", code=1)  # Redis has clients: the addresses stay
            self.assertEqual(self.port(), port)
            self.stack("stop")
            self.stack("start", "--only", "redis")
            self.assertNotEqual(self.port(), port)

    def test_what_is_refused(self):
        for words in (["start", "--dir", ""], ["start", "--dir", "it's"], ["start", "--only", "postgres"], ["fly"]):
            done = subprocess.run([STACK, *words], capture_output=True, text=True, check=False)
            self.assertEqual((done.returncode, done.stdout), (2, ""), words)
