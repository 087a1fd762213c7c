-- SPDX-License-Identifier: Apache-2.0
-- Whether a job may start now within the limits of its task; stands in front of start.lua. The keys are in keys.h.
--
-- Who may not waits in the line of its key: its message goes to a delay queue, comes back after a while and is judged
-- again. Who comes back takes what is free, so nothing stays unused because of who is late; a newcomer must leave room
-- for those who stand before it. How long to stay away is guessed from the place in the line and from how fast that
-- moves, so that a line of any length costs a few starts of this script for each job that it lets through.
--
-- Fairness: a task's rate and concurrency are divided evenly between the keys that have somebody waiting. A key that is
-- alone has everything.

-- A job comes back somewhat before its turn, so that there is always one at hand: for a place, which may be free at any
-- moment, earlier than for a rate.
local EAGER, PROMPT = 0.7, 0.9
-- The job at the head looks again after LOOK_MIN ms at most, or the 32nd part of the time between two starts if that is
-- longer, so that a limit that was raised, or a place that is free unexpectedly, is seen soon. Far behind, every
-- READY-th place adds as much.
local LOOK_MIN, LOOK_MAX, READY = 1000, 30000, 25
-- A key wants more until so long after its next job should have come back.
local GRACE = 2000
-- A place is free again so long after the timeout of its job, should nobody have said so.
local OVERDUE = 600000

