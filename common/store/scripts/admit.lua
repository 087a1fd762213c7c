-- SPDX-License-Identifier: Apache-2.0
-- Whether a job may start now within the limits of its task; stands in front of start.lua, behind places.lua. The keys
-- are in keys.h.
--
-- Who may not waits in the line of its key. One that waits for a place is kept in hand when its turn is near, and else
-- called up when it is (places.lua); the message that it came with goes to a delay queue as its guard, far ahead. One
-- that waits for a rate comes back from the delay queue by itself: when its turn is can be told, roughly far behind and
-- exactly near the head. Who comes takes what is free, so nothing stays unused because of who is late; a newcomer must
-- leave room for those who stand before it.

-- Of a rate: a job comes back somewhat before its turn, so that there is always one at hand.
local PROMPT = 0.9
-- The job at the head looks again after LOOK_MIN ms at most, or the 32nd part of the time between two starts if that is
-- longer, so that a rate that was raised is seen soon. Far behind, every READY-th place adds as much.
local LOOK_MIN, LOOK_MAX, READY = 1000, 30000, 25
-- Of a place: a guard comes when the line should have passed twice, so that it mostly finds that its job has run.
local GUARD_MIN, GUARD_MAX = 10000, LIMIT_GUARD_MAX
-- A ready job looks by itself so often; what told it that its turn had come may have been lost.
local READY_LOOK = 3000
-- A key wants more until so long after its next job should have come back.
local GRACE = 2000
-- A place is free again so long after the timeout of its job, should nobody have said so.
local OVERDUE = 600000

-- The limits and whom they concern, from the words of the call: see limits.c.
local function read_limits(job, words)
    local limits, timeout, task, key = string.match(words, '^(%d+ %d+ %d+ %d+ %d+ %d+) (%d+) (%S+) (.*)$')
    local l = limits_of(task, limits, redis_now())
    l.words, l.timeout, l.key, l.job, l.id = limits, tonumber(timeout), key, job, id_of(job)
    l.line, l.ready = l.base .. ':line:' .. key, l.base .. ':ready:' .. key
    l.key_running, l.key_starts = l.base .. ':running:' .. key, l.base .. ':starts:' .. key
    return l
end

-- How long a job holds its place, in ms, as long as none has ended: longer than those that run now.
local function guess_hold(l)
    local oldest = redis.call('ZRANGEBYSCORE', l.running, whole(l.now + GIVEN), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)[2]
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
    local joined = redis.call('ZSCORE', l.line, l.id)
    l.waits, l.is_called = joined ~= false, joined and tonumber(joined) < 0
    l.ahead = l.waits and redis.call('ZRANK', l.line, l.id) or redis.call('ZCARD', l.line)
    l.room = l.waits and 1 or l.ahead + 1
    l.wanted, l.sharers = 0, 1
    if redis.call('ZCARD', l.keys) > 0 then
        redis.call('ZREMRANGEBYSCORE', l.keys, '-inf', whole(l.now))
        l.wanted = tonumber(redis.call('ZSCORE', l.keys, l.key) or 0)
        l.sharers = redis.call('ZCARD', l.keys) + (l.wanted == 0 and 1 or 0)
    end
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

-- The place that forbids a start may have been given to a job of the same key that is still on its way, behind all that
-- is in the queue. Who is here takes it: that one is ready when it comes.
local function take_from_absent(l)
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', l.key_running, '-inf', whole(l.now + GIVEN), 'LIMIT', 0, HANDS_SEEN)) do
        if not redis.call('HGET', JOB .. id, 'hand') then
            redis.call('ZREM', l.running, id)
            redis.call('ZREM', l.key_running, id)
            return true
        end
    end
    return false
end

local function full_places(l)
    if l.c > 0 and occupied(l, l.running, l.room) > l.c then
        return 'concurrency'
    end
    if l.c > 0 and l.sharers > 1 and occupied(l, l.key_running, l.room) > part(l, l.c) then
        return 'fair_concurrency'
    end
    if l.key_c > 0 and occupied(l, l.key_running, l.room) > l.key_c then
        return 'key_concurrency'
    end
end

-- A job whose worker died, or to which a place was given, has its place.
local function forbidden_by_concurrency(l)
    if l.c == 0 and l.key_c == 0 or redis.call('ZSCORE', l.running, l.id) then
        return nil
    end
    local limit = full_places(l)
    if limit and take_from_absent(l) then
        l.room = 1
        limit = full_places(l)
    end
    return limit
