-- SPDX-License-Identifier: Apache-2.0
-- A worker has this schedule. KEYS: schedule, schedules. ARGV: its name, the last tick that the worker knows to be done
-- (0: it has just begun), whether its definition replaces the one that is there (1 or 0), TTL in ms, the worker, then
-- the definition: field, value, ..., of which the first two are `cron` and `timezone`.
-- Returns the last tick that is done: a schedule that is new, or due at other times than before, begins now.
local key, name, replaces, worker = KEYS[1], ARGV[1], ARGV[3] == '1', ARGV[5]
local fleet, defined = FLEET .. name, DEFINED .. name
local definition = {unpack(ARGV, 6)}
local digest = redis.sha1hex(table.concat(definition, '\n'))
local now = redis_now()

-- Who has it, and how: workers need not agree, and then each runs its own. One that has changed its mind is not counted
-- for what it had before, nor is one that does not report any more; a definition goes with the last worker that has it.
local function note_worker()
    redis.call('ZREMRANGEBYSCORE', fleet, '-inf', whole(now - SCHEDULE_GONE_MS))
    redis.call('ZADD', fleet, whole(now), digest .. ' ' .. worker)
    redis.call('HSETNX', defined, digest, cjson.encode(definition))
    redis.call('PEXPIRE', fleet, SCHEDULE_GONE_MS)
    redis.call('PEXPIRE', defined, SCHEDULE_GONE_MS)
    if redis.call('HLEN', defined) == 1 then
        return {[digest] = true}
    end
    local held = {}
    for _, member in ipairs(redis.call('ZRANGE', fleet, 0, -1)) do
        local other, owner = string.match(member, '^(%S+) (.*)$')
        local is_mine = owner == worker
        if (is_mine and other == digest) or (not is_mine and redis.call('EXISTS', WORKER .. owner) == 1) then
            held[other] = true
        else
            redis.call('ZREM', fleet, member)
        end
    end
    for _, other in ipairs(redis.call('HKEYS', defined)) do
        if not held[other] then
            redis.call('HDEL', defined, other)
        end
    end
    return held
end

local held = note_worker()
local old = redis.call('HMGET', key, 'done_ms', 'cron', 'timezone', 'digest')
local done = math.max(tonumber(old[1] or 0), tonumber(ARGV[2]))
local is_new = not old[1]
if is_new or replaces then
    if (is_new and done == 0) or (not is_new and (old[2] ~= ARGV[7] or old[3] ~= ARGV[9])) then
        done = math.max(done, now)
    end
end
-- Where the worker whose definition stands here is gone, that of one that lives does; ticks go on as they were.
if is_new or replaces or not held[old[4]] then
    redis.call('HSET', key, 'digest', digest, unpack(definition))
end
redis.call('HSET', key, 'done_ms', whole(done))
redis.call('PEXPIRE', key, ARGV[4])
redis.call('ZADD', KEYS[2], whole(now), name)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', whole(now - ARGV[4]))
return done
