// SPDX-License-Identifier: Apache-2.0
// Files and standard input; see input.h.
//
// DESIGN
//
//   pipe, terminal, socket: uv_poll says when read(2) has something     regular file: uv_fs_read on a pool thread
//                    \________________  take_lines() -> on_line()  _______________/
//
// Nothing is read while lines are left that nobody wants yet, so a slow broker slows the reader
// down. A pipe that we make non-blocking is shared with other processes: its flags are put back at
// the end.
#include "producer/cli/input.h"

#include "common/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK_BYTES = 64 * 1024 };

static enum cress_status refuse_line(const char *path, int number, struct cress_error *err)
{
    const enum cress_status status = number == ENOENT   ? CRESS_NOT_FOUND
                                     : number == EACCES ? CRESS_DENIED
                                                        : CRESS_IO;
    return cress_error_set(err, status, NULL, "cannot read %s: %s",
                           strcmp(path, "-") == 0 ? "standard input" : path, strerror(number));
}

enum cress_status cress_input_open(const char *path, int *fd, struct cress_error *err)
{
    const int opened =
        strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    if (opened < 0) {
        return refuse_line(path, errno, err);
    }
    struct stat info;
    if (fstat(opened, &info) == 0 && S_ISDIR(info.st_mode)) {
        close(opened);
        return refuse_line(path, EISDIR, err);
    }
    *fd = opened;
    return CRESS_OK;
}

enum cress_status cress_input_read(const char *path, struct cress_buf *out, struct cress_error *err)
{
    int fd = -1;
    enum cress_status status = cress_input_open(path, &fd, err);
    if (status != CRESS_OK) {
        return status;
    }
    char *chunk = cress_alloc(CHUNK_BYTES);
    ssize_t size;
    while ((size = read(fd, chunk, CHUNK_BYTES)) != 0) {
        if (size < 0 && errno == EINTR) {
            continue;
        }
        if (size < 0) {
            status = refuse_line(path, errno, err);
            break;
        }
        if (!cress_buf_add(out, chunk, (size_t)size)) {
            status =
                cress_error_set(err, CRESS_TOO_LARGE, NULL, "%s is larger than %zu bytes",
                                strcmp(path, "-") == 0 ? "standard input" : path, out->max_bytes);
            break;
        }
    }
    free(chunk);
    close(fd);
    return status;
}

enum cress_status cress_input_json(const char *operand, struct cress_buf *room,
                                   struct cress_json *value, struct cress_error *err)
{
    const char *text = operand;
    size_t size = strlen(operand);
    if (strcmp(operand, "-") == 0 || operand[0] == '@') {
        if (cress_input_read(operand + (operand[0] == '@'), room, err) != CRESS_OK) {
            return err->status;
        }
        text = cress_buf_text(room);
        size = room->size;
    }
    struct cress_error why;
    if (cress_json_check(text, size, value, &why) == CRESS_OK) {
        return CRESS_OK;
    }
    if (strspn(text, " \t\r\n") == size) {
        return cress_error_set(err, CRESS_MALFORMED, "bad_json",
                               "the payload is empty; leave it out for null");
    }
    return cress_error_set(err, CRESS_MALFORMED, "bad_json",
                           "the payload is not JSON: %s; a text needs its quotes: '\"hello\"'",
                           why.message);
}

/* --- line by line --- */

struct cress_input_lines {
    struct cress_input_lines_options options;
    uv_loop_t *loop;
    int fd;
    int fd_flags;   /* as they were */
    bool is_polled; /* uv_poll can watch it */
    uv_poll_t poll;
    uv_fs_t request;
    bool reading; /* `request` is under way */
    uv_buf_t target;

    char *data; /* capacity max_bytes + CHUNK_BYTES, reached step by step */
    size_t capacity, start, end;
    size_t searched; /* no line end in data[start, searched) */
    int64_t number, bytes_read, bytes_total;
    bool paused, skipping, input_ended, ended, taking, closed;
    struct cress_error failure;
};

static void read_more_input(struct cress_input_lines *lines);

static void release_input(struct cress_input_lines *lines)
{
    close(lines->fd);
    free(lines->data);
    free(lines);
}

/* Hands a line over. Its CR, if there is one, belongs to its end. */
static void give_line(struct cress_input_lines *lines, size_t size)
{
    const char *line = lines->data + lines->start;
    const bool has_cr = size > 0 && line[size - 1] == '\r';
    lines->number++;
    const bool too_long = lines->skipping || size > lines->options.max_bytes;
    lines->skipping = false;
    lines->paused = !lines->options.on_line(too_long ? NULL : line, size - has_cr, lines->number,
                                            lines->options.arg);
}

/* Gives lines until there is none complete or nobody wants more. */
static void take_lines(struct cress_input_lines *lines)
{
    lines->taking = true;
    while (!lines->paused && !lines->ended &&
           (lines->start < lines->end || (lines->input_ended && lines->skipping))) {
        char *from = lines->data + lines->searched;
        char *newline = memchr(from, '\n', lines->end - lines->searched);
        if (newline) {
            give_line(lines, (size_t)(newline - lines->data) - lines->start);
            lines->start = lines->searched = (size_t)(newline - lines->data) + 1;
            continue;
        }
        lines->searched = lines->end;
        if (!lines->input_ended) {
            break;
        }
        give_line(lines, lines->end - lines->start); /* the last line has no end */
        lines->start = lines->end;
    }
    lines->taking = false;
}

