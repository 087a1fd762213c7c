# SPDX-License-Identifier: Apache-2.0
"""What the integration tests share: programs started and stopped by pid, states waited for with a
deadline, and foreign clients of the three servers (pika, HTTP, and the few Redis commands needed).

The tests run inside the environment of `scripts/stack env`; CRESS_BUILD names the build folder.
Nothing here sleeps a guess: whatever is waited for is a state, and its absence is a failed test."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request
import uuid

import pika

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("CRESS_BUILD", os.path.join(ROOT, "build")))
DEADLINE = float(os.environ.get("CRESS_TEST_DEADLINE", "30"))  # seconds; generous: machines are shared


def env(name):
    """A variable of `scripts/stack env`."""
    value = os.environ.get(name)
    if not value:
        raise unittest.SkipTest('%s is not set: eval "$(scripts/stack env)"' % name)
    return value


def delay_queues(longest_ms=2 ** 31, steps=2):
    """The names of all delay queues and of where they lead: see common/broker/topology.h."""
    delays = list(range(64, 1025, 64))
    base = 1024
    while base < 2 ** 31:
        delays.extend(base + base // steps * step for step in range(1, steps + 1))
        base *= 2
    return ["cress.wait.%d" % ms for ms in delays if ms <= longest_ms] + ["cress.due"]


def unique(prefix):
    """A name that no other test and no earlier run uses: for queues and ids."""
    return "%s-%s" % (prefix, uuid.uuid4().hex[:12])


def wait_for(probe, what, deadline=DEADLINE, pause=0.02):
    """Calls probe() until it returns something true, and returns that."""
    end = time.monotonic() + deadline
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError("waited %.0f s in vain for %s" % (deadline, what))
        time.sleep(pause)


class Program:
    """One of our programs in the background. Its output is in .log (stderr) and .out (stdout)."""

    def __init__(self, name, *args, **environment):
        self.name = name
        self.folder = tempfile.TemporaryDirectory(prefix="cresstest-")
        self.log_path = os.path.join(self.folder.name, "stderr")
        self.out_path = os.path.join(self.folder.name, "stdout")
        variables = dict(os.environ, **environment)
        variables.pop("JOURNAL_STREAM", None)
        with open(self.log_path, "wb") as log, open(self.out_path, "wb") as out:
            # the empty working folder keeps a cress.conf that lies around from being read
            self.process = subprocess.Popen(
                [os.path.join(BUILD, name), *args], stdin=subprocess.DEVNULL, stdout=out, stderr=log,
                env=variables, cwd=self.folder.name)
        self.pid = self.process.pid

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def out(self):
        with open(self.out_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def wait_log(self, text, deadline=DEADLINE):
        """Waits until the program has logged `text`."""
        def probe():
            if text in self.log():
                return True
            if self.process.poll() is not None and text not in self.log():
                raise AssertionError("%s ended with %s before it logged %r:\n%s" % (
                    self.name, self.process.returncode, text, self.log()))
            return False
        try:
            wait_for(probe, "%r in the log of %s" % (text, self.name), deadline)
        except AssertionError as error:
            raise AssertionError("%s\n%s" % (error, self.log())) from None
        return self

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, deadline=DEADLINE):
        """The exit status."""
        try:
            return self.process.wait(deadline)
        except subprocess.TimeoutExpired:
            raise AssertionError("%s did not end in %.0f s:\n%s" % (
                self.name, deadline, self.log())) from None

    def stop(self, deadline=DEADLINE):
        """SIGTERM, and the exit status."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        return self.wait(deadline)

    def kill(self):
        """SIGKILL: as a crash."""
        self.process.kill()
        self.process.wait()

    def close(self):
        if self.process.poll() is None:
            self.kill()
        self.folder.cleanup()


def run(name, *args, stdin=None, timeout=DEADLINE, **environment):
    """Runs one of our programs to its end: a CompletedProcess with text output."""
    return subprocess.run(
        [os.path.join(BUILD, name), *args], input=stdin, capture_output=True, text=True,
        timeout=timeout, env=dict(os.environ, **environment), cwd=tempfile.gettempdir(), check=False)


