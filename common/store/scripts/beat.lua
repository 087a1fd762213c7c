-- SPDX-License-Identifier: Apache-2.0
-- A worker's report. KEYS: report, workers. ARGV: name, JSON, TTL in ms; then for each task that it limits the limits and
-- the task, see limits.c: a limit may have changed, or a place become free in a way that nobody noticed.
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

local calls = {}
local now = redis_now()
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('ZADD', KEYS[2], now + ARGV[3], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
for i = 4, #ARGV do
    look_at_limits(ARGV[i], ARGV[1], calls)
end
return {redis.call('EXISTS', AFTER) == 1 and FOLLOW or 0, unpack(calls)}
