#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A stream task: one process for many jobs, a JSON object a line, in and out. See docs/handlers.md.

    [task shout]
    handler = stream
    command = /usr/bin/python3 examples/handlers/stream.py
"""
import json
import sys


def say(**line):
    print(json.dumps(line), flush=True)


def run(job):
    """The work itself: payload in, result out."""
    text = job["payload"]
    if not isinstance(text, str):
        raise TypeError("the payload is no text")
    return text.upper()


say(cress=1, concurrency=64)  # may be left out: then one job comes at a time
for line in sys.stdin:
    job = json.loads(line)
    try:
        say(id=job["id"], result=run(job))
    except TypeError as error:  # another try will not help
        say(id=job["id"], error={"code": "bad_payload", "message": str(error), "retry": False})
    except Exception as error:  # pylint: disable=broad-except
        say(id=job["id"], error={"code": type(error).__name__, "message": str(error)})
