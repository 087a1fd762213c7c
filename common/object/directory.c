// SPDX-License-Identifier: Apache-2.0
// A directory as an object store: file:///var/www/pages.
//
// A file appears whole or not at all: it is written under a temporary name (.cress-*.tmp) in its
// own directory, synced, renamed, and the directory is synced. Runs on libuv's thread pool.
//
// No key leads out of the directory: "..", "." and empty parts are refused, and so is every
// symbolic link below `base`, by walking down with openat(2) and O_NOFOLLOW. A destination comes
// with the job: who may enqueue may name every directory that the worker may write to, unless
// `publish.roots` is set. The base is then one of those roots, so the rest of the URL's path is
// walked like a key. Content-Type, Cache-Control, Content-Encoding and metadata have no place in a
// file and are not kept; the hash is computed when asked for.

#include "common/base/backoff.h"
#include "common/base/mem.h"
#include "common/base/text.h"
#include "common/base/url.h"
#include "common/object/backend.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DIRECTORY_MODE = 0777, FILE_MODE = 0666 }; /* less the umask */
enum { COPY_CHUNK = 64 * 1024 };

struct directory {
    char *base;
    bool may_make_base; /* not one of publish.roots: those are the operator's to make */
};

static enum cress_status set_errno(struct cress_error *err, int error, const char *what,
                                   const char *path)
{
    enum cress_status status = CRESS_IO;
    switch (error) {
    case ENOSPC:
    case EDQUOT:
        status = CRESS_NO_SPACE;
        break;
    case EACCES:
    case EPERM:
    case EROFS:
        status = CRESS_DENIED;
        break;
    case ENOENT:
        status = CRESS_NOT_FOUND;
        break;
    case ENAMETOOLONG:
    case EISDIR:
    case ENOTDIR:
        status = CRESS_INVALID;
        break;
    default:
        break;
    }
    return cress_error_set(err, status, NULL, "cannot %s %.200s: %s", what, path, strerror(error));
}

/* --- opening --- */

/* Takes repeated slashes and one at the end away. False when a part is "." or "..", or when it is
 * not absolute. */
static bool normalise(char *path)
{
    if (path[0] != '/') {
        return false;
    }
    char *to = path;
    for (const char *from = path; *from;) {
        from += strspn(from, "/");
        size_t length = strcspn(from, "/");
        if (cress_part_is_dots(from, length)) {
            return false;
        }
        if (length > 0) {
            *to++ = '/';
            memmove(to, from, length);
            to += length;
        }
        from += length;
    }
    if (to == path) {
        *to++ = '/';
    }
    *to = '\0';
    return true;
}

/* The directory that a file:// URL names, to be freed; NULL when it is CRESS_INVALID. */
static char *read_path(const char *text, struct cress_error *err)
{
    struct cress_url url;
    if (cress_url_parse(text, &url, err) != CRESS_OK) {
        return NULL;
    }
    char *path = NULL;
    if ((url.host[0] && strcmp(url.host, "localhost") != 0) || !cress_url_decode(url.path) ||
        !normalise(url.path)) {
        cress_error_set(err, CRESS_INVALID, "bad_url",
                        "\"%.200s\" is not a directory here: expected file:///path, without "
                        "host, \".\" and \"..\"",
                        text);
    } else {
        path = cress_strdup(url.path);
    }
    cress_url_free(&url);
    return path;
}

/* What of `path` is below `root`, without a slash at its start; NULL when it is elsewhere. */
static const char *below(const char *path, const char *root)
{
    size_t length = strcmp(root, "/") == 0 ? 0 : strlen(root);
    if (strncmp(path, root, length) != 0 || (path[length] != '/' && path[length] != '\0')) {
        return NULL;
    }
    return path + length + (path[length] == '/');
}

/* The root that `path` is below, to be freed, and the rest in `*rest`; NULL when there is none. */
static char *find_root(char *const *roots, const char *path, const char **rest)
{
    for (size_t i = 0; roots[i]; i++) {
        char *root = cress_strdup(roots[i]);
        *rest = normalise(root) ? below(path, root) : NULL;
        if (*rest) {
            return root;
        }
        free(root);
    }
    return NULL;
}

