// SPDX-License-Identifier: Apache-2.0
// URLs taken apart (RFC 3986, section 3 and appendix B). Pure functions; any thread.
#ifndef CRESS_BASE_URL_H
#define CRESS_BASE_URL_H

#include "common/base/status.h"

#include <stdbool.h>

enum { CRESS_URL_MAX = 8192 };

/* The parts of a URL as they were written, nothing decoded. All point into one block, `memory`. */
struct cress_url {
    char *memory;
    char *scheme;   /* lower case */
    char *userinfo; /* NULL: none */
    char *host;     /* lower case; an IPv6 address without its brackets; may be "" (file:///) */
    int port;       /* 0: none given */
    char *path;     /* with its leading slash, or "" */
    char *query;    /* without the question mark; NULL: none */
};

/* Reads an absolute URL with an authority ("scheme://…"); a fragment is dropped. CRESS_INVALID
 * "bad_url" says what is wrong: no scheme, blanks or control characters, a bad port, longer than
 * CRESS_URL_MAX. Free with cress_url_free(). */
CRESS_MUST_CHECK enum cress_status cress_url_parse(const char *text, struct cress_url *url,
                                                   struct cress_error *err);
void cress_url_free(struct cress_url *url);

/* The URLs that `text` stands for when its authority names several hosts, separated by commas:
 * "amqp://u:p@a,b:1/v" is "amqp://u:p@a/v" and "amqp://u:p@b:1/v". At least one, which need not be
 * a usable URL; an empty host stays. Free with cress_text_list_free(). */
char **cress_url_hosts(const char *text);

/* The byte that the escape %XX at `text` stands for; -1 when there is no escape. */
int cress_url_escape_value(const char *text);

/* Decodes %XX in place. False, and the text untouched, when an escape is broken or stands for
 * NUL. */
bool cress_url_decode(char *text);

#endif
