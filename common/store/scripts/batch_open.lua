-- SPDX-License-Identifier: Apache-2.0
-- Opens a batch unless it exists. KEYS: batch. ARGV: field, value, ...
if redis.call('EXISTS', KEYS[1]) == 0 then
    redis.call('HSET', KEYS[1], 'total', 0, 'done', 0, unpack(ARGV))
end
return 1
