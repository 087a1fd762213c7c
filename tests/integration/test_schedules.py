# SPDX-License-Identifier: Apache-2.0
"""Schedules: one job a tick however many workers there are, missed ticks, pauses, reloads, and `cress cron`."""

import json
import os
import signal
import time
import unittest

import cresstest
from cresstest import unique, wait_for


def tick_of(job):
    """The tick in a job's id, in seconds since 1970."""
    text = job.split(":", 2)[2]
    return int(time.mktime(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ")) - time.timezone)


class CronTest(cresstest.TestCase):
    def setUp(self):
        super().setUp()
        self.queue = unique("cron")
        self.name = unique("beat")
        self.store = self.redis()

    def config(self, path=None, **options):
        """A configuration with one schedule; returns its path."""
        options = {"cron": "@every 1s", "task": "cress.echo", "payload": '{"beat": 1}', "queue": self.queue, **options}
        path = path or os.path.join(os.environ.get("TMPDIR", "/tmp"), self.name + ".conf")
        self.addCleanup(lambda: os.path.exists(path) and os.unlink(path))
        with open(path, "w", encoding="utf-8") as file:
            file.write("[schedule %s]\n" % self.name)
            file.writelines("%s = %s\n" % item for item in options.items())
        return path

    def ticking(self, path):
        return self.worker("--config", path, "--queues", self.queue)

    def jobs(self):
        """The ids of the schedule's jobs, in the order of their ticks."""
        found, cursor = set(), "0"
        while True:
            cursor, keys = self.store.command("SCAN", cursor, "MATCH", "cress:job:schedule:%s:*" % self.name,
                                              "COUNT", 1000)
            found.update(key[len("cress:job:"):] for key in keys)
            if cursor == "0":
                return sorted(found)

    def wait_jobs(self, count):
        return wait_for(lambda: len(self.jobs()) >= count and self.jobs(), "%d jobs of the schedule" % count)

    def field(self, name):
        return self.store.command("HGET", "cress:schedule:" + self.name, name)

    def cron(self, *words, config=None, status=0):
        done = cresstest.run("cress", "cron", *words, *(["--config", config] if config else []))
        self.assertEqual(done.returncode, status, done.stderr)
        return done

    def listed(self):
        rows = json.loads(self.cron("list", "--json").stdout)
        return next((row for row in rows if row["name"] == self.name), None)

    def test_one_job_a_tick_from_three_workers(self):
        path = self.config()
        workers = [self.ticking(path) for _ in range(3)]
        jobs = self.wait_jobs(5)
        ticks = [tick_of(job) for job in jobs]
        self.assertEqual(ticks, list(range(ticks[0], ticks[0] + len(ticks))))
        record = self.wait_state(jobs[0], "succeeded")
        self.assertEqual((record["task"], record["result"], record["queue"]), ("cress.echo", '{"beat": 1}', self.queue))
        self.assertLess(int(record["created_ms"]) - 1000 * ticks[0], 1000)  # punctual
        # ticks are claimed, so that one worker publishes and the others need not
        self.assertLess(sum(worker.log().count("scheduled job submitted") for worker in workers), 2 * len(jobs))

    def test_what_list_and_next_say(self):
        path = self.config(cron="0 3 29 2 *", timezone="Europe/Berlin", missed="once")
        self.ticking(path)
        row = wait_for(self.listed, "the schedule in the list")
        self.assertEqual({key: row[key] for key in ("status", "cron", "timezone", "missed", "overlap", "last_tick_at",
                                                    "last_job_id", "last_job_state", "paused_at")},
                         {"status": "active", "cron": "0 3 29 2 *", "timezone": "Europe/Berlin", "missed": "once",
                          "overlap": "run", "last_tick_at": None, "last_job_id": None, "last_job_state": None,
                          "paused_at": None})
        self.assertEqual(row["job"], {"task": "cress.echo", "payload": {"beat": 1}, "queue": self.queue,
                                      "priority": "normal"})
        ticks = [line.split("\t") for line in self.cron("next", self.name, "-n", "2").stdout.splitlines()]
        self.assertRegex(ticks[0][0], r"^20\d\d-02-29T02:00:00Z$")
        self.assertRegex(ticks[1][1], r"^20\d\d-02-29T03:00:00\+01:00$")
        self.assertEqual(row["next_tick_at"], ticks[0][0].replace("Z", ".000Z"))
        # the same from the configuration alone, without servers
        done = cresstest.run("cress", "cron", "next", self.name, "-n", "2", "--config", path,
                             CRESS_STORE_URL="redis://127.0.0.1:1/")
        self.assertEqual([line.split("\t") for line in done.stdout.splitlines()], ticks)
        self.assertEqual(self.cron("next", "no-such", status=3).stdout, "")

    def test_list_shows_the_last_job(self):
        self.ticking(self.config(cron="*/1 * * * * *"))
        job = self.wait_jobs(1)[0]
        self.wait_state(job, "succeeded")
        row = wait_for(lambda: self.listed()["last_job_id"] and self.listed(), "the last job in the list")
        self.assertIn(row["last_job_id"], self.jobs())
        table = self.cron("list").stdout
        self.assertIn("%s\tactive\t*/1 * * * * *\tUTC\t20" % self.name, table)

    def test_pause_and_resume(self):
        self.ticking(self.config())
        self.wait_jobs(1)
        self.assertEqual(self.cron("pause", self.name).stdout, "%s paused\n" % self.name)
        row = self.listed()
        self.assertEqual((row["status"], row["next_tick_at"]), ("paused", None))
        paused = int(self.field("paused_ms"))
        # ticks go by, as the store notes, but make no jobs
        wait_for(lambda: int(self.field("done_ms")) > paused + 2000, "ticks to pass")
        self.assertFalse([job for job in self.jobs() if tick_of(job) * 1000 > paused])
        self.assertEqual(int(self.field("paused_ms")), paused)
        # … and not when a worker is started meanwhile
        self.ticking(self.config())
        self.assertEqual(int(self.field("paused_ms")), paused)
        self.assertEqual(json.loads(self.cron("resume", self.name, "--json").stdout),
                         {"name": self.name, "status": "active"})
        resumed = int(self.field("done_ms"))
        wait_for(lambda: tick_of(self.jobs()[-1]) * 1000 > resumed, "a job after resume")
        self.assertFalse([job for job in self.jobs() if paused < tick_of(job) * 1000 <= resumed])
        done = self.cron("pause", "no-such", status=3)
        self.assertIn('no schedule "no-such"', done.stderr)

    def go_back(self, seconds):
        """As if no worker had run for so long."""
        done = int(time.time() - seconds) * 1000
        self.store.command("HSET", "cress:schedule:" + self.name, "done_ms", done)
        return done

    def missed(self, **options):
        """A schedule whose ticks of some hours ago no worker has seen."""
        path = self.config(**options)
        self.ticking(path).stop()
        self.go_back(4 * 3600)
        return self.ticking(path)

    def test_missed_ticks_are_skipped(self):
        begin = time.time()
        hour = int(begin) // 3600
        hours = ",".join(str((hour + shift) % 24) for shift in (-3, 0, 1))
        self.missed(cron="* * %s * * *" % hours, missed="skip", grace="1s")
        self.assertGreater(tick_of(self.wait_jobs(1)[0]), begin - 2)

    def test_of_missed_ticks_the_last_runs(self):
        last = int(time.time()) // 60 * 60 - 7200
        self.missed(cron=time.strftime("0,%-M %-H * * *", time.gmtime(last)), missed="once")
        job = self.wait_jobs(1)[0]
        self.assertEqual(tick_of(job), last)
        wait_for(lambda: int(self.field("done_ms")) == last * 1000, "the tick to be done")
        self.assertEqual(len(self.jobs()), 1)

    def test_ticks_that_are_little_late_all_run(self):
        path = self.config(cron="@every 1s", missed="skip", grace="30s")
        self.ticking(path).stop()
        done = self.go_back(10)
        self.ticking(path)
        jobs = self.wait_jobs(10)
        self.assertEqual([tick_of(job) for job in jobs][:10], [done // 1000 + 1 + i for i in range(10)])

    def test_overlap(self):
        path = self.config(task="cress.sleep", payload='{"ms": 3500}', overlap="skip")
        worker = self.ticking(path)
        first, second = self.wait_jobs(2)[:2]
        self.assertGreaterEqual(tick_of(second) - tick_of(first), 4)
        self.assertIn("tick passed over: the job before has not ended", worker.log())

    def test_overlap_with_a_batch(self):
        self.ticking(self.config(overlap="skip"))
        self.wait_jobs(1)

        def open_batch():  # of the last job, as site.prerender does; a tick may come between
            job = self.field("last_id")  # noted when the job is safe, after its record
            if not job:
                return None
            self.store.command("HSET", "cress:batch:" + job, "total", 1, "done", 0)
            return job if self.field("last_id") == job else None
        job = wait_for(open_batch, "a batch of the last job")
        wait_for(lambda: int(self.field("done_ms")) >= int(self.field("last_ms")) + 3000, "ticks to pass")
        self.assertEqual(self.field("last_id"), job)
        self.store.command("HSET", "cress:batch:" + job, "completed", 1)
        wait_for(lambda: self.field("last_id") != job, "the next job")

    def test_reload(self):
        path = self.config()
        worker = self.ticking(path)
        self.wait_jobs(1)
        self.config(path, payload='"changed"')
        worker.signal(signal.SIGHUP)
        worker.wait_log("configuration read again")
        wait_for(lambda: self.store.record(self.jobs()[-1])["payload"] == '"changed"', "a job of the new section")
        self.assertNotIn("needs a restart", worker.log())
        # a section that cannot work leaves the old one
        self.config(path, cron="0 0 30 2 *")
        worker.signal(signal.SIGHUP)
        worker.wait_log("this date never comes")
        count = len(self.jobs())
        self.wait_jobs(count + 2)
        # one that is gone is gone
        with open(path, "w", encoding="utf-8"):
            pass
        worker.signal(signal.SIGHUP)
        wait_for(lambda: worker.log().count("configuration read again") == 2, "the reload")
        last = wait_for(lambda: int(self.field("done_ms")) < (time.time() - 2.5) * 1000 and self.jobs(), "silence")[-1]
        self.assertLess(tick_of(last), time.time() - 2)

    def test_a_schedule_that_changes_begins_then(self):
        path = self.config(cron="@every 1d", missed="once")
        self.ticking(path).stop()
        self.go_back(3600)
        self.config(path, cron="@every 1m", missed="once")  # its last tick is over, but was never this schedule's
        self.ticking(path)
        wait_for(lambda: int(self.field("done_ms")) > (time.time() - 60) * 1000, "the schedule to begin")
        self.assertEqual([job for job in self.jobs() if tick_of(job) < time.time() - 60], [])

    def definitions(self):
        """{cron: number of workers that have it}"""
        return {one["cron"]: len(one["workers"]) for one in self.listed()["definitions"]}

    def test_workers_that_do_not_agree_are_shown_as_such(self):
        old = self.config(cron="@yearly")
        new = self.config(old + ".new", cron="0 0 1 2 *")
        workers = [self.ticking(old), self.ticking(old), self.ticking(new)]
        wait_for(lambda: self.listed() and self.definitions() == {"@yearly": 2, "0 0 1 2 *": 1}, "two definitions")
        done = self.cron("list")
        rows = [line.split("\t")[2] for line in done.stdout.splitlines() if line.startswith(self.name + "\t")]
        self.assertEqual(sorted(rows), ["0 0 1 2 *", "@yearly"])
        for worker in workers:
            self.assertRegex(done.stderr, r"%s is defined in 2 ways.*:%d\b" % (self.name, worker.pid))
        self.assertEqual(self.doctor()["status"], "warn")
        self.assertIn(self.name, self.doctor()["detail"])
        # a reload brings them together, and so does an end
        self.config(old, cron="0 0 1 2 *")
        workers[0].signal(signal.SIGHUP)
        wait_for(lambda: self.definitions() == {"@yearly": 1, "0 0 1 2 *": 2}, "the reload of one")
        workers[1].stop()
        wait_for(lambda: self.definitions() == {"0 0 1 2 *": 2}, "one definition")
        self.assertEqual(self.cron("list").stdout.count(self.name + "\t"), 1)

    def doctor(self):
        rows = json.loads(cresstest.run("cress", "doctor", "--json").stdout)
        return next(row for row in rows if row["check"] == "schedules")

    def test_a_schedule_that_no_worker_has(self):
        self.ticking(self.config(cron="@yearly")).stop()
        self.assertEqual(self.listed()["status"], "active")
        # others' schedules may be gone as well
        self.store.command("ZADD", "cress:schedules", int(time.time() - 100) * 1000, self.name)
        row = self.listed()
        self.assertEqual((row["status"], row["next_tick_at"]), ("gone", None))
        self.assertEqual(self.doctor()["status"], "warn")
        self.store.command("DEL", "cress:schedules")
        self.ticking(self.config(cron="@yearly"))
        wait_for(self.listed, "the schedule in the list")
        self.assertEqual(self.listed()["status"], "active")
        self.assertRegex(self.doctor()["detail"], r"^\d+ active, \d+ paused$")

    def test_run_now(self):
        path = self.config(cron="@yearly")
        self.ticking(path)
        wait_for(self.listed, "the schedule in the list")
        job = self.cron("run", self.name).stdout.strip()
        self.assertTrue(job.startswith("schedule:%s:run:" % self.name), job)
        self.assertEqual(self.wait_state(job, "succeeded")["result"], '{"beat": 1}')
        self.assertIsNone(self.field("last_ms"))
        self.cron("run", "no-such", status=3)

    def test_over_http(self):
        self.ticking(self.config())
        self.wait_state(self.wait_jobs(1)[0], "succeeded")
        gateway = self.start("cress-gateway", "--listen", "127.0.0.1:0").wait_log("ready on ")
        gateway.wait_log("store connected").wait_log("broker connected")
        base = gateway.log().split("ready on ")[1].split()[0] + "/v1/schedules"
        one = base + "/" + self.name
        self.assertIn(self.name, [row["name"] for row in cresstest.http("GET", base).json()])
        row = cresstest.http("GET", one).json()
        self.assertEqual((row["status"], row["cron"], row["job"]["task"]), ("active", "@every 1s", "cress.echo"))
        self.assertTrue(row["last_job_id"].startswith("schedule:%s:20" % self.name))
        for _ in range(2):
            answer = cresstest.http("POST", one + "/pause")
            self.assertEqual((answer.status, answer.json()["status"]), (200, "paused"))
        self.assertIsNotNone(self.field("paused_ms"))
        self.assertEqual(cresstest.http("POST", one + "/resume").json()["status"], "active")
        self.assertIsNone(self.field("paused_ms"))
        answer = cresstest.http("POST", one + "/run")
        self.assertEqual(answer.status, 202)
        self.assertEqual(answer.headers["location"], "/v1/jobs/" + answer.json()["id"])
        self.wait_state(answer.json()["id"], "succeeded")
        for method, path in (("GET", ""), ("POST", "/pause"), ("POST", "/resume"), ("POST", "/run")):
            for name in ("no-such", "n" * 65):
                answer = cresstest.http(method, base + "/" + name + path)
                self.assertEqual((answer.status, answer.json()["code"]), (404, "unknown_schedule"))
        self.assertEqual(cresstest.http("GET", one + "/run").status, 405)

    def test_a_store_without_its_data(self):
        path = self.config()
        worker = self.ticking(path)
        self.wait_jobs(2)
        self.store.command("DEL", "cress:schedule:" + self.name, "cress:schedules")
        before = len(self.jobs())
        jobs = self.wait_jobs(before + 2)
        ticks = [tick_of(job) for job in jobs]
        self.assertEqual(ticks, list(range(ticks[0], ticks[0] + len(ticks))), worker.log())
        self.assertIsNotNone(self.listed())

    def test_wrong_sections(self):
        path = self.config(cron="0 25 * * *", timezone="Europe/Berlin")
        for program, words, end in (("cress-worker", ["--check-config"], 78), ("cress", ["config", "check"], 78),
                                    ("cress", ["cron", "check"], 78)):
            done = cresstest.run(program, *words, "--config", path)
            self.assertEqual(done.returncode, end, done.stderr)
            self.assertIn("%s:2: schedule %s.cron: hour: out of range; allowed: 0 to 23" % (path, self.name),
                          done.stderr)
        self.config(path, cron="0 3 * * *")
        self.assertIn("%s\t0 3 * * *\tUTC\tcress.echo\t20" % self.name, self.cron("check", config=path).stdout)
        checked = json.loads(self.cron("check", "--json", config=path).stdout)
        self.assertEqual((checked[0]["name"], checked[0]["job"]), (self.name, {"task": "cress.echo"}))
        self.assertEqual(cresstest.run("cress", "cron", "chek").returncode, 2)
        self.assertEqual(cresstest.run("cress", "cron", "next").returncode, 2)

    def test_check_an_expression(self):
        ticks = json.loads(self.cron("check", "30 2 * * *", "--timezone", "Europe/Berlin", "-n", "400",
                                     "--json").stdout)
        self.assertEqual(len(ticks), 400)
        odd = [tick["local"] for tick in ticks if "T02:30:00" not in tick["local"]]
        self.assertTrue(1 <= len(odd) <= 2, odd)  # the day on which there is no 02:30
        self.assertRegex(odd[0], r"-03-\d\dT03:30:00\+02:00$")


if __name__ == "__main__":
    unittest.main()
