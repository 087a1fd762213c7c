-- SPDX-License-Identifier: Apache-2.0
-- Cancels a batch, a part of its jobs at a time: it takes no more, and its completion job does not run.
-- KEYS: batch, its members. ARGV: how many members were dealt with before, and how many to deal with now; then what
-- cancel_job() is to be told.
-- Returns of these how many were cancelled, asked to stop, and had ended, then 1 or 0 (there are more). Else -1: no such
-- batch, -2: it has ended.
local batch, members = KEYS[1], KEYS[2]
local from, count_now = ARGV[1], ARGV[2]
local b = redis.call('HMGET', batch, 'total', 'done', 'closed', 'cancel_requested')
if not b[1] then
    return -1
end
if b[3] and b[1] == b[2] and not b[4] then
    return -2
end
redis.call('HSET', batch, 'closed', 1, 'cancel_requested', 1)
local cancelled, asked, ended = 0, 0, 0
for _, id in ipairs(redis.call('LRANGE', members, from, from + count_now - 1)) do
    local answer = cancel_job(JOB .. id, unpack(ARGV, 3))
    if answer[1] % FOLLOW ~= APPLIED then
        ended = ended + 1
    elseif answer[2] == 'cancelled' then
        cancelled = cancelled + 1
    else
        asked = asked + 1
    end
end
local more = redis.call('LLEN', members) > from + count_now
if not more then
    local id = string.sub(batch, #BATCH + 1)
    redis.call('PUBLISH', batch, 'cancelled')
    if is_complete(id) then
        redis.call('RPUSH', AFTER, 'batch ' .. id)
    end
end
return {cancelled, asked, ended, more and 1 or 0}
