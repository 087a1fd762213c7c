-- SPDX-License-Identifier: Apache-2.0
-- May this worker submit the job of a tick? KEYS: schedule. ARGV: the tick, for how many ms the claim holds, whether
-- the tick is passed over while the job of the one before has not ended (1 or 0).
-- Returns a verdict of schedules.h, and the last tick that is done, or for BUSY for how long another one's claim holds.

-- Whether the job, or the batch that has its id (as site.prerender makes one), has not ended.
local function is_open(id)
    local state = read_status(JOB .. id)
    if state and not is_terminal(state) then
        return true
    end
    local batch = redis.call('HMGET', BATCH .. id, 'total', 'completed')
    return batch[1] and not batch[2]
end

local key, tick = KEYS[1], tonumber(ARGV[1])
local schedule = redis.call('HMGET', key, 'done_ms', 'paused_ms', 'last_id', 'claim_ms', 'claimed_until')
local done = tonumber(schedule[1])
if not done then
    return {UNKNOWN, 0}
end
if tick <= done then
    return {DONE, done}
end
local now = redis_now()
if tick > now + EARLY_MS then
    return {EARLY, done}
end
local left = tonumber(schedule[5] or 0) - now
if schedule[4] == ARGV[1] and left > 0 then
    return {BUSY, left}
end
if schedule[2] or (ARGV[3] == '1' and schedule[3] and is_open(schedule[3])) then
    redis.call('HSET', key, 'done_ms', ARGV[1])
    return {schedule[2] and PAUSED or OVERLAP, tick}
end
redis.call('HSET', key, 'claim_ms', ARGV[1], 'claimed_until', whole(now + ARGV[2]))
return {CLAIMED, done}
