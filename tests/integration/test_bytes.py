# SPDX-License-Identifier: Apache-2.0
"""One rule for JSON at every door: what is legal arrives byte for byte, wherever it came in and
wherever it goes out; what is not is refused before anything of it is stored. And what foreign
clients write reaches no terminal and no log as it is."""

import contextlib
import json
import os
import pty
import subprocess
import tempfile
import unittest

import cresstest
from cresstest import http, run, unique, wait_for
from test_handler_http import Receiver
from test_library import Client, load

# Legal by RFC 8259, and each a stumbling stone for somebody: doubles, 64-bit integers, C strings,
# readers of lines, parsers that tidy up or forget.
NASTY = [
    "18446744073709551615", "-123456789012345678901234567890123456789", "1e400", "1E-400", "1E5", "-0", "-0.0",
    "0.3", "0.1000000000000000055511151231257827", "100000000000000000000000.00",
    r'"\u0000"', r'"\ud800 half"', r'"\/\u00e9"', '"é"', '"\u2028 \u0085 \u2029"',
    '{"a":1,"a":2}', r'{"\u0061":[ 1 ,\t2 ]}'.replace(r"\t", "\t"), "[" * 500 + "]" * 500, '""', "[]", "null",
]
# What other programs take for JSON, or break out of it with.
NOT_JSON = [
    b'1,"state":"succeeded","done":true,"z":2', b"[1\0]", b"{", b"'a'", b"NaN", b"01", b"[1,]", b"\xef\xbb\xbf{}",
    b'"\xff"', b'"\xed\xa0\x80"', b'"a\nb"', b"", b" ", b"[" * 600 + b"]" * 600, b"{}\0", b"}",
]


def strictly(text):
    """Parsed, with no member twice."""
    def unique_members(pairs):
        names = [name for name, _ in pairs]
        assert len(set(names)) == len(names), names
        return dict(pairs)
    return json.loads(text, object_pairs_hook=unique_members)


class BytesTest(cresstest.TestCase):
    def setUp(self):
        super().setUp()
        self.queue = unique("bytes")
        self.store = self.redis()
        self.folder = tempfile.TemporaryDirectory(prefix="cress-bytes-")
        self.addCleanup(self.folder.cleanup)

    def file(self, name, text):
        path = os.path.join(self.folder.name, name)
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        return path

    def gateway(self):
        program = self.start("cress-gateway", "--listen", "127.0.0.1:0").wait_log("ready on ")
        url = program.log().split("ready on ")[1].split()[0]
        wait_for(lambda: http("GET", url + "/readyz").status == 200, "the gateway to be ready")
        return url

    def cress(self, *words, stdin=None):
        done = run("cress", *words, stdin=stdin)
        self.assertEqual(done.returncode, 0, (words[:2], done.stderr))
        return done.stdout

    def check(self, door, job, value):
        """Payload and result of a job that echoes, as stored."""
        record = self.wait_state(job, "succeeded", "failed")
        self.assertEqual((door, record.get("error"), record["payload"], record.get("result")),
                         (door, None, value, value))


