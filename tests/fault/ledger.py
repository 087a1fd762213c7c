#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""ledger.py FILE: the stream handler whose effect is a line in FILE, one for each run of a job that came to its end:

    time (CLOCK_MONOTONIC, seconds)  payload.n  job id  attempt

A job takes payload.ms milliseconds, and fails for payload.fails attempts first, at once. A line is one write() to a file opened for appending, so none is torn or lost when
the program is killed; the answer follows it, so a worker that has the answer has caused the line."""

import heapq
import json
import os
import select
import sys
import time


def main():
    ledger = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(1, b'{"cress":1,"concurrency":64}\n')
    waiting, rest, is_open = [], b"", True
    while is_open or waiting:
        pause = max(0, waiting[0][0] - time.monotonic()) if waiting else None
        if is_open:
            if select.select([0], [], [], pause)[0]:
                chunk = os.read(0, 1 << 16)
                is_open = bool(chunk)
                *lines, rest = (rest + chunk).split(b"\n")
                for job in map(json.loads, lines):
                    if job["attempt"] <= job["payload"].get("fails", 0):
                        answer(job, error={"code": "not_yet", "message": "it is to fail", "retry": True})
                        continue
                    heapq.heappush(waiting, (time.monotonic() + job["payload"]["ms"] / 1000, job["id"], job))
        else:
            time.sleep(pause)
        while waiting and waiting[0][0] <= time.monotonic():
            job = heapq.heappop(waiting)[2]
            os.write(ledger, b"%.6f %d %s %d\n" % (
                time.monotonic(), job["payload"]["n"], job["id"].encode(), job["attempt"]))
            answer(job, result=job["payload"]["n"])


def answer(job, **outcome):
    os.write(1, json.dumps(dict({"id": job["id"]}, **outcome)).encode() + b"\n")


if __name__ == "__main__":
    main()
