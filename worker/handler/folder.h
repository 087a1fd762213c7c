// SPDX-License-Identifier: Apache-2.0
// A job's own folder, which goes with all that is in it.
#ifndef CRESS_WORKER_HANDLER_FOLDER_H
#define CRESS_WORKER_HANDLER_FOLDER_H

#include "common/base/status.h"

/* Makes an empty folder that only its owner may enter, in $TMPDIR or /tmp. The caller frees the
 * path. */
CRESS_MUST_CHECK enum cress_status cress_folder_make(char **path, struct cress_error *err);

/* Removes it with all that is in it; links are removed, never followed. Nothing else may change it
 * meanwhile. Takes long when there is much: not for the loop's thread. CRESS_IO says what could not
 * be removed. */
CRESS_MUST_CHECK enum cress_status cress_folder_remove(const char *path, struct cress_error *err);

#endif
