-- SPDX-License-Identifier: Apache-2.0
-- How jobs have ended, one JSON text each; see store.h. KEYS: jobs.
local outcomes = {}
for i, job in ipairs(KEYS) do
    local state = read_status(job)
    local field = state == 'succeeded' and 'result' or 'error'
    local value = state and redis.call('HGET', job, field)
    outcomes[i] = outcome(job, state, value and field or '', value)
end
return outcomes
