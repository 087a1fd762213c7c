-- SPDX-License-Identifier: Apache-2.0
-- Places that jobs hold in the limits of their tasks, and that do not run. KEYS: none. ARGV: 1 to free them, 0 to look.
-- Returns the ids of the jobs. A place and the state `running` change together, so there are some only when records were
-- removed or restored by hand. Places that are given to a job that is about to start (places.lua) end soon by themselves.
local ids, now = {}, redis_now()
for _, task in ipairs(redis.call('SMEMBERS', LIMITS)) do
    local running = LIMIT .. task .. ':running'
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', running, whole(now + GIVEN), '+inf')) do
        if read_status(JOB .. id) ~= 'running' then
            ids[#ids + 1] = id
            if ARGV[1] == '1' then
                redis.call('ZREM', running, id)
                redis.call('ZREM', running .. ':' .. (redis.call('HGET', JOB .. id, 'key') or ''), id)
            end
        end
    end
end
return ids
