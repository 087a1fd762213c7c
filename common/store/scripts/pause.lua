-- SPDX-License-Identifier: Apache-2.0
-- Pauses a queue, or resumes it, and tells the workers, also when nothing changes: they may have missed it.
-- KEYS: paused, queues. ARGV: queue, now in ms or '' to resume, 1 if the configuration names the queue, else 0.
-- Returns 1 changed, 0 it was so, -1 no such queue; and since when it is paused, in ms, 0 when it is not.
local paused, queues = KEYS[1], KEYS[2]
local queue, now, is_known = unpack(ARGV)
local since = redis.call('HGET', paused, queue)
if not since and is_known ~= '1' and redis.call('SISMEMBER', queues, queue) == 0 then
    return {-1, 0}
end
local changed = now == '' and redis.call('HDEL', paused, queue) or now ~= '' and redis.call('HSETNX', paused, queue, now)
redis.call('PUBLISH', CONTROL, 'queues')
return {changed, now ~= '' and tonumber(since or now) or 0}
