-- SPDX-License-Identifier: Apache-2.0
-- The batch's completion has been published, or is not to be. KEYS: batch, its results, its members.
-- ARGV: 1 or 0 (it is not to be), TTL in ms (0: for ever).
if redis.call('EXISTS', KEYS[1]) == 0 then
    return 0
end
redis.call('HSET', KEYS[1], 'completed', 1)
if ARGV[1] == '0' then
    redis.call('HSET', KEYS[1], 'skipped', 1)
end
redis.call('PUBLISH', KEYS[1], 'completed')
if ARGV[2] ~= '0' then
    for _, key in ipairs(KEYS) do
        redis.call('PEXPIRE', key, ARGV[2])
    end
end
return 1
