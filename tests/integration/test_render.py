# SPDX-License-Identifier: Apache-2.0
"""page.render, site.prerender and site.publish on real servers: an origin of the test's own, a real
worker, and boto3 as the reader of what was stored."""

import gzip
import http.server
import json
import os
import tempfile
import threading
import unittest

import boto3
import botocore.client

import cresstest
from cresstest import env, unique, wait_for

HTML = {"Content-Type": "text/html; charset=utf-8"}


class Origin:
    """A web server whose answers are a table: path -> (status, headers, body)."""

    def __init__(self):
        self.answers = {}
        self.requests = []
        origin = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                origin.requests.append(self.path)
                status, headers, body = origin.answers.get(self.path, (404, HTML, b"nothing here"))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = "127.0.0.1:%d" % self.server.server_port
        self.url = "http://" + self.address
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def page(self, path, body=b"<p>hello", **headers):
        self.answers[path] = (200, dict(HTML, **headers), body)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class RenderCase(cresstest.TestCase):
    def setUp(self):
        super().setUp()
        self.origin = Origin()
        self.addCleanup(self.origin.close)
        self.prefix = unique("render")
        self.to = "s3://%s/%s" % (env("CRESS_S3_BUCKET"), self.prefix)
        self.s3 = boto3.client(
            "s3", endpoint_url=env("CRESS_S3_ENDPOINT"), region_name=env("CRESS_S3_REGION"),
            config=botocore.client.Config(s3={"addressing_style": "path"}))
        self.queue = unique("render")
        self.start_worker()

    def start_worker(self, **environment):
        return self.worker("--queues", self.queue, **dict(
            {"CRESS_RENDER_ALLOW": self.origin.address, "CRESS_JOB_BACKOFF_BASE": "50ms"}, **environment))

    def enqueue(self, task, payload, *args):
        done = cresstest.run("cress", "enqueue", task, json.dumps(payload), "--queue", self.queue, *args)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.strip()

    def render(self, path, *args, **payload):
        return self.enqueue("page.render", dict({"url": self.origin.url + path, "to": self.to}, **payload), *args)

    def result(self, job):
        return json.loads(self.wait_state(job, "succeeded", "failed")["result"])

    def error(self, job):
        return json.loads(self.wait_state(job, "failed")["error"])

    def object(self, key):
        answer = self.s3.get_object(Bucket=env("CRESS_S3_BUCKET"), Key="%s/%s" % (self.prefix, key))
        return answer, answer["Body"].read()

    def keys(self):
        answer = self.s3.list_objects_v2(Bucket=env("CRESS_S3_BUCKET"), Prefix=self.prefix + "/")
        return sorted(item["Key"][len(self.prefix) + 1:] for item in answer.get("Contents", []))


