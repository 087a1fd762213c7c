-- SPDX-License-Identifier: Apache-2.0
-- Cancels a job, or asks the worker that runs it to do so.
-- KEYS: job. ARGV: the reason as the job's error, JSON; now; the TTL of ended jobs in ms (0: for ever); that of the note.
-- Returns a verdict, see script.c - APPLIED, TERMINAL or MISSING - and the state that the job has now.
local job = KEYS[1]
local reason, now, ttl, keep = unpack(ARGV)

local state, version, attempt, crashes, flags, started, worker = read_status(job)
if not state then
    return {MISSING, ''}
end
if is_terminal(state) then
    return {TERMINAL + follow(job, flags), state}
end
if state == 'running' then
    if not has(flags, FLAG_CANCEL) then
        set_status(job, state, version, attempt, crashes, flags + FLAG_CANCEL, started, worker, 'cancel', reason)
    end
    redis.call('PUBLISH', CONTROL, 'cancel ' .. id_of(job))
    return {APPLIED, state}
end
if state == 'waiting' then -- it has no message yet
    redis.call('DEL', PENDING .. id_of(job))
else
    -- One that was handed back returns as the same attempt, one that waits for its next attempt as that.
    local awaited = state == 'queued' and attempt ~= '0' and attempt or attempt + 1
    note_cancelled(job, awaited, redis.call('HGET', job, 'run_at_ms') or 0, now, keep)
end
flags = leave_limits(job, state, flags, started)
set_status(job, 'cancelled', version, attempt, crashes, flags, started, worker, 'error', reason, 'finished_ms', now)
return {APPLIED + end_job(job, 'cancelled', flags, 'error', reason, ttl), 'cancelled'}
