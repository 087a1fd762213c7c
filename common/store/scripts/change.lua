-- SPDX-License-Identifier: Apache-2.0
-- Outcomes of attempts. Returns a verdict for each, see script.c.
-- KEYS: jobs. ARGV: the TTL of ended jobs in ms (0: for ever), that of a cancelled job's note, then for each job its new
-- state, its attempt, the worker that says so or '', the promise of its message or '', a field for the outcome (`result`,
-- `error` or empty), its value, when the next attempt is due (0: at once or never), and now.
local ttl, keep = ARGV[1], ARGV[2]

-- The message of a cancelled job has come, or an earlier copy of it. Returns whether there was a note.
local function take_note(job, attempt, promise)
    local awaited = read_note(job, promise)
    if awaited and tonumber(attempt) >= tonumber(awaited) then
        redis.call('DEL', CANCELLED_NOTE .. id_of(job))
    end
    return awaited ~= nil
end

-- A job that runs belongs to the worker that runs this attempt of it. One whose connection to the broker broke goes on,
-- while its message is delivered to another, which may have begun: then the first has no say any more, or it would call
-- `queued` what runs, and the end of that would be refused. start.lua may have given somebody the warrant to end it in the
-- place of a worker that is gone. A job that does not run belongs to whoever holds the message that it was promised.
local function may_speak(job, state, last, started, runner, attempt, worker, promise)
    if state ~= 'running' then
        return is_promised(job, promise)
    end
    return runner == worker and last == attempt or
        redis.call('HGET', job, 'warrant') == warrant_of(worker, last, started)
end

-- It was asked to stop, and would go on another day: it ends instead.
local function cancel_instead(job, to, version, last, crashes, flags, started, worker, due, now)
    local reason = redis.call('HGET', job, 'cancel')
    set_status(job, 'cancelled', version, last, crashes, flags, started, worker, 'error', reason, 'finished_ms', now)
    note_cancelled(job, to == 'retrying' and last + 1 or last, redis.call('HGET', job, 'promise'), due, now, keep)
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

-- Of places.lua, once a job has left a place.
local limits_of, pass_on

-- The place that a job has left goes to whoever is next.
local function pass_place(task, key, worker, calls)
    local words = task and redis.call('HGET', LIMIT .. task, 'limits')
    if words then
        if not pass_on then
            limits_of, pass_on = load_places()
        end
        pass_on(limits_of(task, words, redis_now()), key, worker, calls)
    end
end

local function change(calls, job, to, attempt, speaker, promise, field, value, due, now)
    local from, version, last, crashes, flags, started, worker = read_status(job)
    if not from then
        return take_note(job, attempt, promise) and CANCELLED or MISSING
    end
    if from == 'cancelled' then
        take_note(job, attempt, promise)
        return CANCELLED + follow(job, flags)
    end
    -- The same call again, whose answer was lost on the way, has nothing left to do.
    local is_repeat = from == to and last == attempt and worker == speaker and worker ~= ''
    if is_terminal(from) then
        return (is_repeat and APPLIED or TERMINAL) + follow(job, flags)
    end
    if is_repeat then
        return APPLIED
    end
    if not may_speak(job, from, last, started, worker, attempt, speaker, promise) or not may_become(from, to) then
        return STALE
    end
    if is_after(last, attempt) then
        return STALE
    end
    local task, key
    flags, task, key = leave_limits(job, from, flags, started)
    pass_place(task, key, worker, calls)
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

local verdicts, calls = {}, {}
for i, job in ipairs(KEYS) do
    verdicts[i] = answer_of(change(calls, job, unpack(ARGV, 8 * i - 5, 8 * i + 2)), calls)
    calls = #calls == 0 and calls or {}
end
return verdicts
