-- SPDX-License-Identifier: Apache-2.0
-- A worker's report. KEYS: report, workers. ARGV: name, JSON, TTL in ms.
-- Returns FOLLOW when something is to be done that nobody's message leads to, see follow_up.lua; else 0.
local now = redis_now()
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('ZADD', KEYS[2], now + ARGV[3], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
return redis.call('EXISTS', AFTER) == 1 and FOLLOW or 0
