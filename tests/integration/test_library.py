# SPDX-License-Identifier: Apache-2.0
"""libcress: the shared library as a foreign language sees it (ctypes), what it exports, and what a
C or C++ program that uses the installed files needs."""

import ctypes
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time

from cresstest import BUILD, DEADLINE, ROOT, TestCase, env, unique

ID_SIZE = 129
PATIENCE_MS = int(DEADLINE * 1000)
OK, JOB_FAILED, USAGE, NOT_FOUND, CONFLICT, TIMEOUT = range(6)
CANCELLED, MALFORMED, INVALID, UNAVAILABLE, DENIED, CONFIG = 6, 7, 8, 10, 15, 16


class Error(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int), ("code", ctypes.c_char * 48), ("message", ctypes.c_char * 512)]


class Options(ctypes.Structure):
    _fields_ = [("config_file", ctypes.c_char_p), ("broker_url", ctypes.c_char_p),
                ("store_url", ctypes.c_char_p), ("timeout_ms", ctypes.c_int64),
                ("max_in_flight", ctypes.c_size_t)]


class Request(ctypes.Structure):
    _fields_ = [("task", ctypes.c_char_p), ("payload", ctypes.c_char_p), ("queue", ctypes.c_char_p),
                ("priority", ctypes.c_char_p), ("id", ctypes.c_char_p), ("delay_ms", ctypes.c_int64),
                ("expires_ms", ctypes.c_int64), ("timeout_ms", ctypes.c_int64),
                ("max_attempts", ctypes.c_int), ("backoff", ctypes.c_char_p),
                ("backoff_base_ms", ctypes.c_int64), ("backoff_cap_ms", ctypes.c_int64),
                ("unique", ctypes.c_char_p), ("unique_for_ms", ctypes.c_int64),
                ("after", ctypes.c_char_p), ("after_any", ctypes.c_bool)]


ENQUEUED = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.POINTER(Error), ctypes.c_void_p)


def load():
    library = ctypes.CDLL(os.path.join(BUILD, "libcress.so"))
    for name in ("id", "task", "state", "result", "error"):
        function = getattr(library, "cress_record_" + name)
        function.restype, function.argtypes = ctypes.c_char_p, [ctypes.c_void_p]
    library.cress_record_to_json.restype = ctypes.c_void_p
    library.cress_record_to_json.argtypes = [ctypes.c_void_p]
    library.cress_record_free.argtypes = [ctypes.c_void_p]
    for name in ("is_over", "has_succeeded"):
        function = getattr(library, "cress_record_" + name)
        function.restype, function.argtypes = ctypes.c_bool, [ctypes.c_void_p]
    library.cress_record_attempt.argtypes = [ctypes.c_void_p]
    library.cress_version.restype = ctypes.c_char_p
    library.cress_client_close.argtypes = [ctypes.c_void_p]
    return library


LIBC = ctypes.CDLL(None)
LIBC.free.argtypes = [ctypes.c_void_p]


def take_text(pointer):
    """The text that the library allocated for us."""
    text = ctypes.string_at(pointer).decode()
    LIBC.free(pointer)
    return text


