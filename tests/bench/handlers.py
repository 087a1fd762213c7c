# SPDX-License-Identifier: Apache-2.0
"""Jobs a second and memory of each kind of handler, beside cress.noop in the same round: the same queue, the same
records, and nothing run."""

import collections
import os
import subprocess
import tempfile

import bench

Kind = collections.namedtuple("Kind", "name task jobs section title")

# As many jobs as take some seconds. The workers have no options but the task's own.
KINDS = (
    Kind("noop", "cress.noop", 50000, "", "cress.noop: built in"),
    Kind("stream C", "bench.stream.c", 50000, """
handler = stream
command = %(build)s/tests/bench/stream_echo 256
""", "stream: one C program, 256 jobs in flight"),
    Kind("stream Python", "bench.stream.python", 30000, """
handler = stream
command = /usr/bin/python3 %(root)s/examples/handlers/stream.py
""", "stream: one Python program, 64 jobs in flight"),
    Kind("plugin", "text.echo", 30000, """
handler = plugin
file = %(build)s/examples/library/task_text.so
instances = 2
""", "plugin: two processes, a job each"),
    Kind("http", "bench.http", 20000, """
handler = http
url = %(url)s
per_host = 64
""", "http: 64 requests in flight, to nginx"),
    Kind("exec", "bench.exec", 2000, """
handler = exec
command = /bin/true
""", "exec: /bin/true"),
)


def configure(path, kind, url):
    with open(path, "w", encoding="utf-8") as file:
        if kind.section:
            section = kind.section % {"build": bench.BUILD, "root": bench.ROOT, "url": url}
            file.write("[task %s]%s" % (kind.task, section))


def measure_one(folder, kind, url):
    config, jobs = os.path.join(folder, "cress.conf"), os.path.join(folder, "jobs.jsonl")
    configure(config, kind, url)
    bench.flush_store()
    bench.write_jobs(jobs, kind.jobs, kind.task)
    bench.enqueue(jobs, kind.jobs)
    return bench.drain(kind.jobs, "--config", config)


def measure(report, rounds):
    with tempfile.TemporaryDirectory() as folder, bench.Nginx("null") as nginx:
        bench.make_queue()
        for _ in range(rounds):
            for kind in KINDS:
                report.add(kind.name, measure_one(folder, kind, nginx.url))
    print("exec without broker and store, beside a bare loop of posix_spawn:")
    subprocess.run([os.path.join(bench.BUILD, "tests/bench/exec"), str(rounds), "1000", "8", "/bin/true"], check=True)
    for kind in KINDS:
        report.line(kind.name, kind.title, "noop" if kind.section else None)
        print("    worker %.1f MB, its programs %.1f MB" % (report.median(kind.name, "resident_mb"),
                                                         report.median(kind.name, "family_mb")))
