# SPDX-License-Identifier: Apache-2.0
"""What the measurements share: a private stack, filling a queue and draining it, nginx, and the report."""

import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("CRESS_BUILD", os.path.join(ROOT, "build"))
STACK = os.path.join(ROOT, ".cress", "bench-stack")
sys.path.insert(0, os.path.join(ROOT, "tests", "integration"))
import cresstest  # noqa: E402

QUEUE = "bench"


def start_stack():
    stack = os.path.join(ROOT, "scripts", "stack")
    subprocess.run([stack, "start", "--dir", STACK], check=True, stdout=sys.stderr)
    text = subprocess.run([stack, "env", "--dir", STACK], check=True, capture_output=True, text=True).stdout
    for name, value in re.findall(r"export (\w+)=(\S+)", text):
        os.environ[name] = value


def stop_stack():
    subprocess.run([os.path.join(ROOT, "scripts", "stack"), "stop", "--dir", STACK], check=False, stdout=sys.stderr)


def limit(mode, jobs):
    """A figure of tests/bench/limit.c."""
    text = subprocess.run([os.path.join(BUILD, "tests/bench/limit"), mode, str(jobs)], check=True,
                          capture_output=True, text=True).stdout
    return json.loads(text)


def timed(command, jobs):
    """Runs `command` to its end and returns its figures."""
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - start
    if status:
        raise SystemExit("%s ended with status %d" % (command[0], os.waitstatus_to_exitcode(status)))
    return {"jobs": jobs, "seconds": seconds, "per_second": jobs / seconds,
            "cpu_us_per_job": (usage.ru_utime + usage.ru_stime) * 1e6 / jobs}


def resident_mb(pid):
    with open("/proc/%d/status" % pid, encoding="ascii") as file:
        return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1)) / 1024


def family_mb(pid):
    """What the descendants of `pid` occupy, pages that they share with each other or with it counted in parts (PSS)."""
    parents = {}
    for other in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/stat" % other, encoding="utf-8", errors="replace") as file:
                parents[int(other)] = int(file.read().rpartition(")")[2].split()[1])
        except OSError:
            continue
    total, family = 0, {pid}
    while True:
        children = {child for child, parent in parents.items() if parent in family} - family
        if not children:
            return total / 1024
        family |= children
        for child in children:
            try:
                with open("/proc/%d/smaps_rollup" % child, encoding="ascii") as file:
                    total += int(re.search(r"^Pss:\s+(\d+)", file.read(), re.M).group(1))
            except (OSError, AttributeError):
                continue  # it has ended


def make_queue():
    """A worker that comes and goes makes the queue."""
    worker = cresstest.Program("cress-worker", "--queues", QUEUE)
    worker.wait_log("worker ready")
    worker.stop()
    worker.close()


def write_jobs(path, jobs, task="cress.noop"):
    with open(path, "w", encoding="utf-8") as file:
        for n in range(jobs):
            file.write('{"task":"%s","queue":"%s","id":"b%d-%d","payload":"%d"}\n' % (
                task, QUEUE, os.getpid(), n, n))


def flush_store():
    redis = cresstest.Redis()
    redis.command("FLUSHDB")
    redis.close()


def enqueue(path, jobs):
    return timed([os.path.join(BUILD, "cress"), "enqueue", "--jsonl", path], jobs)


TUNED = ("--concurrency", "1000")


