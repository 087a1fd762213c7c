// SPDX-License-Identifier: Apache-2.0
// What follows from the facts about the servers; see doctor.h. Pure.
#include "common/base/mem.h"
#include "producer/cli/doctor.h"

#include <inttypes.h>
#include <regex.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Redis that is filled to this part of its limit will be full soon. */
enum { FULL_PERCENT = 90, NAMES_MAX = 3 };

static void find(struct cress_finding *finding, enum cress_doctor_word word, const char *format,
                 ...) CRESS_PRINTF(3, 4);
static void find(struct cress_finding *finding, enum cress_doctor_word word, const char *format,
                 ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(finding->text, sizeof finding->text, format, args);
    va_end(args);
    finding->word = word;
}

/* --- Redis --- */

static void judge_eviction(const struct cress_store_health *health, struct cress_finding *finding)
{
    const bool takes_all = strncmp(health->eviction, "allkeys", 7) == 0;
    find(finding, takes_all || health->evicted > 0 ? CRESS_DOCTOR_FAIL : CRESS_DOCTOR_WARN,
         "Redis may throw away %s when it is full (maxmemory-policy %s, %" PRId64
         " keys evicted so far): records, batches and keys of uniqueness would be gone without a "
         "word. CONFIG SET maxmemory-policy noeviction, and in redis.conf",
         takes_all ? "any key" : "keys that have a time to live", health->eviction,
         health->evicted);
}

void cress_doctor_judge_memory(const struct cress_store_health *health,
                               struct cress_finding *finding)
{
    const double used = (double)health->used_bytes / (1 << 20),
                 most = (double)health->max_bytes / (1 << 20);
    if (health->eviction[0] && strcmp(health->eviction, "noeviction") != 0) {
        judge_eviction(health, finding);
    } else if (health->max_bytes > 0 && health->used_bytes >= health->max_bytes) {
        find(finding, CRESS_DOCTOR_FAIL,
             "Redis is full: %.1f of %.1f MB. It refuses new records, so submissions are answered "
             "with store_full and ended jobs wait for their record. Raise maxmemory, or lower "
             "store.ttl",
             used, most);
    } else if (health->max_bytes > 0 && used * 100 >= most * FULL_PERCENT) {
        find(finding, CRESS_DOCTOR_WARN,
             "Redis is nearly full: %.1f of %.1f MB. At its limit it refuses new records: raise "
             "maxmemory, or lower store.ttl",
             used, most);
    } else if (health->max_bytes > 0) {
        find(finding, CRESS_DOCTOR_OK, "%.1f of %.1f MB used, nothing is evicted", used, most);
    } else {
        find(finding, CRESS_DOCTOR_OK, "%.1f MB used, no limit is set", used);
    }
}

void cress_doctor_judge_persistence(const struct cress_store_health *health,
                                    struct cress_finding *finding)
{
    if (health->is_write_failing) {
        find(finding, CRESS_DOCTOR_FAIL,
             "Redis could not write its data to disk the last time; a restart loses what came "
             "since, and it may refuse writes (MISCONF). See its log: is the disk full?");
    } else if (health->is_replica && health->is_link_down) {
        find(finding, CRESS_DOCTOR_FAIL,
             "this Redis is a replica that has lost its primary: what is written elsewhere does "
             "not arrive here. Point store.url at the primary, or at the Sentinels");
    } else if (health->has_aof) {
        find(finding, CRESS_DOCTOR_OK,
             "append-only file: a crash of the machine loads all but the "
             "last moments");
    } else if (health->snapshots == CRESS_SNAPSHOTS_NONE) {
        find(finding, CRESS_DOCTOR_FAIL,
             "Redis keeps nothing over a restart: records, results, batches, limits and paused "
             "queues would be gone (jobs are in RabbitMQ). CONFIG SET appendonly yes, and in "
             "redis.conf");
    } else if (health->snapshots == CRESS_SNAPSHOTS_SOME) {
        find(finding, CRESS_DOCTOR_WARN,
             "Redis writes snapshots only: a crash loses the records of the last minutes. CONFIG "
             "SET appendonly yes, and in redis.conf");
    } else {
        find(
            finding, CRESS_DOCTOR_WARN,
            "no append-only file, and the user of store.url may not ask for snapshots (ACL SETUSER "
            "… +config|get): a restart of Redis may lose all records. Set appendonly yes");
    }
}

/* --- RabbitMQ's management API --- */

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

void cress_doctor_judge_alarms(const json_t *health, struct cress_finding *finding)
{
    const json_t *alarms = json_object_get(health, "alarms"), *first = json_array_get(alarms, 0);
    const bool is_disk = strncmp(text_of(first, "resource"), "disk", 4) == 0;
    if (first) {
        find(finding, CRESS_DOCTOR_FAIL,
             "%s alarm on %s%s. RabbitMQ takes no messages, so nothing is submitted or retried: %s",
             is_disk ? "disk" : "memory", text_of(first, "node"),
             json_array_size(alarms) > 1 ? " and others" : "",
             is_disk ? "free disk space, or lower disk_free_limit"
                     : "let workers empty the queues, add memory, or raise "
                       "vm_memory_high_watermark");
    } else if (strcmp(text_of(health, "status"), "ok") == 0) {
        find(finding, CRESS_DOCTOR_OK, "none on any node");
    } else {
        find(finding, CRESS_DOCTOR_WARN, "unknown: RabbitMQ says %s", text_of(health, "reason"));
    }
}

