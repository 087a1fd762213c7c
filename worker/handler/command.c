// SPDX-License-Identifier: Apache-2.0
// Commands; see command.h.
#include "worker/handler/command.h"

#include "common/base/buf.h"
#include "common/base/mem.h"
#include "common/base/text.h"
#include "worker/handler/plugin_command.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- splitting --- */

/* Takes what stands between quotes, from behind the opening one at `*text`, which is moved behind
 * the closing one; false when there is none. */
static bool take_quoted(const char **text, char quote, struct cress_buf *word)
{
    const char *at = *text;
    for (; *at != '\0' && *at != quote; at++) {
        if (quote == '"' && *at == '\\' && at[1] != '\0' && strchr("\"\\$`", at[1])) {
            at++;
        }
        cress_buf_add_char(word, *at);
    }
    *text = at + 1;
    return *at == quote;
}

/* Takes the word that begins at `*text`; false when a quote in it is not closed. */
static bool take_command_word(const char **text, struct cress_buf *word)
{
    while (**text != '\0' && !strchr(" \t\n", **text)) {
        const char c = *(*text)++;
        if (c == '\'' || c == '"') {
            if (!take_quoted(text, c, word)) {
                return false;
            }
        } else if (c == '\\' && **text != '\0') {
            cress_buf_add_char(word, *(*text)++);
        } else {
            cress_buf_add_char(word, c);
        }
    }
    return true;
}

static void append(char ***list, size_t *count, char *word)
{
    *list = cress_realloc_array(*list, *count + 2, sizeof(**list));
    (*list)[(*count)++] = word;
    (*list)[*count] = NULL;
}

enum cress_status cress_command_split(const char *text, char ***words, struct cress_error *err)
{
    char **list = cress_alloc(sizeof(*list));
    size_t count = 0;
    for (const char *at = text + strspn(text, " \t\n"); *at != '\0'; at += strspn(at, " \t\n")) {
        struct cress_buf word = cress_buf_make(SIZE_MAX);
        const bool good = take_command_word(&at, &word);
        append(&list, &count, cress_buf_take(&word));
        if (!good) {
            cress_text_list_free(list);
            return cress_error_set(err, CRESS_CONFIG, NULL, "a quote in the command is not closed");
        }
    }
    if (count == 0) {
        cress_text_list_free(list);
        return cress_error_set(err, CRESS_CONFIG, NULL, "the command is empty");
    }
    *words = list;
    return CRESS_OK;
}

/* --- finding the program --- */

/* The first executable file `name` in the folders of `path`; NULL when there is none. */
static char *search(const char *name, const char *path)
{
    while (true) {
        const size_t size = strcspn(path, ":");
        char *candidate = cress_format("%.*s%s%s", (int)size, path, size ? "/" : "", name);
        if (access(candidate, X_OK) == 0) {
            return candidate;
        }
        free(candidate);
        if (path[size] == '\0') {
            return NULL;
        }
        path += size + 1;
    }
}

/* A job runs in a folder of its own, where a relative path would lead nowhere. Links are kept: some
 * programs look at the name that they were called by. */
static enum cress_status make_absolute(char **program, struct cress_error *err)
{
    const char *path = getenv("PATH");
    char *found = search(*program, strchr(*program, '/') ? "" : path ? path : "/usr/bin:/bin");
    if (!found) {
        return cress_error_set(err, CRESS_CONFIG, "no_program", "there is no program %s%s",
                               *program, strchr(*program, '/') ? "" : " in PATH");
    }
    free(*program);
    *program = found;
    if (*found != '/') {
        char *folder = getcwd(NULL, 0);
        *program = cress_format("%s/%s", folder ? folder : "", found);
        free(folder);
        free(found);
    }
    return CRESS_OK;
}

static char **shell_command(const char *command)
{
    char **words = NULL;
    size_t count = 0;
    append(&words, &count, cress_strdup("/bin/sh"));
    append(&words, &count, cress_strdup("-c"));
    append(&words, &count, cress_strdup(command));
    return words;
}

enum cress_status cress_command_make(const struct cress_task_config *task, char ***argv,
                                     struct cress_error *err)
{
    if (strcmp(task->handler, "plugin") == 0) {
        *argv = cress_plugin_command(task);
        return CRESS_OK;
    }
    if (task->shell && *task->command) {
        *argv = shell_command(task->command);
        return CRESS_OK;
    }
    char **words = NULL;
    enum cress_status status = cress_command_split(task->command, &words, err);
    if (status == CRESS_OK && words) {
        status = make_absolute(&words[0], err);
    }
    if (status != CRESS_OK) {
        cress_text_list_free(words);
        return status;
    }
    *argv = words;
    return CRESS_OK;
}

struct cress_process_limits cress_command_limits(const struct cress_task_config *task)
{
    return (struct cress_process_limits){
        .memory_max_bytes = task->memory_max_bytes,
        .cpu_max_ms = task->cpu_max_ms,
        .files_max = task->files_max,
        .file_size_max_bytes = task->file_size_max_bytes,
        .processes_max = task->processes_max,
    };
}
