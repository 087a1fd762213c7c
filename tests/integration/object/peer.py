#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The other side of test_object_store.c: a foreign S3 client, and an S3 server with faults.

    peer.py dump PREFIX    prints what lies below PREFIX in $CRESS_S3_BUCKET, read by boto3: for each object a line
                           of key, Content-Type, Cache-Control, Content-Encoding, metadata `sha256`, metadata
                           `note` and the body, each in hexadecimal
    peer.py get URL        fetches a URL, prints the body
    peer.py faults         serves S3 on a free port of loopback, which it prints, until stdin ends. The bucket's
                           name is the fault; GET /count/BUCKET answers with the number of PUTs to it
"""
import hashlib
import os
import socket
import struct
import sys
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def dump(prefix):
    import boto3
    from botocore.config import Config

    s3 = boto3.client("s3", endpoint_url=os.environ["CRESS_S3_ENDPOINT"],
                      region_name=os.environ["CRESS_S3_REGION"],
                      config=Config(s3={"addressing_style": "path"}))
    bucket = os.environ["CRESS_S3_BUCKET"]
    for item in s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", []):
        found = s3.get_object(Bucket=bucket, Key=item["Key"])
        texts = [item["Key"], found["ContentType"], found.get("CacheControl", ""),
                 found.get("ContentEncoding", ""), found["Metadata"].get("sha256", ""),
                 found["Metadata"].get("note", "")]
        fields = [text.encode() for text in texts] + [found["Body"].read()]
        print(" ".join(field.hex() or "-" for field in fields))


class Faulty(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    lock = threading.Lock()
    puts = {}  # bucket: how many
    stored = {}  # path: body

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def reset(self):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def do_GET(self):
        if self.path.startswith("/count/"):
            with self.lock:
                return self.answer(200, b"%d" % self.puts.get(self.path[7:], 0))
        self.answer(200, b"<html>no S3 here</html>")

    def do_HEAD(self):
        with self.lock:
            body = self.stored.get(self.path)
        if body is None:
            return self.answer(404)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"%s"' % hashlib.md5(body).hexdigest())
        self.end_headers()

    def do_PUT(self):
        bucket = self.path.split("/")[1]
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with self.lock:
            self.puts[bucket] = count = self.puts.get(bucket, 0) + 1
        etag = '"%s"' % hashlib.md5(body).hexdigest()
        if bucket == "continue-503":
            if "Expect" not in self.headers:
                self.send_response_only(100)
                self.end_headers()
            self.answer(503)
        elif bucket == "plain-500":
            self.answer(500, b"it broke")
        elif bucket == "denied":
            self.answer(403)
        elif bucket == "full":
            self.answer(507)
        elif bucket == "stalls":
            self.connection.recv(1)
            self.close_connection = True
        elif bucket == "resets":
            self.reset()
        elif bucket == "truncates":
            self.answer(200, b"half", ETag=etag, **{"Content-Length": "8"})
            self.close_connection = True
        elif bucket == "not-s3":
            self.answer(200, b"thanks")
        elif bucket == "forgets":
            self.answer(200, ETag='"%s"' % ("0" * 32))
        elif bucket == "encrypts":
            self.answer(200, ETag='"%s"' % ("0" * 32), **{"x-amz-server-side-encryption": "aws:kms"})
        elif bucket == "recovers" and count % 2 == 1:
            self.answer(503, b"<Error><Code>SlowDown</Code><Message>later</Message></Error>")
        else:
            with self.lock:
                self.stored[self.path] = body
            self.answer(200, ETag=etag)


def faults():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Faulty)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()


def main():
    if sys.argv[1] == "dump":
        dump(sys.argv[2])
    elif sys.argv[1] == "get":
        sys.stdout.write(urllib.request.urlopen(sys.argv[2]).read().decode())
    elif sys.argv[1] == "faults":
        faults()
    else:
        sys.exit(__doc__)


main()