static enum cress_status directory_open(const struct cress_object_open *how, void **state,
                                        char **prefix, struct cress_error *err)
{
    char *path = read_path(how->url, err);
    if (!path) {
        return CRESS_INVALID;
    }
    char *const *roots = how->config->publish_roots;
    const bool has_roots = roots && roots[0];
    const char *rest = "";
    char *base = has_roots ? find_root(roots, path, &rest) : cress_strdup(path);
    if (!base) {
        cress_error_set(err, CRESS_DENIED, "directory_refused",
                        "%.200s is not below one of publish.roots (CRESS_PUBLISH_ROOTS)", path);
        free(path);
        return CRESS_DENIED;
    }
    struct directory *directory = CRESS_NEW(struct directory);
    directory->base = base;
    directory->may_make_base = !has_roots;
    *prefix = cress_strdup(rest);
    *state = directory;
    free(path);
    return CRESS_OK;
}

static void directory_close(void *state)
{
    struct directory *directory = state;
    free(directory->base);
    free(directory);
}

/* --- walking down --- */

/* mkdir -p */
static enum cress_status make_base(const char *base, struct cress_error *err)
{
    for (size_t end = 1;; end++) {
        end += strcspn(base + end, "/");
        char *path = cress_strndup(base, end);
        enum cress_status status = CRESS_OK;
        if (mkdir(path, DIRECTORY_MODE) != 0 && errno != EEXIST) {
            status = set_errno(err, errno, "make directory", path);
        }
        free(path);
        if (status != CRESS_OK || base[end] == '\0') {
            return status;
        }
    }
}

static enum cress_status open_base(const struct directory *directory, bool make, int *fd,
                                   struct cress_error *err)
{
    *fd = open(directory->base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*fd < 0 && errno == ENOENT && make && directory->may_make_base) {
        enum cress_status status = make_base(directory->base, err);
        if (status != CRESS_OK) {
            return status;
        }
        *fd = open(directory->base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    return *fd >= 0 ? CRESS_OK : set_errno(err, errno, "open directory", directory->base);
}

static bool is_symlink(int parent, const char *name)
{
    struct stat st;
    return fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode);
}

static enum cress_status refuse_symlink(struct cress_error *err, const char *name)
{
    return cress_error_set(err, CRESS_DENIED, "symlink_refused",
                           "\"%.100s\" is a symbolic link: links below a file:// store are not "
                           "followed",
                           name);
}

/* Opens the directory `name` in `parent`, which is closed in any case. */
static enum cress_status step_down(int parent, const char *name, bool make, int *fd,
                                   struct cress_error *err)
{
    enum cress_status status = CRESS_OK;
    if (make && mkdirat(parent, name, DIRECTORY_MODE) == 0) {
        (void)fsync(parent); /* the new entry; a file system that cannot does no harm */
    }
    int down = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (down >= 0) {
        *fd = down;
    } else if (is_symlink(parent, name)) {
        status = refuse_symlink(err, name);
    } else {
        status = set_errno(err, errno, "open directory", name);
    }
    close(parent);
    return status;
}

static enum cress_status check_part(const char *part, size_t length, struct cress_error *err)
{
    if (length == 0 || cress_part_is_dots(part, length)) {
        return cress_error_set(err, CRESS_INVALID, "bad_key",
                               "the key of a file must not begin or end with '/' or hold \"//\", "
                               "\".\" or \"..\" as a part");
    }
    if (length > NAME_MAX) {
        return cress_error_set(err, CRESS_INVALID, "bad_key",
                               "a part of a file's key has at most %d bytes; this one has %zu: "
                               "%.60s...",
                               NAME_MAX, length, part);
    }
    return CRESS_OK;
}

static enum cress_status check_parts(const char *key, struct cress_error *err)
{
    for (const char *part = key;; part++) {
        size_t length = strcspn(part, "/");
        enum cress_status status = check_part(part, length, err);
        part += length;
        if (status != CRESS_OK || *part == '\0') {
            return status;
        }
    }
}

/* The directory that `key` lies in, and the file's name in it. */
static enum cress_status open_parent(const struct directory *directory, const char *key, bool make,
                                     int *fd, const char **leaf, struct cress_error *err)
{
    enum cress_status status = check_parts(key, err);
    if (status != CRESS_OK) {
        return status;
    }
    int at;
    status = open_base(directory, make, &at, err);
    const char *part = key;
    for (size_t n = strcspn(part, "/"); status == CRESS_OK && part[n]; n = strcspn(part, "/")) {
        char *name = cress_strndup(part, n);
        status = step_down(at, name, make, &at, err);
        free(name);
        part += n + 1;
    }
    if (status == CRESS_OK) {
        *fd = at;
        *leaf = part;
    }
    return status;
}

/* --- the three verbs --- */

static enum cress_status write_fully(int fd, const char *data, size_t size, struct cress_error *err)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return set_errno(err, errno, "write", "the file");
        }
        data += n;
        size -= (size_t)n;
    }
    return CRESS_OK;
}

