// SPDX-License-Identifier: Apache-2.0
// All that a program has left behind, however it tried to get away.
#ifndef CRESS_WORKER_PROCESS_FAMILY_H
#define CRESS_WORKER_PROCESS_FAMILY_H

/* Kills all descendants of this process that can be seen now. Of them those are its children later
 * whose parents have died: kill and reap until no child is left. Async-signal-safe. */
void cress_family_kill(void);

#endif
