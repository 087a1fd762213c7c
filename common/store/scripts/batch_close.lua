-- SPDX-License-Identifier: Apache-2.0
-- No more jobs in this batch. ARGV: its id. Returns FOLLOW when they have all ended, else 0; -1: no such batch.
if redis.call('EXISTS', BATCH .. ARGV[1]) == 0 then
    return -1
end
redis.call('HSET', BATCH .. ARGV[1], 'closed', 1)
redis.call('PUBLISH', BATCH .. ARGV[1], 'closed')
if not is_complete(ARGV[1]) then
    return 0
end
redis.call('RPUSH', AFTER, 'batch ' .. ARGV[1]) -- should the caller die now
return FOLLOW
