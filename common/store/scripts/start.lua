-- SPDX-License-Identifier: Apache-2.0
-- Deliveries become `running`. Returns a verdict for each, see script.c.
-- KEYS: jobs. ARGV: for each its attempt, worker, now, redelivered (0, or the age in ms from which a run is left alone
-- while its worker lives), the worker that its lease names or '', whether its message is a guard (1 or 0), the most
-- crashes, its limits or '', the promise of its message or '', and the most attempts and the longest run that its task's
-- section gives it, or 0.

-- A limit forbids it: it goes on waiting. One whose worker died waits from now on.
local function hold_back(l, limit, job, state, version, last, crashes, flags, started, runner)
    if state == 'running' or not has(flags, FLAG_LIMITED) then
        flags = has(flags, FLAG_LIMITED) and flags or flags + FLAG_LIMITED
        local key = l.key == '' and 'null' or '"' .. l.key .. '"'
        set_status(job, state == 'running' and 'queued' or state, version, last, crashes, flags, started, runner,
            'blocked', '{"limit":"' .. limit .. '","task":"' .. l.task .. '","key":' .. key .. '}')
    end
end

-- It started by Redis's clock, the one that the limits go by; the field `call` tells the same call again.
local function start_limited(l, job, version, attempt, crashes, flags, now, worker)
    if has(flags, FLAG_LIMITED) then
        flags = flags - FLAG_LIMITED
        redis.call('HDEL', job, 'blocked')
    end
    flags = flags + (enter(l) and FLAG_LIMITED or 0)
    set_status(job, 'running', version, attempt, crashes, flags, l.now, worker, 'call', now)
end

-- A first crash may have been any of those that its worker ran, or the machine; a second one makes it a suspect.
local function is_suspect(crashes, max_crashes)
    return tonumber(crashes) >= math.min(2, max_crashes)
end

-- The record was made with the defaults of who submitted it.
local function learn(job, max_attempts, timeout)
    if max_attempts ~= '0' then
        redis.call('HSET', job, 'max_attempts', max_attempts, 'timeout_ms', timeout)
    end
end

-- Whoever runs it is gone, or has been told to stop: this worker may end it in its place, see change.lua.
local function give_warrant(job, state, worker)
    if state == 'running' then
        redis.call('HSET', job, 'warrant', worker)
    end
end

local function start(calls, job, attempt, worker, now, redelivered, lease, guard, max_crashes, limits, promise,
    max_attempts, timeout)
    local state, version, last, crashes, flags, started, runner = read_status(job)
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
    if not is_promised(job, promise) then
        return FOREIGN
    end
    if tonumber(last) > tonumber(attempt) then
        return STALE
    end
    local has_begun = state == 'running' and last == attempt
    -- The same call again, whose answer was lost on the way, is neither a copy nor a crash.
    local is_repeat = has_begun and runner == worker and
        (started == now or limits ~= '' and redis.call('HGET', job, 'call') == now)
    -- A guard: the worker that runs it has acknowledged its message. If another runs it now, that one took it with this
    -- message, when it is redelivered, or has one of its own.
    if lease ~= '' and has_begun and not is_repeat and runner == lease then
        -- One of our name that does not run it, or we would know, was before us.
        if runner ~= worker and redis.call('EXISTS', WORKER .. runner) == 1 then
            return LEASED
        end
        redelivered = '1'
    elseif lease == '' and has_begun and not is_repeat and redelivered ~= '0' and runner ~= worker and
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
        give_warrant(job, state, worker)
        return CANCELLED
    end
    if is_repeat then
        return is_suspect(crashes, max_crashes) and SUSPECT or APPLIED
    end
    if has_begun then
        crashes = crashes + 1
        add_attempt(job, last, runner, started, now, 'crashed', '')
        if crashes > tonumber(max_crashes) then
            give_warrant(job, state, worker)
            return POISON
        end
        redis.call('HDEL', job, 'warrant')
    end
    -- Its successor is on the way: the worker died between recording that and acknowledging this one.
    if state == 'retrying' and last == attempt then
        return STALE
    end
    if not may_become(state, 'running') then
        return STALE
    end
    -- The worker died between publishing this attempt and recording how the one before had failed.
    if state == 'running' and last ~= attempt then
        add_attempt(job, last, runner, started, now, 'failed', '')
    end
    if has(flags, FLAG_GUARD) ~= (guard == '1') then
        flags = flags + (guard == '1' and FLAG_GUARD or -FLAG_GUARD)
    end
    learn(job, max_attempts, timeout)
    if limits == '' then
        set_status(job, 'running', version, attempt, crashes, flags, now, worker)
        return is_suspect(crashes, max_crashes) and SUSPECT or APPLIED
    end
    local l, limit, wait, ready = admit(job, limits, worker)
    if limit then
        hold_back(l, limit, job, state, version, last, crashes, flags, started, runner)
        return (ready and NEXT or LIMITED) + WAIT * wait
    end
    start_limited(l, job, version, attempt, crashes, flags, now, worker)
    pass_on(l, l.key, worker, calls)
    return is_suspect(crashes, max_crashes) and SUSPECT or APPLIED
end

local verdicts = {}
for i, job in ipairs(KEYS) do
    local calls = {}
    verdicts[i] = answer_of(start(calls, job, unpack(ARGV, 11 * i - 10, 11 * i)), calls)
end
return verdicts
