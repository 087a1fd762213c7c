-- SPDX-License-Identifier: Apache-2.0
-- All schedules, or one. KEYS: schedules. ARGV: a name, or nothing for all. Returns for each its name, when a worker
-- last had it, the state of its last job (or nothing), and its fields and values.
local names = ARGV[1] ~= '' and {ARGV[1]} or redis.call('ZRANGE', KEYS[1], 0, -1)
local answer = {}
table.sort(names)
for _, name in ipairs(names) do
    local fields = redis.call('HGETALL', SCHEDULE .. name)
    if #fields > 0 then
        local last = redis.call('HGET', SCHEDULE .. name, 'last_id')
        local state = last and read_status(JOB .. last) or ''
        answer[#answer + 1] = {name, redis.call('ZSCORE', KEYS[1], name) or '0', state, unpack(fields)}
    end
end
return answer
