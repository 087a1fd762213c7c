-- SPDX-License-Identifier: Apache-2.0
-- A dead letter is about to be sent again. KEYS: job.
-- A failed record is queued from now on, as if no attempt had been made; any other stays as it is. Returns the state
-- before, '' when there is no record.
local job = KEYS[1]
local state, version, attempt, _, flags, started, worker = read_status(job)
if state == 'failed' then
    flags = reopen(job, state, flags, attempt, started, worker)
    set_status(job, 'queued', version, 0, 0, flags, started, worker)
end
return state or ''