class Doors(BytesTest):
    """In by each door, echoed, and out of the record."""

    def setUp(self):
        super().setUp()
        self.worker("--queues", self.queue)

    def check_all(self, door, jobs):
        self.assertEqual(len(jobs), len(NASTY))
        for job, value in zip(jobs, NASTY):
            self.check(door, job, value)

    def request(self, value, **members):
        """The text of a request, with `value` as it is."""
        members = {"task": "cress.echo", "queue": self.queue, **members}
        return json.dumps(members)[:-1] + ', "payload" : ' + value + " }"

    def enqueue(self, operand):
        return self.cress("enqueue", "--queue", self.queue, "--", "cress.echo", operand).strip()

    def test_arguments_files_and_stdin(self):
        for value in NASTY[::3]:
            self.check("argument", self.enqueue(value), value)
            path = self.file("payload.json", "\n " + value + "\r\n")
            self.check("file", self.enqueue("@" + path), value)
        out = self.cress("enqueue", "cress.echo", "-", "--queue", self.queue, "--wait", stdin=NASTY[2] + "\n")
        self.assertEqual(out, NASTY[2] + "\n")

    def test_lines(self):
        lines = "".join(self.request(value) + "\n" for value in NASTY)
        self.check_all("--jsonl", self.cress("enqueue", "--jsonl", "-", stdin=lines).split())

    def test_http(self):
        url = self.gateway()
        headers = {"Content-Type": "application/json"}
        posted = [http("POST", url + "/v1/jobs?wait=20", self.request(value).encode(), headers) for value in NASTY]
        jobs = [strictly_id(answer.body) for answer in posted]
        self.check_all("POST /v1/jobs", jobs)
        for job, value in zip(jobs, NASTY):
            shown = http("GET", "%s/v1/jobs/%s" % (url, job)).body.decode()
            self.assertIn(',"payload":%s,"result":%s,"error":null' % (value, value), shown)
            self.assertEqual(http("GET", "%s/v1/jobs/%s/result" % (url, job)).body.decode(), value)

    def test_http_batches(self):
        url = self.gateway()
        body = '{"jobs":[%s],"completion":%s}' % (",".join(map(self.request, NASTY)), self.request(NASTY[2]))
        answer = http("POST", url + "/v1/batches", body.encode(), {"Content-Type": "application/json"})
        self.assertEqual(answer.status, 202, answer.body)
        self.check_all("POST /v1/batches", answer.json()["jobs"])
        batch = answer.json()["id"]
        shown = wait_for(lambda: (lambda b: b["completed"] and b)(http("GET", url + "/v1/batches/" + batch).json()),
                         "the completion")
        self.check("completion", shown["completion_id"], NASTY[2])
        results = http("GET", "%s/v1/batches/%s/results" % (url, batch)).body.decode()
        lines = self.cress("batch", "results", batch).splitlines()
        self.assertEqual(len(lines), len(NASTY))
        for value in NASTY:
            self.assertIn('"result":%s}' % value, results)
        for value in NASTY[:5]:
            self.assertTrue(any('"result":%s}' % value in line for line in lines), value)

    def test_cli_batches(self):
        jobs = "".join(self.request(value) + "\n" for value in NASTY[:2])
        batch = self.cress("batch", "create", "--jsonl", "-", "--then", "cress.echo", "--then-queue", self.queue,
                           "--then-payload", NASTY[15], stdin=jobs).strip()
        shown = wait_for(lambda: (lambda b: b["completed"] and b)(
            json.loads(self.cress("batch", "status", batch, "--json"))), "the completion")
        self.check("--then-payload", shown["completion_id"], NASTY[15])

    def test_foreign_clients(self):
        client = self.broker()
        jobs = [unique("job") for _ in NASTY]
        for job, value in zip(jobs, NASTY):
            client.publish(self.queue, b" \n" + value.encode() + b"\n", type="cress.echo", message_id=job)
        self.check_all("AMQP", jobs)

    def test_replies(self):
        client = self.broker()
        answers = unique("answers")
        client.channel.queue_declare(answers)
        self.addCleanup(client.delete, answers)
        for value in NASTY:
            client.publish(self.queue, value.encode(), type="cress.echo", reply_to=answers, correlation_id="c")
            self.assertEqual(client.take(answers)[1].decode(), value)

    def test_the_library(self):
        client = Client(load())
        self.addCleanup(client.close)
        for value in NASTY:
            job = client.enqueue(payload=value.encode(), queue=self.queue.encode())
            self.check("library", job, value)
            self.assertEqual(client.result_text(job), value)

    def test_status_and_result_on_the_command_line(self):
        for value in NASTY[:3] + NASTY[14:17]:
            job = self.enqueue(value)
            self.wait_state(job, "succeeded")
            self.assertEqual(self.cress("result", job), value + "\n")
            line = self.cress("status", job, "--json")
            self.assertEqual(line.count("\n"), 1)
            if "\u2028" not in value:
                self.assertIn('"payload":%s,"result":%s' % (value, value), line)
            strictly(line.replace(value, "0"))

    def test_schedules(self):
        name = unique("tick")
        for value in (NASTY[2], NASTY[15], NASTY[10]):
            path = self.file(name + ".conf", "[schedule %s]\ncron = @yearly\ntask = cress.echo\nqueue = %s\n"
                             "payload = %s\n" % (name, self.queue, value))
            worker = self.worker("--config", path, "--queues", self.queue)
            wait_for(lambda: '"payload":%s,' % value in self.cress("cron", "list", "--json"), "the schedule")
            self.check("schedule", self.cress("cron", "run", name).split()[0], value)
            worker.stop()


