// SPDX-License-Identifier: Apache-2.0
// Folders of programs; see folder.h.
//
// DESIGN. A program may have made a tree as deep as it likes, deeper than descriptors, the stack or
// PATH_MAX reach. So removing does not descend: what a subfolder holds besides files is moved up
// into the top folder, under a number, and then has its turn there. No more than two descriptors
// are open and no path is longer than a name.
#define _DEFAULT_SOURCE /* flock */
#include "worker/process/folder.h"

#include "common/base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* No other name in a folder of temporary files looks like it. */
#define PREFIX "cress-run-"
enum {
    SUFFIX_LENGTH = 6, /* of mkdtemp(3) */
    ATTEMPTS = 3,      /* that a sweep of another process may have come between */
};

static const char *top_path(void)
{
    const char *top = getenv("TMPDIR");
    return top && *top ? top : "/tmp";
}

/* --- making one --- */

/* Whether the lock is ours now, and `path` still that folder: a sweep may have found it before it
 * was locked. */
static bool lock_folder(int fd, const char *path)
{
    struct stat locked, named;
    return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &locked) == 0 &&
           lstat(path, &named) == 0 && locked.st_ino == named.st_ino &&
           locked.st_dev == named.st_dev;
}

static bool make_locked(char *path, int *lock)
{
    if (!mkdtemp(path)) {
        return false;
    }
    *lock = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock_folder(*lock, path)) {
        return true;
    }
    const int fault = errno;
    rmdir(path);
    if (*lock >= 0) {
        close(*lock);
    }
    errno = fault;
    return false;
}

enum cress_status cress_folder_make(struct cress_folder *folder, struct cress_error *err)
{
    char *path = NULL;
    int lock = -1;
    bool made = false;
    for (int i = 0; i < ATTEMPTS && !made; i++) {
        free(path);
        path = cress_format("%s/" PREFIX "XXXXXX", top_path());
        made = make_locked(path, &lock);
    }
    if (!made) {
        cress_error_set(err, CRESS_TEMPORARY, "no_folder", "cannot make a folder %s: %s", path,
                        strerror(errno));
        free(path);
        return CRESS_TEMPORARY;
    }
    *folder = (struct cress_folder){.path = path, .lock = lock};
    return CRESS_OK;
}

/* --- removing one --- */

static bool is_entry(const char *name)
{
    return strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static bool is_folder(int parent, const char *name)
{
    struct stat info;
    return fstatat(parent, name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(info.st_mode);
}

/* Folders that the job has closed to its own user are opened again: its files can then be removed,
 * and its ".." changed. */
static bool unlock(int parent, const char *name)
{
    return is_folder(parent, name) && fchmodat(parent, name, S_IRWXU, 0) == 0;
}

static DIR *open_folder(int parent, const char *name)
{
    if (!unlock(parent, name)) {
        return NULL;
    }
    const int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    if (fd >= 0 && !folder) {
        close(fd);
    }
    return folder;
}

/* Moves a folder up into `top`, under the next number that is free there. */
static bool move_up(int folder, const char *name, int top, unsigned long *number)
{
    char moved[32];
    struct stat unused;
    do {
        snprintf(moved, sizeof moved, "%lu", (*number)++);
    } while (fstatat(top, moved, &unused, AT_SYMLINK_NOFOLLOW) == 0);
    return unlock(folder, name) && renameat(folder, name, top, moved) == 0;
}

static bool remove_folder(int top, const char *name, unsigned long *number)
{
    DIR *folder = open_folder(top, name);
    if (!folder) {
        return false;
    }
    bool good = true;
    const struct dirent *entry;
    while (good && (entry = readdir(folder))) {
        good = !is_entry(entry->d_name) || unlinkat(dirfd(folder), entry->d_name, 0) == 0 ||
               move_up(dirfd(folder), entry->d_name, top, number);
    }
    closedir(folder);
    return good && unlinkat(top, name, AT_REMOVEDIR) == 0;
}

/* A pass need not see what moved up while it ran: the last one is that which finds nothing. */
static bool empty(DIR *top)
{
    unsigned long number = 0;
    bool found = true;
    while (found) {
        found = false;
        rewinddir(top);
        const struct dirent *entry;
        while ((entry = readdir(top))) {
            if (!is_entry(entry->d_name)) {
                continue;
            }
            found = true;
            if (unlinkat(dirfd(top), entry->d_name, 0) != 0 &&
                !remove_folder(dirfd(top), entry->d_name, &number)) {
                return false;
            }
        }
    }
    return true;
}

static enum cress_status remove_path(const char *path, struct cress_error *err)
{
    DIR *top = open_folder(AT_FDCWD, path);
    const bool good = top && empty(top);
    const int fault = errno;
    if (top) {
        closedir(top);
    }
    if (!good || rmdir(path) != 0) {
        return cress_error_set(err, CRESS_IO, NULL, "cannot remove the folder %s: %s", path,
                               strerror(good ? errno : fault));
    }
    return CRESS_OK;
}

static void forget_folder(struct cress_folder *folder)
{
    close(folder->lock);
    free(folder->path);
    *folder = (struct cress_folder){.lock = -1};
}

enum cress_status cress_folder_remove(struct cress_folder *folder, struct cress_error *err)
{
    const enum cress_status status = remove_path(folder->path, err);
    forget_folder(folder);
    return status;
}

bool cress_folder_remove_empty(struct cress_folder *folder)
{
    if (rmdir(folder->path) != 0) {
        return false;
    }
    forget_folder(folder);
    return true;
}

/* --- removing what is nobody's --- */

/* A folder of ours by name, kind and owner: in a folder of temporary files, others can make
 * anything. */
static bool is_ours(int top, const char *name)
{
    struct stat info;
    return strncmp(name, PREFIX, sizeof PREFIX - 1) == 0 &&
           strlen(name) == sizeof PREFIX - 1 + SUFFIX_LENGTH &&
           fstatat(top, name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(info.st_mode) &&
           info.st_uid == geteuid();
}

static bool sweep_one(int top, const char *name)
{
    const int fd = openat(top, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    char *path = cress_format("%s/%s", top_path(), name);
    struct cress_error ignored; /* it will be tried again */
    const bool removed = lock_folder(fd, path) && remove_path(path, &ignored) == CRESS_OK;
    free(path);
    if (fd >= 0) {
        close(fd);
    }
    return removed;
}

size_t cress_folder_sweep(void)
{
    DIR *top = opendir(top_path());
    size_t count = 0;
    const struct dirent *entry;
    while (top && (entry = readdir(top))) {
        count += is_ours(dirfd(top), entry->d_name) && sweep_one(dirfd(top), entry->d_name);
    }
    if (top) {
        closedir(top);
    }
    return count;
}
