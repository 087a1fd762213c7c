// SPDX-License-Identifier: Apache-2.0
// The command of a task: from its text in the configuration to the argv of a program.
#ifndef CRESS_WORKER_HANDLER_COMMAND_H
#define CRESS_WORKER_HANDLER_COMMAND_H

#include "common/config/config.h"
#include "worker/process/process.h"

/* Splits `text` into words as a shell does (POSIX, XCU 2.2, quoting): blanks separate, ' ' and " "
 * and \ quote. Nothing is expanded; an operator or a $ is a character like any other. `*words` ends
 * with NULL; free it with cress_text_list_free(). CRESS_CONFIG: no word, or an open quote. */
CRESS_MUST_CHECK enum cress_status cress_command_split(const char *text, char ***words,
                                                       struct cress_error *err);

/* The argv of `task`'s program: its words, or /bin/sh -c COMMAND for shell = yes. The first is an
 * absolute path, looked up in PATH when it has no slash. Freed as above. CRESS_CONFIG when there is
 * no such program. */
CRESS_MUST_CHECK enum cress_status cress_command_make(const struct cress_task_config *task,
                                                      char ***argv, struct cress_error *err);

/* What `task` allows its program. */
struct cress_process_limits cress_command_limits(const struct cress_task_config *task);

#endif