def strictly_id(body):
    return json.loads(body.decode().split(',"task"')[0] + "}")["id"]


class Handlers(BytesTest):
    """Out to programs and endpoints, and back."""

    def test_exec_and_http(self):
        receiver = Receiver(lambda request: (200, {"Content-Type": "application/json"}, request.body))
        self.addCleanup(receiver.server_close)
        self.addCleanup(receiver.shutdown)
        path = self.file("cress.conf", "[task cat]\nhandler = exec\ncommand = cat\n"
                         "[task hook]\nhandler = http\nurl = %s\n" % receiver.url())
        self.worker("--config", path, "--queues", self.queue)
        for task in ("cat", "hook"):
            lines = "".join('{"task":"%s","queue":"%s","payload":%s}\n' % (task, self.queue, value) for value in NASTY)
            for job, value in zip(self.cress("enqueue", "--jsonl", "-", stdin=lines).split(), NASTY):
                self.check(task, job, value)
        self.assertEqual(sorted(request.body.decode() for request in receiver.requests), sorted(NASTY))


class ForeignBodies(BytesTest):
    """What is no JSON, or too much of it."""

    def setUp(self):
        super().setUp()
        self.client = self.broker()
        self.answers = unique("answers")
        self.client.channel.queue_declare(self.answers)
        self.addCleanup(self.client.delete, self.answers)

    def test_what_is_no_json_is_refused_and_not_stored(self):
        self.worker("--queues", self.queue)
        url = self.gateway()
        for body in NOT_JSON:
            job = unique("job")
            self.client.publish(self.queue, body, type="cress.echo", message_id=job, reply_to=self.answers)
            answer, text = self.client.take(self.answers)
            self.assertEqual(answer.headers["state"], "failed")
            code = "malformed" if body == b"" else "payload_not_json"
            self.assertEqual(strictly(text)["code"], code, body)
            if body == b"":
                continue  # no job at all: there is no record
            record = self.wait_state(job, "failed")
            self.assertNotIn("payload", record)
            shown = strictly(http("GET", "%s/v1/jobs/%s" % (url, job)).body)
            self.assertEqual((shown["state"], shown["payload"], shown["task"], shown["queue"]),
                             ("failed", None, "cress.echo", self.queue))
            strictly(run("cress", "status", job, "--json").stdout)

    def test_what_is_no_job_gets_an_answer(self):
        self.worker("--queues", self.queue)
        for properties in ({}, {"type": "a b"}, {"type": "x", "content_type": "text/plain"},
                           {"type": "x", "headers": {"max_attempts": "many"}}):
            self.client.publish(self.queue, b"1", reply_to=self.answers, correlation_id="mine", **properties)
            answer, text = self.client.take(self.answers)
            self.assertEqual((answer.correlation_id, answer.headers["state"]), ("mine", "failed"))
            self.assertEqual(strictly(text)["code"], "malformed")

    def test_a_huge_body_stops_nobody(self):
        worker = self.worker("--queues", self.queue)
        url = self.gateway()
        jobs = []
        for size, mark in ((20 << 20, b'"'), (20 << 20, b"x"), (100 << 20, b'"')):
            jobs.append(unique("job"))
            self.client.publish(self.queue, mark + b"a" * size + mark, type="cress.echo", message_id=jobs[-1])
            behind = unique("job")
            self.client.publish(self.queue, b"1", type="cress.noop", message_id=behind)
            self.wait_state(behind, "succeeded")
        for job in jobs:
            record = self.wait_state(job, "failed")
            self.assertEqual(strictly(record["error"])["code"], "payload_too_large")
            self.assertNotIn("payload", record)
            answer = http("GET", "%s/v1/jobs/%s" % (url, job))
            self.assertEqual((answer.status, strictly(answer.body)["state"]), (200, "failed"))
        self.assertNotIn("store away", worker.log())
        for _ in jobs:  # as they came
            self.assertGreater(len(self.client.take(self.queue + ".dead")[1]), 20 << 20)

    def test_records_of_earlier_versions_are_shown_safely(self):
        url = self.gateway()
        job = self.cress("enqueue", "cress.noop", "--queue", self.queue_of_mine()).strip()
        for stored in (b'1,"state":"succeeded","done":true,"z":2', b"[1\0]", b"{", b'"\xff"'):
            self.store.command("HSET", "cress:job:" + job, "payload", stored)
            for text in (http("GET", "%s/v1/jobs/%s" % (url, job)).body, run("cress", "status", job, "--json").stdout):
                shown = strictly(text)
                self.assertEqual((shown["state"], shown["not_json"]), ("queued", ["payload"]))
                self.assertIsInstance(shown["payload"], str)

    def queue_of_mine(self):
        """A queue without a worker."""
        self.worker("--queues", self.queue).stop()
        return self.queue


