// SPDX-License-Identifier: Apache-2.0
// Which Cress this is.
#ifndef CRESS_BASE_VERSION_H
#define CRESS_BASE_VERSION_H

#include "include/cress/error.h"

CRESS_API const char *cress_version(void); /* "0.1.0" */
const char *cress_commit(void); /* abbreviated git commit, "" when built outside a checkout */

/* What a program answers to --version, on stdout: "cress-worker 0.1.0 (1b8e3e5c0ffe)". */
void cress_version_print(const char *program);

#endif