/* What a policy may say that Cress does not want of its queues. */
static const struct {
    const char *key, *harm;
} harms[] = {
    {"message-ttl", "its jobs are dropped when they have waited that long"},
    {"expires", "it is deleted with all its jobs when nobody has consumed it for that long"},
    {"max-length", "it takes no more jobs than that"},
    {"max-length-bytes", "it takes no more bytes of jobs than that"},
    {"overflow", "jobs that do not fit may be dropped"},
    {"dead-letter-exchange", "failed jobs go elsewhere"},
    {"dead-letter-routing-key", "failed jobs go elsewhere"},
    {"dead-letter-strategy", "dead letters may be lost on their way"},
};

static const char *harm_of(const char *key)
{
    for (size_t i = 0; i < CRESS_COUNT(harms); i++) {
        if (strcmp(harms[i].key, key) == 0) {
            return harms[i].harm;
        }
    }
    return NULL;
}

static bool ends_with_dead(const char *name)
{
    const size_t size = strlen(name);
    return size > 5 && strcmp(name + size - 5, ".dead") == 0;
}

/* A queue of Cress: a work queue has dead letters, the others their names. */
static bool is_cress_queue(const json_t *queue)
{
    const char *name = text_of(queue, "name");
    const json_t *arguments = json_object_get(queue, "arguments");
    return strncmp(name, "cress.", 6) == 0 || ends_with_dead(name) ||
           ends_with_dead(text_of(arguments, "x-dead-letter-routing-key"));
}

static bool is_for_quorum_queues(const json_t *policy)
{
    static const char *const kinds[] = {"all", "queues", "quorum_queues"};
    for (size_t i = 0; i < CRESS_COUNT(kinds); i++) {
        if (strcmp(text_of(policy, "apply-to"), kinds[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* RabbitMQ reads patterns as Perl does; one that POSIX cannot read is taken to match. */
static bool is_matched(const json_t *policy, const char *name)
{
    regex_t pattern;
    if (regcomp(&pattern, text_of(policy, "pattern"), REG_EXTENDED | REG_NOSUB) != 0) {
        return true;
    }
    const bool matched = regexec(&pattern, name, 0, NULL, 0) == 0;
    regfree(&pattern);
    return matched;
}

/* Of those that match, the one of the highest priority holds. */
static const json_t *policy_of(const json_t *policies, const char *name)
{
    const json_t *best = NULL;
    for (size_t i = 0; i < json_array_size(policies); i++) {
        const json_t *one = json_array_get(policies, i);
        const json_int_t priority = json_integer_value(json_object_get(one, "priority"));
        if (is_for_quorum_queues(one) && is_matched(one, name) &&
            (!best || priority > json_integer_value(json_object_get(best, "priority")))) {
            best = one;
        }
    }
    return best;
}

/* Appends what the policy of one queue does to it; how many things. */
static size_t describe_policy(const json_t *policies, const char *queue, struct cress_buf *out)
{
    const json_t *policy = policy_of(policies, queue);
    size_t found = 0;
    const char *key;
    json_t *value;
    json_object_foreach(json_object_get(policy, "definition"), key, value)
    {
        const char *harm = harm_of(key);
        char *shown = harm ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
        if (shown) {
            cress_buf_printf(out, "%spolicy %s sets %s = %s on queue %s: %s",
                             out->size > 0 ? "; " : "", text_of(policy, "name"), key, shown, queue,
                             harm);
            found++;
        }
        free(shown);
    }
    return found;
}

void cress_doctor_judge_policies(const json_t *queues, const json_t *policies,
                                 const json_t *operator_policies, struct cress_finding *finding)
{
    struct cress_buf text = cress_buf_make(CRESS_DOCTOR_TEXT_MAX);
    size_t ours = 0, touched = 0;
    for (size_t i = 0; i < json_array_size(queues); i++) {
        const json_t *queue = json_array_get(queues, i);
        const char *name = text_of(queue, "name");
        if (!is_cress_queue(queue)) {
            continue;
        }
        struct cress_buf one = cress_buf_make(CRESS_DOCTOR_TEXT_MAX);
        const size_t harmful =
            describe_policy(policies, name, &one) + describe_policy(operator_policies, name, &one);
        if (harmful > 0 && ++touched <= NAMES_MAX) {
            cress_buf_printf(&text, "%s%s", touched > 1 ? "; " : "", cress_buf_text(&one));
        }
        ours++;
        cress_buf_free(&one);
    }
    if (touched > 0) {
        find(finding, CRESS_DOCTOR_FAIL, "%s%s. Let it leave out the queues of Cress: %s",
             cress_buf_text(&text), touched > NAMES_MAX ? "; and more queues" : "",
             "rabbitmqctl list_policies, list_operator_policies");
    } else {
        find(finding, CRESS_DOCTOR_OK, "none drops, limits or redirects jobs in %zu queues", ours);
    }
    cress_buf_free(&text);
}
