-- SPDX-License-Identifier: Apache-2.0
-- Outcomes of attempts. Returns a verdict for each, see script.c.
-- KEYS: jobs. ARGV: the TTL of ended jobs in ms (0: for ever), then for each job its new state, its attempt, a field for
-- the outcome (`result`, `error` or empty), its value, and when the job ended or is due (0: neither).
local ttl = ARGV[1]

local function add_end(batch, job, state, field, value)
    local line = '{"id":"' .. string.sub(job, #JOB + 1) .. '","state":"' .. state .. '"'
    if field ~= '' then
        line = line .. ',"' .. field .. '":' .. value
    end
    redis.call('RPUSH', RESULTS .. batch, line .. '}')
    count(batch, state, 1)
end

-- An explicit retry of a failed job: it begins anew and is open again in its batch.
local function reopen(job, batch, state)
    redis.call('PERSIST', job)
    redis.call('HDEL', job, 'result', 'error', 'finished_ms')
    if batch then
        count(batch, state, -1)
    end
end

local function change(job, to, attempt, field, value, at)
    local from, version, last, crashes, flags, started, worker = read_status(job)
    if not from then
        return MISSING
    end
    if not may_become(from, to) then
        if is_terminal(from) then
            return TERMINAL + complete(batch_of(job, flags))
        end
        -- The same call again, whose answer was lost on the way, has nothing left to do.
        return from == to and last == attempt and APPLIED or STALE
    end
    if tonumber(last) > tonumber(attempt) then
        return STALE
    end
    if is_terminal(from) then
        reopen(job, batch_of(job, flags), from)
        last, crashes = 0, 0
    end
    local ended = is_terminal(to)
    local fields = {}
    if field ~= '' then
        fields = {field, value}
    end
    if at ~= '0' then
        fields[#fields + 1] = ended and 'finished_ms' or 'run_at_ms'
        fields[#fields + 1] = at
    end
    set_status(job, to, version, last, crashes, flags, started, worker, unpack(fields))
    if not ended then
        return APPLIED
    end
    if ttl ~= '0' then
        redis.call('PEXPIRE', job, ttl)
    end
    local batch = batch_of(job, flags)
    if batch then
        add_end(batch, job, to, field, value)
    end
    return APPLIED + complete(batch)
end

local verdicts = {}
for i, job in ipairs(KEYS) do
    verdicts[i] = change(job, unpack(ARGV, 5 * i - 3, 5 * i + 1))
end
return verdicts
