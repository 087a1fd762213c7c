// SPDX-License-Identifier: Apache-2.0
// Fuzz target: JSON text. The check agrees with another parser, but for what that one cannot hold;
// the walk finds every part of what was checked; one line stays the same value.
#include "tests/fuzz/fuzz.h"

#include "common/base/json.h"

#include <jansson.h>
#include <string.h>

enum { FLAGS = JSON_DECODE_ANY | JSON_ALLOW_NUL };

/* Reasons of jansson's for which a text is legal all the same. */
static bool is_beyond_jansson(enum json_error_code code)
{
    return code == json_error_numeric_overflow || code == json_error_null_byte_in_key;
}

/* Half a surrogate pair is a syntax error there. */
static bool has_surrogate_escape(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i + 3 < size; i++) {
        if (data[i] == '\\' && data[i + 1] == 'u' && (data[i + 2] | 0x20) == 'd') {
            return true;
        }
    }
    return false;
}

static void compare(const uint8_t *data, size_t size, bool is_legal)
{
    json_error_t why;
    json_t *parsed = json_loadb((const char *)data, size, FLAGS, &why);
    if (parsed && !memchr(data, '\0', size)) { /* jansson takes a NUL for white space */
        struct cress_json_fault fault = {.reason = ""};
        MUST_HOLD(is_legal || (!cress_json_find_fault((const char *)data, size, NULL, &fault) &&
                               strstr(fault.reason, "nested")));
    } else if (!parsed && is_legal) {
        MUST_HOLD(is_beyond_jansson(json_error_code(&why)) || has_surrogate_escape(data, size));
    }
    json_decref(parsed);
}

/* How many values there are below; every one of them is legal by itself. */
static size_t count_values(struct cress_json container)
{
    struct cress_json_walk walk = cress_json_walk(container);
    struct cress_json name, value;
    size_t count = 0;
    while (cress_json_next(&walk, &name, &value)) {
        MUST_HOLD(value.text >= container.text &&
                  value.text + value.size <= container.text + container.size);
        MUST_HOLD(cress_json_find_fault(value.text, value.size, NULL, NULL));
        if (walk.of_members) {
            struct cress_buf said = cress_buf_make(name.size * 2);
            MUST_HOLD(cress_json_kind(name) == CRESS_JSON_STRING);
            MUST_HOLD(cress_json_add_string(&said, name) && said.size <= name.size);
            cress_buf_free(&said);
        }
        count += 1 + count_values(value);
    }
    return count;
}

static void check_line(struct cress_json value)
{
    struct cress_buf line = cress_buf_make(value.size * 3);
    struct cress_json again;
    MUST_HOLD(cress_json_add_line(&line, value));
    MUST_HOLD(!memchr(line.data, '\n', line.size) && !memchr(line.data, '\r', line.size));
    MUST_HOLD(cress_json_find_fault(line.data, line.size, &again, NULL));
    MUST_HOLD(again.size == line.size && count_values(again) == count_values(value));
    cress_buf_free(&line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cress_json value;
    const bool is_legal = cress_json_find_fault((const char *)data, size, &value, NULL);
    compare(data, size, is_legal);
    if (is_legal && size < 4096) { /* the walk below is quadratic in the depth */
        count_values(value);
        check_line(value);
    }
    return 0;
}
