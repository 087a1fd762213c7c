# SPDX-License-Identifier: Apache-2.0
"""What the fault tests share: a load with a ledger of its own, faults, and the figures of the reconciliation.

Clients submit numbered jobs over HTTP, each with an idempotency key, and repeat until they are told "accepted". The jobs'
handler (ledger.py) notes each run that came to its end in a file that no server of ours knows. Reconciled is by number:

    lost   accepted, but never run to the end, or not `succeeded` in the record
    late   of the slowest job: from when it was due (first submitted, or accepted and its delay over), or from the end of
           the fault that held it up when that was later, to the end of its first run
    twice  runs to the end beyond the first of each number

Each test says how many of them there may be at most, and why: `twice` in events that it counts (places of the workers it
killed, clients that were not answered), `late` in seconds, to which the time that it takes to start a hundred programs here
and now is added. Nothing may be lost.

Moments of faults are drawn at random, from a fixed seed; everything else waits for states."""

import contextlib
import http.client
import json
import os
import random
import re
import signal
import statistics
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
PLACES = 16  # of each worker: as many jobs are begun and not ended when it is killed or cut off
SLOWEST = 5  # seconds that a request may take, whatever is wrong: gateway.backend_timeout, for broker and store, and more


def by_length(short, long):
    return long if LONG else short


def with_port(url, port):
    """The same URL by way of another port of loopback."""
    return re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:%d" % port, url)


def port_of(url):
    return int(re.search(r"127\.0\.0\.1:(\d+)", url).group(1))