class PageTest(RenderCase):
    def test_a_page_is_stored_with_its_headers_and_metadata(self):
        self.origin.page("/blog/", b"<p>\xc3\xa4", **{"Cache-Control": "max-age=7"})
        result = self.result(self.render("/blog/"))
        self.assertEqual(result["key"], "blog/index.html")
        self.assertEqual((result["status"], result["bytes"], result["changed"]), (200, 5, True))
        for field in ("url", "sha256", "render_ms", "upload_ms"):
            self.assertIn(field, result)
        stored, body = self.object("blog/index.html")
        self.assertEqual(body, b"<p>\xc3\xa4")
        self.assertEqual(stored["ContentType"], "text/html; charset=utf-8")
        self.assertEqual(stored["CacheControl"], "max-age=7")
        self.assertEqual(stored["Metadata"]["source-url"], self.origin.url + "/blog/")
        self.assertEqual(stored["Metadata"]["sha256"], result["sha256"])
        self.assertRegex(stored["Metadata"]["rendered-at"], r"^\d{4}-\d\d-\d\dT")

    def test_an_unchanged_page_is_not_uploaded_again(self):
        self.origin.page("/a.html")
        first = self.result(self.render("/a.html"))
        before = self.object("a.html")[0]["Metadata"]["rendered-at"]
        second = self.result(self.render("/a.html"))
        self.assertEqual((first["changed"], second["changed"]), (True, False))
        self.assertEqual(self.object("a.html")[0]["Metadata"]["rendered-at"], before)
        self.origin.page("/a.html", b"new")
        self.assertTrue(self.result(self.render("/a.html"))["changed"])
        self.assertEqual(self.object("a.html")[1], b"new")

    def test_a_directory_as_store(self):
        self.origin.page("/a.html", **{"Content-Type": "text/html"})
        with tempfile.TemporaryDirectory() as folder:
            to = "file://%s/site" % folder
            results = [self.result(self.render("/a.html", to=to)) for _ in range(2)]
            self.assertEqual([result["changed"] for result in results], [True, False])
            self.assertEqual(os.listdir(folder + "/site"), ["a.html"])

    def test_a_refusal_by_the_store_has_the_stores_own_code(self):
        self.programs[0].stop()
        self.origin.page("/a.html")
        for backend in ("v4", "libs3"):
            worker = self.start_worker(AWS_SECRET_ACCESS_KEY="wrong", CRESS_S3_BACKEND=backend)
            self.assertEqual(self.error(self.render("/a.html"))["code"], "SignatureDoesNotMatch", backend)
            worker.stop()

    def test_headers_that_are_not_ascii(self):
        self.origin.page("/a.html", **{"Cache-Control": "max-age=7, \xe9"})
        self.origin.page("/b.html", **{"Content-Type": "text/html; charset=\xe9"})
        self.result(self.render("/a.html"))
        self.assertEqual(self.object("a.html")[0]["CacheControl"], "public, max-age=300")
        self.assertEqual(self.error(self.render("/b.html"))["code"], "content_type")

    def test_an_error_never_replaces_a_good_page(self):
        self.origin.page("/a.html", b"good")
        self.result(self.render("/a.html"))
        for status in (404, 403, 500, 503):
            self.origin.answers["/a.html"] = (status, HTML, b"an error page")
            error = self.error(self.render("/a.html", "--max-attempts", "2"))
            self.assertEqual(error["code"], "origin_status")
            self.assertIn(str(status), error["message"])
            self.assertEqual(self.object("a.html")[1], b"good")

    def test_a_503_is_retried_until_it_is_well_and_a_404_is_not(self):
        self.origin.answers["/a.html"] = (503, HTML, b"busy")
        job = self.render("/a.html", "--max-attempts", "50")
        self.wait_state(job, "retrying")
        self.origin.page("/a.html")
        record = self.wait_state(job, "succeeded", "failed")
        self.assertEqual(record["state"], "succeeded")
        self.assertGreater(int(record["attempt"]), 1)
        gone = self.render("/gone.html")
        self.assertEqual(self.wait_state(gone, "failed")["attempt"], "1")

    def test_wrong_types_and_empty_pages_are_refused(self):
        self.origin.answers["/a"] = (200, {"Content-Type": "application/octet-stream"}, b"x")
        self.origin.answers["/b"] = (200, HTML, b"")
        self.origin.answers["/c"] = (200, {}, b"x")
        self.assertEqual(self.error(self.render("/a"))["code"], "content_type")
        self.assertEqual(self.error(self.render("/b"))["code"], "empty_page")
        self.assertEqual(self.error(self.render("/c"))["code"], "content_type")
        self.assertEqual(self.keys(), [])

    def test_redirects_are_followed_to_the_limit(self):
        for n in range(7):
            self.origin.answers["/r%d" % n] = (302, {"Location": "/r%d" % (n + 1)}, b"")
        self.origin.page("/r7", b"the end")
        self.assertEqual(self.result(self.render("/r3"))["redirects"], 4)
        self.assertEqual(self.object("r3/index.html")[1], b"the end")
        error = self.error(self.render("/r0", "--max-attempts", "1"))
        self.assertEqual(error["code"], "too_many_redirects")

    def test_a_page_over_the_size_limit_fails(self):
        self.start_worker(CRESS_RENDER_MAX_BYTES="1k")
        self.programs[0].stop()
        self.origin.page("/big", b"x" * 2000)
        self.assertEqual(self.error(self.render("/big"))["code"], "too_large")

    def test_gzip_from_the_origin_is_stored_plain(self):
        self.origin.page("/z", gzip.compress(b"plain text"), **{"Content-Encoding": "gzip"})
        self.result(self.render("/z"))
        self.assertEqual(self.object("z/index.html")[1], b"plain text")

    def test_odd_urls_have_sound_keys(self):
        for path, key in {"/caf%C3%A9": "caf\u00e9/index.html", "/a%2Fb.html": "a%2Fb.html",
                          "/list?page=2&q=a%20b": "list/index.html?page=2&q=a b",
                          "/100%25": "100%25/index.html"}.items():
            self.origin.page(path)
            self.assertEqual(self.result(self.render(path))["key"], key)
            self.object(key)

    def test_bad_payloads_say_what_is_expected(self):
        for payload in ({}, {"url": 7, "to": self.to}, {"url": "x", "to": self.to}, "text", None,
                        {"url": self.origin.url, "to": "nowhere"},
                        {"url": self.origin.url, "to": self.to, "unknown": 1},
                        {"url": "file:///etc/passwd", "to": self.to}):
            error = self.error(self.enqueue("page.render", payload))
            self.assertTrue(error["message"], payload)
            self.assertNotIn("internal", error["code"])

    def test_a_bucket_that_does_not_exist_is_named(self):
        self.origin.page("/a")
        job = self.enqueue("page.render", {"url": self.origin.url + "/a", "to": "s3://no-such-bucket-here/x"})
        error = self.error(job)
        self.assertEqual(error["code"], "NoSuchBucket")
        self.assertIn("no-such-bucket-here", error["message"])

    def test_an_unreachable_origin_fails_after_its_attempts(self):
        self.origin.close()
        job = self.render("/a", "--max-attempts", "2")
        record = self.wait_state(job, "failed")
        self.assertEqual(record["attempt"], "2")
        self.assertIn(json.loads(record["error"])["code"], ("connect", "reset"))

    def test_a_directory_takes_pages_too(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.origin.page("/blog/a%20b", b"file")
        payload = {"url": self.origin.url + "/blog/a%20b", "to": "file://" + folder.name}
        self.assertTrue(self.result(self.enqueue("page.render", payload))["changed"])
        with open(os.path.join(folder.name, "blog", "a b", "index.html"), "rb") as file:
            self.assertEqual(file.read(), b"file")
        self.assertFalse(self.result(self.enqueue("page.render", payload))["changed"])


class GuardTest(RenderCase):
    def start_worker(self, **environment):
        """The allow-list names a port that is not the origin's."""
        return super().start_worker(CRESS_RENDER_ALLOW="127.0.0.1:1", **environment)

    def test_private_addresses_are_refused_in_every_spelling(self):
        self.origin.page("/")
        port = self.origin.server.server_port
        hosts = ("127.0.0.1", "localhost", "2130706433", "0x7f000001", "0177.0.0.1", "[::1]", "[::ffff:127.0.0.1]",
                 "127.1", "0.0.0.0")
        jobs = {host: self.enqueue("page.render", {"url": "http://%s:%d/" % (host, port), "to": self.to})
                for host in hosts}
        jobs["metadata"] = self.enqueue("page.render", {"url": "http://169.254.169.254/latest", "to": self.to})
        for host, job in jobs.items():
            record = self.wait_state(job, "failed")
            self.assertEqual(json.loads(record["error"])["code"], "address_refused", host)
            self.assertEqual(record["attempt"], "1", host)
        self.assertEqual(self.origin.requests, [])


class RedirectGuardTest(RenderCase):
    def test_a_redirect_to_a_refused_address_is_refused(self):
        inner = Origin()
        self.addCleanup(inner.close)
        inner.page("/secret", b"secret")
        self.origin.answers["/hop"] = (302, {"Location": inner.url + "/secret"}, b"")
        self.assertEqual(self.error(self.render("/hop"))["code"], "address_refused")
        self.assertEqual(inner.requests, [])
        self.assertEqual(self.keys(), [])


class SiteTest(RenderCase):
    def sitemap(self, urls):
        return ("<?xml version='1.0'?><urlset xmlns='http://www.sitemaps.org/schemas/sitemap/0.9'>" + "".join(
            "<url><loc>%s</loc></url>" % url for url in urls) + "</urlset>").encode()

    def prerender(self, payload):
        job = self.enqueue("site.prerender", dict({"to": self.to}, **payload))
        return job, self.result(job)

    def published(self, result):
        return self.result(result["publish_id"])

    def manifest(self):
        return json.loads(self.object("_cress/manifest.json")[1])

    def test_a_sitemap_becomes_a_batch_and_a_manifest(self):
        paths = ["/p%d.html" % n for n in range(20)]
        for path in paths:
            self.origin.page(path, path.encode())
        urls = [self.origin.url + path for path in paths + ["/missing.html", "/p0.html"]] + ["http://elsewhere.example/x"]
        self.origin.answers["/sitemap.xml"] = (200, {"Content-Type": "application/xml"}, self.sitemap(urls))
        job, result = self.prerender({"url": self.origin.url + "/sitemap.xml"})
        self.assertEqual(result["batch_id"], job)
        self.assertEqual((result["pages"], result["skipped_foreign"]), (21, 1))
        summary = self.published(result)
        self.assertEqual({name: summary[name] for name in ("total", "rendered", "changed", "unchanged", "failed")},
                         {"total": 21, "rendered": 20, "changed": 20, "unchanged": 0, "failed": 1})
        manifest = self.manifest()
        self.assertEqual(manifest["summary"]["total"], 21)
        self.assertEqual(len(manifest["pages"]), 21)
        self.assertEqual(sum(page["state"] == "failed" for page in manifest["pages"]), 1)
        self.assertEqual(self.keys(), sorted([path[1:] for path in paths] + ["_cress/manifest.json"]))
        again = self.published(self.prerender({"url": self.origin.url + "/sitemap.xml"})[1])
        self.assertEqual((again["changed"], again["unchanged"]), (0, 20))

    def test_an_index_of_gzipped_sitemaps(self):
        for n in range(3):
            self.origin.page("/%d.html" % n)
            self.origin.answers["/s%d.xml.gz" % n] = (200, {"Content-Type": "application/gzip"}, gzip.compress(
                self.sitemap(["%s/%d.html" % (self.origin.url, n)])))
        self.origin.answers["/index.xml"] = (200, {"Content-Type": "text/xml"}, (
            "<sitemapindex>" + "".join("<sitemap><loc>%s/s%d.xml.gz</loc></sitemap>" % (self.origin.url, n)
                                       for n in range(3)) + "</sitemapindex>").encode())
        summary = self.published(self.prerender({"url": self.origin.url + "/index.xml"})[1])
        self.assertEqual((summary["total"], summary["rendered"]), (3, 3))

    def test_a_list_in_the_payload(self):
        self.origin.page("/a")
        self.origin.page("/b")
        summary = self.published(self.prerender({"urls": [self.origin.url + "/a", self.origin.url + "/b"]})[1])
        self.assertEqual(summary["rendered"], 2)

    def test_what_is_no_sitemap_fails_with_the_reason(self):
        self.origin.page("/page.html", b"<!doctype html><html></html>")
        self.origin.answers["/empty.xml"] = (200, {}, b"<urlset></urlset>")
        self.origin.answers["/cut.xml"] = (200, {}, b"<urlset><url>")
        for path, code in {"/page.html": "not_a_sitemap", "/cut.xml": "not_a_sitemap", "/empty.xml": "no_urls",
                           "/nothing.xml": "origin_status"}.items():
            error = self.error(self.enqueue("site.prerender", {"url": self.origin.url + path, "to": self.to}))
            self.assertEqual(error["code"], code)

    def test_many_pages_through_a_killed_worker(self):
        paths = ["/k%d.html" % n for n in range(300)]
        for path in paths:
            self.origin.page(path, path.encode())
        self.origin.answers["/sitemap.xml"] = (200, {}, self.sitemap(self.origin.url + path for path in paths))
        job = self.enqueue("site.prerender", {"url": self.origin.url + "/sitemap.xml", "to": self.to})
        wait_for(lambda: len(self.origin.requests) > 100, "some pages to be fetched")
        self.programs[0].kill()
        self.start_worker()
        summary = self.published(self.result(job))
        self.assertEqual((summary["total"], summary["rendered"], summary["failed"]), (300, 300, 0))
        self.assertEqual(len(self.manifest()["pages"]), 300)


if __name__ == "__main__":
    unittest.main()
