-- SPDX-License-Identifier: Apache-2.0
-- The message of a job with claims is safe with the broker. KEYS: job.
local job = KEYS[1]
local _, _, _, _, flags = read_status(job)
if flags then
    each_claim(job, flags, function(claim)
        redis.call('HSET', claim, 'sent', 1)
    end)
end
return 1