static enum cress_status write_body(int fd, const struct cress_object *object,
                                    struct cress_error *err)
{
    if (object->body) {
        return write_fully(fd, object->body, object->size, err);
    }
    char chunk[COPY_CHUNK];
    enum cress_status status = CRESS_OK;
    for (size_t at = 0; at < object->size && status == CRESS_OK;) {
        size_t n = object->size - at < sizeof chunk ? object->size - at : sizeof chunk;
        status = cress_read_fully(object->fd, chunk, n, at, err);
        if (status == CRESS_OK) {
            status = write_fully(fd, chunk, n, err);
        }
        at += n;
    }
    return status;
}

/* Writes and syncs the temporary file. */
static enum cress_status write_file(int parent, const char *name, const struct cress_object *object,
                                    struct cress_error *err)
{
    int fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);
    if (fd < 0) {
        return set_errno(err, errno, "make file", name);
    }
    enum cress_status status = write_body(fd, object, err);
    if (status == CRESS_OK && fsync(fd) != 0) {
        status = set_errno(err, errno, "sync", name);
    }
    if (close(fd) != 0 && status == CRESS_OK) {
        status = set_errno(err, errno, "close", name);
    }
    return status;
}

static enum cress_status directory_run_put(const struct directory *directory,
                                           const struct cress_object_op *op,
                                           struct cress_error *err)
{
    int parent;
    const char *leaf;
    enum cress_status status = open_parent(directory, op->key, true, &parent, &leaf, err);
    if (status != CRESS_OK) {
        return status;
    }
    char temporary[48];
    snprintf(temporary, sizeof temporary, ".cress-%016llx.tmp", (unsigned long long)cress_random());
    status = write_file(parent, temporary, &op->object, err);
    if (status == CRESS_OK && renameat(parent, temporary, parent, leaf) != 0) {
        status = set_errno(err, errno, "replace", op->key);
    }
    if (status == CRESS_OK && fsync(parent) != 0) {
        status = set_errno(err, errno, "sync the directory of", op->key);
    } else if (status != CRESS_OK) {
        unlinkat(parent, temporary, 0);
    }
    close(parent);
    return status;
}

static enum cress_status describe_file(int fd, const char *leaf, struct cress_object_found *found,
                                       struct cress_error *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return set_errno(err, errno, "read", leaf);
    }
    if (!S_ISREG(st.st_mode)) {
        return cress_error_set(err, CRESS_INVALID, "bad_key", "\"%.200s\" is not a file", leaf);
    }
    struct cress_digest digest;
    enum cress_status status = cress_digest_file(fd, (size_t)st.st_size, &digest, err);
    if (status == CRESS_OK) {
        *found = (struct cress_object_found){.exists = true, .size = st.st_size};
        memcpy(found->sha256, digest.sha256, sizeof found->sha256);
    }
    return status;
}

static enum cress_status directory_run_head(const struct directory *directory,
                                            struct cress_object_op *op, struct cress_error *err)
{
    int parent;
    const char *leaf;
    enum cress_status status = open_parent(directory, op->key, false, &parent, &leaf, err);
    if (status != CRESS_OK) {
        op->found.exists = false;
        return status == CRESS_NOT_FOUND ? CRESS_OK : status;
    }
    /* Non-blocking: opening a fifo would wait for its other end. */
    int fd = openat(parent, leaf, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0) {
        status = describe_file(fd, leaf, &op->found, err);
        close(fd);
    } else if (errno == ENOENT) {
        op->found.exists = false;
    } else if (errno == ELOOP) {
        status = refuse_symlink(err, leaf);
    } else {
        status = set_errno(err, errno, "open", op->key);
    }
    close(parent);
    return status;
}

static enum cress_status directory_run_check(const struct directory *directory,
                                             struct cress_error *err)
{
    int fd;
    enum cress_status status = open_base(directory, false, &fd, err);
    if (status != CRESS_OK) {
        return status;
    }
    if (faccessat(fd, ".", W_OK | X_OK, 0) != 0) {
        status = set_errno(err, errno, "write in", directory->base);
    }
    close(fd);
    return status;
}

static enum cress_status directory_run(struct cress_object_op *op, struct cress_error *err)
{
    const struct directory *directory = op->state;
    switch (op->verb) {
    case CRESS_OBJECT_PUT:
        return directory_run_put(directory, op, err);
    case CRESS_OBJECT_HEAD:
        return directory_run_head(directory, op, err);
    case CRESS_OBJECT_CHECK:
        break;
    }
    return directory_run_check(directory, err);
}

const struct cress_object_backend cress_object_directory = {
    .open = directory_open,
    .close = directory_close,
    .run = directory_run,
};
