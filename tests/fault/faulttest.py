# SPDX-License-Identifier: Apache-2.0
"""What the fault tests share: a load with a ledger of its own, faults, and the figures of the reconciliation.

Clients submit numbered jobs over HTTP, each with an idempotency key, and repeat until they are told "accepted". The jobs'
handler (ledger.py) notes each run that came to its end in a file that no server of ours knows. Reconciled is by number:

    lost        accepted, but never run to the end, or not `succeeded` in the record
    duplicates  runs to the end beyond the first of each number
    stall       the longest time without the end of a run, while there was work
    recovery    from when a fault was lifted, or from a kill that leaves others to go on, until a job has run that was
                first submitted after that; the longest of several

Moments of faults are drawn at random, from a fixed seed; everything else waits for states."""

import contextlib
import http.client
import json
import os
import random
import re
import signal
import subprocess
import tempfile
import threading
import time

import cresstest
from cresstest import unique, wait_for

LONG = os.environ.get("CRESS_FAULT_LENGTH") == "long"
HERE = os.path.dirname(os.path.abspath(__file__))
STACK = os.path.join(cresstest.ROOT, "scripts", "stack")
PYTHON = "/usr/bin/python3"


def by_length(short, long):
    return long if LONG else short


def with_port(url, port):
    """The same URL by way of another port of loopback."""
    return re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:%d" % port, url)


def port_of(url):
    return int(re.search(r"127\.0\.0\.1:(\d+)", url).group(1))


# The jobs of a queue whose records have not ended.
OPEN_RECORDS = """local cursor, found = '0', {}
repeat
    local page = redis.call('SCAN', cursor, 'MATCH', 'cress:job:*', 'COUNT', 1000)
    cursor = page[1]
    for _, key in ipairs(page[2]) do
        local record = redis.call('HMGET', key, 'queue', 'status')
        local state = string.match(record[2] or '', '^%S+')
        if record[1] == ARGV[1] and state and not string.find(' succeeded failed cancelled expired ', ' ' .. state .. ' ') then
            found[#found + 1] = key .. ' ' .. state
        end
    end
until cursor == '0'
return found"""


class StackServer:
    """A server of the test's stack: rabbitmq, redis or s3."""

    def __init__(self, name):
        self.name = name
        self.folder = cresstest.env("CRESS_TEST_STACK")

    def stack(self, *arguments):
        subprocess.run([STACK, *arguments, "--dir", self.folder, "--only", self.name], check=True,
                       stdout=subprocess.DEVNULL)

    def signal(self, number):
        with open(os.path.join(self.folder, self.name + ".pid"), encoding="ascii") as file:
            os.kill(int(file.read()), number)

    def kill(self):
        self.signal(signal.SIGKILL)

    def stop(self):
        self.stack("stop")

    def start(self):
        self.stack("start")

    @contextlib.contextmanager
    def paused(self):
        self.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.signal(signal.SIGCONT)


def rabbitmqctl(*arguments):
    subprocess.run([STACK, "rabbitmqctl", "--dir", cresstest.env("CRESS_TEST_STACK"), *arguments], check=True,
                   stdout=subprocess.DEVNULL)


class Ledger:
    def __init__(self, folder):
        self.path = os.path.join(folder, "ledger")
        open(self.path, "ab").close()

    def lines(self):
        """(time, number, job, attempt) of each end of a run."""
        with open(self.path, encoding="ascii") as file:
            return [(float(at), int(n), job, int(attempt)) for at, n, job, attempt in map(str.split, file)]

    def count(self):
        with open(self.path, "rb") as file:
            return file.read().count(b"\n")


