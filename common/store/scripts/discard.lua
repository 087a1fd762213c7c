-- SPDX-License-Identifier: Apache-2.0
-- Takes back a record whose message was refused. KEYS: job.
-- One that others wait for stays: submitting it again publishes it. So does one that was submitted again meanwhile.
local job = KEYS[1]
local state, _, attempt, _, flags = read_status(job)
if (state == 'queued' or state == 'scheduled' or state == 'waiting') and attempt == '0' and not is_awaited(job, flags) and
    redis.call('HEXISTS', job, 'repeated') == 0 then
    local batch = batch_of(job, flags)
    if batch then
        redis.call('HINCRBY', BATCH .. batch, 'total', -1)
        redis.call('LREM', MEMBERS .. batch, -1, id_of(job))
        if is_complete(batch) then -- it was the last that had not ended
            redis.call('RPUSH', AFTER, 'batch ' .. batch)
        end
    end
    each_claim(job, flags, function(claim)
        redis.call('DEL', claim)
    end)
    redis.call('DEL', job, PENDING .. id_of(job))
end
return 1
