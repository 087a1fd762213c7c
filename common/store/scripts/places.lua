-- SPDX-License-Identifier: Apache-2.0
-- Whose turn it is within the limits of a task; stands in front of the scripts that free places or fill them. The keys
-- are in keys.h.
--
-- Who frees a place gives it to the next of the line, in the same step; nobody polls. The next one's message may be
-- with the broker, a delay queue away, so the first of the line are *called up* before their turn, as many as would be
-- done within LEAD ms: their messages are published from their records, and a worker that gets one keeps it *ready*, in
-- hand. A place that is given to a ready job is taken one round trip later; where jobs are longer than that matters,
-- nobody is kept ready, and the place waits for the message.
--
--   joins the line -> called up -> ready in hand -> given a place -> running
--        |                             ^                  ^
--        +--- nobody before it --------+                  |
--        +--- jobs run for long ------ called up ---------+
--
-- What was called up and has not come, or was given a place and has not started, is forgotten after a while: a worker
-- died, or a call was lost. The message that waits in the delay queue, its guard, makes up for all of that.
--
-- Turns go round the keys that have somebody in the line; a task's rate and places are divided evenly between them. A
-- key that is alone has everything.

local LEAD, LEAD_MOST = 100, 128
-- A place that was given is free again after so long, and whoever was called up may be called once more.
local GIVEN, CALL_LASTS = 5000, 15000
-- In a line the score of a job is when it came; of one that was called up, so much less.
local CALLED = 10000000000000
-- Keys looked at for a turn, ready jobs for one in the caller's own hand; what one call gives and calls up at most.
local KEYS_SEEN, HANDS_SEEN, AT_ONCE = 16, 8, 32

-- The limits of a task from their words: see limits.c.
local function limits_of(task, words, now)
    local n, period, c, key_n, key_period, key_c = string.match(words, '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+)')
    local base = LIMIT .. task
    return {
        n = tonumber(n), period = tonumber(period), c = tonumber(c),
        key_n = tonumber(key_n), key_period = tonumber(key_period), key_c = tonumber(key_c),
        task = task, now = now, base = base, keys = base .. ':keys', running = base .. ':running',
        starts = base .. ':starts', called = base .. ':called', turns = base .. ':turns',
    }
end

-- Between how many keys the task is shared.
local function count_sharers(l)
    redis.call('ZREMRANGEBYSCORE', l.keys, '-inf', whole(l.now))
    l.sharers = math.max(redis.call('ZCARD', l.keys), 1)
end

local function part(l, all)
    return math.ceil(all / l.sharers)
end

-- How many ms until fewer than `n` starts in `list` lie within `period`, with room for `room` more; 0: now.
local function until_free(l, list, n, period, room)
    local nth = redis.call('LINDEX', list, whole(math.max(n - room, 0)))
    local free = nth and nth + period - l.now or 0
    return math.max(free, room > n and period or 0, 0)
end

-- How many of the places in `set` are taken, with `room` more.
local function occupied(l, set, room)
    redis.call('ZREMRANGEBYSCORE', set, '-inf', whole(l.now))
    return redis.call('ZCARD', set) + room
end

-- Whether the limits of `key` itself, and its part of the task's, let another of its jobs start.
local function key_has_room(l, key)
    local starts, running = l.base .. ':starts:' .. key, l.base .. ':running:' .. key
    if l.key_n > 0 and until_free(l, starts, l.key_n, l.key_period, 1) > 0 then
        return false
    end
    if l.n > 0 and l.sharers > 1 and until_free(l, starts, part(l, l.n), l.period, 1) > 0 then
        return false
    end
    if l.key_c > 0 and occupied(l, running, 1) > l.key_c then
        return false
    end
    return not (l.c > 0 and l.sharers > 1) or occupied(l, running, 1) <= part(l, l.c)
end

local function task_has_room(l)
    return not (l.n > 0 and until_free(l, l.starts, l.n, l.period, 1) > 0) and
        not (l.c > 0 and occupied(l, l.running, 1) > l.c)
end

local function hold_place(l, id, key, expires)
    local of_key = l.base .. ':running:' .. key
    redis.call('ZADD', l.running, whole(expires), id)
    redis.call('ZADD', of_key, whole(expires), id)
    if redis.call('PTTL', of_key) < expires - l.now then
        redis.call('PEXPIREAT', of_key, whole(expires))
    end
end

-- `key` has somebody in the line, or nobody any more. A key that comes gets its turn after those that wait already.
local function take_turns(l, key)
    redis.call('ZADD', l.turns, 'NX', redis.call('HINCRBY', l.base, 'turn', 1), key)
end

local function next_round(l, key)
    redis.call('ZADD', l.turns, redis.call('HINCRBY', l.base, 'turn', 1), key)
end

