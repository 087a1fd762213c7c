// SPDX-License-Identifier: Apache-2.0
// How long the jobs of a queue take here, and how many are fetched ahead because of that.
//
// What is fetched cannot go to an idle worker, and what is not fetched costs a place the time of its
// way: for jobs of seconds that is nothing, for jobs of microseconds everything. So as many are
// fetched as keep the places busy for a quarter of a second, and no more bytes than memory should hold.
// Pure; not thread-safe.
#ifndef CRESS_WORKER_PACE_H
#define CRESS_WORKER_PACE_H

#include <stddef.h>
#include <stdint.h>

/* All zero: nothing is known yet. */
struct cress_pace {
    int64_t mean_us;    /* of a run, the newest ones counting most */
    int64_t mean_bytes; /* of a message */
    uint64_t runs;
};

/* So many are fetched ahead at most. */
enum { CRESS_PACE_AHEAD_MAX = 2000 };

/* A run has ended after `run_us`. */
void cress_pace_add(struct cress_pace *pace, int64_t run_us, size_t bytes);

/* All places have been taken for `stuck_us`: runs take at least so long. */
void cress_pace_wait(struct cress_pace *pace, int64_t stuck_us);

/* How many deliveries of a priority to have in hand for `places`: at least so many, for each
 * priority alone must be able to fill them. */
int cress_pace_window(const struct cress_pace *pace, int64_t places);

#endif
