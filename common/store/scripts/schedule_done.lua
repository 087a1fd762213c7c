-- SPDX-License-Identifier: Apache-2.0
-- The job of a tick is safe, or there will be none. KEYS: schedule. ARGV: the tick, the job's id or nothing.
local key = KEYS[1]
local done = tonumber(redis.call('HGET', key, 'done_ms'))
if done and tonumber(ARGV[1]) > done then
    redis.call('HSET', key, 'done_ms', ARGV[1])
    if ARGV[2] ~= '' then
        redis.call('HSET', key, 'last_ms', ARGV[1], 'last_id', ARGV[2])
    end
end
return 1