class Machine:
    """How slow it is, by the starts of a small program: a test on a loaded one may take longer by a hundred of them."""

    STARTS = 100

    def __init__(self):
        self.start = 0.0
        self.measure()

    def measure(self):
        times = []
        for _ in range(11):
            began = time.monotonic()
            subprocess.run([os.path.join(cresstest.BUILD, "cress"), "--version"], check=True, stdout=subprocess.DEVNULL)
            times.append(time.monotonic() - began)
        self.start = max(self.start, statistics.median(times))

    def seconds(self, usual):
        return usual + self.STARTS * self.start


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
    accepted. A job takes up to `max_ms`. `urls` are asked in turn, so that a gateway may be down. `more` are members of
    the job, `delay_ms(number)` is its delay, and its first `fails` attempts fail, each followed by `backoff_ms`."""

    CLIENTS = 4
    TIMEOUT = 60  # of one request

    def __init__(self, urls, queue, jobs, rate, max_ms=20, first=0, delay_ms=None, fails=0, backoff_ms=50, **more):
        super().__init__(daemon=True)
        self.urls = urls
        self.queue, self.jobs, self.rate, self.more = queue, jobs, rate, more
        self.first, self.max_ms, self.delay_ms, self.fails = first, max_ms, delay_ms, fails
        if fails:
            self.more.update(backoff="fixed", backoff_base_ms=backoff_ms)
        self.backoff_ms = backoff_ms
        self.accepted = {}  # number -> job id
        self.began_at = {}  # number -> time of its first try
        self.due_at = {}  # number -> when it was to run its last attempt
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
        payload = {"n": number, "ms": random.Random(number).randrange(self.max_ms + 1), "fails": self.fails}
        delay_ms = self.delay_ms(number) if self.delay_ms else 0
        body = json.dumps(dict({"task": "ledger", "queue": self.queue, "payload": payload, "delay_ms": delay_ms},
                               **self.more))
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
            wait_ms = delay_ms + self.fails * self.backoff_ms
            self.due_at[number] = began + wait_ms / 1000 if wait_ms else self.began_at[number]
            self.accepted[number] = json.loads(text)["id"]
        else:
            self.stopped.wait(0.05 if status == 503 else 0.02)

    def add(self, other):
        """One that has ended, to be reconciled with this one, which has, too."""
        self.jobs += other.jobs
        self.accepted.update(other.accepted)
        self.due_at.update(other.due_at)

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
        self.fault_at, self.outages = None, []
        self.machine = Machine()
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
        return self.start("cress-worker", "--config", self.config, "--queues", self.queue, "--concurrency", str(PLACES),
                          *args, **dict(self.environment, **environment))

    def ready_worker(self, *args, **environment):
        return self.start_worker(*args, **environment).wait_log("worker ready")

    def start_gateway(self, listen="127.0.0.1:0", **environment):
        gateway = self.start("cress-gateway", "--config", self.config, "--listen", listen,
                             **dict(self.environment, **environment))
        gateway.wait_log("ready on http://")
        gateway.url = re.search(r"ready on (http://\S+)", gateway.log()).group(1)
        return gateway

    def start_load(self, gateways, jobs, rate, runs=20, **more):
        """A load, of which `runs` have ended."""
        load = Load([gateway.url for gateway in gateways], self.queue, jobs, rate, **more)
        self.addCleanup(load.stop)
        self.addCleanup(lambda: self.failed() and print("%d accepted; answers: %s" % (len(load.accepted), load.answers)))
        wait_for(lambda: cresstest.http("GET", load.urls[0] + "/readyz").status == 200, "the gateway to be ready")
        load.began = time.monotonic()
        load.start()
        self.wait_runs(self.ledger.count() + runs)
        return load

    # --- faults ---

    def wait_runs(self, count, deadline=30):
        """Waits until `count` runs have ended."""
        wait_for(lambda: self.ledger.count() >= count, "%d ends of runs" % count, deadline)

    def pause(self, least, most):
        """The moment of a fault, or how long it lasts: nothing is waited for."""
        time.sleep(self.random.uniform(least, most))
        self.fault()

    def fault(self):
        """A fault begins."""
        self.fault_at = self.fault_at or time.monotonic()

    def lifted(self):
        """The fault is over: from now on what it held up is late."""
        now = time.monotonic()
        self.outages.append((self.fault_at or now, now))
        self.fault_at = None

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

    def reconcile(self, name, load, late, twice=0, faults=1, forgotten=False, redis=None, broker=None):
        """Lets the load come to its end, and checks and notes what became of it."""
        if load.jobs is None:
            load.finish()
        deadline = 60 + self.machine.seconds(late)
        load.join(deadline + (load.jobs or 0) / load.rate)
        self.assertFalse(load.is_alive(), "clients still try: %s accepted, answers %s" % (
            len(load.accepted), load.answers))
        self.assertLess(load.slowest, self.machine.seconds(SLOWEST), load.answers)
        redis = redis or self.redis()
        unfinished = self.wait_ended(load, redis, forgotten, deadline)
        figures = self.figures(name, load, late, twice, faults)
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

    def figures(self, name, load, late, twice, faults):
        ends = {}
        for at, number, job, attempt in self.ledger.lines():
            ends.setdefault(number, []).append((at, "%s attempt %d" % (job, attempt)))
        for number, runs in ends.items():
            if len(runs) > 1:
                print("\n    number %d ran more than once: %s" % (number, ", ".join(text for _, text in runs)), end="")
        known = set(load.accepted) & set(ends)
        self.machine.measure()
        return note_figures(
            name, faults=faults, jobs=len(load.accepted), lost=len(set(load.accepted) - set(ends)),
            late=max((self.late(load.due_at[number], min(ends[number])[0]) for number in known), default=0.0),
            late_most=self.machine.seconds(late), twice=sum(len(ends[number]) - 1 for number in known), twice_most=twice)

    def late(self, due, end):
        """Faults that were over before it was due had no part in it, and those that came later neither. While one lasts
        nothing is late: a server that comes back may be heard of before it is known to be back."""
        since = max([due] + [over for _, over in self.outages if over < end])
        until = min([end] + [began for began, over in self.outages if began < end <= over])
        return max(0.0, until - since)


def note_figures(name, jobs, lost, twice, twice_most, late=None, late_most=None, faults=1):
    """Prints a case's figures, adds them to those of the run, and holds them to what they may be at most."""
    row = {"case": name, "faults": faults, "jobs": jobs, "lost": lost, "late": late, "late_most": late_most,
           "twice": twice, "twice_most": twice_most}
    print("\n%s: faults %d, jobs %d, lost %d, twice %d of %d" % (name, faults, jobs, lost, twice, twice_most), end="")
    print("" if late is None else ", late %.1f s of %.1f s" % (late, late_most), flush=True)
    path = os.environ.get("CRESS_FAULT_FIGURES")
    if path:
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
    assert lost == 0 and twice <= twice_most and (late is None or late <= late_most), row
    return row
