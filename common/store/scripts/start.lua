-- SPDX-License-Identifier: Apache-2.0
-- Deliveries become `running`. Returns a verdict for each, see script.c.
-- KEYS: jobs. ARGV: the TTL of ended jobs in ms (0: for ever), then for each its attempt, worker, now, redelivered (0, or
-- the age in ms from which a run is left alone while its worker lives; or RECALLED), the worker that its lease names or
-- '', whether its message is a guard (1 or 0), the most crashes, its limits or '', the promise of its message or '', and
-- the most attempts and the longest run, which the record learns: whoever submitted it may have left them to the worker;
-- and the worker whose attempt this one follows, or ''.

local ended_ttl = ARGV[1]

-- Of places.lua and admit.lua, once a job has limits.
local admit, enter, pass_on

-- A limit forbids it: it goes on waiting. One whose worker died waits from now on. `...`: as for set_status().
local function hold_back(l, limit, job, state, version, last, crashes, flags, started, runner, ...)
    if state == 'running' or not has(flags, FLAG_LIMITED) then
        flags = has(flags, FLAG_LIMITED) and flags or flags + FLAG_LIMITED
        flags = has(flags, FLAG_HELD) and flags or flags + FLAG_HELD
        local key = l.key == '' and 'null' or '"' .. l.key .. '"'
        set_status(job, state == 'running' and 'queued' or state, version, last, crashes, flags, started, runner,
            'blocked', '{"limit":"' .. limit .. '","task":"' .. l.task .. '","key":' .. key .. '}', ...)
    end
end

-- It started by Redis's clock, the one that the limits go by; the field `call` tells the same call again.
local function start_limited(l, job, version, attempt, crashes, flags, now, worker, ...)
    if has(flags, FLAG_LIMITED) then
        flags = flags - FLAG_LIMITED
        redis.call('HDEL', job, 'blocked')
    end
    flags = flags + (enter(l) and FLAG_LIMITED or 0)
    set_status(job, 'running', version, attempt, crashes, flags, l.now, worker, 'call', now, ...)
end

-- A first crash may have been any of those that its worker ran, or the machine; a second one makes it a suspect.
local function is_suspect(crashes, max_crashes)
    return crashes ~= '0' and tonumber(crashes) >= math.min(2, max_crashes)
end

-- Whoever runs it is gone, or has been told to stop: this worker may end this run in its place, see change.lua.
local function give_warrant(job, state, worker, attempt, started)
    if state == 'running' then
        redis.call('HSET', job, 'warrant', warrant_of(worker, attempt, started))
    end
end

-- The guard of a job that waits for others has come. Mostly it goes away again for as long as the job is old; but what
-- should have happened meanwhile and has not is done: after the store lost something, nobody else may know of it. One
-- that it waits for may have lost its record as well, and get it back when its own guard comes; what is still unknown
-- the next time is gone. Returns a verdict, or nil: it waits no longer.
local function end_wait(job, version, attempt, crashes, flags, started, worker, now)
    local pending, known = PENDING .. id_of(job), redis.call('HMGET', job, 'after_any', 'orphan_ms', 'created_ms')
    for _, other in ipairs(redis.call('SMEMBERS', pending)) do
        local how, _, _, _, other_flags = read_status(JOB .. other)
        local is_gone = not how and known[2] and now - known[2] >= CHAIN_GUARD_MIN / 2
        if how == 'succeeded' or known[1] and (is_gone or how and is_terminal(how)) then
            redis.call('SREM', pending, other)
        elseif is_gone or how and is_terminal(how) then
            cancel_for(job, other, how, now, ended_ttl)
            return CANCELLED
        elseif how and not has(other_flags, FLAG_AWAITED) then
            await(other, id_of(job))
        elseif not how then
            redis.call('HSETNX', job, 'orphan_ms', now)
        end
    end
    if redis.call('EXISTS', pending) == 0 then
        set_status(job, 'queued', version, attempt, crashes, flags, started, worker)
        return nil
    end
    return LIMITED + WAIT * math.floor(math.min(math.max(now - (known[3] or now), CHAIN_GUARD_MIN), CHAIN_GUARD_MAX))
end

