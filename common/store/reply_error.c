// SPDX-License-Identifier: Apache-2.0
// Error replies of Redis; see reply_error.h.
#include "common/store/reply_error.h"

#include "common/base/mem.h"
#include "common/base/text.h"

#include <string.h>

static bool begins_with_word(const char *text, const char *word)
{
    const size_t size = strlen(word);
    return strncmp(text, word, size) == 0 && (text[size] == ' ' || text[size] == '\0');
}

/* Old versions of Redis wrap the error of a command that a script calls: "ERR Error running script
 * …: -OOM …". */
bool cress_reply_is_error(const char *text, const char *word)
{
    if (begins_with_word(text, word)) {
        return true;
    }
    for (const char *at = strchr(text, '-'); at; at = strchr(at + 1, '-')) {
        if (begins_with_word(at + 1, word)) {
            return true;
        }
    }
    return false;
}

static bool is_denial(const char *text)
{
    static const char *const denials[] = {
        "NOAUTH ",  "WRONGPASS ", "NOPERM ", "ERR invalid password", "ERR Client sent AUTH",
        "ERR AUTH "};
    for (size_t i = 0; i < CRESS_COUNT(denials); i++) {
        if (cress_text_starts_with(text, denials[i])) {
            return true;
        }
    }
    return false;
}

static bool will_pass(const char *text)
{
    static const char *const passing[] = {"LOADING",    "READONLY", "MASTERDOWN",
                                          "MISCONF",    "BUSY",     "NOSCRIPT",
                                          "NOREPLICAS", "TRYAGAIN", "CLUSTERDOWN"};
    for (size_t i = 0; i < CRESS_COUNT(passing); i++) {
        if (cress_reply_is_error(text, passing[i])) {
            return true;
        }
    }
    return false;
}

void cress_reply_error(const char *label, const char *text, struct cress_error *err)
{
    if (is_denial(text)) {
        cress_error_set(err, CRESS_DENIED, "store_denied",
                        "Redis at %s refuses us: %s; check user and password in store.url", label,
                        text);
    } else if (cress_reply_is_error(text, "OOM")) {
        cress_error_set(
            err, CRESS_UNAVAILABLE, "store_full",
            "Redis at %s is out of memory: %s; raise its maxmemory or shorten store.ttl", label,
            text);
    } else {
        const bool passes = will_pass(text);
        cress_error_set(err, passes ? CRESS_UNAVAILABLE : CRESS_INTERNAL,
                        passes ? "store_unavailable" : "store_error", "Redis at %s: %s", label,
                        text);
    }
}
