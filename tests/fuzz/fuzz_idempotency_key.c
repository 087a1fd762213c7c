// SPDX-License-Identifier: Apache-2.0
// Fuzz target: the header Idempotency-Key. A key that is accepted is one that a job may have, and
// reads the same when it comes again in quotes.
#include "tests/fuzz/fuzz.h"

#include "common/job/job.h"
#include "producer/gateway/params.h"

#include <string.h>

static void check_key(const char *key)
{
    char quoted[2 * CRESS_IDEMPOTENCY_KEY_SIZE + 2] = "\"";
    char again[CRESS_IDEMPOTENCY_KEY_SIZE];
    size_t size = 1;
    for (const char *at = key; *at; at++) {
        if (*at == '"' || *at == '\\') {
            quoted[size++] = '\\';
        }
        quoted[size++] = *at;
    }
    quoted[size++] = '"';
    quoted[size] = '\0';
    MUST_HOLD(cress_unique_is_valid(key));
    MUST_HOLD(cress_params_idempotency_key(quoted, again, NULL) == CRESS_OK);
    MUST_HOLD(strcmp(again, key) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char key[CRESS_IDEMPOTENCY_KEY_SIZE];
    struct cress_error err = {0};
    char *header = strndup((const char *)data, size);
    if (cress_params_idempotency_key(header, key, &err) == CRESS_OK) {
        check_key(key);
    } else {
        MUST_HOLD(err.status == CRESS_MALFORMED);
    }
    free(header);
    return 0;
}
