-- SPDX-License-Identifier: Apache-2.0
-- How the limits are used. KEYS: names of limited tasks. ARGV: a task or ''. Returns for each task a JSON object, see
-- docs/http-api.md; for a task that was named, its keys are in it too. The keys of the store are those of admit.lua.
local SHOWN = 1000 -- keys, and jobs that run, at most: Redis serves nobody else meanwhile
local LETTERS = {['1000'] = 's', ['60000'] = 'm', ['3600000'] = 'h'}

local function rate(count, period)
    return count == '0' and 'null' or '"' .. count .. '/' .. LETTERS[period] .. '"'
end

local function number(text)
    return text == '0' and 'null' or text
end

-- How many of the starts in `list`, newest first, are not older than `period`.
local function recent(list, period, now)
    local low, high = 0, redis.call('LLEN', list)
    while low < high do
        local middle = math.floor((low + high) / 2)
        if redis.call('LINDEX', list, whole(middle)) + period > now then
            low = middle + 1
        else
            high = middle
        end
    end
    return low
end

-- The keys that have a job running or waiting: their names, sorted, and how many of each.
local function survey(base, now)
    local names, of = {}, {}
    local function at(key)
        if not of[key] then
            of[key] = {running = 0, waiting = 0}
            names[#names + 1] = key
        end
        return of[key]
    end
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', base .. ':running', whole(now), '+inf', 'LIMIT', 0, SHOWN)) do
        local key = at(redis.call('HGET', JOB .. id, 'key') or '')
        key.running = key.running + 1
    end
    for _, name in ipairs(redis.call('ZRANGEBYSCORE', base .. ':keys', whole(now), '+inf', 'LIMIT', 0, SHOWN)) do
        at(name).waiting = redis.call('ZCARD', base .. ':line:' .. name)
    end
    table.sort(names)
    return names, of
end

local function keys_json(base, now, period)
    local names, of = survey(base, now)
    local texts = {}
    for i, name in ipairs(names) do
        texts[i] = '{"key":' .. (name == '' and 'null' or '"' .. name .. '"') ..
            ',"started":' .. recent(base .. ':starts:' .. name, period, now) ..
            ',"running":' .. of[name].running .. ',"waiting":' .. of[name].waiting .. '}'
    end
    return ',"keys":[' .. table.concat(texts, ',') .. ']'
end

-- How many jobs wait, and of how many keys; of many keys, an estimate from those whose next job comes back first.
local function count_waiting(base, now)
    local waiting, keys = 0, redis.call('ZCOUNT', base .. ':keys', whole(now), '+inf')
    for _, key in ipairs(redis.call('ZRANGEBYSCORE', base .. ':keys', whole(now), '+inf', 'LIMIT', 0, SHOWN)) do
        waiting = waiting + redis.call('ZCARD', base .. ':line:' .. key)
    end
    return math.floor(waiting * math.max(keys / SHOWN, 1)), keys
end

local function task_json(task, now, with_keys)
    local base = LIMIT .. task
    local known = redis.call('HMGET', base, 'limits', 'hold', 'waits')
    if not known[1] then
        return nil
    end
    local n, period, c, key_n, key_period, key_c = string.match(known[1], '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+)$')
    local waiting, keys = count_waiting(base, now)
    return '{"task":"' .. task .. '","rate":' .. rate(n, period) .. ',"concurrency":' .. number(c) ..
        ',"key_rate":' .. rate(key_n, key_period) .. ',"key_concurrency":' .. number(key_c) ..
        ',"started":' .. recent(base .. ':starts', tonumber(period), now) ..
        ',"running":' .. redis.call('ZCOUNT', base .. ':running', whole(now), '+inf') ..
        ',"waiting":' .. waiting .. ',"waiting_keys":' .. keys ..
        ',"hold_ms":' .. (known[2] and math.floor(known[2]) or 'null') .. ',"waits":' .. (known[3] or 0) ..
        (with_keys and keys_json(base, now, math.max(tonumber(period), tonumber(key_period))) or '') .. '}'
end

local now, texts = redis_now(), {}
local tasks = ARGV[1] ~= '' and {ARGV[1]} or redis.call('SMEMBERS', KEYS[1])
table.sort(tasks)
for _, task in ipairs(tasks) do
    texts[#texts + 1] = task_json(task, now, ARGV[1] ~= '')
end
return texts
