# SPDX-License-Identifier: Apache-2.0
"""docs/handlers.md as a newcomer reads it: each section's files are written, its commands are run as they stand, and
they print what it says. A file is a block that names itself in its first comment, a command follows a $."""

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import unittest

import cresstest
from cresstest import BUILD, ROOT, unique, wait_for

FILE = re.compile(r"^```\w+\n(?:#!.*\n)?(?:#|//) (\S+)$", re.M)
COMMAND = re.compile(r"^    \$ (.*)\n((?:    [^$].*\n)*)", re.M)


class Documented(cresstest.TestCase):
    def setUp(self):
        super().setUp()
        self.queue = unique("doc")
        folder = tempfile.TemporaryDirectory(prefix="cress-doc-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.environment = dict(os.environ, PATH=BUILD + ":" + os.environ["PATH"], TMPDIR=self.folder,
                                CRESS_WORKER_QUEUES=self.queue, PKG_CONFIG_PATH=self.folder)

    def section(self, name):
        with open(os.path.join(ROOT, "docs/handlers.md"), encoding="utf-8") as file:
            return file.read().split("\n## %s:" % name)[1].split("\n## ")[0]

    def write(self, name, text):
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
            file.write(text)

    def in_background(self, command):
        """A program that is ended with all it started."""
        process = subprocess.Popen(["/bin/sh", "-c", command], env=self.environment, cwd=self.folder,
                                   stderr=subprocess.DEVNULL, start_new_session=True)
        self.addCleanup(process.wait)
        self.addCleanup(os.killpg, process.pid, signal.SIGTERM)
        if "cress-worker" in command:
            broker = self.broker()
            wait_for(lambda: broker.ready(self.queue) is not None, "the worker")

    def in_foreground(self, command, expected):
        done = subprocess.run(["/bin/sh", "-c", command.replace("--wait", "--wait --queue " + self.queue)],
                              env=self.environment, cwd=self.folder, text=True, capture_output=True,
                              timeout=cresstest.DEADLINE, check=False)
        self.assertEqual(done.returncode, 0, command + ": " + done.stderr)
        self.assertEqual(done.stdout, expected, command)

    def check(self, name, results, *replacements):
        """Runs section `name`, of which `results` commands print something."""
        text = self.section(name)
        for old, new in replacements:
            self.assertIn(old, text)
            text = text.replace(old, new)
        blocks = ["```" + block for block in text.split("```")[1::2]]
        for block in blocks:
            match = FILE.match(block)
            if match:
                self.write(match.group(1), block.partition("\n")[2])
        printed = 0
        for command, output in COMMAND.findall(text):
            if command.endswith("&"):
                self.in_background(command.rstrip("& "))
            else:
                self.in_foreground(command, "".join(line[4:] for line in output.splitlines(True)))
                printed += bool(output)
        self.assertEqual(printed, results)

    @unittest.skipUnless(shutil.which("node"), "NOT TESTED: node is not installed")
    def test_exec(self):
        self.check("exec", 4)

    @unittest.skipUnless(shutil.which("node"), "NOT TESTED: node is not installed")
    def test_stream(self):
        self.check("stream", 3)

    def test_http(self):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = str(free.getsockname()[1])
        self.check("http", 1, ("9000", port))

    def test_plugin(self):
        with open(os.path.join(ROOT, "dist/pkgconfig/cress.pc.in"), encoding="utf-8") as file:
            values = {"INCLUDEDIR": os.path.join(ROOT, "include"), "VERSION": "0", "LIBRARY_MODULES": ""}
            self.write("cress.pc", re.sub(r"@(\w+)@", lambda match: values.get(match.group(1), BUILD), file.read()))
        self.check("plugin", 1)


if __name__ == "__main__":
    unittest.main()
