-- SPDX-License-Identifier: Apache-2.0
-- Makes a record unless it exists, or unless one of its claims is another job's; then returns the one that does.
-- KEYS: job, its batch if it is to be counted there (or nothing), its claims. ARGV: for each claim the fingerprint and
-- for how many ms it holds (0: until the job has ended); who makes it: `submitter`, `message` (which has come without a
-- record), or `guard` (likewise: those that it waits for and are unknown may be known again soon); the ids that it waits
-- for, separated by commas, or empty; if there are any, 1 or 0 (it runs even if some do not succeed), now, and the TTL of
-- ended jobs in ms (0: for ever); then field, value, ...
-- Returns 1 made, 0 no such batch, -1 the batch is closed; the word of a state that it was made in instead (`waiting` or
-- `cancelled`; the latter also when only a note of the cancel is left, and no record is made); 'unknown ' and an id that it
-- would wait for in vain; or of the record that was there: why it stands in the way, whether its message is known to be
-- safe (1 or 0), its id, its fields.
local job, batch = KEYS[1], KEYS[2]
local id = id_of(job)
local at = #KEYS > 2 and 2 * #KEYS - 3 or 1
local maker, after, any, now, ttl = unpack(ARGV, at, at + 4)
local first_field = at + (after == '' and 2 or 5)

local function given(field)
    for i = first_field, #ARGV, 2 do
        if ARGV[i] == field then
            return ARGV[i + 1]
        end
    end
    return ''
end

local function existing(why, sent, other)
    return {why, sent, other, redis.call('HGETALL', JOB .. other)}
end

-- Which of the jobs that it waits for have not ended, and the first that did not succeed and its state. nil and its id
-- for one that does not exist.
local function look_at_others()
    local open, failed, failed_state = {}, nil, nil
    for other in string.gmatch(after, '[^,]+') do
        local state = read_status(JOB .. other)
        if not state and maker ~= 'guard' then
            return nil, other
        end
        if not state or not is_terminal(state) then
            open[#open + 1] = other
        elseif state ~= 'succeeded' and any ~= '1' and not failed then
            failed, failed_state = other, state
        end
    end
    return open, failed, failed_state
end

local function wait_for(open)
    for _, other in ipairs(open) do
        await(other, id)
        redis.call('SADD', PENDING .. id, other)
    end
    local _, version, attempt, crashes, flags, started, worker = read_status(job)
    set_status(job, 'waiting', version - 1, attempt, crashes, flags + FLAG_CHAINED, started, worker)
    return 'waiting'
end

local function need_others()
    local state, version, attempt, crashes, flags, started, worker = read_status(job)
    redis.call('HSET', job, 'status', state .. ' ' .. version .. ' ' .. attempt .. ' ' .. crashes .. ' ' ..
        flags + FLAG_NEEDS .. ' ' .. started .. ' ' .. worker)
    each_other(job, need)
end

-- The message that this record is made from names a batch, which anybody may do: the job counts there if its submitter has
-- counted it, and its record was lost since.
local function leave_batch_unless_member()
    local state, version, attempt, crashes, flags, started, worker = parse_status(ARGV[first_field + 1]) -- the first field
    if has(flags, FLAG_BATCHED) and not redis.call('LPOS', MEMBERS .. redis.call('HGET', job, 'batch'), id) then
        redis.call('HSET', job, 'status', state .. ' ' .. version .. ' ' .. attempt .. ' ' .. crashes .. ' ' ..
            flags - FLAG_BATCHED .. ' ' .. started .. ' ' .. worker)
    end
end

if maker ~= 'submitter' and redis.call('HEXISTS', job, 'status') == 0 and read_note(job, given('promise')) then
    return 'cancelled'
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
    -- Two may be submitting it at once: the one whose message is refused must not take away the other's record.
    redis.call('HSETNX', job, 'repeated', 1)
    return existing(SAME_ID, 0, id)
end
local open, failed, failed_state
if after ~= '' then
    open, failed, failed_state = look_at_others()
    if not open then
        return 'unknown ' .. failed
    end
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
    redis.call('RPUSH', MEMBERS .. string.sub(batch, #BATCH + 1), id)
end
-- Before the claims: a Redis that is full refuses a script at its first write only, and lets a DEL pass.
redis.call('HSET', job, unpack(ARGV, first_field))
if not batch or batch == '' then
    leave_batch_unless_member()
end
for i = 3, #KEYS do
    redis.call('DEL', KEYS[i])
    redis.call('HSET', KEYS[i], 'id', id, 'fingerprint', ARGV[2 * i - 5])
    if ARGV[2 * i - 4] ~= '0' then
        redis.call('PEXPIRE', KEYS[i], ARGV[2 * i - 4])
    end
end
if failed then
    cancel_for(job, failed, failed_state, now, ttl)
    return 'cancelled'
end
if open then
    need_others()
end
if open and #open > 0 then
    return wait_for(open)
end
redis.call('PUBLISH', job, 'created')
return 1