class Client:
    """The C functions with their out parameters as results."""

    def __init__(self, library, **options):
        self.library, self.pointer, self.err = library, ctypes.c_void_p(), Error()
        self.status = library.cress_client_connect_abi(
            options.pop("abi", 0), ctypes.byref(Options(**options)), ctypes.byref(self.pointer),
            ctypes.byref(self.err))

    def code(self):
        return self.err.code.decode()

    def enqueue(self, task="cress.echo", **request):
        room = ctypes.create_string_buffer(ID_SIZE)
        self.status = self.library.cress_client_enqueue(
            self.pointer, ctypes.byref(Request(task=task.encode(), **request)), room,
            ctypes.byref(self.err))
        return room.value.decode()

    def enqueue_async(self, done=None, arg=None, task="cress.echo", **request):
        room = ctypes.create_string_buffer(ID_SIZE)
        self.status = self.library.cress_client_enqueue_async(
            self.pointer, ctypes.byref(Request(task=task.encode(), **request)), room, done, arg,
            ctypes.byref(self.err))
        return room.value.decode()

    def flush(self, timeout_ms=PATIENCE_MS):
        return self.library.cress_client_flush(
            self.pointer, ctypes.c_int64(timeout_ms), ctypes.byref(self.err))

    def record(self, job, wait_ms=None):
        """The record as a dict, and what the accessors say of it; None on failure."""
        found = ctypes.c_void_p()
        if wait_ms is None:
            self.status = self.library.cress_client_status(
                self.pointer, job.encode(), ctypes.byref(found), ctypes.byref(self.err))
        else:
            self.status = self.library.cress_client_wait(
                self.pointer, job.encode(), ctypes.c_int64(wait_ms), ctypes.byref(found),
                ctypes.byref(self.err))
        if self.status != OK:
            assert not found, "an out parameter was touched on failure"
            return None
        library = self.library
        record = json.loads(take_text(library.cress_record_to_json(found)))
        for name in ("id", "task", "state", "result", "error", "is_over", "has_succeeded", "attempt"):
            record["." + name] = getattr(library, "cress_record_" + name)(found)
        library.cress_record_free(found)
        return record

    def result_text(self, job, timeout_ms=PATIENCE_MS):
        found = ctypes.c_void_p()
        self.status = self.library.cress_client_result(
            self.pointer, job.encode(), ctypes.c_int64(timeout_ms), ctypes.byref(found),
            ctypes.byref(self.err))
        return take_text(found) if self.status == OK else None

    def result(self, job, timeout_ms=PATIENCE_MS):
        text = self.result_text(job, timeout_ms)
        return None if text is None else json.loads(text)

    def cancel(self, job, reason=None):
        self.status = self.library.cress_client_cancel(
            self.pointer, job.encode(), reason, ctypes.byref(self.err))
        return self.status

    def close(self):
        self.library.cress_client_close(self.pointer)
        self.pointer = ctypes.c_void_p()


