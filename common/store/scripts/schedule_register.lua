-- SPDX-License-Identifier: Apache-2.0
-- A worker has this schedule. KEYS: schedule, schedules. ARGV: its name, the last tick that the worker knows to be done
-- (0: it has just begun), whether its definition replaces the one that is there (1 or 0), TTL in ms, then the
-- definition: field, value, ..., of which the first two are `cron` and `timezone`.
-- Returns the last tick that is done: a schedule that is new, or due at other times than before, begins now.
local key = KEYS[1]
local now = redis_now()
local old = redis.call('HMGET', key, 'done_ms', 'cron', 'timezone')
local done = math.max(tonumber(old[1] or 0), tonumber(ARGV[2]))
local is_new = not old[1]
if is_new or ARGV[3] == '1' then
    if (is_new and done == 0) or (not is_new and (old[2] ~= ARGV[6] or old[3] ~= ARGV[8])) then
        done = math.max(done, now)
    end
    redis.call('HSET', key, unpack(ARGV, 5))
end
redis.call('HSET', key, 'done_ms', string.format('%.0f', done))
redis.call('PEXPIRE', key, ARGV[4])
redis.call('ZADD', KEYS[2], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - ARGV[4])
return done
