// SPDX-License-Identifier: Apache-2.0
// The servers' clock, as far as this process has been told; see clock.h.
//
// DESIGN
//
// What is kept is the difference between the servers' clock and our own *monotonic* one, so a wall
// clock that is wrong from the start, or steps, does not matter. An answer says what time it was at
// some moment between question and answer: its middle is taken, and half of the time in between is
// how wrong it may be. When our own wall clock lies within that, it is taken instead: the servers of
// one fleet are mostly in step by less than the time that a busy one needs to answer, and what ended
// before something began must not seem to have ended after. The error grows with age, for no two
// clocks run alike; a new answer replaces the one at hand when it is better by now, or when the two
// cannot both be right: then the server's clock was set, or another server has taken over.
#include "common/base/clock.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

/* 200 ms in a thousand seconds: no clock of a computer drifts that much. */
enum { DRIFT_PER_MS = 5000 };

static _Atomic int64_t servers_minus_mono; /* 0: not known; never so otherwise, but for 1970 */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of what follows: answers are rare */
static int64_t error_ms, learnt_mono_ms;

static bool is_better(int64_t difference_ms, int64_t its_error_ms, int64_t mono_ms)
{
    const int64_t known_ms = atomic_load(&servers_minus_mono);
    const int64_t now_error_ms = error_ms + (mono_ms - learnt_mono_ms) / DRIFT_PER_MS + 1;
    const int64_t apart_ms =
        difference_ms > known_ms ? difference_ms - known_ms : known_ms - difference_ms;
    return known_ms == 0 || its_error_ms <= now_error_ms || apart_ms > its_error_ms + now_error_ms;
}

void cress_clock_learn(int64_t servers_ms, int64_t asked_mono_ms, int64_t answered_mono_ms)
{
    const int64_t its_error_ms = (answered_mono_ms - asked_mono_ms) / 2;
    const int64_t middle_ms = servers_ms - (asked_mono_ms + its_error_ms);
    const int64_t own_ms = cress_clock_own_ms() - answered_mono_ms;
    const bool agree = own_ms >= middle_ms - its_error_ms && own_ms <= middle_ms + its_error_ms;
    const int64_t difference_ms = agree ? own_ms : middle_ms;
    pthread_mutex_lock(&lock);
    if (is_better(difference_ms, its_error_ms, answered_mono_ms)) {
        error_ms = its_error_ms;
        learnt_mono_ms = answered_mono_ms;
        atomic_store(&servers_minus_mono, difference_ms);
    }
    pthread_mutex_unlock(&lock);
}

int64_t cress_clock_servers_ms(int64_t mono_ms)
{
    const int64_t difference_ms = atomic_load_explicit(&servers_minus_mono, memory_order_relaxed);
    return difference_ms == 0 ? 0 : mono_ms + difference_ms;
}

int64_t cress_clock_own_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}