class Eyes(BytesTest):
    """Terminals and logs."""

    TRICKS = "\x1b[31m\u009b31m\u202e\u2066\x07"

    def on_a_terminal(self, *words):
        """What `cress` shows there, and what it shows in a pipe."""
        ours, theirs = pty.openpty()
        shown = b""
        with subprocess.Popen([os.path.join(cresstest.BUILD, "cress"), *words], stdin=subprocess.DEVNULL,
                              stdout=theirs, stderr=theirs) as program:
            os.close(theirs)
            with contextlib.suppress(OSError):  # EIO: its end
                while part := os.read(ours, 65536):
                    shown += part
            os.close(ours)
            self.assertEqual(program.wait(cresstest.DEADLINE), 0, shown)
        return shown.decode(), self.cress(*words)

    def test_a_result_is_itself_in_a_pipe_and_harmless_on_a_terminal(self):
        self.worker("--queues", self.queue)
        value = '"\u009b31m\u202e\x7f é"'
        job = self.cress("enqueue", "cress.echo", value, "--queue", self.queue).strip()
        self.wait_state(job, "succeeded")
        shown, piped = self.on_a_terminal("result", job)
        self.assertEqual((shown, piped), (r'"\u009b31m\u202e\u007f é"' + "\r\n", value + "\n"))
        for words in (("status", job), ("status", job, "--json"), ("explain", job)):
            for trick in "\u009b\u202e":
                self.assertNotIn(trick, self.on_a_terminal(*words)[0], words)

    def test_foreign_texts_reach_logs_and_terminals_tamed(self):
        worker = self.worker("--queues", self.queue)
        client = self.broker()
        client.publish(self.queue, b"1", type="cress.noop", content_type="text/" + self.TRICKS)
        client.publish(self.queue, b"1", type="cress.noop", content_type="text/é")
        # what is not UTF-8 at all, by hand: the client library would encode it again
        client.publish(self.queue, b"1", type=b"\xff\xfe", message_id="x")
        wait_for(lambda: client.ready(self.queue + ".dead") == 3, "three dead letters")
        with open(worker.log_path, "rb") as file:
            log = file.read()
        self.assertIn(b"content_type is", log)
        for words in (("list",), ("list", "--json"), ("groups",), ("groups", "--json"), ("export",)):
            done = run("cress", "dead", *words, "--queue", self.queue)
            self.assertEqual(done.returncode, 0, (words, done.stderr))
            for trick in "\x1b\u009b\u202e\u2066\x07":
                self.assertNotIn(trick, done.stdout, words)
                self.assertNotIn(trick.encode(), log)
            if words == ("groups", "--json"):
                self.assertEqual(sum(group["count"] for group in json.loads(done.stdout)), 3, done.stdout)


if __name__ == "__main__":
    unittest.main()
