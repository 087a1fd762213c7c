// SPDX-License-Identifier: Apache-2.0
// A strict reading of an HTTP/1 request head, before the HTTP library sees it.
//
// libh2o 2.2.5 is lenient where leniency lets requests be smuggled past a proxy (two Content-Length
// fields, a Content-Length beside a Transfer-Encoding, bare line feeds), and answers what it
// refuses with a plain text 400. Pure functions; any thread.
#ifndef CRESS_GATEWAY_HEAD_H
#define CRESS_GATEWAY_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The largest head, its largest first line and the most fields (libh2o's own limit). */
enum { CRESS_HEAD_MAX_BYTES = 16384, CRESS_HEAD_MAX_TARGET = 8192, CRESS_HEAD_MAX_FIELDS = 100 };

enum cress_head_verdict { CRESS_HEAD_PARTIAL, CRESS_HEAD_COMPLETE, CRESS_HEAD_REFUSED };

struct cress_head {
    size_t size;            /* of the head, the empty line included */
    int64_t content_length; /* 0: no body, or chunked */
    bool chunked;
    int status; /* when refused: what to answer, and why */
    const char *code;
    const char *detail;
};

/* Judges the head that `bytes` begin with, by RFC 9112. */
enum cress_head_verdict cress_head_check(const char *bytes, size_t size, struct cress_head *head);

#endif