local function start(calls, job, attempt, worker, now, redelivered, lease, guard, max_crashes, limits, promise,
    max_attempts, timeout, follows)
    local known = redis.call('HMGET', job, 'status', 'promise')
    local state, version, last, crashes, flags, started, runner = parse_status(known[1])
    if not state then
        return read_note(job, promise) and CANCELLED or MISSING
    end
    if state == 'cancelled' then
        return CANCELLED
    end
    if is_terminal(state) then
        return TERMINAL + follow(job, flags)
    end
    -- Whoever knows an id could run a delayed job today, and with a payload of their own.
    if known[2] and known[2] ~= promise then
        return FOREIGN
    end
    if is_after(last, attempt) then
        return STALE
    end
    if state == 'waiting' and guard == '1' then
        local verdict = end_wait(job, version, last, crashes, flags, started, runner, now)
        if verdict then
            return verdict
        end
        state, version = read_status(job)
    end
    local has_begun = state == 'running' and last == attempt
    -- The same call again, whose answer was lost on the way, is neither a copy nor a crash.
    local is_repeat = has_begun and runner == worker and
        (started == now or (limits ~= '' or redelivered == RECALLED) and redis.call('HGET', job, 'call') == now)
    -- The worker says once more what it may have said before, to a store that has lost it: a record that is as new, or in
    -- the hands of another, stays. It has run: no limit can forbid that any more.
    if redelivered == RECALLED then
        if is_repeat then
            return APPLIED
        end
        local is_told = redis.call('HGET', job, 'call') == now -- a limited run, which started by another clock
        if has_begun or is_told or tonumber(started) >= tonumber(now) then
            return STALE
        end
        limits = ''
    end
    -- A guard: the worker that runs it has acknowledged its message. If another runs it now, that one took it with this
    -- message, when it is redelivered, and is asked after like any other that may have lost the broker; or has one of its
    -- own.
    if lease ~= '' and has_begun and not is_repeat and runner == lease then
        -- One of our name that does not run it, or we would know, was before us.
        if runner ~= worker and redis.call('EXISTS', WORKER .. runner) == 1 then
            return LEASED
        end
        redelivered = '1'
    elseif has_begun and not is_repeat and redelivered ~= '0' and runner ~= worker and
        now - started >= tonumber(redelivered) and redis.call('EXISTS', WORKER .. runner) == 1 then
        -- Its worker may have lost the broker and not its life. One that has just died is known to be gone in a moment,
        -- which is short beside what would be done twice.
        return LEASED
    end
    if has_begun and not is_repeat and redelivered == '0' then
        return STALE
    end
    -- Of an attempt that waits there can be two messages, the guard and the one that was published when its turn came,
    -- and either may have been delivered before. Only the one that began the run tells by its return that it has died.
    if has_begun and not is_repeat and lease == '' and has(flags, FLAG_GUARD) ~= (guard == '1') then
        return STALE
    end
    -- Asked to stop while it ran, and whoever ran it is gone, or has not got that far.
    if has(flags, FLAG_CANCEL) then
        give_warrant(job, state, worker, last, started)
        return CANCELLED
    end
    if is_repeat then
        return is_suspect(crashes, max_crashes) and SUSPECT or APPLIED
    end
    if has_begun then
        crashes = crashes + 1
        add_attempt(job, last, runner, started, now, 'crashed', '')
        if crashes > tonumber(max_crashes) then
            give_warrant(job, state, worker, last, started)
            return POISON
        end
    end
    -- Its successor is on the way: the worker died between recording that and acknowledging this one.
    if state == 'retrying' and last == attempt then
        return STALE
    end
    if not may_become(state, 'running') then
        return STALE
    end
    if state == 'running' and last ~= attempt then
        -- Published by one that had lost the attempt to another and did not know yet. What runs has an end of its own, and
        -- another attempt, if it needs one.
        if follows ~= '' and follows ~= runner then
            return STALE
        end
        -- The worker died between publishing this attempt and recording how the one before had failed.
        add_attempt(job, last, runner, started, now, 'failed', '')
    end
    if has(flags, FLAG_GUARD) ~= (guard == '1') then
        flags = flags + (guard == '1' and FLAG_GUARD or -FLAG_GUARD)
    end
    if limits == '' then
        set_status(job, 'running', version, attempt, crashes, flags, now, worker, 'max_attempts', max_attempts,
            'timeout_ms', timeout)
        return is_suspect(crashes, max_crashes) and SUSPECT or APPLIED
    end
    if not admit then
        admit, enter, pass_on = load_places()
    end
    local l, limit, wait, ready = admit(job, limits, worker)
    if limit then
        hold_back(l, limit, job, state, version, last, crashes, flags, started, runner, 'max_attempts', max_attempts,
            'timeout_ms', timeout)
        return (ready and NEXT or LIMITED) + WAIT * wait
    end
    start_limited(l, job, version, attempt, crashes, flags, now, worker, 'max_attempts', max_attempts, 'timeout_ms',
        timeout)
    pass_on(l, l.key, worker, calls)
    return is_suspect(crashes, max_crashes) and SUSPECT or APPLIED
end

local verdicts, calls = {}, {}
for i, job in ipairs(KEYS) do
    verdicts[i] = answer_of(start(calls, job, unpack(ARGV, 12 * i - 10, 12 * i + 1)), calls)
    calls = #calls == 0 and calls or {}
end
return verdicts
