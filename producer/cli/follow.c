// SPDX-License-Identifier: Apache-2.0
// Following jobs; see follow.h.
//
// The store wakes us after each change; we then read the record. A wake-up during a read leads to
// one more read, so that no change is missed and none is read twice.
#include "producer/cli/follow.h"

#include "common/base/mem.h"
#include "producer/cli/cli.h"

#include <stdlib.h>

struct follow {
    struct cress_list node; /* in cli->follows */
    struct cress_cli *cli;
    char *id;
    struct cress_watch *watch; /* NULL: stopped */
    bool reading, again;
    bool told;       /* `changed` has been called */
    int64_t version; /* that it was called with; 0: no record */
    cress_follow_cb changed;
    void *arg;
};

static void read_followed(struct follow *follow);

static void stop_follow(struct follow *follow)
{
    if (follow->watch) {
        cress_watch_stop(follow->watch);
        follow->watch = NULL;
    }
}

static void tell_follower(struct follow *follow, const struct cress_record *record)
{
    const int64_t version = record ? record->version : 0;
    if (follow->told && version == follow->version) {
        return;
    }
    follow->told = true;
    follow->version = version;
    if (record && cress_state_is_terminal(record->state)) {
        stop_follow(follow);
    }
    follow->changed(record, follow->arg);
}

static void on_follow_record(const struct cress_record *record, const struct cress_error *err,
                             void *arg)
{
    struct follow *follow = arg;
    follow->reading = false;
    if (!follow->watch || cress_cli_over(follow->cli)) {
        return;
    }
    if (err && cress_status_is_temporary(err->status)) {
        return; /* the watch wakes us when the store is back; the runtime knows how long to wait */
    }
    if (cress_cli_failed(follow->cli, err)) {
        return;
    }
    tell_follower(follow, record);
    if (follow->again && follow->watch && !cress_cli_over(follow->cli)) {
        read_followed(follow);
    }
}

static void read_followed(struct follow *follow)
{
    follow->reading = true;
    follow->again = false;
    cress_store_peek(follow->cli->store, follow->id, on_follow_record, follow);
}

static void on_follow_wake(void *arg)
{
    struct follow *follow = arg;
    if (follow->reading) {
        follow->again = true;
    } else {
        read_followed(follow);
    }
}

void cress_follow(struct cress_cli *cli, const char *id, cress_follow_cb changed, void *arg)
{
    struct follow *follow = CRESS_NEW(struct follow);
    *follow = (struct follow){.cli = cli, .id = cress_strdup(id), .changed = changed, .arg = arg};
    cress_list_append(&cli->follows, &follow->node);
    follow->watch = cress_store_watch(cli->store, follow->id, on_follow_wake, follow);
}

void cress_follow_stop_all(struct cress_cli *cli)
{
    for (struct cress_list *node = cli->follows.next; node != &cli->follows; node = node->next) {
        stop_follow(CRESS_CONTAINER(node, struct follow, node));
    }
}

void cress_follow_free_all(struct cress_cli *cli)
{
    struct cress_list *node;
    while ((node = cress_list_shift(&cli->follows))) {
        struct follow *follow = CRESS_CONTAINER(node, struct follow, node);
        free(follow->id);
        free(follow);
    }
}
