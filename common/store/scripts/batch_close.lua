-- SPDX-License-Identifier: Apache-2.0
-- No more jobs in this batch. ARGV: its id. Returns FOLLOW when they have all ended, else 0; -1: no such batch.
if redis.call('EXISTS', BATCH .. ARGV[1]) == 0 then
    return -1
end
redis.call('HSET', BATCH .. ARGV[1], 'closed', 1)
return is_complete(ARGV[1]) and FOLLOW or 0