class Answer:
    """An HTTP response, whatever its status. Header names are in lower case."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = {name.lower(): value for name, value in headers.items()}
        self.body = body

    def json(self):
        return json.loads(self.body)


class NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


OPENER = urllib.request.build_opener(NoRedirects, urllib.request.ProxyHandler({}))


def http(method, url, body=None, headers=None, timeout=DEADLINE):
    """One request. A `body` that is no bytes is sent as JSON."""
    headers = dict(headers or {})
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
        headers.setdefault("Content-Type", "application/json")
    request = urllib.request.Request(url, data=body, headers=headers, method=method)
    try:
        with OPENER.open(request, timeout=timeout) as answer:
            return Answer(answer.status, dict(answer.headers), answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, dict(error.headers), error.read())


class Redis:
    """The few commands that a test needs (RESP 2)."""

    def __init__(self, url=None):
        parts = urllib.parse.urlsplit(url or env("CRESS_STORE_URL"))
        self.socket = socket.create_connection((parts.hostname, parts.port or 6379), timeout=DEADLINE)
        self.file = self.socket.makefile("rb")
        if parts.password:
            self.command("AUTH", *filter(None, [parts.username]), parts.password)
        if parts.path.strip("/"):
            self.command("SELECT", parts.path.strip("/"))

    def command(self, *words):
        words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        self.socket.sendall(b"*%d\r\n" % len(words) + b"".join(
            b"$%d\r\n%s\r\n" % (len(word), word) for word in words))
        return self.reply()

    def reply(self):
        line = self.file.readline().rstrip(b"\r\n")
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest.decode()
        if kind == b":":
            return int(rest)
        if kind == b"$":
            if int(rest) < 0:
                return None
            return self.file.read(int(rest) + 2)[:-2].decode("utf-8", "replace")
        if kind == b"*":
            return None if int(rest) < 0 else [self.reply() for _ in range(int(rest))]
        raise AssertionError("redis: " + line.decode("utf-8", "replace"))

    def record(self, job):
        """The record of `job` as stored, {} when there is none. Its field `status`, which packs what
        changes together, is taken apart: see common/store/fields.c."""
        flat = self.command("HGETALL", "cress:job:" + job)
        record = dict(zip(flat[::2], flat[1::2]))
        if "status" in record:
            names = ("state", "version", "attempt", "crashes", "flags", "started_ms", "worker")
            record.update(zip(names, record.pop("status").split(" ", len(names) - 1)))
            record["worker_id"] = record["worker"]
            record["worker"] = ":".join(record["worker_id"].split(":")[:2])  # as people are shown it
        return record

    def close(self):
        self.file.close()
        self.socket.close()


class Broker:
    """A foreign client on a connection of its own; knows nothing of Cress but names."""

    def __init__(self, url=None):
        parameters = pika.URLParameters(url or env("CRESS_BROKER_URL"))
        self.connection = pika.BlockingConnection(parameters)
        self.channel = self.connection.channel()
        self.channel.confirm_delivery()

    def publish(self, queue, body, exchange="", **properties):
        """Publishes persistently, waits for the confirm and fails when unroutable."""
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()

        def publish():
            try:
                self.channel.basic_publish(
                    exchange, queue, body, mandatory=True,
                    properties=pika.BasicProperties(delivery_mode=2, **properties))
                return True
            except pika.exceptions.NackError:
                return False  # a quorum queue that has no leader yet refuses
        wait_for(publish, "the broker to take a message for " + queue)

    def take(self, queue, deadline=DEADLINE):
        """Waits for a message and takes it: (properties, body)."""
        def probe():
            method, properties, body = self.get(queue)
            return (properties, body) if method else None
        return wait_for(probe, "a message in " + queue, deadline)

    def get(self, queue):
        if self.channel.is_closed:
            self.channel = self.connection.channel()
            self.channel.confirm_delivery()
        try:
            return self.channel.basic_get(queue, auto_ack=True)
        except pika.exceptions.ChannelClosedByBroker:
            return None, None, None  # not declared yet

    def ready(self, queue):
        """How many messages wait in `queue`, None when there is no such queue."""
        channel = self.connection.channel()
        try:
            count = channel.queue_declare(queue, passive=True).method.message_count
            channel.close()
            return count
        except pika.exceptions.ChannelClosedByBroker:
            return None

    def delete(self, *queues):
        for queue in queues:
            channel = self.connection.channel()
            channel.queue_delete(queue)
            channel.close()

    def close(self):
        with contextlib.suppress(pika.exceptions.AMQPError):
            self.connection.close()


class TestCase(unittest.TestCase):
    """Closes what a test opened, and shows the logs of its programs when it fails."""

    def setUp(self):
        env("CRESS_BROKER_URL")
        self.programs = []
        self.addCleanup(self.close_programs)

    def start(self, name, *args, **environment):
        program = Program(name, *args, **environment)
        self.programs.append(program)
        return program

    def worker(self, *args, **environment):
        """A worker that is ready."""
        return self.start("cress-worker", *args, **environment).wait_log("worker ready")

    def broker(self):
        broker = Broker()
        self.addCleanup(broker.close)
        return broker

    def redis(self):
        redis = Redis()
        self.addCleanup(redis.close)
        return redis

    def wait_state(self, job, *states, deadline=DEADLINE):
        """Waits until the record of `job` is in one of `states`, and returns it."""
        redis = Redis()
        last = {}

        def probe():
            last.clear()
            last.update(redis.record(job))
            return last if last.get("state") in states else None
        try:
            return wait_for(probe, "job %s to be %s" % (job, " or ".join(states)), deadline)
        except AssertionError as error:
            raise AssertionError("%s; its record: %s" % (error, last)) from None
        finally:
            redis.close()

    def failed(self):
        outcome = getattr(self._outcome, "result", None)
        found = (outcome.failures + outcome.errors) if outcome else self._outcome.errors
        return any(case is self and text for case, text in found)

    def close_programs(self):
        for program in self.programs:
            if self.failed():
                print("--- log of %s (pid %d)\n%s" % (program.name, program.pid, program.log()))
            program.close()
