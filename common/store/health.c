// SPDX-License-Identifier: Apache-2.0
// How Redis is; see health.h.
#include "common/store/health.h"

#include "common/base/mem.h"
#include "common/store/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A question under way: INFO, then CONFIG GET save, which INFO leaves out. */
struct checkup {
    struct cress_redis_request info, rules;
    struct cress_store *store;
    struct cress_store_health health;
    cress_store_health_cb done;
    void *arg;
};

/* --- INFO --- */

/* The value of the line "name:value", "" when there is none. */
static const char *info_value(const char *info, const char *name, char *text, size_t size)
{
    const size_t length = strlen(name);
    text[0] = '\0';
    for (const char *line = info; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, length) == 0 && line[length] == ':') {
            const char *value = line + length + 1;
            snprintf(text, size, "%.*s", (int)strcspn(value, "\r\n"), value);
            break;
        }
    }
    return text;
}

static int64_t info_number(const char *info, const char *name)
{
    char text[32];
    return strtoll(info_value(info, name, text, sizeof text), NULL, 10);
}

static bool info_is(const char *info, const char *name, const char *value)
{
    char text[32];
    return strcmp(info_value(info, name, text, sizeof text), value) == 0;
}

void cress_store_health_read(const char *info, struct cress_store_health *health)
{
    *health = (struct cress_store_health){
        .used_bytes = info_number(info, "used_memory"),
        .max_bytes = info_number(info, "maxmemory"),
        .evicted = info_number(info, "evicted_keys"),
        .has_aof = info_number(info, "aof_enabled") == 1,
        .is_replica = info_is(info, "role", "slave"),
        .is_link_down = info_is(info, "master_link_status", "down"),
        .is_write_failing = info_is(info, "aof_last_write_status", "err") ||
                            info_is(info, "rdb_last_bgsave_status", "err"),
    };
    info_value(info, "redis_version", health->version, sizeof health->version);
    info_value(info, "maxmemory_policy", health->eviction, sizeof health->eviction);
}

/* --- asking --- */

static void end_checkup(struct checkup *checkup, const struct cress_error *err)
{
    checkup->done(err ? NULL : &checkup->health, err, checkup->arg);
    free(checkup);
}

static void on_save_rules(struct cress_redis_request *request, const redisReply *reply,
                          const struct cress_error *err)
{
    struct checkup *checkup = CRESS_CONTAINER(request, struct checkup, rules);
    if (err && err->status != CRESS_DENIED) {
        end_checkup(checkup, err);
        return;
    }
    if (!err && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
        reply->element[1]->type == REDIS_REPLY_STRING) {
        checkup->health.snapshots =
            reply->element[1]->len ? CRESS_SNAPSHOTS_SOME : CRESS_SNAPSHOTS_NONE;
    }
    end_checkup(checkup, NULL);
}

static void on_health_info(struct cress_redis_request *request, const redisReply *reply,
                           const struct cress_error *err)
{
    struct checkup *checkup = CRESS_CONTAINER(request, struct checkup, info);
    struct cress_redis_args args;
    if (err) {
        end_checkup(checkup, err);
        return;
    }
    cress_store_health_read(reply->str ? reply->str : "", &checkup->health);
    cress_redis_args_init(&args);
    cress_redis_add(&args, "CONFIG");
    cress_redis_add(&args, "GET");
    cress_redis_add(&args, "save");
    checkup->rules.done = on_save_rules;
    cress_redis_send(checkup->store->commands, &checkup->rules, &args);
}

void cress_store_health(struct cress_store *store, cress_store_health_cb done, void *arg)
{
    struct checkup *checkup = CRESS_NEW(struct checkup);
    struct cress_redis_args args;
    *checkup = (struct checkup){.store = store, .done = done, .arg = arg};
    checkup->info.done = on_health_info;
    cress_redis_args_init(&args);
    cress_redis_add(&args, "INFO");
    cress_redis_send(store->commands, &checkup->info, &args);
}
