// SPDX-License-Identifier: Apache-2.0
// A program's own folder, which goes with all that is in it: when its user says so, or, when that
// was killed first, when the next one looks.
//
// A folder is locked (flock(2)) by the descriptor that comes with it, and by each copy of that: a
// warden holds one until nothing of the program is left (process.h). So a folder whose lock is free
// is nobody's, whichever process it was made by and whatever has its number by now.
#ifndef CRESS_WORKER_PROCESS_FOLDER_H
#define CRESS_WORKER_PROCESS_FOLDER_H

#include "common/base/status.h"

#include <stddef.h>

struct cress_folder {
    char *path; /* NULL: none */
    int lock;
};

/* Makes an empty folder that only its owner may enter, in $TMPDIR or /tmp. CRESS_TEMPORARY. */
CRESS_MUST_CHECK enum cress_status cress_folder_make(struct cress_folder *folder,
                                                     struct cress_error *err);

/* Removes it with all that is in it; links are removed, never followed. Nothing else may change it
 * meanwhile. Takes long when there is much: not for the loop's thread. CRESS_IO says what could not
 * be removed. In both cases there is no folder afterwards. */
CRESS_MUST_CHECK enum cress_status cress_folder_remove(struct cress_folder *folder,
                                                       struct cress_error *err);

/* Removes it if nothing is in it, which is quick; else returns false, and it stays. */
bool cress_folder_remove_empty(struct cress_folder *folder);

/* Removes the folders of this user that are nobody's, and returns how many. Not for the loop's
 * thread. */
size_t cress_folder_sweep(void);

#endif
