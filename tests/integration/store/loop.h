// SPDX-License-Identifier: Apache-2.0
// Running a loop until something is so.
#ifndef CRESS_TESTS_STORE_LOOP_H
#define CRESS_TESTS_STORE_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

/* Returns when `*flag` is true; fails the test after `deadline_ms`. */
void loop_run_until(uv_loop_t *loop, const bool *flag, int64_t deadline_ms);

#endif
