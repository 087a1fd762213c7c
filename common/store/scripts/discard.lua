-- SPDX-License-Identifier: Apache-2.0
-- Takes back a record whose message was refused. KEYS: job.
local job = KEYS[1]
local state, _, attempt, _, flags = read_status(job)
if (state == 'queued' or state == 'scheduled') and attempt == '0' then
    local batch = batch_of(job, flags)
    if batch then
        redis.call('HINCRBY', BATCH .. batch, 'total', -1)
    end
    each_claim(job, flags, function(claim)
        redis.call('DEL', claim)
    end)
    redis.call('DEL', job)
end
return 1