-- The message of a waiting job is to be published. The caller of the script does that.
local function call_up(l, id, key, calls)
    redis.call('ZINCRBY', l.base .. ':line:' .. key, whole(-CALLED), id)
    redis.call('ZADD', l.called, whole(l.now + CALL_LASTS), id .. ' ' .. key)
    calls[#calls + 1] = 'call ' .. id
end

-- The first of the line of `key` that was not called up; passes over those that ended where nobody looked at limits.
local function first_uncalled(l, key)
    local line = l.base .. ':line:' .. key
    for _ = 1, AT_ONCE do
        local id = redis.call('ZRANGEBYSCORE', line, 0, '+inf', 'LIMIT', 0, 1)[1]
        local state = id and read_status(JOB .. id)
        if not id or state and not is_terminal(state) and state ~= 'running' then
            return id
        end
        redis.call('ZREM', line, id)
    end
end

-- A ready job of `key`, one in the hand of `worker` if there is any.
local function first_ready(l, key, worker)
    local ready = redis.call('ZRANGE', l.base .. ':ready:' .. key, 0, whole(HANDS_SEEN - 1))
    for _, id in ipairs(ready) do
        if redis.call('HGET', JOB .. id, 'hand') == worker then
            return id, true
        end
    end
    return ready[1], false
end

-- One that was called up, and neither came nor was given a place so far.
local function first_on_its_way(l, key)
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', l.base .. ':line:' .. key, '-inf', '(0', 'LIMIT', 0, HANDS_SEEN)) do
        if not redis.call('ZSCORE', l.running, id) then
            return id
        end
    end
end

-- Gives a place to the next job of `key`. False: it has none.
local function give_place(l, key, worker, calls)
    local id, is_here = first_ready(l, key, worker)
    if id then
        redis.call('ZREM', l.base .. ':ready:' .. key, id)
        if is_here then
            calls[#calls + 1] = 'start ' .. id
        else
            redis.call('PUBLISH', CONTROL, 'start ' .. id)
        end
    else
        id = first_on_its_way(l, key)
        if not id then
            id = first_uncalled(l, key)
            if not id then
                return false
            end
            call_up(l, id, key, calls)
        end
    end
    hold_place(l, id, key, l.now + GIVEN)
    return true
end

-- Gives a place to whoever's turn it is. False: to nobody. Keys that may not have one now get their turn in the next
-- round.
local function give_next(l, worker, calls)
    for _, key in ipairs(redis.call('ZRANGE', l.turns, 0, whole(KEYS_SEEN - 1))) do
        if redis.call('EXISTS', l.base .. ':line:' .. key) == 0 then
            redis.call('ZREM', l.turns, key)
        else
            next_round(l, key)
            if key_has_room(l, key) and give_place(l, key, worker, calls) then
                return true
            end
        end
    end
    return false
end

-- Those that were called up and have not come can be called again.
local function forget_calls(l)
    for _, member in ipairs(redis.call('ZRANGEBYSCORE', l.called, '-inf', whole(l.now), 'LIMIT', 0, AT_ONCE)) do
        local id, key = string.match(member, '^(%S+) (.*)$')
        local line = l.base .. ':line:' .. key
        redis.call('ZREM', l.called, member)
        redis.call('ZREM', l.base .. ':ready:' .. key, id)
        if tonumber(redis.call('ZSCORE', line, id) or 0) < 0 then
            redis.call('ZINCRBY', line, whole(CALLED), id)
        end
    end
end

-- How many jobs more should be ready: of the task, or where each key has places of its own, of `key`.
local function count_wanted(l, key)
    local hold = tonumber(redis.call('HGET', l.base, 'hold') or 0)
    local places = l.c > 0 and l.c or l.key_c
    if hold == 0 or places == 0 then
        return 0
    end
    local called = l.c > 0 and redis.call('ZCARD', l.called) or
        redis.call('ZCOUNT', l.base .. ':line:' .. key, '-inf', '(0')
    return math.min(math.floor(places * LEAD / hold), LEAD_MOST) - called
end

local function call_next(l, calls)
    for _, key in ipairs(redis.call('ZRANGE', l.turns, 0, whole(KEYS_SEEN - 1))) do
        next_round(l, key)
        local id = first_uncalled(l, key)
        if id then
            call_up(l, id, key, calls)
            return true
        end
    end
    return false
end

local function call_ahead(l, key, calls)
    for _ = 1, math.min(count_wanted(l, key), AT_ONCE) do
        if l.c > 0 then
            if not call_next(l, calls) then
                return
            end
        else
            local id = first_uncalled(l, key)
            if not id then
                return
            end
            call_up(l, id, key, calls)
        end
    end
end

-- A job of `key` (nil: of any) that holds a place has ended or started, or a limit may have changed: places are given
-- and jobs called up. `worker` is who calls the script: what is ready in its hand is preferred, and told to it in `calls`.
local function pass_on(l, key, worker, calls)
    if redis.call('EXISTS', l.turns) == 0 then
        return
    end
    forget_calls(l)
    if l.c == 0 and l.key_c == 0 then
        if l.n == 0 and l.key_n == 0 then -- there is no limit any more
            for _ = 1, AT_ONCE do
                call_next(l, calls)
            end
        end
        return -- what waits for a rate knows when it is due, and comes back then
    end
    count_sharers(l)
    for _ = 1, AT_ONCE do
        if not task_has_room(l) then
            break
        end
        if l.c == 0 and key then -- the others have places of their own
            if not (key_has_room(l, key) and give_place(l, key, worker, calls)) then
                break
            end
        elseif not give_next(l, worker, calls) then
            break
        end
    end
    if l.c > 0 or key then
        call_ahead(l, key, calls)
    end
end
