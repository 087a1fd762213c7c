# SPDX-License-Identifier: Apache-2.0
"""Where pages are stored: an S3 server that fails in every way, and a directory on a full disk."""

import hashlib
import math
import os
import socket
import struct
import subprocess
import threading
import time
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cresstest import http, wait_for
from faulttest import PLACES, FaultCase, by_length, note_figures
from relay import Relay


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, handler):
        super().__init__(("127.0.0.1", 0), handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_):
        pass  # a client that has given up


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in dict({"Content-Length": str(len(body))}, **headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)


class Origin(Handler):
    def do_GET(self):
        self.answer(200, page(self.path), Content_Type="text/html")


def page(path):
    return b"<p>%s</p>" % path.encode() + b"." * 4000


class Objects(Handler):
    """The ledger: what was stored, when, and how often. `mode` is how it fails now, None: it works."""

    lock = threading.Lock()
    mode = None

    @classmethod
    def forget(cls):
        cls.stored, cls.times, cls.failed = {}, [], 0

    def do_HEAD(self):
        with self.lock:
            body = self.stored.get(self.path, [None])[-1]
        if body is None:
            self.answer(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"%s"' % hashlib.md5(body).hexdigest())
        self.end_headers()

    def do_PUT(self):
        mode = Objects.mode
        if mode == "continue-500" and "Expect" not in self.headers:
            self.send_response_only(100)
            self.end_headers()
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.lock:
            if mode:
                Objects.failed += 1
            else:
                self.stored.setdefault(self.path, []).append(body)
                self.times.append(time.monotonic())
        if mode == "503":
            self.answer(503, b"<Error><Code>SlowDown</Code><Message>later</Message></Error>")
        elif mode == "continue-500":
            self.answer(500)
        elif mode == "stall":
            self.connection.settimeout(10)
            self.connection.recv(1)  # until the client gives up
            self.close_connection = True
        elif mode == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
        else:
            self.answer(200, ETag='"%s"' % hashlib.md5(body).hexdigest())


class ObjectsCase(FaultCase):
    def setUp(self):
        super().setUp()
        self.origin = Server(Origin)
        self.addCleanup(self.origin.server_close)
        self.addCleanup(self.origin.shutdown)
        self.environment["CRESS_RENDER_ALLOW"] = "127.0.0.1:%d" % self.origin.server_port
        self.jobs = {}

    def submit(self, gateway, paths, to):
        for path in paths:
            answer = http("POST", gateway.url + "/v1/jobs", {
                "task": "page.render", "queue": self.queue,
                "payload": {"url": "http://127.0.0.1:%d%s" % (self.origin.server_port, path), "to": to}})
            self.assertEqual(answer.status, 202, answer.body)
            self.jobs[path] = answer.json()["id"]

    def ready_gateway(self):
        gateway = self.start_gateway()
        wait_for(lambda: http("GET", gateway.url + "/readyz").status == 200, "the gateway to be ready")
        return gateway

    def wait_jobs(self):
        for job in self.jobs.values():
            self.assertEqual(self.wait_state(job, "succeeded", "failed")["state"], "succeeded")


class S3Test(ObjectsCase):
    def setUp(self):
        super().setUp()
        Objects.mode = None
        Objects.forget()
        self.objects = Server(Objects)
        self.addCleanup(self.objects.server_close)
        self.addCleanup(self.objects.shutdown)
        self.timeout = self.machine.seconds(0.5)
        self.environment.update(CRESS_S3_STYLE="path", CRESS_S3_TIMEOUT="%dms" % (self.timeout * 1000),
                                CRESS_S3_ENDPOINT="http://127.0.0.1:%d" % self.objects.server_port)

    def note(self, name, faults, twice=0):
        puts = {path.rsplit("/", 1)[1]: bodies for path, bodies in Objects.stored.items()}
        lost = [path for path in self.jobs if page(path) not in puts.get(path[1:], [])]
        self.machine.measure()
        note_figures(name, faults=faults, jobs=len(self.jobs), lost=len(lost),
                     twice=sum(len(bodies) - 1 for bodies in puts.values()), twice_most=twice,
                     late=max(self.late(0, at) for at in Objects.times if at > self.outages[0][1]),
                     late_most=self.machine.seconds(15))

    def failing(self, backend):
        gateway = self.ready_gateway()
        self.ready_worker(CRESS_S3_BACKEND=backend)
        modes = ("503", "continue-500", "stall", "reset") * by_length(1, 3)
        for turn, mode in enumerate(modes):
            Objects.mode, Objects.failed = mode, 0
            self.submit(gateway, ["/%d-%d.html" % (turn, i) for i in range(by_length(20, 60))], "s3://bucket/pages")
            wait_for(lambda: Objects.failed >= 10, "uploads to fail by " + mode)
            Objects.mode = None
            self.lifted()
            self.wait_jobs()
        self.note("S3 answers 503, 500 after 100, stalls, resets (%s)" % backend, len(modes))

    def test_failing_server_signature_v4(self):
        self.failing("v4")

    def test_failing_server_libs3(self):
        self.failing("libs3")

    def test_network_cut_and_healed(self):
        relay = Relay(self.objects.server_port)
        self.addCleanup(relay.close)
        gateway = self.ready_gateway()
        self.ready_worker(CRESS_S3_ENDPOINT="http://127.0.0.1:%d" % relay.port)
        for turn, fault in enumerate((relay.cut, relay.silence)):
            self.submit(gateway, ["/%d-%d.html" % (turn, i) for i in range(by_length(50, 300))], "s3://bucket/pages")
            began = time.monotonic()
            fault()
            self.pause(self.timeout, 2 * self.timeout)
            relay.heal()
            self.lifted()
            seconds = time.monotonic() - began
            self.wait_jobs()
        # stored, and not heard of: what was under way at the cut, and in the silence one more each time that it timed out
        twice = PLACES * (1 + 1 + math.ceil(seconds / self.timeout))
        self.note("network worker - S3 cut and healed", 2, twice)


class DirectoryTest(ObjectsCase):
    def test_disk_full(self):
        """A file system of 256 kB: jobs are tried again until there is room, and no page is ever torn."""
        folder = os.path.join(self.folder, "site")
        os.mkdir(folder)
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], capture_output=True,
                                 text=True, check=False)
        if mounted.returncode != 0:
            self.skipTest("a full disk needs a small file system, and mount says: " + mounted.stderr.strip())
        self.addCleanup(subprocess.run, ["umount", "-l", folder], check=True)
        filler = os.path.join(folder, "filler")
        with open(filler, "wb") as file:
            file.write(b"." * 200 * 1024)
        gateway = self.ready_gateway()
        self.ready_worker(CRESS_PUBLISH_ROOTS=folder)
        self.submit(gateway, ["/%d.html" % i for i in range(40)], "file://" + folder)
        redis = self.redis()
        wait_for(lambda: "no_space" in str([redis.record(job).get("error") for job in self.jobs.values()]),
                 "a job to find the disk full")
        for path in os.listdir(folder):
            if path.endswith(".html"):
                self.assertEqual(self.content(folder, "/" + path), page("/" + path), "a torn page")
        os.unlink(filler)
        self.lifted()
        self.wait_jobs()
        lost = [path for path in self.jobs if self.content(folder, path) != page(path)]
        note_figures("disk full (directory store)", jobs=len(self.jobs), lost=len(lost), twice=0, twice_most=0)
        self.assertEqual(sorted(os.listdir(folder)), sorted(path[1:] for path in self.jobs), "something was left over")

    def content(self, folder, path):
        with open(folder + path, "rb") as file:
            return file.read()


if __name__ == "__main__":
    unittest.main()
