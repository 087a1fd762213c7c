# SPDX-License-Identifier: Apache-2.0
"""Places that a limit gives, beside as many places of a worker: jobs of 10, 20 and 50 ms through `concurrency = 4`, by
one worker and by three as they come, and through `cress-worker --concurrency 4` without a limit."""

import json
import os
import tempfile
import time

import bench
from bench import cresstest

PLACES, SECONDS = 4, 5
HOLDS_MS = (10, 20, 50)


def make_queue():
    """One of its own for each measurement: guards of the one before are in the delay queues still."""
    queue = cresstest.unique("limits")
    worker = cresstest.Program("cress-worker", "--queues", queue)
    worker.wait_log("worker ready")
    worker.stop()
    worker.close()
    return queue


def write_sleeps(path, queue, jobs, hold_ms):
    with open(path, "w", encoding="utf-8") as file:
        for n in range(jobs):
            file.write(json.dumps({"task": "cress.sleep", "queue": queue, "id": "l%d-%d" % (os.getpid(), n),
                                   "payload": {"ms": hold_ms}}) + "\n")


def spans(redis, jobs):
    for n in range(jobs):
        started, finished = redis.command("HMGET", "cress:job:l%d-%d" % (os.getpid(), n), "status", "finished_ms")
        yield int(started.split()[5]), int(finished)


def measure_one(folder, hold_ms, workers, *args):
    """From the first start to the last end, by the records."""
    path, jobs = os.path.join(folder, "jobs.jsonl"), SECONDS * PLACES * 1000 // hold_ms
    bench.flush_store()
    queue = make_queue()
    write_sleeps(path, queue, jobs, hold_ms)
    bench.enqueue(path, jobs)
    redis = cresstest.Redis()
    programs = [cresstest.Program("cress-worker", "--queues", queue, *args) for _ in range(workers)]
    try:
        def ended():
            return int(redis.command("EVAL", """local n = 0
                for i = 0, ARGV[1] - 1 do
                    local status = redis.call('HGET', ARGV[2] .. i, 'status')
                    n = n + (status and string.sub(status, 1, 9) == 'succeeded' and 1 or 0)
                end return n""", 0, jobs, "cress:job:l%d-" % os.getpid())) == jobs
        cresstest.wait_for(ended, "all jobs", deadline=300, pause=0.25)
        times = list(spans(redis, jobs))
        seconds = (max(end for _, end in times) - min(start for start, _ in times)) / 1000
        return {"jobs": jobs, "seconds": seconds, "per_second": jobs / seconds}
    finally:
        for program in programs:
            program.stop()
            program.close()
        redis.close()


def measure(report, rounds):
    with tempfile.TemporaryDirectory() as folder:
        config = os.path.join(folder, "cress.conf")
        with open(config, "w", encoding="utf-8") as file:
            file.write("[task cress.sleep]\nconcurrency = %d\n" % PLACES)
        for _ in range(rounds):
            for hold_ms in HOLDS_MS:
                report.add("places %d" % hold_ms, measure_one(folder, hold_ms, 1, "--concurrency", str(PLACES)))
                for workers in (1, 3):
                    report.add("limit %d %d" % (hold_ms, workers),
                               measure_one(folder, hold_ms, workers, "--config", config))
    for hold_ms in HOLDS_MS:
        places = "places %d" % hold_ms
        report.line(places, "jobs of %d ms: a worker of %d places, no limit" % (hold_ms, PLACES))
        for workers in (1, 3):
            report.line("limit %d %d" % (hold_ms, workers), "  concurrency = %d, workers: %d" % (PLACES, workers), places)
