-- SPDX-License-Identifier: Apache-2.0
-- A worker's report. KEYS: report, workers. ARGV: name, JSON, TTL in ms.
-- By Redis's own clock: those of the workers may differ.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('ZADD', KEYS[2], now + ARGV[3], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
return 1
