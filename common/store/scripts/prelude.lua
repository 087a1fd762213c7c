-- SPDX-License-Identifier: Apache-2.0
-- What the other scripts share: each begins with those functions of these that it uses. Above them stand the constants
-- of script.c.

-- How far ahead guards are at most: of jobs that wait for others, from two minutes on with the age of the job, and of
-- those that wait for a limit; and how late the broker may be with them.
local CHAIN_GUARD_MIN, CHAIN_GUARD_MAX, LIMIT_GUARD_MAX, GRACE_OF_GUARD = 120000, 3600000, 300000, 300000
-- A record that is kept for other jobs is looked at so often, should they have gone without a word.
local KEPT_LOOK = 600000

-- A computed number as an argument of redis.call: Redis 7.2 would write 300000000 as 3e+08, which PEXPIRE and INCR refuse.
local function whole(number)
    return string.format('%.0f', number)
end

local function may_become(from, to)
    return string.find(TRANSITIONS, ' ' .. from .. '>' .. to .. ' ', 1, true) ~= nil
end

local function id_of(job)
    return string.sub(job, #JOB + 1)
end

-- Whether a status's flags, see fields.h, hold `flag`. Those of most jobs are '0'.
local function has(flags, flag)
    return flags ~= '0' and bit.band(flags, flag) ~= 0
end

-- Whether attempt `a` comes after attempt `b`: mostly they are one.
local function is_after(a, b)
    return a ~= b and tonumber(a) > tonumber(b)
end

-- The parts of the field `status`, see fields.c: state, version, attempt, crashes, flags, started, worker.
-- nil when there is no record.
local function parse_status(status)
    return string.match(status or '', '^(%S+) (%d+) (%d+) (%d+) (%d+) (%d+) (.*)')
end

local function read_status(job)
    return parse_status(redis.call('HGET', job, 'status'))
end

-- Whether a message with this promise may speak for the job; see common/job/promise.h.
local function is_promised(job, promise)
    local expected = redis.call('HGET', job, 'promise')
    return not expected or expected == promise
end

-- The field `warrant` of a job: who may end this run of it, and no other, in the place of the worker that runs it.
local function warrant_of(worker, attempt, started)
    return worker .. ' ' .. attempt .. ' ' .. started
end

-- The answer of a script for one job: its verdict, and what whoever called it has to do for others.
local function answer_of(verdict, calls)
    return #calls == 0 and verdict or {verdict, unpack(calls)}
end

-- The one way a record changes: `version` grows, waiters wake. Further fields and values may follow.
local function set_status(job, state, version, attempt, crashes, flags, started, worker, ...)
    redis.call('HSET', job, 'status', state .. ' ' .. version + 1 .. ' ' .. attempt .. ' ' .. crashes .. ' ' ..
        flags .. ' ' .. started .. ' ' .. worker, ...)
    redis.call('PUBLISH', job, state)
end

-- An attempt that is over while its job is not, for the record's history: see common/job/attempts.h. Told twice it is
-- written once. `problem` is JSON or ''.
local function add_attempt(job, attempt, worker, started, ended, outcome, problem)
    local history = redis.call('HGET', job, 'attempts') or '0\n'
    local line = attempt .. ' ' .. worker .. ' ' .. started .. ' '
    if string.find(history, '\n' .. line, 1, true) then
        return
    end
    local dropped, lines = string.match(history, '^(%d+)\n(.*)$')
    local _, count = string.gsub(lines, '\n', '\n')
    if count >= ATTEMPTS_KEPT then
        dropped, lines = dropped + 1, string.match(lines, '\n(.*)$')
    end
    redis.call('HSET', job, 'attempts', dropped .. '\n' .. lines .. line .. ended .. ' ' .. outcome .. ' ' .. problem .. '\n')
end

-- Redis's own clock, in ms since 1970: those of the programs may differ.
local function redis_now()
    local time = redis.call('TIME')
    return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Whether `worker` is known to be gone: it does not report, and one that lives would have by now. After a loss of the
-- store, or when it was away, nobody's report is there until the next beat; see beat.lua.
local function is_gone(worker)
    if redis.call('EXISTS', WORKER .. worker) == 1 then
        return false
    end
    local reports = redis.call('HMGET', REPORTS, 'since_ms', 'ttl_ms')
    return reports[1] and redis_now() - reports[1] >= tonumber(reports[2])
end

-- Calls `each` with the key of every claim that the job still holds.
local function each_claim(job, flags, each)
    if not has(flags, FLAG_UNIQUE) then
        return
    end
    local id = string.sub(job, #JOB + 1)
    local names = redis.call('HMGET', job, 'unique', 'idempotency_key')
    for i, prefix in ipairs({UNIQUE, IDEMPOTENCY}) do
        if names[i] and redis.call('HGET', prefix .. names[i], 'id') == id then
            each(prefix .. names[i])
        end
    end
end

-- Frees the claims of a job that has ended, but for those that hold for a time of their own. Returns how many ms they
-- need its record, -1 when they do not.
local function free_claims(job, flags)
    local longest = -1
    if not has(flags, FLAG_UNIQUE) then -- most: spares them the function below
        return longest
    end
    each_claim(job, flags, function(claim)
        local left = redis.call('PTTL', claim)
        if left < 0 then
            redis.call('DEL', claim)
        end
        longest = math.max(longest, left)
    end)
    return longest
end

-- A job does not wait for a limit any more; see places.lua.
local function leave_line(job, base, key, id)
    local line = base .. ':line:' .. key
    redis.call('ZREM', line, id)
    redis.call('ZREM', base .. ':ready:' .. key, id)
    redis.call('ZREM', base .. ':called', id .. ' ' .. key)
    redis.call('HDEL', job, 'hand')
    if redis.call('EXISTS', line) == 0 then
        redis.call('ZREM', base .. ':keys', key)
        redis.call('ZREM', base .. ':turns', key)
    end
end

-- A job neither runs nor waits for a limit any more. `state` is what it was in. Returns its flags, and if it has left a
-- place, its task and its key: whose turn that makes it says places.lua.
local function leave_limits(job, state, flags, started)
    if not has(flags, FLAG_LIMITED) then
        return flags
    end
    local id = id_of(job)
    local names = redis.call('HMGET', job, 'task', 'key')
    local base, key = LIMIT .. names[1], names[2] or ''
    if state ~= 'running' then
        leave_line(job, base, key, id)
        redis.call('HDEL', job, 'blocked')
    end
    local has_left = redis.call('ZREM', base .. ':running', id) == 1
    redis.call('ZREM', base .. ':running:' .. key, id)
    if has_left and state == 'running' then
        local held = math.max(redis_now() - started, 1)
        local hold = tonumber(redis.call('HGET', base, 'hold') or held)
        redis.call('HSET', base, 'hold', string.format('%.3f', hold + (held - hold) / 8))
    end
    return flags - FLAG_LIMITED, has_left and names[1], key
end

-- The batch of a job whose status says that it has one. nil when the batch does not exist: the correlation id of a
-- foreign message may say anything.
local function batch_of(job, flags)
    local batch = has(flags, FLAG_BATCHED) and redis.call('HGET', job, 'batch')
    return batch and redis.call('EXISTS', BATCH .. batch) == 1 and batch or nil
end

-- One end more, or one less, of the kind `state`. Wakes those who follow the batch.
local function count(batch, state, by)
    redis.call('HINCRBY', BATCH .. batch, state, by)
    redis.call('HINCRBY', BATCH .. batch, 'done', by)
    redis.call('PUBLISH', BATCH .. batch, state)
end

-- Whether all jobs of `batch` (may be nil) have ended and its completion is still to be published.
local function is_complete(batch)
    if not batch then
        return false
    end
    local b = redis.call('HMGET', BATCH .. batch, 'closed', 'completed', 'total', 'done')
    return b[1] and not b[2] and b[3] == b[4]
end

-- Whether something is still to be done for the jobs that wait for the end of `job`.
local function is_awaited(job, flags)
    return has(flags, FLAG_AWAITED) and redis.call('EXISTS', AFTER .. id_of(job)) == 1
end

-- FOLLOW when something is to be done after the end of `job`, see follow_up.lua; else 0.
local function follow(job, flags)
    return (is_awaited(job, flags) or is_complete(batch_of(job, flags))) and FOLLOW or 0
end

-- Other jobs wait for the end of `job`, or need its record. Its version stays: those who follow it need not know.
local function set_awaited(job)
    local state, version, attempt, crashes, flags, started, worker = read_status(job)
    if state and not has(flags, FLAG_AWAITED) then
        redis.call('HSET', job, 'status', state .. ' ' .. version .. ' ' .. attempt .. ' ' .. crashes .. ' ' ..
            flags + FLAG_AWAITED .. ' ' .. started .. ' ' .. worker)
    end
    return state ~= nil
end

-- Job `id` waits for the end of `other`, unless that is unknown.
local function await(other, id)
    if set_awaited(JOB .. other) then
        redis.call('RPUSH', AFTER .. other, 'job ' .. id .. ' ' .. other)
    end
end

-- Job `id`, which has not ended, will be given what `other` ended with: until then the record of that is kept, should it
-- have ended or not. See tidy_needed() for one that never says that it has ended.
local function need(other, id)
    set_awaited(JOB .. other)
    redis.call('SADD', NEEDED .. other, id)
    redis.call('ZADD', KEPT, 'NX', whole(redis_now() + KEPT_LOOK), other)
    redis.call('PERSIST', JOB .. other)
end

-- Adds to `list` what follows the end of `job`; see follow_up.lua.
local function add_follow_up(list, job, flags)
    if is_awaited(job, flags) then
        redis.call('RPUSH', list, 'after ' .. id_of(job))
    end
    local batch = batch_of(job, flags)
    if is_complete(batch) then
        redis.call('RPUSH', list, 'batch ' .. batch)
    end
end

-- How a job ended, as clients see it; `state` nil: nobody knows. `field` is that of its outcome, `result`, `error` or empty.
local function outcome(job, state, field, value)
    local line = '{"id":"' .. id_of(job) .. '","state":' .. (state and '"' .. state .. '"' or 'null')
    if field ~= '' then
        line = line .. ',"' .. field .. '":' .. value
    end
    return line .. '}'
end

-- The job has ended: its claims are free, and from now on, or from when nobody needs it any more, it is kept for `ttl`
-- ms (0: for ever).
local function let_go(job, flags, ttl)
    local claimed = free_claims(job, flags)
    if ttl ~= '0' and not (has(flags, FLAG_AWAITED) and redis.call('EXISTS', NEEDED .. id_of(job)) == 1) then
        -- Its guard, when it comes, must find that it has ended.
        local longest = math.max(claimed, has(flags, FLAG_CHAINED) and CHAIN_GUARD_MAX + GRACE_OF_GUARD or 0,
            has(flags, FLAG_HELD) and LIMIT_GUARD_MAX + GRACE_OF_GUARD or 0)
        redis.call('PEXPIRE', job, whole(math.max(tonumber(ttl), longest)))
    end
end

-- Job `id` needs `other` no more.
local function need_no_more(other, id, ttl)
    if redis.call('SREM', NEEDED .. other, id) == 1 and redis.call('EXISTS', NEEDED .. other) == 0 then
        redis.call('ZREM', KEPT, other)
        local state, _, _, _, flags = read_status(JOB .. other)
        if state and is_terminal(state) and not is_awaited(JOB .. other, flags) then
            let_go(JOB .. other, flags, ttl)
        end
    end
end

-- Calls `each` with every job that `job` waits for, or waited for.
local function each_other(job, each)
    for other in string.gmatch(redis.call('HGET', job, 'after') or '', '[^,]+') do
        each(other, id_of(job))
    end
end

-- The end of a job, or of its record: those that it waited for may go.
local function give_up_needs(job, flags, ttl)
    if has(flags, FLAG_NEEDS) then
        each_other(job, function(other, id)
            need_no_more(other, id, ttl)
        end)
    end
end

-- What else the end of a job brings, once its status says so: its claims are free, its TTL begins, unless others must
-- still learn how it ended, and its batch counts it. `field` as in outcome(). Returns what follow() says. With `outcomes`
-- the batch counts nothing: what it is to be told is added there, for whoever ends many of its jobs to tell it at once.
local function end_job(job, state, flags, field, value, ttl, outcomes)
    local awaited = is_awaited(job, flags)
    let_go(job, flags, awaited and '0' or ttl)
    give_up_needs(job, flags, ttl)
    if outcomes then
        outcomes[#outcomes + 1] = outcome(job, state, field, value)
        return awaited and FOLLOW or 0
    end
    local batch = batch_of(job, flags)
    if batch then
        redis.call('RPUSH', RESULTS .. batch, outcome(job, state, field, value))
        count(batch, state, 1)
    end
    return (awaited or is_complete(batch)) and FOLLOW or 0
end

-- `job`, which is new or waits, will not run, because job `other` ended as `how` (nil: its record has expired since).
local function cancel_for(job, other, how, now, ttl)
    local verbs = {failed = 'failed', cancelled = 'was cancelled', expired = 'expired'}
    local error = '{"code":"' .. (how and 'dependency_failed' or 'dependency_unknown') ..
        '","message":"it was to run after job ' .. other .. ', which ' .. (verbs[how] or 'is no longer known') .. '"}'
    local _, version, attempt, crashes, flags, started, worker = read_status(job)
    set_status(job, 'cancelled', version, attempt, crashes, flags, started, worker, 'error', error, 'finished_ms', now)
    redis.call('DEL', PENDING .. id_of(job))
    end_job(job, 'cancelled', flags, 'error', error, ttl)
end

-- A job that is cancelled while its message is on its way leaves a note that outlives its record: else the message,
-- when it is due at last, would be taken for a new job. The note holds the attempt that the message is for and its
-- promise, and ends `keep` ms after the message is due, or when that has come.
local function note_cancelled(job, attempt, promise, due, now, keep)
    local wait = due - now
    local note = attempt .. ' ' .. (promise or '')
    redis.call('SET', CANCELLED_NOTE .. id_of(job), note, 'PX', whole((wait > 0 and wait or 0) + keep))
end

-- The attempt that the note of a cancelled job is about; nil when there is none, or it is not about a message with this
-- promise. Notes of earlier versions are about any.
local function read_note(job, promise)
    local attempt, expected = string.match(redis.call('GET', CANCELLED_NOTE .. id_of(job)) or '', '^(%d+) ?(.*)$')
    return attempt and (expected == '' or expected == promise) and attempt or nil
end

-- Cancels a job, or asks the worker that runs it to do so; see cancel.lua. What follows is also left to the workers, which
-- look at the list AFTER of no job now and then: whoever cancels has no message that would come again if they died. With
-- `outcomes` its batch is `batch`, and told by the caller, as in end_job(); a job of another batch tells its own.
local function cancel_job(job, reason, now, ttl, keep, batch, outcomes)
    local fields = redis.call('HMGET', job, 'status', 'run_at_ms', 'promise', 'batch')
    local state, version, attempt, crashes, flags, started, worker = parse_status(fields[1])
    if not state then
        return {MISSING, ''}
    end
    if is_terminal(state) then
        return {TERMINAL + follow(job, flags), state}
    end
    local runs = state == 'running'
    if runs and not is_gone(worker) then
        if not has(flags, FLAG_CANCEL) then
            set_status(job, state, version, attempt, crashes, flags + FLAG_CANCEL, started, worker, 'cancel', reason)
        end
        redis.call('PUBLISH', CONTROL, 'cancel ' .. id_of(job))
        return {APPLIED, state}
    end
    if runs then -- at a worker that is gone; should it live, it is told, and its outcome is refused
        add_attempt(job, attempt, worker, started, now, 'crashed', '')
        redis.call('HSET', job, 'cancel', reason)
        redis.call('PUBLISH', CONTROL, 'cancel ' .. id_of(job))
    end
    if state == 'waiting' then -- its guard finds that it has ended
        redis.call('DEL', PENDING .. id_of(job))
    else
        -- One that was handed back returns as the same attempt, one that waits for its next attempt as that.
        local awaited = (runs or state == 'queued' and attempt ~= '0') and attempt or attempt + 1
        note_cancelled(job, awaited, fields[3], fields[2] or 0, now, keep)
    end
    flags = leave_limits(job, state, flags, started)
    set_status(job, 'cancelled', version, attempt, crashes, flags, started, worker, 'error', reason, 'finished_ms', now)
    local is_told = has(flags, FLAG_BATCHED) and fields[4] == batch
    local follows = end_job(job, 'cancelled', flags, 'error', reason, ttl, is_told and outcomes or nil)
    if follows ~= 0 then
        add_follow_up(AFTER, job, flags)
    end
    return {APPLIED + follows, 'cancelled'}
end
