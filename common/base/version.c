// SPDX-License-Identifier: Apache-2.0
// Which Cress this is; the build sets both macros.
#include "common/base/version.h"

#include <stdio.h>

#ifndef CRESS_COMMIT
#define CRESS_COMMIT ""
#endif

const char *cress_version(void)
{
    return CRESS_VERSION;
}

const char *cress_commit(void)
{
    return CRESS_COMMIT;
}

void cress_version_print(const char *program)
{
    const char *const commit = cress_commit();
    printf("%s %s%s%s%s\n", program, cress_version(), *commit ? " (" : "", commit,
           *commit ? ")" : "");
}
