// SPDX-License-Identifier: Apache-2.0
// Folders of jobs; see folder.h.
//
// DESIGN. A job may have made a tree as deep as it likes, deeper than descriptors, the stack or
// PATH_MAX reach. So removing does not descend: what a subfolder holds besides files is moved up
// into the top folder, under a number, and then has its turn there. No more than two descriptors
// are open and no path is longer than a name.
#include "worker/handler/folder.h"

#include "common/base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum cress_status cress_folder_make(char **path, struct cress_error *err)
{
    const char *top = getenv("TMPDIR");
    char *made = cress_format("%s/cress-job-XXXXXX", top && *top ? top : "/tmp");
    if (!mkdtemp(made)) {
        cress_error_set(err, CRESS_TEMPORARY, "no_folder", "cannot make a folder %s: %s", made,
                        strerror(errno));
        free(made);
        return CRESS_TEMPORARY;
    }
    *path = made;
    return CRESS_OK;
}

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

enum cress_status cress_folder_remove(const char *path, struct cress_error *err)
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