class Load(threading.Thread):
    """Clients that submit `jobs` jobs (None: until finish()) at `rate` a second, each again and again until it is
    accepted. A job takes up to `max_ms`. `urls` are asked in turn, so that a gateway may be down."""

    CLIENTS = 4
    TIMEOUT = 10  # of one request: nothing may hang longer

    def __init__(self, urls, queue, jobs, rate, max_ms=20, first=0, **more):
        super().__init__(daemon=True)
        self.urls = urls
        self.queue, self.jobs, self.rate, self.more = queue, jobs, rate, more
        self.first, self.max_ms = first, max_ms
        self.accepted = {}  # number -> job id
        self.began_at = {}  # number -> time of its first try
        self.answers = {}  # status, or the exception's name -> how many
        self.slowest = 0.0
        self.began = time.monotonic()
        self.next, self.lock = 0, threading.Lock()
        self.finished = threading.Event()  # no new jobs
        self.stopped = threading.Event()  # nor further tries

    def run(self):
        clients = [threading.Thread(target=self.submit_all, daemon=True) for _ in range(self.CLIENTS)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()

    def take(self):
        with self.lock:
            index, self.next = self.next, self.next + 1
        over = self.finished.is_set() or self.stopped.is_set() or (self.jobs is not None and index >= self.jobs)
        return None if over else index

    def submit_all(self):
        while (index := self.take()) is not None:
            due = self.began + index / self.rate
            number = self.first + index
            self.stopped.wait(max(0, due - time.monotonic()))
            self.began_at[number] = time.monotonic()
            tries = 0
            while number not in self.accepted and not self.stopped.is_set():
                self.submit(number, self.urls[(number + tries) % len(self.urls)])
                tries += 1

    def submit(self, number, url):
        payload = {"n": number, "ms": random.Random(number).randrange(self.max_ms + 1)}
        body = json.dumps(dict({"task": "ledger", "queue": self.queue, "payload": payload}, **self.more))
        began = time.monotonic()
        connection = http.client.HTTPConnection(url.split("//")[1], timeout=self.TIMEOUT)
        try:
            connection.request("POST", "/v1/jobs", body, {
                "Content-Type": "application/json", "Idempotency-Key": "%s-%d" % (self.queue, number)})
            answer = connection.getresponse()
            status, text = answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            status, text = type(error).__name__, b""
        finally:
            connection.close()
        took = time.monotonic() - began
        with self.lock:
            self.answers[status] = self.answers.get(status, 0) + 1
            self.slowest = max(self.slowest, took)
        if status in (200, 202):
            self.accepted[number] = json.loads(text)["id"]
        else:
            self.stopped.wait(0.05 if status == 503 else 0.02)

    def finish(self):
        """No more new jobs; those asked for are asked for until they are accepted."""
        self.finished.set()

    def stop(self):
        """Gives up."""
        self.stopped.set()
        self.join()


class FaultCase(cresstest.TestCase):
    def setUp(self):
        super().setUp()
        self.random = random.Random(42)
        self.folder = self.enterContext(tempfile.TemporaryDirectory(prefix="cressfault-"))
        self.ledger = Ledger(self.folder)
        self.queue = unique("fault")
        self.lifted_at = []
        self.environment = {"CRESS_JOB_BACKOFF_BASE": "50ms", "CRESS_BROKER_RECONNECT_MAX": "1s",
                            "CRESS_JOB_MAX_ATTEMPTS": "20"}
        self.config = os.path.join(self.folder, "cress.conf")
        self.write_config("")

    def write_config(self, more):
        with open(self.config, "w", encoding="utf-8") as file:
            file.write("[queue %s]\n[task ledger]\nhandler = stream\ncommand = %s '%s' '%s'\n%s" % (
                self.queue, PYTHON, os.path.join(HERE, "ledger.py"), self.ledger.path, more))

    # --- programs ---

    def start_worker(self, *args, **environment):
        return self.start("cress-worker", "--config", self.config, "--queues", self.queue, "--concurrency", "16",
                          *args, **dict(self.environment, **environment))

    def ready_worker(self, *args, **environment):
        return self.start_worker(*args, **environment).wait_log("worker ready")

    def start_gateway(self, listen="127.0.0.1:0", **environment):
        gateway = self.start("cress-gateway", "--config", self.config, "--listen", listen,
                             **dict(self.environment, **environment))
        gateway.wait_log("ready on http://")
        gateway.url = re.search(r"ready on (http://\S+)", gateway.log()).group(1)
        return gateway

    def start_load(self, gateways, jobs, rate, **more):
        load = Load([gateway.url for gateway in gateways], self.queue, jobs, rate, **more)
        self.addCleanup(load.stop)
        self.addCleanup(lambda: self.failed() and print("%d accepted; answers: %s" % (len(load.accepted), load.answers)))
        wait_for(lambda: cresstest.http("GET", load.urls[0] + "/readyz").status == 200, "the gateway to be ready")
        load.began = time.monotonic()
        load.start()
        self.wait_runs(20)
        return load

    # --- faults ---

    def wait_runs(self, count, deadline=30):
        """Waits until `count` runs have ended."""
        wait_for(lambda: self.ledger.count() >= count, "%d ends of runs" % count, deadline)

    def pause(self, least, most):
        """The moment of a fault, or how long it lasts: nothing is waited for."""
        time.sleep(self.random.uniform(least, most))

    def lifted(self):
        """The fault is over: what comes next counts as recovery."""
        self.lifted_at.append(time.monotonic())

    # --- reconciling ---

    def records(self, redis, jobs):
        return {job: (redis.command("HGET", "cress:job:" + job, "status") or "none").split(" ")[0] for job in jobs}

    def wait_ended(self, load, redis, forgotten, deadline):
        """Waits until each accepted job has run and its record has ended; `forgotten`: or is gone."""
        good = {"succeeded", "none"} if forgotten else {"succeeded"}
        open_jobs = set(load.accepted.values())

        def probe():
            states = self.records(redis, open_jobs)
            open_jobs.intersection_update(job for job, state in states.items() if state not in good)
            ended = {line[1] for line in self.ledger.lines()}
            return not open_jobs and not set(load.accepted) - ended
        with contextlib.suppress(AssertionError):
            wait_for(probe, "all jobs to end", deadline, pause=0.2)
            return {}
        return self.records(redis, open_jobs)

    def reconcile(self, name, load, deadline=60, forgotten=False, redis=None, broker=None):
        """Lets the load come to its end, and checks and notes what became of it."""
        if load.jobs is None:
            load.finish()
        load.join(deadline + (load.jobs or 0) / load.rate)
        self.assertFalse(load.is_alive(), "clients still try: %s accepted, answers %s" % (
            len(load.accepted), load.answers))
        redis = redis or self.redis()
        unfinished = self.wait_ended(load, redis, forgotten, deadline)
        figures = self.figures(name, load)
        self.assertEqual(figures["lost"], 0, figures)
        self.assertEqual(unfinished, {}, "jobs that did not end well; %s" % figures)
        self.assertEqual(redis.command("EVAL", OPEN_RECORDS, 0, self.queue), [], "records that are stuck")
        self.check_queues(broker)
        return figures

    def check_queues(self, broker):
        """Nothing is left over, and no job was given up."""
        client = cresstest.Broker(broker)
        try:
            for queue in (self.queue, self.queue + ".high", self.queue + ".low", self.queue + ".dead"):
                wait_for(lambda q=queue: not client.ready(q), "queue %s to be empty" % queue)
        finally:
            client.close()

    def figures(self, name, load):
        lines = self.ledger.lines()
        times = sorted(line[0] for line in lines)
        runs = {}
        for _, number, job, attempt in lines:
            runs.setdefault(number, []).append("%s attempt %d" % (job, attempt))
        for number, ends in runs.items():
            if len(ends) > 1:
                print("\n    number %d ran more than once: %s" % (number, ", ".join(ends)), end="")
        gaps = [b - a for a, b in zip([load.began, *times], times)]
        return note_figures(
            name, jobs=len(load.accepted), lost=len(set(load.accepted) - set(runs)),
            duplicates=sum(len(ends) - 1 for ends in runs.values()), stall=max(gaps, default=0.0),
            recovery=max((self.recovery(at, lines, load) for at in self.lifted_at), default=None))

    @staticmethod
    def recovery(lifted, lines, load):
        return min((line[0] - lifted for line in lines if load.began_at.get(line[1], 0) > lifted), default=0.0)


def note_figures(name, **figures):
    """Prints a case's figures, and adds them to those of the run."""
    row = dict({"case": name}, **figures)
    print("\n%(case)s: jobs %(jobs)d, lost %(lost)d, duplicates %(duplicates)d" % row, end="")
    for key in ("stall", "recovery"):
        if row.get(key) is not None:
            print(", %s %.1f s" % (key, row[key]), end="")
    print(flush=True)
    path = os.environ.get("CRESS_FAULT_FIGURES")
    if path:
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
    return row
