-- SPDX-License-Identifier: Apache-2.0
-- The batch's completion has been published. KEYS: batch, its results. ARGV: TTL in ms (0: for ever).
if redis.call('EXISTS', KEYS[1]) == 0 then
    return 0
end
redis.call('HSET', KEYS[1], 'completed', 1)
if ARGV[1] ~= '0' then
    redis.call('PEXPIRE', KEYS[1], ARGV[1])
    redis.call('PEXPIRE', KEYS[2], ARGV[1])
end
return 1
