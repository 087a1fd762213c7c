-- SPDX-License-Identifier: Apache-2.0
-- A worker says goodbye. KEYS: report, workers. ARGV: name.
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
return 1
