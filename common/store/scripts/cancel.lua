-- SPDX-License-Identifier: Apache-2.0
-- Cancels a job, or asks the worker that runs it to do so.
-- KEYS: job. ARGV: the reason as the job's error, JSON; now; the TTL of ended jobs in ms (0: for ever); that of the note.
-- Returns a verdict, see script.c - APPLIED, TERMINAL or MISSING -, the state that the job has now, and 1 when it has made a
-- batch under its own id, as site.prerender does, that goes on; else 0.
local answer = cancel_job(KEYS[1], unpack(ARGV))
local b = redis.call('HMGET', BATCH .. id_of(KEYS[1]), 'total', 'done', 'closed', 'cancel_requested')
local goes_on = b[1] and not b[4] and not (b[3] and b[1] == b[2])
answer[3] = goes_on and 1 or 0
return answer