class Calls(TestCase):
    def setUp(self):
        super().setUp()
        self.library = load()
        self.queue = unique("library")
        self.worker("--queues", "default," + self.queue)

    def client(self, **options):
        client = Client(self.library, **options)
        self.assertEqual(client.status, OK, client.err.message)
        self.addCleanup(client.close)
        return client

    def test_enqueues_and_gets_the_result(self):
        client = self.client()
        job = client.enqueue(payload='{"a": [1, "é"]}'.encode(), priority=b"high")
        self.assertEqual(client.status, OK, client.err.message)
        self.assertEqual(client.result(job), {"a": [1, "é"]})
        record = client.record(job)
        self.assertEqual((record["id"], record["task"], record["state"], record["priority"]),
                         (job, "cress.echo", "succeeded", "high"))
        self.assertEqual((record[".id"].decode(), record[".task"], record[".state"], record[".error"]),
                         (job, b"cress.echo", b"succeeded", None))
        self.assertEqual(json.loads(record[".result"]), {"a": [1, "é"]})
        self.assertEqual((record[".is_over"], record[".has_succeeded"], record[".attempt"]), (True, True, 1))

    def test_a_payload_left_out_is_null(self):
        client = self.client()
        self.assertIsNone(client.result(client.enqueue()))
        self.assertEqual(client.status, OK)

    def test_a_failed_job_gives_its_code_and_message(self):
        client = self.client()
        job = client.enqueue("cress.fail", payload=b'{"permanent": true}')
        client.result(job)
        self.assertEqual(client.status, JOB_FAILED)
        record = client.record(job)
        self.assertEqual(json.loads(record[".error"])["code"], client.code())
        self.assertIn(json.loads(record[".error"])["message"], client.err.message.decode())
        self.assertEqual((record[".has_succeeded"], record[".result"]), (False, None))

    def test_waits_until_the_end_or_the_time_is_over(self):
        client = self.client()
        job = client.enqueue(payload=b"1", delay_ms=3600000)
        self.assertEqual(client.record(job)["state"], "scheduled")
        self.assertIsNone(client.record(job, wait_ms=50))
        self.assertEqual(client.status, TIMEOUT)
        slow = client.enqueue("cress.sleep", payload=b'{"ms": 300}')
        self.assertEqual(client.record(slow, wait_ms=PATIENCE_MS)["state"], "succeeded")

    def test_cancels_a_job_that_waits(self):
        client = self.client()
        job = client.enqueue(delay_ms=3600000)
        self.assertEqual(client.cancel(job, "no longer «needed»".encode()), OK)
        record = client.record(job, wait_ms=PATIENCE_MS)
        self.assertEqual(record["state"], "cancelled")
        self.assertEqual(record["error"], {"code": "cancelled", "message": "no longer «needed»"})
        self.assertEqual(client.cancel(job), OK)

    def test_cancels_a_job_that_runs(self):
        client = self.client()
        job = client.enqueue("cress.sleep", payload=b'{"ms": 60000}', queue=self.queue.encode())
        self.wait_state(job, "running")
        self.assertEqual(client.cancel(job), OK)
        self.assertEqual(client.record(job, wait_ms=PATIENCE_MS)["state"], "cancelled")
        self.assertIsNone(client.result(job))
        self.assertEqual((client.status, client.code()), (JOB_FAILED, "cancelled"))

    def test_what_cannot_be_cancelled(self):
        client = self.client()
        job = client.enqueue()
        client.result(job)
        for wanted, status, code in ((job, CONFLICT, "job_ended"), (unique("none"), NOT_FOUND, "unknown_job"),
                                     ("no id", INVALID, "bad_id")):
            self.assertEqual((client.cancel(wanted), client.code()), (status, code))
        self.assertEqual(client.cancel(job, b"x" * 257), INVALID)
        self.assertEqual(client.record(job)["state"], "succeeded")

    def test_wrong_requests(self):
        client = self.client()
        for status, request in [
                (MALFORMED, {"payload": b"{"}), (INVALID, {"task": "a b"}), (INVALID, {"task": ""}),
                (INVALID, {"queue": b"a/b"}), (INVALID, {"priority": b"urgent"}),
                (INVALID, {"id": b"a b"}), (INVALID, {"delay_ms": -1}), (INVALID, {"max_attempts": -1}),
                (NOT_FOUND, {"queue": unique("nowhere").encode()})]:
            with self.subTest(**request):
                self.assertEqual(client.enqueue(**request), "")
                self.assertEqual(client.status, status, client.err.message)
        self.assertIsNone(client.record("no-such-job"))
        self.assertEqual((client.status, client.code()), (NOT_FOUND, "unknown_job"))
        self.assertIsNone(client.record("no-such-job", wait_ms=0))
        self.assertEqual(client.status, NOT_FOUND)
        self.assertIsNone(client.record("a b"))
        self.assertEqual(client.status, INVALID)

    def test_an_id_is_taken_once(self):
        client = self.client()
        name = unique("mine")
        self.assertEqual(client.enqueue(payload=b"1", id=name.encode()), name)
        client.result(name)
        client.enqueue(payload=b"2", id=name.encode())
        self.assertEqual((client.status, client.code()), (CONFLICT, "job_exists"))

    def test_a_unique_key_is_taken_once(self):
        client, key = self.client(), unique("key").encode()
        first = client.enqueue(unique=key, unique_for_ms=3600000)
        self.assertEqual(client.enqueue(unique=key), first)
        told = []

        def done(job, err, _):
            told.append((job.decode(), bool(err)))
        callback = ENQUEUED(done)
        client.enqueue_async(callback, unique=key)
        self.assertEqual(client.flush(), OK)
        self.assertEqual(told, [(first, False)])

    def test_a_job_that_waits_for_others(self):
        client = self.client()
        first, second = client.enqueue(), client.enqueue()
        last = client.enqueue(after=("%s,%s" % (first, second)).encode(), after_any=True)
        record = client.record(last)
        self.assertEqual((record["after"], record["after_any"]), ([first, second], True))
        client.enqueue(after=unique("none").encode())
        self.assertEqual((client.status, client.code()), (NOT_FOUND, "unknown_job"))

    def test_backoff_of_its_own(self):
        client = self.client()
        job = client.enqueue(backoff=b"fixed", backoff_base_ms=1500, backoff_cap_ms=2000)
        record = client.record(job)
        self.assertEqual((record["backoff"], record["backoff_base_ms"]), ("fixed", 1500))
        client.enqueue(backoff=b"none")
        self.assertEqual(client.status, INVALID)

    def test_many_at_once(self):
        client = self.client(max_in_flight=100)
        outcomes = {}

        @ENQUEUED
        def done(job, err, arg):
            outcomes[job.decode()] = (bool(err), arg)
        ids = [client.enqueue_async(done, n + 1, payload=b"%d" % n, queue=self.queue.encode())
               for n in range(1000)]
        self.assertEqual(client.flush(), OK, client.err.message)
        self.assertEqual(outcomes, {job: (False, n + 1) for n, job in enumerate(ids)})
        self.assertEqual([client.result(job) for job in ids], list(range(1000)))

    def test_flush_reports_the_first_failure_once(self):
        client = self.client()
        failed = []

        @ENQUEUED
        def done(job, err, _):
            failed.append((job.decode(), err.contents.code))
        job = client.enqueue_async(done, queue=unique("nowhere").encode())
        self.assertEqual(client.flush(), NOT_FOUND)
        self.assertEqual(client.code(), "unknown_queue")
        self.assertEqual(failed, [(job, b"unknown_queue")])
        self.assertEqual(client.flush(), OK)

    def test_a_callback_may_enqueue_but_not_wait(self):
        client = self.client(max_in_flight=1)
        second = []

        @ENQUEUED
        def done(job, err, _):
            client.enqueue()
            second.append((client.status, client.code(), client.flush()))
            second.append(client.enqueue_async(payload=b"2"))
        client.enqueue_async(done)
        self.assertEqual(client.flush(), OK)
        self.assertEqual(second[0], (USAGE, "in_callback", USAGE))
        self.assertEqual(client.result(second[1]), 2)

    def test_several_threads(self):
        client = self.client()
        results = {}

        def work(n):
            mine = Client.__new__(Client)  # the same client, with an error of its own
            mine.library, mine.pointer, mine.err = client.library, client.pointer, Error()
            for i in range(20):
                results[n, i] = mine.result(mine.enqueue(payload=b"%d" % (n * 100 + i)))
        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(results, {(n, i): n * 100 + i for n in range(4) for i in range(20)})

    def test_a_forked_child_is_refused(self):
        client = self.client()
        child = os.fork()
        if child == 0:
            client.enqueue()
            refused = (client.status, client.code()) == (USAGE, "forked") and client.flush() == USAGE
            client.close()  # does nothing
            os._exit(0 if refused else 1)
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        self.assertEqual(client.result(client.enqueue(payload=b"3")), 3)

    def test_close_ends_what_is_under_way(self):
        client = Client(self.library)
        outcomes = []

        @ENQUEUED
        def done(job, err, _):
            outcomes.append(err.contents.status if err else OK)
        for _ in range(200):
            client.enqueue_async(done)
        client.close()
        self.assertEqual(len(outcomes), 200)
        self.assertLessEqual(set(outcomes), {OK, CANCELLED})

    def test_clients_come_and_go_without_a_trace(self):
        self.client().close()
        before = (len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task")))
        for _ in range(10):
            client = self.client()
            client.enqueue()
            client.close()
        self.assertEqual((len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))), before)


