-- SPDX-License-Identifier: Apache-2.0
-- Pauses a schedule, or lets it go on, from now on: what was due in between is not made up for. KEYS: schedule.
-- ARGV: paused (1 or 0). Returns 0 when there is no such schedule.
local key = KEYS[1]
local done = tonumber(redis.call('HGET', key, 'done_ms'))
if not done then
    return 0
end
if ARGV[1] == '1' then
    redis.call('HSETNX', key, 'paused_ms', whole(redis_now()))
elseif redis.call('HDEL', key, 'paused_ms') == 1 then
    redis.call('HSET', key, 'done_ms', whole(math.max(done, redis_now())))
end
return 1
