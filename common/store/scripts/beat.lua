-- SPDX-License-Identifier: Apache-2.0
-- A worker's report. KEYS: report, workers. ARGV: name, JSON, TTL in ms, the TTL of ended jobs in ms (0: for ever); then
-- for each task that it limits the limits and the task, see limits.c: a limit may have changed, or a place become free in
-- a way that nobody noticed.
-- Returns FOLLOW when something is to be done that nobody's message leads to, see follow_up.lua, else 0; then what
-- places.lua wants of the caller.
local function look_at_limits(words, worker, calls)
    local limits, task = string.match(words, '^(.*) (%S+)$')
    local known = redis.call('HGET', LIMIT .. task, 'limits')
    if known and known ~= limits then
        redis.call('HSET', LIMIT .. task, 'limits', limits)
    end
    if known then
        pass_on(limits_of(task, limits, redis_now()), nil, worker, calls)
    end
end

-- Since when reports come without a gap in which those of the living might have run out: whoever has none is known to
-- be gone when that is a TTL ago.
local function note_reports(now, ttl)
    local last = redis.call('HGET', REPORTS, 'last_ms')
    if not last or now - last >= tonumber(ttl) then
        redis.call('HSET', REPORTS, 'since_ms', whole(now))
    end
    redis.call('HSET', REPORTS, 'last_ms', whole(now), 'ttl_ms', ttl)
end

-- Those that need a record say so when they have ended. One whose record was removed, or lost, does not: it needs
-- nothing. A few of a few records are looked at each time.
local function tidy_needed(now, ttl)
    for _, other in ipairs(redis.call('ZRANGEBYSCORE', KEPT, '-inf', whole(now), 'LIMIT', 0, 8)) do
        local again = KEPT_LOOK
        for _, id in ipairs(redis.call('SRANDMEMBER', NEEDED .. other, 8)) do
            local state = read_status(JOB .. id)
            if not state or is_terminal(state) then
                need_no_more(other, id, ttl)
                again = 0
            end
        end
        if redis.call('EXISTS', NEEDED .. other) == 1 then
            redis.call('ZADD', KEPT, whole(now + again), other)
        else
            redis.call('ZREM', KEPT, other)
        end
    end
end

local calls = {}
local now = redis_now()
note_reports(now, ARGV[3])
tidy_needed(now, ARGV[4])
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('ZADD', KEYS[2], whole(now + ARGV[3]), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', whole(now))
for i = 5, #ARGV do
    look_at_limits(ARGV[i], ARGV[1], calls)
end
return {redis.call('EXISTS', AFTER) == 1 and FOLLOW or 0, unpack(calls)}
