// SPDX-License-Identifier: Apache-2.0
// The configuration file, read by inih.
//
// DESIGN. inih calls read_line() for each line and then take_pair() for each key. It neither says
// which line a key stands on, nor reports empty sections, and it silently cuts lines and section
// names that are too long. So read_line() counts and checks the lines and takes the section headers
// itself; inih takes keys and values apart. Either may fail; then no line is read any more, and the
// first fault is the one reported.
#include "common/config/option.h"

#include "common/base/mem.h"
#include "common/base/text.h"

#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_NAME_MAX = 200 };

struct parse {
    struct cress_config *config;
    FILE *file;
    const char *name;
    int line; /* the last one read, from 1 */
    bool indented;
    const char *section;    /* of the table; NULL in a named one, and before the first */
    enum cress_kind kind;   /* of the named section; CRESS_KIND_COUNT: in none */
    size_t named;           /* its index */
    struct cress_slot last; /* of the last key in this section; no option: none yet */
    bool failed;
    struct cress_error error;
};

static bool fail_line(struct parse *parse, const char *format, ...) CRESS_PRINTF(2, 3);

static bool fail_line(struct parse *parse, const char *format, ...)
{
    char message[CRESS_ERROR_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    cress_error_set(&parse->error, CRESS_CONFIG, NULL, "%s:%d: %s", parse->name, parse->line,
                    message);
    parse->failed = true;
    return false;
}

/* --- sections --- */

enum { SECTION_MAX = CRESS_OPTION_COUNT + CRESS_KIND_COUNT };

/* The distinct sections of the table, in its order, NULL at the end. */
static void list_sections(const char *sections[SECTION_MAX + 1])
{
    size_t n = 0;
    for (size_t i = 0; i < CRESS_OPTION_COUNT; i++) {
        if (n == 0 || strcmp(sections[n - 1], cress_options[i].section) != 0) {
            sections[n++] = cress_options[i].section;
        }
    }
    for (enum cress_kind kind = 0; kind < CRESS_KIND_COUNT; kind++) {
        sections[n++] = cress_kinds[kind].header;
    }
    sections[n] = NULL;
}

/* `name` is what follows the word of `kind`. */
static bool begin_named_section(struct parse *parse, enum cress_kind kind, const char *name)
{
    const struct cress_kind_table *table = &cress_kinds[kind];
    const size_t size = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                     "0123456789._-");
    const bool is_other = table->other_name && strcmp(name, table->other_name) == 0;
    if (!is_other && (size == 0 || size > table->name_max || name[size] != '\0')) {
        return fail_line(parse, "[%s %s]: a %s's name is 1 to %zu of A-Z a-z 0-9 . _ -",
                         table->word, name, table->word, table->name_max);
    }
    parse->kind = kind;
    parse->named = cress_config_add(parse->config, kind, name);
    return true;
}

static bool begin_section(struct parse *parse, const char *name)
{
    const size_t word = strcspn(name, " \t");
    for (enum cress_kind kind = 0; name[word] && kind < CRESS_KIND_COUNT; kind++) {
        if (strncmp(name, cress_kinds[kind].word, word) == 0 && !cress_kinds[kind].word[word]) {
            return begin_named_section(parse, kind, name + word + strspn(name + word, " \t"));
        }
    }
    const char *sections[SECTION_MAX + 1];
    list_sections(sections);
    for (size_t i = 0; sections[i]; i++) {
        if (strcmp(sections[i], name) == 0) {
            parse->section = sections[i];
            return true;
        }
    }
    const char *closest = cress_text_closest(name, sections);
    if (closest) {
        return fail_line(parse, "unknown section [%s], did you mean [%s]?", name, closest);
    }
    char *all = cress_words_join(sections, " and ");
    fail_line(parse, "unknown section [%s]; there are %s", name, all);
    free(all);
    return false;
}

/* `text` begins with a bracket. */
static bool take_header(struct parse *parse, const char *text)
{
    parse->section = NULL;
    parse->kind = CRESS_KIND_COUNT;
    parse->last.option = NULL;
    const char *end = strchr(text, ']');
    if (!end) {
        return fail_line(parse, "the section's ] is missing");
    }
    const char *rest = end + 1 + strspn(end + 1, " \t\r");
    if (*rest != '\0' && *rest != ';' && *rest != '#') {
        return fail_line(parse, "nothing but a comment may follow the section's ]");
    }
    text += 1 + strspn(text + 1, " \t");
    while (end > text && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }
    char *name = cress_strndup(text, (size_t)(end - text));
    const bool good = begin_section(parse, name);
    free(name);
    return good;
}

/* --- lines --- */

static bool take_line(struct parse *parse, const char *line)
{
    static const char byte_order_mark[] = "\xEF\xBB\xBF";
    if (parse->line == 1 && cress_text_starts_with(line, byte_order_mark)) {
        line += sizeof(byte_order_mark) - 1;
    }
    const char *text = line + strspn(line, " \t\r\v\f");
    parse->indented = text > line;
    if (*text == '\0' || *text == '#' || *text == ';') {
        return true;
    }
    if (parse->indented && !parse->last.option) {
        return fail_line(parse,
                         "an indented line continues the list or JSON above it, but there is none");
    }
    return *text == '[' && !parse->indented ? take_header(parse, text) : true;
}

