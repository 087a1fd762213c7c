// SPDX-License-Identifier: Apache-2.0
// How a request to an object store ended, for the tests that make some.
#ifndef CRESS_TESTS_UNIT_OBJECT_END_H
#define CRESS_TESTS_UNIT_OBJECT_END_H

#include "common/object/object.h"
#include "tests/unit/unit.h"

#include <stdio.h>

struct end {
    int64_t size;
    int calls;
    struct cress_error err;
    bool exists;
    char type[64];
    char sha256[CRESS_SHA256_TEXT_SIZE];
};

static inline void done_cb(const struct cress_error *err, void *arg)
{
    struct end *end = arg;
    end->calls++;
    end->err = err ? *err : (struct cress_error){.status = CRESS_OK};
}

static inline void head_cb(const struct cress_object_info *info, const struct cress_error *err,
                           void *arg)
{
    struct end *end = arg;
    done_cb(err, arg);
    if (info) {
        end->exists = info->exists;
        end->size = info->size;
        snprintf(end->type, sizeof end->type, "%s", info->content_type ? info->content_type : "");
        snprintf(end->sha256, sizeof end->sha256, "%s", info->sha256 ? info->sha256 : "");
    }
}

static inline void assert_good(const struct end *end)
{
    if (end->err.status != CRESS_OK) {
        fail_msg("%s: %s", end->err.code, end->err.message);
    }
}

static inline void assert_failed(const struct end *end, enum cress_status status, const char *code)
{
    if (end->err.status != status || (code && strcmp(end->err.code, code) != 0)) {
        fail_msg("%s %s: %s", cress_status_word(end->err.status), end->err.code, end->err.message);
    }
}

#endif
