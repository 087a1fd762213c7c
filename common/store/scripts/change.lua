-- SPDX-License-Identifier: Apache-2.0
-- Outcomes of attempts. Returns a verdict for each, see script.c.
-- KEYS: jobs. ARGV: the TTL of ended jobs in ms (0: for ever), that of a cancelled job's note, then for each job its new
-- state, its attempt, a field for the outcome (`result`, `error` or empty), its value, when the next attempt is due
-- (0: at once or never), and now.
local ttl, keep = ARGV[1], ARGV[2]

-- The message of a cancelled job has come, or an earlier copy of it. Returns whether there was a note.
local function take_note(job, attempt)
    local note = CANCELLED_NOTE .. id_of(job)
    local awaited = redis.call('GET', note)
    if awaited and tonumber(attempt) >= tonumber(awaited) then
        redis.call('DEL', note)
    end
    return awaited ~= false
end

-- It was asked to stop, and would go on another day: it ends instead.
local function cancel_instead(job, to, version, last, crashes, flags, started, worker, due, now)
    local reason = redis.call('HGET', job, 'cancel')
    set_status(job, 'cancelled', version, last, crashes, flags, started, worker, 'error', reason, 'finished_ms', now)
    note_cancelled(job, to == 'retrying' and last + 1 or last, due, now, keep)
    return CANCELLED + end_job(job, 'cancelled', flags, 'error', reason, ttl)
end

-- What becomes of the attempt that was running. That of an ended job is told by the record's own fields.
local function end_attempt(job, to, attempt, worker, started, now, problem)
    if to == 'retrying' or to == 'queued' then
        add_attempt(job, attempt, worker, started, now, to == 'queued' and 'handed_back' or 'failed', problem)
    elseif to == 'succeeded' and attempt ~= '1' then
        redis.call('HDEL', job, 'error')
    end
end

local function change(job, to, attempt, field, value, due, now)
    local from, version, last, crashes, flags, started, worker = read_status(job)
    if not from then
        return take_note(job, attempt) and CANCELLED or MISSING
    end
    if from == 'cancelled' then
        take_note(job, attempt)
        return CANCELLED + follow(job, flags)
    end
    if is_terminal(from) then
        return TERMINAL + follow(job, flags)
    end
    if not may_become(from, to) then
        -- The same call again, whose answer was lost on the way, has nothing left to do.
        return from == to and last == attempt and APPLIED or STALE
    end
    if tonumber(last) > tonumber(attempt) then
        return STALE
    end
    flags = leave_limits(job, from, flags, started)
    if has(flags, FLAG_CANCEL) and not is_terminal(to) then
        return cancel_instead(job, to, version, last, crashes, flags, started, worker, due, now)
    end
    if has(flags, FLAG_CANCEL) and to == 'cancelled' then
        field, value = 'error', redis.call('HGET', job, 'cancel') -- says why
    end
    if from == 'running' then
        end_attempt(job, to, last, worker, started, now, field == 'error' and value or '')
    end
    local ended = is_terminal(to)
    local fields = {}
    if field ~= '' then
        fields = {field, value}
    end
    if ended or due ~= '0' then
        fields[#fields + 1] = ended and 'finished_ms' or 'run_at_ms'
        fields[#fields + 1] = ended and now or due
    end
    set_status(job, to, version, last, crashes, flags, started, worker, unpack(fields))
    return ended and APPLIED + end_job(job, to, flags, field, value, ttl) or APPLIED
end

local verdicts = {}
for i, job in ipairs(KEYS) do
    verdicts[i] = change(job, unpack(ARGV, 6 * i - 3, 6 * i + 2))
end
return verdicts
