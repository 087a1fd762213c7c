-- SPDX-License-Identifier: Apache-2.0
-- A dead letter is about to be sent again. KEYS: job. ARGV: the promise of the letter or ''.
-- A failed record is queued from now on, as if no attempt had been made; any other stays as it is. Returns the state
-- before, '' when there is no record, or the letter is of no message of this job.

-- An explicit retry of a failed job: it begins anew, is open again in its batch, and has its unique key again unless
-- another job has it now. Returns its flags.
local function reopen(job, state, flags, attempt, started, worker)
    local unique = has(flags, FLAG_UNIQUE) and redis.call('HGET', job, 'unique')
    if unique and redis.call('HSETNX', UNIQUE .. unique, 'id', string.sub(job, #JOB + 1)) == 1 then
        redis.call('HSET', UNIQUE .. unique, 'sent', 1)
    end
    local ended = redis.call('HMGET', job, 'finished_ms', 'error')
    add_attempt(job, attempt, worker, started, ended[1] or 0, state, ended[2] or '')
    redis.call('PERSIST', job)
    redis.call('HDEL', job, 'result', 'error', 'finished_ms', 'cancel')
    if has(flags, FLAG_NEEDS) then
        each_other(job, need)
    end
    local batch = batch_of(job, flags)
    if batch then
        count(batch, state, -1)
        if redis.call('HDEL', BATCH .. batch, 'skipped') == 1 then -- it may succeed as a whole yet
            redis.call('HDEL', BATCH .. batch, 'completed')
            for _, prefix in ipairs({BATCH, RESULTS, MEMBERS}) do
                redis.call('PERSIST', prefix .. batch)
            end
        end
    end
    return has(flags, FLAG_CANCEL) and flags - FLAG_CANCEL or flags
end

local job = KEYS[1]
local state, version, attempt, _, flags, started, worker = read_status(job)
if state and not is_promised(job, ARGV[1]) then
    return ''
end
if state == 'failed' then
    flags = reopen(job, state, flags, attempt, started, worker)
    set_status(job, 'queued', version, 0, 0, flags, started, worker)
end
return state or ''
