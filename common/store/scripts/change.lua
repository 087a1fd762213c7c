-- SPDX-License-Identifier: Apache-2.0
-- Outcomes of attempts. Returns a verdict for each, see script.c.
-- KEYS: jobs. ARGV: the TTL of ended jobs in ms (0: for ever), that of a cancelled job's note, then for each job its new
-- state, its attempt, a field for the outcome (`result`, `error` or empty), its value, and when the job ended or is due
-- (0: neither).
local ttl, keep = ARGV[1], ARGV[2]

-- An explicit retry of a failed job: it begins anew and is open again in its batch. Returns its flags.
local function reopen(job, state, flags)
    redis.call('PERSIST', job)
    redis.call('HDEL', job, 'result', 'error', 'finished_ms', 'cancel')
    local batch = batch_of(job, flags)
    if batch then
        count(batch, state, -1)
    end
    return has(flags, FLAG_CANCEL) and flags - FLAG_CANCEL or flags
end

-- The message of a cancelled job has come, or an earlier copy of it. Returns whether there was a note.
local function take_note(job, attempt)
    local note = CANCELLED_NOTE .. string.sub(job, #JOB + 1)
    local awaited = redis.call('GET', note)
    if awaited and tonumber(attempt) >= tonumber(awaited) then
        redis.call('DEL', note)
    end
    return awaited ~= false
end

-- It was asked to stop, and would go on another day: it ends instead.
local function cancel_instead(job, to, version, last, crashes, flags, started, worker, due)
    local now = redis_now()
    local reason = redis.call('HGET', job, 'cancel')
    set_status(job, 'cancelled', version, last, crashes, flags, started, worker, 'error', reason, 'finished_ms', now)
    note_cancelled(job, to == 'retrying' and last + 1 or last, tonumber(due), now, keep)
    return CANCELLED + end_job(job, 'cancelled', flags, 'error', reason, ttl)
end

local function change(job, to, attempt, field, value, at)
    local from, version, last, crashes, flags, started, worker = read_status(job)
    if not from then
        return take_note(job, attempt) and CANCELLED or MISSING
    end
    if from == 'cancelled' then
        take_note(job, attempt)
        return CANCELLED + follow(batch_of(job, flags))
    end
    if not may_become(from, to) then
        if is_terminal(from) then
            return TERMINAL + follow(batch_of(job, flags))
        end
        -- The same call again, whose answer was lost on the way, has nothing left to do.
        return from == to and last == attempt and APPLIED or STALE
    end
    if tonumber(last) > tonumber(attempt) then
        return STALE
    end
    if is_terminal(from) then
        flags = reopen(job, from, flags)
        last, crashes = 0, 0
    end
    if has(flags, FLAG_CANCEL) and not is_terminal(to) then
        return cancel_instead(job, to, version, last, crashes, flags, started, worker, at)
    end
    if has(flags, FLAG_CANCEL) and to == 'cancelled' then
        field, value = 'error', redis.call('HGET', job, 'cancel') -- says why
    end
    local fields = {}
    if field ~= '' then
        fields = {field, value}
    end
    if at ~= '0' then
        fields[#fields + 1] = is_terminal(to) and 'finished_ms' or 'run_at_ms'
        fields[#fields + 1] = at
    end
    set_status(job, to, version, last, crashes, flags, started, worker, unpack(fields))
    return is_terminal(to) and APPLIED + end_job(job, to, flags, field, value, ttl) or APPLIED
end

local verdicts = {}
for i, job in ipairs(KEYS) do
    verdicts[i] = change(job, unpack(ARGV, 5 * i - 2, 5 * i + 2))
end
return verdicts
