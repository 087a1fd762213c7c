-- SPDX-License-Identifier: Apache-2.0
-- Says in the record of a job that waits what it waits for, so that people see it. Nothing is written for one that runs
-- or has ended, or that nobody knows, nor for a message that is not the job's.
-- KEYS: job. ARGV: JSON, or empty: nothing any more; the promise of the message that waits, or ''.
local job, blocked, promise = KEYS[1], ARGV[1], ARGV[2]
local state, version, last, crashes, flags, started, runner = read_status(job)
if not state or state == 'running' or is_terminal(state) or not is_promised(job, promise) or
    (redis.call('HGET', job, 'blocked') or '') == blocked then
    return
end
if blocked == '' then
    redis.call('HDEL', job, 'blocked')
    set_status(job, state, version, last, crashes, flags, started, runner)
else
    set_status(job, state, version, last, crashes, flags, started, runner, 'blocked', blocked)
end