def drain(jobs, *args):
    """From an idle worker's first job to the last stored result. The queue is full before the worker starts. What users
    run is a worker without options: `args` are for comparisons."""
    redis = cresstest.Redis()
    start = time.monotonic()
    worker = cresstest.Program("cress-worker", "--queues", QUEUE, *args)
    family = None
    try:
        worker.wait_log("worker ready")
        last = ["cress:job:b%d-%d" % (os.getpid(), n) for n in range(max(0, jobs - 5000), jobs)]
        start = time.monotonic()

        def ended(key):
            nonlocal family
            if family is None:  # once, while all of it works
                family = family_mb(worker.pid)
            state = (redis.command("HGET", key, "status") or "").partition(" ")[0]
            if state in ("failed", "cancelled", "expired"):
                raise SystemExit("%s %s: a benchmark of what fails says nothing" % (key, state))
            return state == "succeeded"
        for key in reversed(last):  # the queue is first in, first out: the last one first
            cresstest.wait_for(lambda key=key: ended(key), "the queue to be drained", deadline=300, pause=0.005)
        seconds = time.monotonic() - start
        with open("/proc/%d/stat" % worker.pid, encoding="ascii") as file:
            ticks = sum(map(int, file.read().rsplit(")", 1)[1].split()[11:13]))
        return {"jobs": jobs, "seconds": seconds, "per_second": jobs / seconds,
                "cpu_us_per_job": ticks / os.sysconf("SC_CLK_TCK") * 1e6 / jobs, "resident_mb": resident_mb(worker.pid),
                "family_mb": family}
    finally:
        worker.stop()
        worker.close()
        redis.close()


def install_bullmq():
    """BullMQ, from npm, in a folder of the repository that git ignores."""
    folder = os.path.join(ROOT, ".cress", "bullmq")
    os.makedirs(folder, exist_ok=True)
    shutil.copy(os.path.join(ROOT, "tests", "bench", "bullmq.mjs"), folder)
    if not os.path.isdir(os.path.join(folder, "node_modules", "bullmq")):
        subprocess.run(["npm", "install", "--no-fund", "--no-audit", "--prefix", folder, "bullmq", "ioredis"], check=True,
                       stdout=sys.stderr)
    return os.path.join(folder, "bullmq.mjs")


def bullmq(program, jobs, concurrency):
    url = os.environ["CRESS_STORE_URL"]
    text = subprocess.run(["node", program, url, str(jobs), str(concurrency)], check=True, capture_output=True,
                          text=True).stdout
    return json.loads(text)


NGINX = """worker_processes 1; daemon off; pid %(dir)s/pid; error_log %(dir)s/error.log;
events { worker_connections 1024; }
http { access_log off; keepalive_requests 1000000; client_body_temp_path %(dir)s; proxy_temp_path %(dir)s;
  fastcgi_temp_path %(dir)s; uwsgi_temp_path %(dir)s; scgi_temp_path %(dir)s;
  server { listen 127.0.0.1:%(port)d; location / { default_type application/json; return 200 '%(body)s'; } } }
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Nginx:
    def __init__(self, body):
        self.body = body

    def __enter__(self):
        self.folder = tempfile.mkdtemp()
        os.chmod(self.folder, 0o777)
        port = free_port()
        path = os.path.join(self.folder, "nginx.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(NGINX % {"dir": self.folder, "port": port, "body": self.body.replace("'", "")})
        self.process = subprocess.Popen(["/usr/sbin/nginx", "-p", self.folder, "-c", path],
                                        stderr=subprocess.DEVNULL)
        self.url = "http://127.0.0.1:%d/" % port
        cresstest.wait_for(self.answers, "nginx")
        return self

    def answers(self):
        try:
            return urllib.request.urlopen(self.url, timeout=1).status == 200
        except OSError:
            return False

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Report:
    def __init__(self):
        self.rows = {}

    def add(self, name, figures):
        self.rows.setdefault(name, []).append(figures)

    def median(self, name, field):
        return statistics.median(row[field] for row in self.rows[name])

    def line(self, name, title, against=None, field="per_second", unit="/s"):
        values = [row[field] for row in self.rows[name]]
        text = "%-52s %10.0f%s  (%.0f to %.0f)" % (title, statistics.median(values), unit, min(values), max(values))
        if "cpu_us_per_job" in self.rows[name][0]:
            text += "  %5.1f us CPU each" % self.median(name, "cpu_us_per_job")
        if against:
            ratios = [row[field] / other[field] for row, other in zip(self.rows[name], self.rows[against])]
            text += "  ratio %.2f" % statistics.median(ratios)
        print(text, flush=True)