class Connecting(TestCase):
    def refused(self, status, **options):
        client = Client(load(), **options)
        self.assertEqual(client.status, status, client.err.message)
        self.assertFalse(client.pointer)
        return client

    def test_another_abi(self):
        client = self.refused(USAGE, abi=999)
        self.assertEqual(client.code(), "abi")
        self.assertRegex(client.err.message.decode(), "ABI 999 .* ABI 0")

    def test_wrong_options(self):
        self.refused(USAGE, broker_url=b"http://127.0.0.1/")
        self.refused(CONFIG, config_file=b"/no/such/file")

    def test_nobody_there(self):
        began = time.monotonic()
        client = self.refused(UNAVAILABLE, store_url=b"redis://127.0.0.1:1/0", timeout_ms=200)
        self.assertLess(time.monotonic() - began, DEADLINE)
        self.assertIn("127.0.0.1:1", client.err.message.decode())

    def test_a_wrong_password_is_not_tried_for_long_and_not_told(self):
        url = re.sub("://[^@]*@", "://cress:topsecret@", env("CRESS_BROKER_URL"))
        client = self.refused(DENIED, broker_url=url.encode())
        self.assertNotIn("topsecret", client.err.message.decode())


class Files(TestCase):
    """What `make install` leaves is all that a user needs."""

    def symbols(self, *flags):
        lines = subprocess.run(["nm", "--defined-only", *flags], capture_output=True, text=True,
                               check=True).stdout.splitlines()
        return {line.split()[2].split("@")[0] for line in lines if re.search(r" [TDBRVW] ", line)}

    def declared(self):
        names = set()
        for header in ("cress.h", "error.h"):
            with open(os.path.join(ROOT, "include/cress", header), encoding="utf-8") as file:
                code = re.sub(r"//[^\n]*|/\*.*?\*/", "", file.read(), flags=re.S)
            names.update(re.findall(r"^CRESS_API[^;]*?\b(cress_\w+)\(", code, flags=re.M))
        return names

    def test_exports_the_headers_functions_and_nothing_else(self):
        declared = self.declared()
        self.assertIn("cress_client_enqueue", declared)
        self.assertEqual(self.symbols("-D", os.path.join(BUILD, "libcress.so")), declared)
        self.assertEqual(self.symbols("-g", os.path.join(BUILD, "libcress.a")), declared)

    def make(self, prefix, *words):
        # -o all: as built, with whatever flags that was
        subprocess.run(["make", "-s", "-C", ROOT, "-o", "all", "BUILD=" + BUILD, "PREFIX=" + prefix,
                        *words], check=True, capture_output=True, text=True)

    def build(self, prefix, source, *flags):
        """Compiles `source` as a user would, and returns the program."""
        program = os.path.join(prefix, "program")
        words = subprocess.run(
            ["pkg-config", "--cflags", "--libs", *flags, "cress"], capture_output=True, text=True,
            check=True, env=dict(os.environ, PKG_CONFIG_PATH=prefix + "/lib/pkgconfig")).stdout.split()
        if "--static" in flags:  # of two files that -lcress could mean, the linker takes the shared one
            words = ["-l:libcress.a" if word == "-lcress" else word for word in words]
        result = subprocess.run(["cc", "-Wall", "-Wextra", "-Werror", "-pedantic", source, *words,
                                 "-o", program], capture_output=True, text=True, check=False)
        self.assertEqual(result.returncode, 0, result.stderr)
        return program

    def test_installed_files_build_the_example(self):
        root = tempfile.mkdtemp(prefix="cresstest-")
        self.addCleanup(shutil.rmtree, root)
        self.make(root, "install")
        source = os.path.join(ROOT, "examples/library/enqueue.c")
        self.worker()
        for flags in ([], ["--static"]):
            with self.subTest(flags=flags):
                program = self.build(root, source, *flags)
                result = subprocess.run([program, "hello", "world"], capture_output=True, text=True,
                                        timeout=DEADLINE, check=False,
                                        env=dict(os.environ, LD_LIBRARY_PATH=root + "/lib"))
                self.assertEqual(result.returncode, 0, result.stderr)
                self.assertEqual([line.split()[1] for line in result.stdout.splitlines()],
                                 ['"hello"', '"world"'])
        self.make(root, "uninstall")
        left = [os.path.join(path, name) for path, _, names in os.walk(root) for name in names]
        self.assertEqual(left, [os.path.join(root, "program")])

    def test_headers_stand_alone_in_c_and_cxx(self):
        for header in sorted(os.listdir(os.path.join(ROOT, "include/cress"))):
            for compiler in (["cc", "-std=c99", "-xc"], ["c++", "-std=c++11", "-xc++"]):
                if not shutil.which(compiler[0]):
                    self.skipTest(compiler[0] + " is not installed")
                with self.subTest(header=header, compiler=compiler[0]):
                    result = subprocess.run(
                        [*compiler, "-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only",
                         "-I" + os.path.join(ROOT, "include"), "-"],
                        input="#include <cress/%s>\n" % header, capture_output=True, text=True,
                        check=False)
                    self.assertEqual(result.returncode, 0, result.stderr)
