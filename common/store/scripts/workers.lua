-- SPDX-License-Identifier: Apache-2.0
-- The reports of the workers that are alive. KEYS: workers.
local reports = {}
for _, name in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
    local report = redis.call('GET', WORKER .. name)
    if report then
        reports[#reports + 1] = report
    end
end
return reports
