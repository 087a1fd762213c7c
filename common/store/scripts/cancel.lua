-- SPDX-License-Identifier: Apache-2.0
-- Cancels a job, or asks the worker that runs it to do so.
-- KEYS: job. ARGV: the reason as the job's error, JSON; now; the TTL of ended jobs in ms (0: for ever); that of the note.
-- Returns a verdict, see script.c - APPLIED, TERMINAL or MISSING - and the state that the job has now.
return cancel_job(KEYS[1], unpack(ARGV))
