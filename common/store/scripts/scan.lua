-- SPDX-License-Identifier: Apache-2.0
-- A page of the keys with a prefix, for whoever looks through the store. KEYS: none.
-- ARGV: cursor, prefix, about how many, then the fields to read of each, if they are hashes.
-- Returns the next cursor ('0': that was all), then for each key its name without the prefix, and fields and values as
-- HGETALL answers them.
local page = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2] .. '*', 'COUNT', ARGV[3])
local answer = {page[1]}
for i, key in ipairs(page[2]) do
    local fields = {}
    for field = 4, #ARGV do
        local value = redis.call('HGET', key, ARGV[field])
        if value then
            fields[#fields + 1] = ARGV[field]
            fields[#fields + 1] = value
        end
    end
    answer[i + 1] = {string.sub(key, #ARGV[2] + 1), fields}
end
return answer
