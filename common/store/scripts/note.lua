-- SPDX-License-Identifier: Apache-2.0
-- What a running attempt says about itself: progress and log. Nothing is written for one that is over.
-- KEYS: job. ARGV: attempt, worker, then fields and values.
local job = KEYS[1]
local state, version, last, crashes, flags, started, runner = read_status(job)
if state == 'running' and last == ARGV[1] and runner == ARGV[2] then
    set_status(job, state, version, last, crashes, flags, started, runner, unpack(ARGV, 3))
end