end

-- Ms between two starts of the line, as the limits have it.
local function pace(l)
    return math.max(l.n > 0 and l.period * l.sharers / l.n or 0, l.key_n > 0 and l.key_period / l.key_n or 0,
        l.c > 0 and l.hold * l.sharers / l.c or 0, l.key_c > 0 and l.hold / l.key_c or 0)
end

-- For how many ms a job is away that a rate forbids to start, for `free` ms yet.
local function until_due(l, free)
    local step = pace(l)
    local look = math.min(math.max(step / 32, LOOK_MIN), LOOK_MAX) * math.max((l.ahead + 1) / READY, 1)
    return math.ceil(math.min(free + l.ahead * step * PROMPT, look))
end

-- For how many ms a job is away that is called up when its turn is near.
local function until_guard(l)
    return math.ceil(math.min(math.max(2 * (l.ahead + 1) * pace(l), GUARD_MIN), GUARD_MAX))
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
    redis.call('ZADD', l.keys, whole(math.max(l.wanted, l.now + wait + GRACE)), l.key)
    redis.call('PEXPIRE', l.keys, 86400000)
end

local function join_line(l)
    if not l.waits then
        redis.call('ZADD', l.line, whole(l.now), l.id)
        take_turns(l, l.key)
    end
    redis.call('PEXPIRE', l.line, 86400000)
    redis.call('PEXPIRE', l.turns, 86400000)
end

-- Whether a job that is to wait for a place stays in hand: its turn is near, and nobody who was not called up yet stands
-- before it.
local function is_near(l)
    return l.is_called or
        count_wanted(l, l.key) > 0 and redis.call('ZCOUNT', l.line, 0, '+inf') == (l.waits and 1 or 0)
end

local function become_ready(l, worker)
    if not l.is_called then
        redis.call('ZINCRBY', l.line, whole(-CALLED), l.id)
    end
    redis.call('ZADD', l.called, whole(l.now + CALL_LASTS), l.id .. ' ' .. l.key)
    redis.call('PEXPIRE', l.called, 86400000)
    redis.call('ZADD', l.ready, whole(l.now), l.id)
    redis.call('PEXPIRE', l.ready, 86400000)
    redis.call('HSET', l.job, 'hand', worker)
end

-- It goes to the delay queue: if it was called up it has to be called again.
local function become_far(l)
    if l.is_called then
        redis.call('ZREM', l.called, l.id .. ' ' .. l.key)
        redis.call('ZREM', l.ready, l.id)
        redis.call('ZINCRBY', l.line, whole(CALLED), l.id)
        redis.call('HDEL', l.job, 'hand')
    end
    redis.call('ZREM', l.running, l.id) -- a place that was given to it
    redis.call('ZREM', l.key_running, l.id)
end

local function note_start(list, now, n, period)
    redis.call('LPUSH', list, whole(now))
    redis.call('LTRIM', list, 0, whole(n - 1))
    redis.call('PEXPIRE', list, whole(period))
end

-- It starts: what the limits count. Returns whether it holds a place that it must leave.
local function enter(l)
    if l.waits then
        leave_line(l.job, l.base, l.key, l.id)
    end
    if l.n > 0 then
        note_start(l.starts, l.now, l.n, l.period)
    end
    if l.n > 0 or l.key_n > 0 then
        note_start(l.key_starts, l.now, math.max(l.n, l.key_n), math.max(l.period, l.key_period))
    end
    if l.c > 0 or l.key_c > 0 then
        hold_place(l, l.id, l.key, l.now + l.timeout + OVERDUE)
        return true
    end
    return false
end

-- May the job start? Returns the limits as judged, and if not, which of them forbids it, for how many ms it is to stay
-- away, and whether that is in `worker`'s hand.
local function admit(job, words, worker)
    local l = read_limits(job, words)
    read_task(l)
    find_place(l)
    local limit, free = forbidden_by_rate(l)
    limit = limit or forbidden_by_concurrency(l)
    if not limit then
        return l
    end
    drop_dead_head(l)
    redis.call('HINCRBY', l.base, 'waits', 1)
    join_line(l)
    local ready = not free and is_near(l)
    local wait = free and until_due(l, free) or ready and READY_LOOK or until_guard(l)
    want(l, wait)
    if ready then
        become_ready(l, worker)
    else
        become_far(l)
    end
    return l, limit, wait, ready
end
