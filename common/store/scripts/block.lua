-- SPDX-License-Identifier: Apache-2.0
-- Says in the record of a job that waits what it waits for, so that people see it. Nothing is written for one that runs
-- or has ended, or that nobody knows.
-- KEYS: job. ARGV: JSON, or empty: nothing any more.
local job, blocked = KEYS[1], ARGV[1]
local state, version, last, crashes, flags, started, runner = read_status(job)
if not state or state == 'running' or is_terminal(state) or (redis.call('HGET', job, 'blocked') or '') == blocked then
    return
end
if blocked == '' then
    redis.call('HDEL', job, 'blocked')
    set_status(job, state, version, last, crashes, flags, started, runner)
else
    set_status(job, state, version, last, crashes, flags, started, runner, 'blocked', blocked)
end
