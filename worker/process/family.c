// SPDX-License-Identifier: Apache-2.0
// The end of all descendants of a process; see family.h. Nothing here may allocate, lock or use
// stdio.
#define _GNU_SOURCE /* getdents64 */
#include "worker/process/family.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

enum { FAMILY_MAX = 32768 }; /* processes looked at in one pass; the next pass sees the others */

/* The parent of process `name` by /proc/<name>/stat, "pid (any text) state ppid …"; 0 when it is
 * gone. */
static pid_t parent_of(int proc, const char *name)
{
    char text[512];
    const int folder = openat(proc, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
    const int fd = openat(folder, "stat", O_RDONLY | O_CLOEXEC);
    const ssize_t size = read(fd, text, sizeof text - 1);
    close(fd);
    close(folder);
    text[size > 0 ? size : 0] = '\0';
    const char *at = strrchr(text, ')');
    pid_t parent = 0;
    for (at = at && strlen(at) > 4 ? at + 4 : ""; *at >= '0' && *at <= '9'; at++) {
        parent = parent * 10 + (*at - '0');
    }
    return parent;
}

static pid_t to_pid(const char *name)
{
    pid_t pid = 0;
    for (; *name >= '0' && *name <= '9'; name++) {
        pid = pid * 10 + (*name - '0');
    }
    return *name == '\0' ? pid : 0;
}

struct relation {
    pid_t pid, parent;
    bool ours;
};

static size_t list_processes(struct relation *all)
{
    size_t count = 0;
    char room[8192] __attribute__((aligned(8)));
    const int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ssize_t size;
    while (proc >= 0 && (size = getdents64(proc, room, sizeof room)) > 0) {
        for (ssize_t at = 0; at < size;) {
            const struct dirent64 *entry = (const void *)(room + at);
            const pid_t pid = to_pid(entry->d_name);
            if (pid > 0 && count < FAMILY_MAX) {
                all[count++] =
                    (struct relation){.pid = pid, .parent = parent_of(proc, entry->d_name)};
            }
            at += entry->d_reclen;
        }
    }
    if (proc >= 0) {
        close(proc);
    }
    return count;
}

/* Marks those whose parent is the warden or marked already. True: the pass has found some. */
static bool mark_children(struct relation *all, size_t count, pid_t self)
{
    bool found = false;
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; !all[i].ours && j < count; j++) {
            all[i].ours = all[i].parent == self || (all[j].ours && all[j].pid == all[i].parent);
            found |= all[i].ours;
        }
    }
    return found;
}

void cress_family_kill(void)
{
    static struct relation all[FAMILY_MAX];
    const pid_t self = getpid();
    const size_t count = list_processes(all);
    while (mark_children(all, count, self)) {
    }
    for (size_t i = 0; i < count; i++) {
        if (all[i].ours) {
            kill(all[i].pid, SIGKILL);
        }
    }
}
