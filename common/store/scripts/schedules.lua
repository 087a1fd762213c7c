-- SPDX-License-Identifier: Apache-2.0
-- All schedules, or one. KEYS: schedules. ARGV: a name, or nothing for all. Returns for each its name, when a worker
-- last had it, the state of its last job (or nothing), its definitions, and its fields and values. A definition is a
-- list of workers, and its fields and values.

-- What live workers have, in an order that stays. A worker is alive while it reports.
local function definitions_of(name)
    local workers, order = {}, {}
    for _, member in ipairs(redis.call('ZRANGE', FLEET .. name, 0, -1)) do
        local digest, worker = string.match(member, '^(%S+) (.*)$')
        if redis.call('EXISTS', WORKER .. worker) == 1 then
            if not workers[digest] then
                workers[digest] = {}
                order[#order + 1] = digest
            end
            table.insert(workers[digest], worker)
        end
    end
    table.sort(order)
    local answer = {}
    for _, digest in ipairs(order) do
        local definition = redis.call('HGET', DEFINED .. name, digest)
        if definition then
            table.sort(workers[digest])
            answer[#answer + 1] = {workers[digest], unpack(cjson.decode(definition))}
        end
    end
    return answer
end

local names = ARGV[1] ~= '' and {ARGV[1]} or redis.call('ZRANGE', KEYS[1], 0, -1)
local answer = {}
table.sort(names)
for _, name in ipairs(names) do
    local fields = redis.call('HGETALL', SCHEDULE .. name)
    if #fields > 0 then
        local last = redis.call('HGET', SCHEDULE .. name, 'last_id')
        local state = last and read_status(JOB .. last) or ''
        answer[#answer + 1] = {name, redis.call('ZSCORE', KEYS[1], name) or '0', state, definitions_of(name),
            unpack(fields)}
    end
end
return answer
