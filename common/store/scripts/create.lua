-- SPDX-License-Identifier: Apache-2.0
-- Makes a record unless it exists, or unless one of its claims is another job's; then returns the one that does.
-- KEYS: job, its batch if it is to be counted there (or nothing), its claims. ARGV: for each claim the fingerprint and
-- for how many ms it holds (0: until the job has ended), then field, value, ...
-- Returns 1 made, 0 no such batch, -1 the batch is closed, or of the record that was there: why it stands in the way,
-- whether its message is known to be safe (1 or 0), its id, its fields.
local job, batch = KEYS[1], KEYS[2]
local id = string.sub(job, #JOB + 1)

local function existing(why, sent, other)
    return {why, sent, other, redis.call('HGETALL', JOB .. other)}
end

-- A claim whose job has no record is void.
for i = 3, #KEYS do
    local claim = redis.call('HMGET', KEYS[i], 'id', 'fingerprint', 'sent')
    if claim[1] and redis.call('HEXISTS', JOB .. claim[1], 'status') == 1 then
        local why = SAME_UNIQUE
        if string.find(KEYS[i], IDEMPOTENCY, 1, true) == 1 then
            why = claim[2] == ARGV[2 * i - 5] and SAME_REQUEST or OTHER_REQUEST
        end
        return existing(why, claim[3] and 1 or 0, claim[1])
    end
end
if redis.call('HEXISTS', job, 'status') == 1 then
    return existing(SAME_ID, 0, id)
end
if batch and batch ~= '' then
    local b = redis.call('HMGET', batch, 'total', 'closed')
    if not b[1] then
        return 0
    end
    if b[2] then
        return -1
    end
    redis.call('HINCRBY', batch, 'total', 1)
end
for i = 3, #KEYS do
    redis.call('DEL', KEYS[i])
    redis.call('HSET', KEYS[i], 'id', id, 'fingerprint', ARGV[2 * i - 5])
    if ARGV[2 * i - 4] ~= '0' then
        redis.call('PEXPIRE', KEYS[i], ARGV[2 * i - 4])
    end
end
redis.call('HSET', job, unpack(ARGV, #KEYS > 2 and 2 * #KEYS - 3 or 1))
redis.call('PUBLISH', job, 'created')
return 1
