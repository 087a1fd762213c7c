-- SPDX-License-Identifier: Apache-2.0
-- Where a job stands that waits for a limit. KEYS: none. ARGV: its task, key or '', id. Returns a JSON object, see
-- cress_store_line(), or nothing when it is in no line. The keys of the store are those of admit.lua.
local base = LIMIT .. ARGV[1]
local line = base .. ':line:' .. ARGV[2]
local ahead = redis.call('ZRANK', line, ARGV[3])
if not ahead then
    return {}
end
return {'{"ahead":' .. ahead .. ',"waiting":' .. redis.call('ZCARD', line) .. ',"running":' ..
    redis.call('ZCOUNT', base .. ':running', whole(redis_now()), '+inf') .. '}'}