static void go_on_reading(struct cress_input_lines *lines)
{
    take_lines(lines);
    if (lines->ended || lines->paused) {
        return;
    }
    if (lines->input_ended) {
        lines->ended = true;
        lines->options.on_end(lines->failure.status ? &lines->failure : NULL, lines->options.arg);
        return;
    }
    read_more_input(lines);
}

static void on_input_read(struct cress_input_lines *lines, ssize_t size, const char *problem)
{
    if (size > 0) {
        lines->end += (size_t)size;
        lines->bytes_read += size;
    } else {
        lines->input_ended = true;
        if (size < 0) {
            cress_error_set(&lines->failure, CRESS_IO, NULL, "reading stopped after line %lld: %s",
                            (long long)lines->number, problem);
        }
    }
    go_on_reading(lines);
}

static void on_file_read(uv_fs_t *request)
{
    struct cress_input_lines *lines = request->data;
    const ssize_t size = request->result;
    uv_fs_req_cleanup(request);
    lines->reading = false;
    if (lines->closed) {
        release_input(lines);
        return;
    }
    on_input_read(lines, size, size < 0 ? uv_strerror((int)size) : "");
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    (void)events;
    struct cress_input_lines *lines = poll->data;
    uv_poll_stop(poll);
    if (status < 0) {
        on_input_read(lines, status, uv_strerror(status));
        return;
    }
    const ssize_t size = read(lines->fd, lines->target.base, lines->target.len);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) {
        read_more_input(lines);
        return;
    }
    on_input_read(lines, size, size < 0 ? strerror(errno) : "");
}

/* Makes room for a chunk behind what is left. A line that is too long is forgotten as it comes. */
static void make_line_room(struct cress_input_lines *lines)
{
    if (lines->end - lines->start > lines->options.max_bytes) {
        lines->skipping = true;
        lines->start = lines->end;
    }
    if (lines->start > 0) {
        memmove(lines->data, lines->data + lines->start, lines->end - lines->start);
        lines->end -= lines->start;
        lines->start = 0;
    }
    lines->searched = lines->end;
    if (lines->end + CHUNK_BYTES > lines->capacity) {
        lines->capacity = lines->end * 2 + CHUNK_BYTES;
        lines->data = cress_realloc_array(lines->data, lines->capacity, 1);
    }
}

static void read_more_input(struct cress_input_lines *lines)
{
    make_line_room(lines);
    lines->target = uv_buf_init(lines->data + lines->end, CHUNK_BYTES);
    if (lines->is_polled) {
        uv_poll_start(&lines->poll, UV_READABLE, on_readable);
        return;
    }
    lines->reading = true;
    lines->request.data = lines;
    const int rc =
        uv_fs_read(lines->loop, &lines->request, lines->fd, &lines->target, 1, -1, on_file_read);
    if (rc < 0) {
        lines->reading = false;
        on_input_read(lines, rc, uv_strerror(rc));
    }
}

struct cress_input_lines *cress_input_lines_open(uv_loop_t *loop, int fd,
                                                 const struct cress_input_lines_options *options)
{
    struct cress_input_lines *lines = CRESS_NEW(struct cress_input_lines);
    *lines = (struct cress_input_lines){.options = *options, .loop = loop, .fd = fd};
    lines->fd_flags = fcntl(fd, F_GETFL);
    struct stat info;
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) {
        lines->bytes_total = info.st_size;
    }
    /* Not for regular files and the like, which never make one wait for long. */
    lines->is_polled = uv_poll_init(loop, &lines->poll, fd) == 0;
    lines->poll.data = lines;
    read_more_input(lines);
    return lines;
}

void cress_input_lines_resume(struct cress_input_lines *lines)
{
    if (lines->paused && !lines->ended) {
        lines->paused = false;
        /* From within on_line() the loop that called it goes on by itself. */
        if (!lines->taking && !lines->reading) {
            go_on_reading(lines);
        }
    }
}

static void on_poll_closed(uv_handle_t *handle)
{
    release_input(handle->data);
}

void cress_input_lines_stop(struct cress_input_lines *lines)
{
    lines->ended = true;
}

void cress_input_lines_close(struct cress_input_lines *lines)
{
    cress_input_lines_stop(lines);
    lines->closed = true;
    if (lines->is_polled) {
        fcntl(lines->fd, F_SETFL, lines->fd_flags);
        uv_close((uv_handle_t *)&lines->poll, on_poll_closed);
    } else if (!lines->reading) {
        release_input(lines);
    }
}

void cress_input_lines_position(const struct cress_input_lines *lines, int64_t *read_bytes,
                                int64_t *total_bytes)
{
    *read_bytes = lines->bytes_read - (int64_t)(lines->end - lines->start);
    *total_bytes = lines->bytes_total;
}
