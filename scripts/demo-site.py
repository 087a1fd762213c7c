#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Serves the example site (examples/site) on loopback.

usage: demo-site.py [PORT]        PORT 0, the default, takes a free one

Prints "ready http://127.0.0.1:PORT" when it serves; ends on SIGTERM. Besides the pages: a redirect, a
page that is gone (404), a page that differs at every visit, /sitemap.xml, /sitemap.xml.gz, and
/requests.json, which tells how often each path was asked for.
"""
import collections
import email.utils
import gzip
import hashlib
import http.server
import json
import pathlib
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "examples" / "site"))
import site_pages  # noqa: E402

HTML = "text/html; charset=utf-8"
MODIFIED = "Wed, 20 Mar 2024 06:00:00 GMT"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "CressExampleSite"
    disable_nagle_algorithm = True  # else a small answer waits 40 ms for the client's ACK
    wbufsize = -1  # headers and body leave in one segment
    timeout = 60

    def do_GET(self):
        path = self.path.split("?", 1)[0]
        count = self.server.count(path)
        if path in site_pages.REDIRECTS:
            self.answer(301, HTML, b"", Location=site_pages.REDIRECTS[path])
        elif path == site_pages.VISITS:
            self.answer(200, HTML, site_pages.visits(count), Cache_Control="no-store")
        elif path == "/requests.json":
            self.answer(200, "application/json", json.dumps(self.server.counts).encode())
        elif path in self.server.pages:
            self.answer_page(*self.server.pages[path])
        else:
            self.answer(404, HTML, site_pages.layout("Not found", "<h1>Nothing grows here</h1>"))

    do_HEAD = do_GET

    def answer_page(self, kind, body):
        etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        headers = {"ETag": etag, "Last_Modified": MODIFIED, "Cache_Control": "max-age=300"}
        if self.is_fresh(etag):
            self.answer(304, None, b"", **headers)
        else:
            self.answer(200, kind, body, **headers)

    def is_fresh(self, etag):
        """RFC 9110, 13.2.2: If-None-Match decides alone where it is sent."""
        known = self.headers.get("If-None-Match")
        if known is not None:
            return known.strip() == "*" or etag in (tag.strip() for tag in known.split(","))
        since = email.utils.parsedate(self.headers.get("If-Modified-Since"))
        return since is not None and since >= email.utils.parsedate(MODIFIED)

    def answer(self, status, kind, body, **headers):
        self.send_response(status)
        if kind:
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 256

    def __init__(self, port):
        super().__init__(("127.0.0.1", port), Handler)
        self.base = f"http://127.0.0.1:{self.server_port}"
        self.counts = collections.Counter()
        self.lock = threading.Lock()
        sitemap = site_pages.sitemap(self.base)
        self.pages = site_pages.pages()
        self.pages["/sitemap.xml"] = ("application/xml", sitemap)
        self.pages["/sitemap.xml.gz"] = ("application/gzip", gzip.compress(sitemap, mtime=0))

    def count(self, path):
        with self.lock:
            self.counts[path] += 1
            return self.counts[path]


def main():
    if len(sys.argv) > 2 or (len(sys.argv) == 2 and not sys.argv[1].isdigit()):
        sys.exit(__doc__.split("\n\n")[1])
    server = Server(int(sys.argv[1]) if len(sys.argv) == 2 else 0)
    print("ready", server.base, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