/* inih's reader: like fgets(), but one whole line, or none. */
static char *read_line(char *line, int size, void *arg)
{
    struct parse *parse = arg;
    if (parse->failed) {
        return NULL;
    }
    parse->line++;
    int length = 0;
    int c;
    while ((c = getc(parse->file)) != EOF && c != '\n') {
        if (c == '\0') {
            fail_line(parse, "NUL bytes have no place in a text file");
            return NULL;
        }
        if (length == size - 2) {
            fail_line(parse, "longer than %d bytes; a list or JSON may go on in an indented line",
                      size - 2);
            return NULL;
        }
        line[length++] = (char)c;
    }
    if (c == EOF && length == 0) {
        return NULL;
    }
    line[length] = '\0';
    return take_line(parse, line) ? line : NULL;
}

/* --- keys --- */

/* The kind of the section that is being read; without options when it has no name. */
static const struct cress_kind_table *current_kind(const struct parse *parse)
{
    static const struct cress_kind_table none;
    return parse->kind < CRESS_KIND_COUNT ? &cress_kinds[parse->kind] : &none;
}

static bool find_key(struct parse *parse, const char *key, struct cress_slot *slot)
{
    const struct cress_kind_table *kind = current_kind(parse);
    for (size_t i = 0; i < kind->option_count; i++) {
        if (strcmp(kind->options[i].key, key) == 0) {
            *slot = cress_config_named_slot(parse->config, parse->kind, parse->named, i);
            return true;
        }
    }
    for (size_t i = 0; parse->section && i < CRESS_OPTION_COUNT; i++) {
        if (strcmp(cress_options[i].section, parse->section) == 0 &&
            strcmp(cress_options[i].key, key) == 0) {
            *slot = cress_config_slot(parse->config, i);
            return true;
        }
    }
    return false;
}

static bool refuse_key(struct parse *parse, const char *key)
{
    const struct cress_kind_table *kind = current_kind(parse);
    const char *keys[CRESS_OPTION_COUNT + 1] = {NULL}; /* more than any section has */
    size_t n = 0;
    for (size_t i = 0; i < kind->option_count; i++) {
        keys[n++] = kind->options[i].key;
    }
    for (size_t i = 0; parse->section && i < CRESS_OPTION_COUNT; i++) {
        if (strcmp(cress_options[i].section, parse->section) == 0) {
            keys[n++] = cress_options[i].key;
        }
    }
    if (n == 0) {
        return fail_line(parse, "%s: stands before the first [section]", key);
    }
    const char *section = parse->section ? parse->section : kind->word;
    const char *closest = cress_text_closest(key, keys);
    if (closest) {
        return fail_line(parse, "%s.%s: unknown key, did you mean %s?", section, key, closest);
    }
    char *all = cress_words_join(keys, " and ");
    fail_line(parse, "%s.%s: unknown key; there are %s", section, key, all);
    free(all);
    return false;
}

static bool assign(struct parse *parse, const struct cress_slot *slot, const char *value)
{
    char origin[FILE_NAME_MAX];
    snprintf(origin, sizeof(origin), "%s:%d", parse->name, parse->line);
    parse->failed = cress_slot_set(slot, value, origin, &parse->error) != CRESS_OK;
    parse->last = *slot;
    return !parse->failed;
}

/* How much of a continuation stands before its comment, which inih 55 leaves in. */
static int size_without_comment(const char *text)
{
    int size = 0;
    while (text[size] && !(text[size] == ';' && size > 0 && strchr(" \t", text[size - 1]))) {
        size++;
    }
    while (size > 0 && strchr(" \t", text[size - 1])) {
        size--;
    }
    return size;
}

static bool continue_value(struct parse *parse, const char *more)
{
    const struct cress_slot slot = parse->last;
    const bool is_list = slot.option->type == CRESS_TYPE_LIST;
    if (!is_list && slot.option->type != CRESS_TYPE_JSON) {
        return fail_line(
            parse, "an indented line continues the line above, but %s is neither list nor JSON",
            slot.option->key);
    }
    char *old = cress_slot_format(&slot, false);
    char *whole =
        cress_format(is_list ? "%s,%.*s" : "%s %.*s", old, size_without_comment(more), more);
    const bool good = assign(parse, &slot, whole);
    free(old);
    free(whole);
    return good;
}

static int take_pair(void *arg, const char *section, const char *key, const char *value)
{
    (void)section; /* cut at 49 bytes: see the top */
    struct parse *parse = arg;
    if (parse->indented && parse->last.option) {
        return continue_value(parse, value);
    }
    struct cress_slot slot;
    if (!find_key(parse, key, &slot)) {
        return refuse_key(parse, key);
    }
    if (cress_slot_is_set(&slot)) {
        return fail_line(parse, "%s: is set already by %s", key, *slot.origin);
    }
    return assign(parse, &slot, value);
}

enum cress_status cress_config_read(struct cress_config *config, FILE *file, const char *name,
                                    struct cress_error *err)
{
    struct parse parse = {.config = config, .file = file, .name = name, .kind = CRESS_KIND_COUNT};
    const int fault = ini_parse_stream(read_line, &parse, take_pair, &parse);
    if (ferror(file)) {
        return cress_error_set(err, CRESS_CONFIG, NULL, "%s: %s", name, strerror(errno));
    }
    /* inih's own complaint, unless that is only the line that take_pair() refused. */
    if (fault > 0 && (!parse.failed || fault < parse.line)) {
        return cress_error_set(err, CRESS_CONFIG, NULL, "%s:%d: expected [section] or key = value",
                               name, fault);
    }
    if (parse.failed && err) {
        *err = parse.error;
    }
    return parse.failed ? CRESS_CONFIG : CRESS_OK;
}
