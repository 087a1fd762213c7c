-- SPDX-License-Identifier: Apache-2.0
-- Appends to the log of an attempt. One that has its full size stays as it is: an earlier run of the same attempt, whose
-- worker died, may have begun it. The one script that must not run twice: whoever appends does not try again.
-- KEYS: log, job. ARGV: text, size in bytes from which on it is full, TTL in ms (0: for ever), attempt, worker.
-- A worker that has lost the attempt to another writes no more: see change.lua.
local _, _, last, _, _, _, runner = read_status(KEYS[2])
if last == ARGV[4] and runner ~= ARGV[5] then
    return
end
if redis.call('STRLEN', KEYS[1]) < tonumber(ARGV[2]) then
    redis.call('APPEND', KEYS[1], ARGV[1])
end
if ARGV[3] ~= '0' then
    redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
