// SPDX-License-Identifier: Apache-2.0
// Which object key a page is stored under: a total function of its URL, the same for every object
// store.
//
//   https://site/                      index.html
//   https://site/blog/                 blog/index.html
//   https://site/blog                  blog/index.html   (no extension: a directory)
//   https://site/a/page.html           a/page.html
//   https://site/list?page=2           list/index.html?page=2
//   https://site/caf%C3%A9             café/index.html   (decoded where that loses nothing)
//   https://site/a/../../b//c.css      b/c.css           (dot segments: RFC 3986, 5.2.4)
//
// Scheme, host, port and fragment do not matter: one site goes to one prefix. What is kept as %XX
// (upper case): control characters, bytes that are not UTF-8, / ? % and \ - so that different pages
// keep different keys. Two spellings that differ only in a trailing slash or in empty or dot
// segments share a key. A key never begins with /, has no empty segment, and no segment is . or ..
// ; a segment over CRESS_KEY_SEGMENT_MAX bytes or a key over CRESS_KEY_MAX is cut at a character
// and ends in ~ and 32 hexadecimal digits of its SHA-256 (and its extension).
//
// Pure functions; any thread.
#ifndef CRESS_WORKER_RENDER_KEYMAP_H
#define CRESS_WORKER_RENDER_KEYMAP_H

#include "common/base/status.h"

enum { CRESS_KEY_SEGMENT_MAX = 200, CRESS_KEY_MAX = 800 };

/* The key of `url`, to be freed. CRESS_INVALID "bad_url" for what is no absolute http or https URL,
 * or has a user in it. */
CRESS_MUST_CHECK enum cress_status cress_key_from_url(const char *url, char **key,
                                                      struct cress_error *err);

#endif
