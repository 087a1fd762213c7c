# SPDX-License-Identifier: Apache-2.0
"""The README's first page, word for word: its two workers run at the same time, and what it shows is what comes out."""

import os
import re
import subprocess
import unittest

from cresstest import BUILD, ROOT, TestCase, Program, run

with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as readme:
    SHOWN = re.search(r"## What it looks like\n(.*?)\n## ", readme.read(), re.S).group(1)


def shown(start):
    """The command of the README that begins so, and the lines that it shows as its output."""
    found = re.search(r"^\$ build/(%s.*)\n((?:(?!\$|```).*\n)*)" % re.escape(start), SHOWN, re.M)
    return found.group(1), found.group(2)


class ReadmeTest(TestCase):
    def background(self, start):
        command, lines = shown(start)
        self.assertTrue(command.endswith(" &"), command)
        name, *words = re.findall(r"'[^']*'|\S+", command[:-2])
        program = Program(name, *[word.strip("'") for word in words])
        self.programs.append(program)
        program.wait_log("worker ready")
        return program, lines

    def foreground(self, start):
        command, lines = shown(start)
        done = subprocess.run(["bash", "-c", "build/" + command], cwd=os.path.dirname(BUILD), capture_output=True, text=True,
                              timeout=60, check=False)
        self.assertEqual((done.returncode, done.stdout), (0, lines), done.stderr)

    def test_a_worker_says_what_the_readme_shows(self):
        worker, lines = self.background("cress-worker &")

        def skeleton(text):
            return re.sub(r"\S+Z|id=\S+", "x", text)
        self.assertIn(skeleton(lines), [skeleton(line) + "\n" for line in worker.log().splitlines()])

    def test_its_two_workers_run_every_command(self):
        self.background("cress-worker &")
        self.background("cress worker run")
        before = run("cress", "dead", "list").stdout
        for _ in range(10):
            self.foreground("cress enqueue cress.echo")
            self.foreground("cress enqueue shout")
        self.assertEqual(run("cress", "dead", "list").stdout, before)  # none failed on its way to the other worker


if __name__ == "__main__":
    unittest.main()
