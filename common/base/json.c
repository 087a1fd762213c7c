// SPDX-License-Identifier: Apache-2.0
// JSON text as it is; see json.h.
//
// The check is a loop over tokens with one bit a level, which says whether an object or an array is
// open; it is the only thing that each payload passes, so strings are read eight bytes at a time.
// The walk trusts what the check has seen: it looks for quotes and brackets only.
#include "common/base/json.h"

#include "common/base/text.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* --- the check --- */

struct checker {
    const char *at, *end;
    const char *reason; /* of the fault at `at`; NULL: none yet */
    size_t depth;
    uint64_t objects[CRESS_JSON_DEPTH_MAX / 64]; /* by level: an object, or an array */
};

static bool refuse(struct checker *checker, const char *reason)
{
    checker->reason = reason;
    return false;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* The next byte, or NUL at the end: a NUL is legal nowhere, so nobody takes it for a part. */
static char peek(const struct checker *checker)
{
    return checker->at < checker->end ? *checker->at : '\0';
}

static void skip_space(struct checker *checker)
{
    while (checker->at < checker->end && is_space(*checker->at)) {
        checker->at++;
    }
}

/* Whether one of eight bytes is a control character, a quote, a backslash or not ASCII. A borrow
 * from one byte to the next cannot hide one: it comes from a byte that is one itself. */
static bool has_special(const char *at)
{
    static const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t x;
    memcpy(&x, at, sizeof x);
    const uint64_t special =
        x | (x - ones * 0x20) | ((x ^ (ones * '"')) - ones) | ((x ^ (ones * '\\')) - ones);
    return (special & (ones * 0x80)) != 0;
}

/* Behind a backslash. */
static bool check_escape(struct checker *checker)
{
    const char c = peek(checker);
    if (c == '\0' || !strchr("\"\\/bfnrtu", c)) {
        return refuse(checker, "unknown escape in a string");
    }
    checker->at++;
    for (int digits = c == 'u' ? 4 : 0; digits > 0; digits--) {
        if (!is_hex(peek(checker))) {
            return refuse(checker, "expected four hexadecimal digits after \\u");
        }
        checker->at++;
    }
    return true;
}

/* One character of a string, or its closing quote: `*closed`. */
static bool check_character(struct checker *checker, bool *closed)
{
    if (checker->at == checker->end) {
        return refuse(checker, "the text ends within a string");
    }
    const unsigned char c = (unsigned char)*checker->at;
    if (c == '"' || c == '\\') {
        checker->at++;
        *closed = c == '"';
        return *closed || check_escape(checker);
    }
    if (c < 0x20) {
        return refuse(checker, "control character in a string; it must be escaped");
    }
    const size_t length =
        c < 0x80 ? 1 : cress_text_utf8_length(checker->at, (size_t)(checker->end - checker->at));
    checker->at += length;
    return length > 0 || refuse(checker, "invalid UTF-8");
}

/* Behind the opening quote. */
static bool check_string(struct checker *checker)
{
    bool closed = false;
    while (!closed) {
        while (checker->end - checker->at >= 8 && !has_special(checker->at)) {
            checker->at += 8;
        }
        if (!check_character(checker, &closed)) {
            return false;
        }
    }
    return true;
}

static bool check_digits(struct checker *checker)
{
    if (!is_digit(peek(checker))) {
        return refuse(checker, "expected a digit");
    }
    while (is_digit(peek(checker))) {
        checker->at++;
    }
    return true;
}

static bool check_number(struct checker *checker)
{
    checker->at += peek(checker) == '-';
    if (peek(checker) == '0') {
        checker->at++;
        if (is_digit(peek(checker))) {
            return refuse(checker, "a number cannot begin with 0 and another digit");
        }
    } else if (!check_digits(checker)) {
        return false;
    }
    if (peek(checker) == '.') {
        checker->at++;
        if (!check_digits(checker)) {
            return false;
        }
    }
    if (peek(checker) != 'e' && peek(checker) != 'E') {
        return true;
    }
    checker->at++;
    checker->at += peek(checker) == '+' || peek(checker) == '-';
    return check_digits(checker);
}

static bool check_word(struct checker *checker, const char *word)
{
    const size_t size = strlen(word);
    if ((size_t)(checker->end - checker->at) < size || memcmp(checker->at, word, size) != 0) {
        return refuse(checker, "expected a value");
    }
    checker->at += size;
    return true;
}

/* What is neither array nor object. */
static bool check_scalar(struct checker *checker)
{
    const char c = peek(checker);
    switch (c) {
    case '"':
        checker->at++;
        return check_string(checker);
    case 't':
        return check_word(checker, "true");
    case 'f':
        return check_word(checker, "false");
    case 'n':
        return check_word(checker, "null");
    default:
        return c == '-' || is_digit(c) ? check_number(checker)
                                       : refuse(checker, "expected a value");
    }
}

static bool is_in_object(const struct checker *checker)
{
    const size_t level = checker->depth - 1;
    return (checker->objects[level / 64] >> (level % 64) & 1) != 0;
}

static bool open_level(struct checker *checker)
{
    if (checker->depth == CRESS_JSON_DEPTH_MAX) {
        static_assert(CRESS_JSON_DEPTH_MAX == 512, "the text says so");
        return refuse(checker, "nested deeper than 512 levels");
    }
    const size_t level = checker->depth++;
    const uint64_t bit = UINT64_C(1) << (level % 64);
    if (*checker->at == '{') {
        checker->objects[level / 64] |= bit;
    } else {
        checker->objects[level / 64] &= ~bit;
    }
    checker->at++;
    return true;
}

/* A member's name and the colon, if it is in an object. */
static bool check_name(struct checker *checker)
{
    if (!is_in_object(checker)) {
        return true;
    }
    if (peek(checker) != '"') {
        return refuse(checker, "expected a name in quotes");
    }
    checker->at++;
    if (!check_string(checker)) {
        return false;
    }
    skip_space(checker);
    if (peek(checker) != ':') {
        return refuse(checker, "expected ':'");
    }
    checker->at++;
    skip_space(checker);
    return true;
}

/* Behind a value: closes what ends here, and goes on to the next value, if there is one. */
static bool check_end_of_value(struct checker *checker)
{
    while (checker->depth > 0) {
        skip_space(checker);
        const bool in_object = is_in_object(checker);
        const char c = peek(checker);
        if (c == ',') {
            checker->at++;
            skip_space(checker);
            return check_name(checker);
        }
        if (c != (in_object ? '}' : ']')) {
            return refuse(checker, in_object ? "expected ',' or '}'" : "expected ',' or ']'");
        }
        checker->at++;
        checker->depth--;
    }
    return true;
}

/* Opens an array or an object and goes on to its first value; `*empty` when there is none. */
static bool check_opening(struct checker *checker, bool *empty)
{
    if (!open_level(checker)) {
        return false;
    }
    skip_space(checker);
    *empty = peek(checker) == (is_in_object(checker) ? '}' : ']');
    return *empty || check_name(checker);
}

static bool check_value(struct checker *checker)
{
    do {
        const char c = peek(checker);
        bool empty = false;
        const bool is_nested = c == '{' || c == '[';
        if (!(is_nested ? check_opening(checker, &empty) : check_scalar(checker))) {
            return false;
        }
        if (is_nested && !empty) {
            continue;
        }
        if (!check_end_of_value(checker)) {
            return false;
        }
    } while (checker->depth > 0);
    return true;
}

static bool check_text(struct checker *checker, struct cress_json *value)
{
    skip_space(checker);
    const char *start = checker->at;
    if (start == checker->end) {
        return refuse(checker, "the text is empty");
    }
    if (checker->end - start >= 3 && memcmp(start, "\xEF\xBB\xBF", 3) == 0) {
        return refuse(checker, "the text begins with a byte order mark");
    }
    if (!check_value(checker)) {
        return false;
    }
    const char *end = checker->at;
    skip_space(checker);
    if (checker->at < checker->end) {
        return refuse(checker, "something follows the value");
    }
    *value = (struct cress_json){.text = start, .size = (size_t)(end - start)};
    return true;
}

bool cress_json_find_fault(const char *text, size_t size, struct cress_json *value,
                           struct cress_json_fault *fault)
{
    static const char nothing[] = "";
    const char *start = size > 0 ? text : nothing;
    struct checker checker;
    checker.at = start;
    checker.end = start + size;
    checker.reason = NULL;
    checker.depth = 0; /* levels are written before they are read */
    struct cress_json found;
    if (!check_text(&checker, &found)) {
        if (fault) {
            *fault = (struct cress_json_fault){.reason = checker.reason,
                                               .offset = (size_t)(checker.at - start)};
        }
        return false;
    }
    if (value) {
        *value = found;
    }
    return true;
}

enum cress_status cress_json_check(const char *text, size_t size, struct cress_json *value,
                                   struct cress_error *err)
{
    struct cress_json_fault fault;
    if (cress_json_find_fault(text, size, value, &fault)) {
        return CRESS_OK;
    }
    size_t line = 1, column = 1;
    for (size_t i = 0; i < fault.offset; i++) {
        if (text[i] == '\n') {
            line++;
            column = 1;
        } else {
            column += ((unsigned char)text[i] & 0xC0) != 0x80;
        }
    }
    return cress_error_set(err, CRESS_MALFORMED, "bad_json", "line %zu, column %zu: %s", line,
                           column, fault.reason);
}

bool cress_json_is_valid(const char *text)
{
    return text && cress_json_find_fault(text, strlen(text), NULL, NULL);
}

/* --- the walk --- */

enum cress_json_kind cress_json_kind(struct cress_json value)
{
    switch (value.text[0]) {
    case '{':
        return CRESS_JSON_OBJECT;
    case '[':
        return CRESS_JSON_ARRAY;
    case '"':
        return CRESS_JSON_STRING;
    case 't':
    case 'f':
        return CRESS_JSON_BOOL;
    case 'n':
        return CRESS_JSON_NULL;
    default:
        return CRESS_JSON_NUMBER;
    }
}

struct cress_json_walk cress_json_walk(struct cress_json container)
{
    const enum cress_json_kind kind = cress_json_kind(container);
    const bool is_container = kind == CRESS_JSON_OBJECT || kind == CRESS_JSON_ARRAY;
    return (struct cress_json_walk){.at = container.text + 1,
                                    .end = is_container ? container.text + container.size - 1
                                                        : container.text + 1,
                                    .of_members = kind == CRESS_JSON_OBJECT};
}

/* The end of the string that begins at `at`. */
static const char *string_end(const char *at)
{
    for (at++; *at != '"'; at++) {
        at += *at == '\\';
    }
    return at + 1;
}

/* The end of the value that begins at `at`; `end` is that of what contains it. */
static const char *value_end(const char *at, const char *end)
{
    size_t depth = 0;
    do {
        if (*at == '"') {
            at = string_end(at);
        } else if (*at == '{' || *at == '[') {
            depth++;
            at++;
        } else if (*at == '}' || *at == ']') {
            depth--;
            at++;
        } else if (depth > 0) {
            at++;
        } else {
            while (at < end && *at != ',' && !is_space(*at)) {
                at++;
            }
        }
    } while (depth > 0);
    return at;
}

static const char *skip_between(const char *at, const char *end)
{
    while (at < end && (is_space(*at) || *at == ',' || *at == ':')) {
        at++;
    }
    return at;
}

bool cress_json_next(struct cress_json_walk *walk, struct cress_json *name,
                     struct cress_json *value)
{
    const char *at = skip_between(walk->at, walk->end);
    if (at == walk->end) {
        walk->at = at;
        return false;
    }
    if (walk->of_members) {
        const char *end = string_end(at);
        if (name) {
            *name = (struct cress_json){.text = at, .size = (size_t)(end - at)};
        }
        at = skip_between(end, walk->end);
    }
    walk->at = value_end(at, walk->end);
    *value = (struct cress_json){.text = at, .size = (size_t)(walk->at - at)};
    return true;
}

bool cress_json_member(struct cress_json object, const char *name, struct cress_json *value)
{
    struct cress_json_walk walk = cress_json_walk(object);
    struct cress_json found, at;
    bool is_there = false;
    while (walk.of_members && cress_json_next(&walk, &found, &at)) {
        if (cress_json_is(found, name)) {
            *value = at;
            is_there = true;
        }
    }
    return is_there;
}

/* --- what values say --- */

static unsigned hex4(const char *digits)
{
    unsigned number = 0;
    for (int i = 0; i < 4; i++) {
        const char c = digits[i];
        number = number * 16 + (unsigned)(is_digit(c) ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return number;
}

static size_t put_utf8(char *to, unsigned code)
{
    if (code < 0x80) {
        to[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        to[0] = (char)(0xC0 | code >> 6);
        to[1] = (char)(0x80 | (code & 0x3F));
        return 2;
    }
    if (code < 0x10000) {
        to[0] = (char)(0xE0 | code >> 12);
        to[1] = (char)(0x80 | (code >> 6 & 0x3F));
        to[2] = (char)(0x80 | (code & 0x3F));
        return 3;
    }
    to[0] = (char)(0xF0 | code >> 18);
    to[1] = (char)(0x80 | (code >> 12 & 0x3F));
    to[2] = (char)(0x80 | (code >> 6 & 0x3F));
    to[3] = (char)(0x80 | (code & 0x3F));
    return 4;
}

/* The character whose escape begins with the `u` at `*at`, which moves behind it. */
static unsigned escaped_character(const char **at, const char *end)
{
    unsigned code = hex4(*at + 1);
    *at += 5;
    if (code >= 0xD800 && code <= 0xDBFF && end - *at >= 6 && (*at)[0] == '\\' && (*at)[1] == 'u') {
        const unsigned low = hex4(*at + 2);
        if (low >= 0xDC00 && low <= 0xDFFF) {
            *at += 6;
            return 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        }
    }
    return code >= 0xD800 && code <= 0xDFFF ? 0xFFFD : code;
}

/* Writes what the escape at `at`, behind its backslash, says; returns its end. */
static const char *put_escape(const char *at, const char *end, char to[4], size_t *size)
{
    static const char letters[] = "bfnrt";
    static const char meanings[] = "\b\f\n\r\t";
    if (*at == 'u') {
        *size = put_utf8(to, escaped_character(&at, end));
        return at;
    }
    const char *letter = strchr(letters, *at);
    to[0] = letter ? meanings[letter - letters] : *at;
    *size = 1;
    return at + 1;
}

bool cress_json_add_string(struct cress_buf *out, struct cress_json value)
{
    if (cress_json_kind(value) != CRESS_JSON_STRING) {
        return false;
    }
    const char *at = value.text + 1;
    const char *end = value.text + value.size - 1;
    bool fits = true;
    while (fits && at < end) {
        const char *escape = memchr(at, '\\', (size_t)(end - at));
        const char *plain_end = escape ? escape : end;
        fits = cress_buf_add(out, at, (size_t)(plain_end - at));
        at = plain_end;
        if (fits && escape) {
            char character[4];
            size_t size;
            at = put_escape(at + 1, end, character, &size);
            fits = cress_buf_add(out, character, size);
        }
    }
    return fits;
}

bool cress_json_is(struct cress_json value, const char *word)
{
    if (cress_json_kind(value) != CRESS_JSON_STRING) {
        return false;
    }
    const size_t size = strlen(word);
    if (!memchr(value.text, '\\', value.size)) {
        return value.size == size + 2 && memcmp(value.text + 1, word, size) == 0;
    }
    struct cress_buf said = cress_buf_make(size); /* what is longer is another word */
    const bool is = cress_json_add_string(&said, value) && said.size == size &&
                    memcmp(cress_buf_text(&said), word, size) == 0;
    cress_buf_free(&said);
    return is;
}

bool cress_json_int(struct cress_json value, int64_t *number)
{
    char digits[24];
    if (cress_json_kind(value) != CRESS_JSON_NUMBER || value.size >= sizeof digits) {
        return false;
    }
    memcpy(digits, value.text, value.size);
    digits[value.size] = '\0';
    return cress_text_to_int(digits, number);
}

/* --- lines --- */

/* Whether a character that is hostile to eyes also ends a line for some readers. */
static bool ends_a_line(unsigned code)
{
    return code == 0x85 || code == 0x2028 || code == 0x2029;
}

/* What stands for the character at `at`; NULL when it stays. CR and LF are never within a string:
 * there the check refuses them. */
static const char *line_escape(const char *at, const char *end, bool for_eyes, char room[8],
                               size_t *length)
{
    unsigned code = 0;
    *length = 1;
    if ((unsigned char)*at >= ' ' && (unsigned char)*at < 0x7F) {
        return NULL;
    }
    const size_t hostile = cress_text_hostile_length(at, (size_t)(end - at), &code);
    if (code == '\n' || code == '\r' || code == '\t') {
        return code == '\t' ? NULL : " ";
    }
    if (hostile == 0 || (!for_eyes && !ends_a_line(code))) {
        return NULL;
    }
    *length = hostile;
    snprintf(room, 8, "\\u%04x", code);
    return room;
}

static bool add_line(struct cress_buf *out, struct cress_json value, bool for_eyes)
{
    const char *end = value.text + value.size;
    const char *plain = value.text; /* where what stays as it is began */
    bool fits = true;
    for (const char *at = plain; fits && at < end;) {
        char room[8];
        size_t length;
        const char *instead = line_escape(at, end, for_eyes, room, &length);
        if (instead) {
            fits =
                cress_buf_add(out, plain, (size_t)(at - plain)) && cress_buf_add_text(out, instead);
            plain = at + length;
        }
        at += length;
    }
    return fits && cress_buf_add(out, plain, (size_t)(end - plain));
}

bool cress_json_add_line(struct cress_buf *out, struct cress_json value)
{
    return add_line(out, value, false);
}

bool cress_json_add_visible(struct cress_buf *out, struct cress_json value)
{
    return add_line(out, value, true);
}
