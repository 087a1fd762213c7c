// SPDX-License-Identifier: Apache-2.0
// Time zones: TZif files in memory; see zone.h.
//
// A file is a block for version 1, with times of 32 bits, which is skipped, and then, from version
// 2 on, one with times of 64 bits and the rule for all later times:
//
//   header | data | header | times[8] types[1] kinds[6] names leaps[12] std[1] ut[1] | \n rule \n
//
// A kind is an offset, whether that is daylight saving, and where its name begins. Only the offset
// matters here.
#include "common/schedule/zone.h"

#include "common/base/buf.h"
#include "common/base/mem.h"
#include "common/schedule/zone_rule.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FILE_MAX_BYTES = 256 * 1024, /* the largest of the tz database has less than 4 KiB */
    CHANGES_MAX = 8192,          /* … and less than 300 changes */
    HEADER_BYTES = 44,
    TIME_BYTES = 8,
    KIND_BYTES = 6,
    LEAP_BYTES = 12,
    KINDS_MAX = 256,
    OFFSET_MAX_S = 26 * 3600, /* RFC 8536, 3.2 */
};

/* The tz database begins at -2^59, before the Big Bang; what is further off could overflow. */
#define TIME_MAX_S (INT64_C(1) << 60)

#define FOLDER "/usr/share/zoneinfo"

struct change {
    int64_t at_s;
    int64_t offset_s; /* from then on */
};

struct cress_zone {
    int64_t first_s; /* the offset before the first change */
    struct change *changes;
    size_t count;
    bool has_rule;
    struct cress_zone_rule rule; /* from the last change on */
};

/* --- reading --- */

struct header {
    char version;
    uint32_t utc_count, standard_count, leap_count, time_count, kind_count, name_bytes;
};

static uint64_t read_big_endian(const unsigned char *bytes, int size)
{
    uint64_t number = 0;
    for (int i = 0; i < size; i++) {
        number = number << 8 | bytes[i];
    }
    return number;
}

static bool read_header(const unsigned char *data, size_t size, struct header *header)
{
    if (size < HEADER_BYTES || memcmp(data, "TZif", 4) != 0) {
        return false;
    }
    uint32_t counts[6];
    for (int i = 0; i < 6; i++) {
        counts[i] = (uint32_t)read_big_endian(data + 20 + 4 * i, 4);
        if (counts[i] > CHANGES_MAX) {
            return false;
        }
    }
    *header = (struct header){(char)data[4], counts[0], counts[1], counts[2],
                              counts[3],     counts[4], counts[5]};
    return true;
}

static size_t data_bytes(const struct header *header, size_t time_bytes)
{
    return header->time_count * (time_bytes + 1) + header->kind_count * (size_t)KIND_BYTES +
           header->name_bytes + header->leap_count * (time_bytes + 4) + header->standard_count +
           header->utc_count;
}

static enum cress_status malformed_zone(struct cress_error *err, const char *what)
{
    return cress_error_set(err, CRESS_MALFORMED, NULL, "not a usable TZif file: %s", what);
}

/* `data` is what follows the second header. */
static enum cress_status read_changes(const unsigned char *data, const struct header *header,
                                      struct cress_zone *zone, struct cress_error *err)
{
    const unsigned char *types = data + (size_t)header->time_count * TIME_BYTES;
    const unsigned char *kinds = types + header->time_count;
    int64_t offsets[KINDS_MAX];
    for (uint32_t i = 0; i < header->kind_count; i++) {
        offsets[i] = (int32_t)(uint32_t)read_big_endian(kinds + (size_t)KIND_BYTES * i, 4);
        if (offsets[i] < -OFFSET_MAX_S || offsets[i] > OFFSET_MAX_S) {
            return malformed_zone(err, "an offset of more than 26 hours");
        }
    }
    zone->first_s = offsets[0];
    zone->changes = cress_realloc_array(NULL, header->time_count + 1, sizeof *zone->changes);
    for (uint32_t i = 0; i < header->time_count; i++) {
        const int64_t at_s = (int64_t)read_big_endian(data + (size_t)TIME_BYTES * i, TIME_BYTES);
        const bool is_far = at_s < -TIME_MAX_S || at_s > TIME_MAX_S;
        if (is_far || types[i] >= header->kind_count ||
            (i > 0 && at_s <= zone->changes[i - 1].at_s)) {
            return malformed_zone(err, "its changes are in disorder");
        }
        zone->changes[zone->count++] = (struct change){at_s, offsets[types[i]]};
    }
    return CRESS_OK;
}

/* "\n<rule>\n"; an empty one says that nothing is known. */
static enum cress_status read_footer(const char *text, size_t size, struct cress_zone *zone,
                                     struct cress_error *err)
{
    const char *end = size > 1 ? memchr(text + 1, '\n', size - 1) : NULL;
    if (!end || text[0] != '\n') {
        return malformed_zone(err, "the rule at its end is missing");
    }
    const size_t length = (size_t)(end - text - 1);
    zone->has_rule = length > 0;
    if (zone->has_rule && !cress_zone_rule_parse(text + 1, length, &zone->rule)) {
        return malformed_zone(err, "the rule at its end cannot be read");
    }
    return CRESS_OK;
}

