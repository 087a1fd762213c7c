-- SPDX-License-Identifier: Apache-2.0
-- Makes a record unless it exists; then returns the one that does.
-- KEYS: job, and its batch if it is to be counted there. ARGV: field, value, ...
-- Returns 1 made, 0 no such batch, -1 the batch is closed, or the fields of the record that was there.
local job, batch = KEYS[1], KEYS[2]
if redis.call('HEXISTS', job, 'status') == 1 then
    return redis.call('HGETALL', job)
end
if batch then
    local b = redis.call('HMGET', batch, 'total', 'closed')
    if not b[1] then
        return 0
    end
    if b[2] then
        return -1
    end
    redis.call('HINCRBY', batch, 'total', 1)
end
redis.call('HSET', job, unpack(ARGV))
redis.call('PUBLISH', job, 'created')
return 1
