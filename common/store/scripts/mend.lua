-- SPDX-License-Identifier: Apache-2.0
-- A job whose message is gone, or whose worker is, waits anew; its message is about to be sent again. KEYS: job.
-- ARGV: the version of the record that this is about, now. Returns 1, or 0 when the record has changed since.
local job, now = KEYS[1], ARGV[2]
local state, version, attempt, crashes, flags, started, worker = read_status(job)
-- One that was asked to stop is not begun anew: it is cancelled when its message comes, or by asking again.
if version ~= ARGV[1] or is_terminal(state) or has(flags, FLAG_CANCEL) then
    return 0
end
if state == 'running' then
    add_attempt(job, attempt, worker, started, now, 'crashed', '')
end
flags = leave_limits(job, state, flags, started)
set_status(job, 'queued', version, attempt, crashes, flags, started, worker, 'run_at_ms', now)
return 1
