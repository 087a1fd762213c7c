-- SPDX-License-Identifier: Apache-2.0
-- A worker's report. KEYS: report, workers. ARGV: name, JSON, TTL in ms.
local now = redis_now()
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('ZADD', KEYS[2], now + ARGV[3], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
return 1
