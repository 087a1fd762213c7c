-- SPDX-License-Identifier: Apache-2.0
-- Cancels a batch, a part of its jobs at a time: it takes no more, and its completion job does not run.
-- KEYS: batch, its members. ARGV: the cursor of the last call, or ''; how many members to deal with; then what
-- cancel_job() is to be told.
-- Returns of these how many were cancelled, asked to stop, and had ended, then the cursor of the next call, '' after the
-- last. Else -1: no such batch, -2: it has ended.
--
-- From the last member to the first. None is added to a batch that is closed, but one whose message was refused is taken
-- out between two calls: that moves those behind it, and from this side they have been dealt with. So none is passed over
-- wherever it stood; and by the id in the cursor none is dealt with, and counted, twice.
local batch, members = KEYS[1], KEYS[2]
local cursor, count_now = ARGV[1], ARGV[2]
local id = string.sub(batch, #BATCH + 1)
local MOVED_MAX = 1000 -- members that may have gone between two calls; beyond that some are counted twice

-- The index of the last member that is still to be dealt with.
local function find_last()
    local index, dealt_with = string.match(cursor, '^(%d+) (.+)$')
    if not index then
        return redis.call('LLEN', members) - 1
    end
    for at = tonumber(index), math.max(index - MOVED_MAX, 0), -1 do
        if redis.call('LINDEX', members, whole(at)) == dealt_with then
            return at - 1
        end
    end
    return index - 1
end

local b = redis.call('HMGET', batch, 'total', 'done', 'closed', 'cancel_requested')
if not b[1] then
    return -1
end
if b[3] and b[1] == b[2] and not b[4] then
    return -2
end
redis.call('HSET', batch, 'closed', 1, 'cancel_requested', 1)
local cancelled, asked, ended, outcomes = 0, 0, 0, {}
local reason, now, ttl, keep = unpack(ARGV, 3)
local last = find_last()
local first = math.max(last - count_now + 1, 0)
local part = last >= 0 and redis.call('LRANGE', members, whole(first), whole(last)) or {}
for i = #part, 1, -1 do
    local answer = cancel_job(JOB .. part[i], reason, now, ttl, keep, id, outcomes)
    if answer[1] % FOLLOW ~= APPLIED then
        ended = ended + 1
    elseif answer[2] == 'cancelled' then
        cancelled = cancelled + 1
    else
        asked = asked + 1
    end
end
if #outcomes > 0 then
    redis.call('RPUSH', RESULTS .. id, unpack(outcomes))
    count(id, 'cancelled', #outcomes)
end
if is_complete(id) then -- whoever calls may die before the last part
    redis.call('RPUSH', AFTER, 'batch ' .. id)
end
if first > 0 and part[1] then
    return {cancelled, asked, ended, first .. ' ' .. part[1]}
end
redis.call('PUBLISH', batch, 'cancelled')
return {cancelled, asked, ended, ''}