-- The limits and whom they concern, from the words of the call: see limits.c.
local function read_limits(job, words)
    local n, period, c, key_n, key_period, key_c, timeout, task, key = string.match(words,
        '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%S+) (.*)$')
    local base = LIMIT .. task
    return {
        n = tonumber(n), period = tonumber(period), c = tonumber(c),
        key_n = tonumber(key_n), key_period = tonumber(key_period), key_c = tonumber(key_c),
        timeout = tonumber(timeout), task = task, key = key, id = string.sub(job, #JOB + 1), now = redis_now(),
        base = base, keys = base .. ':keys', running = base .. ':running', starts = base .. ':starts',
        line = base .. ':line:' .. key,
        key_running = base .. ':running:' .. key, key_starts = base .. ':starts:' .. key,
        words = string.match(words, '^%d+ %d+ %d+ %d+ %d+ %d+'),
    }
end

-- How long a job holds its place, in ms, as long as none has ended: longer than those that run now.
local function guess_hold(l)
    local oldest = redis.call('ZRANGE', l.running, 0, 0, 'WITHSCORES')[2]
    return oldest and math.max(l.now - (oldest - l.timeout - OVERDUE), 1) or 1
end

-- What is known about the task: for those who look at limits, and how long its jobs hold a place.
local function read_task(l)
    local known = redis.call('HMGET', l.base, 'limits', 'hold')
    if known[1] ~= l.words then
        redis.call('HSET', l.base, 'limits', l.words)
        redis.call('SADD', LIMITS, l.task)
    end
    l.hold = tonumber(known[2] or guess_hold(l))
end

-- Its place in the line, and between how many keys the task is shared.
local function find_place(l)
    l.ahead = redis.call('ZCARD', l.line)
    local rank = l.ahead > 0 and redis.call('ZRANK', l.line, l.id)
    l.waits = rank ~= false
    l.ahead = rank or l.ahead
    l.room = l.waits and 1 or l.ahead + 1
    l.wanted, l.sharers = 0, 1
    if redis.call('ZCARD', l.keys) > 0 then
        redis.call('ZREMRANGEBYSCORE', l.keys, '-inf', l.now)
        l.wanted = tonumber(redis.call('ZSCORE', l.keys, l.key) or 0)
        l.sharers = redis.call('ZCARD', l.keys) + (l.wanted == 0 and 1 or 0)
    end
end

local function part(l, all)
    return math.ceil(all / l.sharers)
end

-- How many ms until fewer than `n` starts in `list` lie within `period`, with room for `room` more; 0: now.
local function until_free(l, list, n, period, room)
    local nth = redis.call('LINDEX', list, math.max(n - room, 0))
    local free = nth and nth + period - l.now or 0
    return math.max(free, room > n and period or 0, 0)
end

-- The limit that forbids a start now, and how long a rate does so; nothing when none does.
local function forbidden_by_rate(l)
    local wait = l.n > 0 and until_free(l, l.starts, l.n, l.period, l.room) or 0
    if wait > 0 then
        return 'rate', wait
    end
    wait = l.n > 0 and l.sharers > 1 and until_free(l, l.key_starts, part(l, l.n), l.period, l.room) or 0
    if wait > 0 then
        return 'fair_rate', wait
    end
    wait = l.key_n > 0 and until_free(l, l.key_starts, l.key_n, l.key_period, l.room) or 0
    if wait > 0 then
        return 'key_rate', wait
    end
end

local function occupied(l, set)
    redis.call('ZREMRANGEBYSCORE', set, '-inf', l.now)
    return redis.call('ZCARD', set) + l.room
end

local function forbidden_by_concurrency(l)
    if l.c > 0 and occupied(l, l.running) > l.c then
        return 'concurrency'
    end
    if l.c > 0 and l.sharers > 1 and occupied(l, l.key_running) > part(l, l.c) then
        return 'fair_concurrency'
    end
    if l.key_c > 0 and occupied(l, l.key_running) > l.key_c then
        return 'key_concurrency'
    end
end

-- Ms between two starts of the line, as the limits have it.
local function pace(l)
    return math.max(l.n > 0 and l.period * l.sharers / l.n or 0, l.key_n > 0 and l.key_period / l.key_n or 0,
        l.c > 0 and l.hold * l.sharers / l.c or 0, l.key_c > 0 and l.hold / l.key_c or 0)
end

-- How many ms the job is to stay away. `free`: of the rate; nil: no rate forbids it.
local function stay_away(l, free)
    local step = pace(l)
    local look = math.min(math.max(step / 32, LOOK_MIN), LOOK_MAX) * math.max((l.ahead + 1) / READY, 1)
    local guess = free and free + l.ahead * step * PROMPT or math.max((l.ahead + 1) * step * EAGER, 5)
    return math.ceil(math.min(guess, look))
end

-- The head of a line can be a job that ended where nobody looked at limits: its record is gone, or was made anew.
local function drop_dead_head(l)
    local head = l.ahead > 0 and redis.call('ZRANGE', l.line, 0, 0)[1]
    local state = head and read_status(JOB .. head)
    if head and (not state or is_terminal(state)) then
        redis.call('ZREM', l.line, head)
    end
end

local function want(l, wait)
    redis.call('ZADD', l.keys, math.max(l.wanted, l.now + wait + GRACE), l.key)
    redis.call('PEXPIRE', l.keys, 86400000)
end

local function join_line(l)
    if not l.waits then
        redis.call('ZADD', l.line, l.now, l.id)
    end
    redis.call('PEXPIRE', l.line, 86400000)
end

local function leave_line(l)
    redis.call('ZREM', l.line, l.id)
    if redis.call('EXISTS', l.line) == 0 then
        redis.call('ZREM', l.keys, l.key)
    end
end

local function note_start(list, now, n, period)
    redis.call('LPUSH', list, now)
    redis.call('LTRIM', list, 0, n - 1)
    redis.call('PEXPIRE', list, period)
end

local function occupy(l)
    local expires = l.now + l.timeout + OVERDUE
    redis.call('ZADD', l.running, expires, l.id)
    redis.call('ZADD', l.key_running, expires, l.id)
    if redis.call('PTTL', l.key_running) < l.timeout + OVERDUE then
        redis.call('PEXPIREAT', l.key_running, expires)
    end
end

-- It starts: what the limits count. Returns whether it holds a place that it must leave.
local function enter(l)
    if l.waits then
        leave_line(l)
    end
    if l.n > 0 then
        note_start(l.starts, l.now, l.n, l.period)
    end
    if l.n > 0 or l.key_n > 0 then
        note_start(l.key_starts, l.now, math.max(l.n, l.key_n), math.max(l.period, l.key_period))
    end
    if l.c > 0 or l.key_c > 0 then
        occupy(l)
        return true
    end
    return false
end

-- May the job start? Returns the limits as judged, and if not, which of them forbids it and for how many ms it is to
-- stay away. A job whose worker died has its place still.
local function admit(job, words)
    local l = read_limits(job, words)
    read_task(l)
    find_place(l)
    local limit, free = forbidden_by_rate(l)
    if not limit and (l.c > 0 or l.key_c > 0) and not redis.call('ZSCORE', l.running, l.id) then
        limit = forbidden_by_concurrency(l)
    end
    if not limit then
        return l
    end
    drop_dead_head(l)
    local wait = stay_away(l, free)
    want(l, wait)
    join_line(l)
    redis.call('HINCRBY', l.base, 'waits', 1)
    return l, limit, wait
end
