# SPDX-License-Identifier: Apache-2.0
"""What is legal JSON arrives byte for byte at every kind of handler, and comes back so as the result. A number is a
text to Cress, whatever a double makes of it."""

import json
import os
import tempfile
import unittest

import cresstest
from cresstest import BUILD, unique
from test_handler_http import Receiver

# One JSON text a line: the program says it all again.
ECHO = r"""
import json, re, sys
for line in sys.stdin:
    payload = line[line.index('"payload":') + 10:].rstrip("\n")[:-1]
    sys.stdout.write('{"id":%s,"result":%s}\n' % (json.dumps(re.match(r'{"id":"([^"]*)"', line).group(1)), payload))
    sys.stdout.flush()
"""

TEXTS = (b"18446744073709551615", b"-9223372036854775809", b"1e400", b"0.3", b"0.30", b"1E+2", b"-0",
         b'"\\u0000"', b'{"\\u0000":1}', b'"\\ud800"', b'{"a":1,"a":2}', b'[1, {"b" : [ ]}]', b'"\xc3\xa4\\/"',
         b"123456789012345678901234567890.123456789012345678901234567890")
LINES = b'{\r\n"a" :\r1,\n\t"b":"x\\ny"\r}'


class Bytes(cresstest.TestCase):
    def setUp(self):
        super().setUp()
        self.queue = unique("bytes")
        self.client = self.broker()
        self.folder = tempfile.TemporaryDirectory(prefix="cress-bytes-")
        self.addCleanup(self.folder.cleanup)
        self.receiver = Receiver(lambda request: (200, {}, request.body))
        self.addCleanup(self.receiver.server_close)
        self.addCleanup(self.receiver.shutdown)
        program, config = (os.path.join(self.folder.name, name) for name in ("echo.py", "cress.conf"))
        with open(program, "w", encoding="utf-8") as file:
            file.write(ECHO)
        with open(config, "w", encoding="utf-8") as file:
            file.write("[task exec]\nhandler = exec\ncommand = cat\n"
                       "[task stream]\nhandler = stream\nin_flight = 8\ncommand = /usr/bin/python3 %s\n"
                       "[task http]\nhandler = http\nurl = %s\n"
                       "[task text.echo]\nhandler = plugin\nfile = %s/examples/library/task_text.so\n"
                       "[task text.statistics]\nhandler = plugin\nfile = %s/examples/library/task_text.so\n"
                       % (program, self.receiver.url(), BUILD, BUILD))
        self.log = self.worker("--config", config, "--queues", self.queue)

    def publish(self, task, body):
        job = unique("job")
        self.client.publish(self.queue, body, type=task, message_id=job, headers={"max_attempts": 1})
        return job

    def test_legal_json_stays_as_it_is(self):
        for task in ("cress.echo", "exec", "stream", "http", "text.echo"):
            jobs = [(body, self.publish(task, body)) for body in TEXTS]
            for body, job in jobs:
                with self.subTest(task=task, body=body):
                    record = self.wait_state(job, "succeeded", "failed")
                    self.assertEqual(record.get("result"), body.decode(), record.get("error"))
        self.assertNotIn("stream program ended", self.log.log(), "none of it is the end of a program")

    def test_line_ends_between_tokens_end_no_line(self):
        for task in ("cress.echo", "exec", "http"):
            self.assertEqual(self.wait_state(self.publish(task, LINES), "succeeded")["result"], LINES.decode())
        for task in ("stream", "text.echo"):  # protocols of lines
            result = self.wait_state(self.publish(task, LINES), "succeeded")["result"]
            self.assertEqual(result, '{  "a" : 1, \t"b":"x\\ny" }')

    def test_a_plug_in_is_told_what_it_cannot_hold(self):
        record = self.wait_state(self.publish("text.statistics", b'{"path":1e400}'), "failed")
        error = json.loads(record["error"])
        self.assertEqual(error["code"], "payload_not_held")
        self.assertIn("cress_job_payload_text", error["message"])


if __name__ == "__main__":
    unittest.main()