/* Finds the second block. */
static enum cress_status check_zone(const unsigned char *data, size_t size, struct header *header,
                                    size_t *data_at, struct cress_error *err)
{
    struct header first;
    if (!read_header(data, size, &first)) {
        return malformed_zone(err, "its header is wrong");
    }
    if (first.version < '2') {
        return malformed_zone(err, "it is of version 1, which has no rule for the future");
    }
    const size_t second_at = HEADER_BYTES + data_bytes(&first, 4);
    if (second_at > size || !read_header(data + second_at, size - second_at, header)) {
        return malformed_zone(err, "its second header is wrong");
    }
    *data_at = second_at + HEADER_BYTES;
    if (*data_at + data_bytes(header, TIME_BYTES) > size) {
        return malformed_zone(err, "it is cut short");
    }
    if (header->kind_count == 0 || header->kind_count > KINDS_MAX) {
        return malformed_zone(err, "it has no offsets, or too many");
    }
    if (header->leap_count > 0) {
        return malformed_zone(err, "it counts leap seconds; POSIX time does not");
    }
    return CRESS_OK;
}

enum cress_status cress_zone_parse(const void *data, size_t size, struct cress_zone **out,
                                   struct cress_error *err)
{
    struct header header;
    size_t at = 0;
    enum cress_status status = check_zone(data, size, &header, &at, err);
    if (status != CRESS_OK) {
        return status;
    }
    struct cress_zone *zone = CRESS_NEW(struct cress_zone);
    const unsigned char *bytes = data;
    const size_t footer_at = at + data_bytes(&header, TIME_BYTES);
    status = read_changes(bytes + at, &header, zone, err);
    if (status == CRESS_OK) {
        status = read_footer((const char *)bytes + footer_at, size - footer_at, zone, err);
    }
    if (status != CRESS_OK) {
        cress_zone_free(zone);
        return status;
    }
    *out = zone;
    return CRESS_OK;
}

void cress_zone_free(struct cress_zone *zone)
{
    if (zone) {
        free(zone->changes);
        free(zone);
    }
}

/* --- files --- */

/* Parts of letters, digits and _ + - between slashes: no way out of the folder. */
static bool is_name(const char *name)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                  "0123456789_+-/";
    const size_t size = strspn(name, allowed);
    return size > 0 && size <= CRESS_ZONE_NAME_MAX && name[size] == '\0' && name[0] != '/' &&
           name[size - 1] != '/' && !strstr(name, "//");
}

static enum cress_status not_found(const char *folder, const char *name, struct cress_error *err)
{
    FILE *any = NULL;
    char *path = cress_format("%s/Etc/UTC", folder);
    any = fopen(path, "re");
    free(path);
    if (!any) {
        return cress_error_set(err, CRESS_NOT_FOUND, "no_time_zones",
                               "no time zones in %s: install the package tzdata, or set TZDIR",
                               folder);
    }
    fclose(any);
    return cress_error_set(err, CRESS_NOT_FOUND, "unknown_time_zone",
                           "no time zone \"%s\" in %s; expected a name such as Europe/Berlin", name,
                           folder);
}

static enum cress_status read_file(FILE *file, struct cress_zone **out, struct cress_error *err)
{
    char *room = cress_alloc(FILE_MAX_BYTES);
    const size_t size = fread(room, 1, FILE_MAX_BYTES, file);
    enum cress_status status;
    if (ferror(file)) { /* a folder, for example: Europe */
        status = cress_error_set(err, CRESS_NOT_FOUND, "unknown_time_zone", "%s", strerror(errno));
    } else {
        status = cress_zone_parse(room, size, out, err);
    }
    free(room);
    return status;
}

static enum cress_status load_file(const char *name, struct cress_zone **out,
                                   struct cress_error *err)
{
    const char *variable = getenv("TZDIR");
    const char *folder = variable && *variable ? variable : FOLDER;
    char *path = cress_format("%s/%s", folder, name);
    FILE *file = fopen(path, "re");
    enum cress_status status;
    if (file) {
        status = read_file(file, out, err);
        fclose(file);
        if (status != CRESS_OK) {
            cress_error_prefix(err, "time zone %s (%s)", name, path);
        }
    } else {
        status = not_found(folder, name, err);
    }
    free(path);
    return status;
}

enum cress_status cress_zone_load(const char *name, struct cress_zone **out,
                                  struct cress_error *err)
{
    if (strcmp(name, "UTC") == 0) {
        *out = CRESS_NEW(struct cress_zone);
        return CRESS_OK;
    }
    if (!is_name(name)) {
        return cress_error_set(err, CRESS_INVALID, NULL,
                               "\"%.80s\" is not the name of a time zone, such as Europe/Berlin",
                               name);
    }
    return load_file(name, out, err);
}

/* --- asking --- */

/* How many changes are at or before `at_s`. */
static size_t changes_until(const struct cress_zone *zone, int64_t at_s)
{
    size_t low = 0, high = zone->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (zone->changes[middle].at_s <= at_s) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* The offset that holds after `count` changes. */
static int64_t offset_after(const struct cress_zone *zone, size_t count)
{
    return count > 0 ? zone->changes[count - 1].offset_s : zone->first_s;
}

void cress_zone_span_at(const struct cress_zone *zone, int64_t at_s, struct cress_zone_span *out)
{
    const size_t count = changes_until(zone, at_s);
    const struct cress_zone_span table = {
        .begin_s = count > 0 ? zone->changes[count - 1].at_s : INT64_MIN,
        .end_s = count < zone->count ? zone->changes[count].at_s : INT64_MAX,
        .offset_s = offset_after(zone, count),
        .before_s = offset_after(zone, count > 0 ? count - 1 : 0),
    };
    *out = table;
    if (count == zone->count && zone->has_rule) {
        cress_zone_rule_span_at(&zone->rule, at_s, out);
        if (out->begin_s <= table.begin_s) { /* the table's last change begins what the rule goes
                                                on with */
            out->begin_s = table.begin_s;
            out->before_s = count > 0 ? table.before_s : out->offset_s;
        }
    }
}
