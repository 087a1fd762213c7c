-- SPDX-License-Identifier: Apache-2.0
-- What is to be done after the end of a job. Does what can be done here, and answers what cannot.
-- KEYS: job. ARGV: TTL of ended jobs in ms (0: for ever), now, then the answers of the last call that have been done.
-- Returns 1 or 0 (there is more: call again), then any number of 'job ID OTHER' (publish the message of job ID) and
-- 'batch ID' (submit its completion job).
--
-- The list AFTER of the job holds it all, so whoever calls this once more, because somebody died in between, finds what is left. A
-- job that is cancelled here, or was before, adds to the list what waits for it, by an entry 'after ID': so the longest
-- chain is a loop of short calls. The list of no job (an empty id) has what nobody's message would lead to: what follows
-- when a job is cancelled, or a batch closed.
local job, ttl, now = KEYS[1], ARGV[1], ARGV[2]
local list = AFTER .. id_of(job)
local CHUNK = 64

-- The last of the jobs that `waiting` waits for has ended, or only one of them. True: its message is to be published.
local function release(waiting, version, attempt, crashes, flags, started, worker, other)
    local pending = PENDING .. id_of(waiting)
    redis.call('SREM', pending, other)
    if redis.call('EXISTS', pending) == 1 then
        return false
    end
    local due = tonumber(redis.call('HGET', waiting, 'run_at_ms') or 0)
    set_status(waiting, due > tonumber(now) and 'scheduled' or 'queued', version, attempt, crashes, flags, started, worker)
    return true
end

-- True: its message is to be published.
local function end_wait(waiting, other)
    local state, version, attempt, crashes, flags, started, worker = read_status(waiting)
    if not state then
        return false
    end
    if is_terminal(state) then
        add_follow_up(list, waiting, flags)
        return false
    end
    if state ~= 'waiting' then
        return attempt == '0' -- released before, and perhaps not published
    end
    local how = read_status(JOB .. other)
    if how == 'succeeded' or redis.call('HGET', waiting, 'after_any') then
        return release(waiting, version, attempt, crashes, flags, started, worker, other)
    end
    cancel_for(waiting, other, how, now, ttl)
    add_follow_up(list, waiting, flags)
    return false
end

-- Moves a part of what waits for job `id` to this list. True: that was all.
local function take_from(id)
    local entries = redis.call('LRANGE', AFTER .. id, 0, whole(CHUNK - 1))
    if #entries > 0 then
        redis.call('RPUSH', list, unpack(entries))
        redis.call('LTRIM', AFTER .. id, #entries, -1)
    end
    if #entries == CHUNK then
        return false
    end
    local _, _, _, _, flags = read_status(JOB .. id)
    if flags then
        let_go(JOB .. id, flags, ttl)
    end
    return true
end

-- Whether `entry` stays in the list: to be done by the caller, or begun.
local function is_left(kind, id, other)
    if kind == 'batch' then
        return is_complete(id)
    end
    if kind == 'after' then
        return not take_from(id)
    end
    return kind == 'job' and end_wait(JOB .. id, other)
end

local state, _, _, _, flags = read_status(job)
if state and not is_terminal(state) then
    return {0} -- retried by request: what waits for it waits on
end
-- What has been done stood near the head; it is looked for no further, for the list may be long.
local near = {}
for _, entry in ipairs(#ARGV > 2 and redis.call('LRANGE', list, 0, whole(CHUNK - 1)) or {}) do
    near[entry] = true
end
for i = 3, #ARGV do
    if near[ARGV[i]] then
        redis.call('LREM', list, 1, ARGV[i])
    end
end
local answer = {0}
local batch = batch_of(job, flags or 0)
if is_complete(batch) then
    answer[2] = 'batch ' .. batch
end
local left = 0
for _ = 1, CHUNK do
    local entry = redis.call('LINDEX', list, left)
    if not entry then
        break
    end
    local kind, id, other = string.match(entry, '^(%S+) (%S+) ?(%S*)$')
    if not is_left(kind, id, other) then
        redis.call('LREM', list, 1, entry)
    else
        left = left + 1
        if kind ~= 'after' then
            answer[#answer + 1] = entry
        end
    end
end
if redis.call('EXISTS', list) == 1 then
    answer[1] = 1
elseif state then
    let_go(job, flags, ttl)
end
return answer
