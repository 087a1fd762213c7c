// SPDX-License-Identifier: Apache-2.0
// What the parts of `cress doctor` share: the checks, and who judges them.
//
// DESIGN
// The checks run side by side, each with --connect-timeout; the first verdict on a check counts. All
// is printed together, in order, when none is pending. Judgements are pure functions, in
// doctor_judge.c; doctor_broker.c, doctor_store.c and doctor_management.c gather what they need.
#ifndef CRESS_CLI_DOCTOR_H
#define CRESS_CLI_DOCTOR_H

#include "common/http/http.h"
#include "common/store/health.h"
#include "producer/cli/cli.h"

#include <jansson.h>

enum cress_doctor_word {
    CRESS_DOCTOR_PENDING,
    CRESS_DOCTOR_OK,
    CRESS_DOCTOR_SKIP, /* nothing was looked at, because nobody said where */
    CRESS_DOCTOR_WARN, /* it works, and something should be done */
    CRESS_DOCTOR_FAIL, /* jobs are not taken, do not run, or can be lost */
};

enum cress_doctor_check {
#define CRESS_CHECK(name, word) CRESS_CHECK_##name,
#include "producer/cli/doctor_checks.def"
#undef CRESS_CHECK
    CRESS_CHECK_COUNT
};

enum { CRESS_DOCTOR_TEXT_MAX = CRESS_ERROR_MESSAGE_MAX + 512 };

/* What is said of a check: what, why it matters, what to do. */
struct cress_finding {
    enum cress_doctor_word word;
    char text[CRESS_DOCTOR_TEXT_MAX];
};

struct cress_doctor;

/* Only the first verdict on `check` counts. */
void cress_doctor_judge(struct cress_doctor *doctor, enum cress_doctor_check check,
                        enum cress_doctor_word word, const char *format, ...) CRESS_PRINTF(4, 5);
void cress_doctor_find(struct cress_doctor *doctor, enum cress_doctor_check check,
                       const struct cress_finding *finding);

struct cress_cli *cress_doctor_cli(struct cress_doctor *doctor);
/* The client of all that is asked over HTTP. */
struct cress_http *cress_doctor_http(struct cress_doctor *doctor);
bool cress_doctor_is_pending(const struct cress_doctor *doctor, enum cress_doctor_check check);

/* --- looking: called every few milliseconds until the checks have verdicts --- */

void cress_doctor_look_at_broker(struct cress_doctor *doctor, int64_t took_ms);
void cress_doctor_look_at_store(struct cress_doctor *doctor, int64_t took_ms);

/* Once. */
void cress_doctor_look_at_management(struct cress_doctor *doctor);

/* --- judging: pure --- */

void cress_doctor_judge_memory(const struct cress_store_health *health,
                               struct cress_finding *finding);
void cress_doctor_judge_persistence(const struct cress_store_health *health,
                                    struct cress_finding *finding);

/* By answers of RabbitMQ's management API: its check of alarms, and arrays of queues and policies. */
void cress_doctor_judge_alarms(const json_t *health, struct cress_finding *finding);
void cress_doctor_judge_policies(const json_t *queues, const json_t *policies,
                                 const json_t *operator_policies, struct cress_finding *finding);

#endif
