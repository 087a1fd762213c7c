// SPDX-License-Identifier: Apache-2.0
// Submitting the jobs of schedules; see ticker.h.
//
// Each schedule goes round on its own:
//
//   look --not registered--> register ---+
//    ^ |                                 |
//    | +--a tick is due--> claim --it is ours--> submit --safe--> done --+
//    | |                     |                     |               |     |
//    | +--none is--> wait    +--done, paused, …    +--failed-------+     |
//    +----------------------------------------------------------------- -+
//
// Nothing of a tick is kept but done_ms, the last one that is done; whatever fails begins with a
// look again, which finds what is due by then.
#include "worker/ticker.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/schedule/plan.h"
#include "common/store/schedules.h"
#include "common/submit/submit.h"

#include <stdlib.h>
#include <string.h>

enum {
    LOOK_MS = 5000,      /* longest wait: the wall clock may be set meanwhile */
    REGISTER_MS = 30000, /* how often workers say that they have a schedule */
    CLAIM_MS = 3000,     /* if a worker dies with it, the others wait this long … */
    SUBMIT_MS = 2000,    /* … and so it must be done before */
    FAILURE_MS = 100,    /* wait after a first failure; doubles up to LOOK_MS */
    LOG_INTERVAL_MS = 10000,
};

struct entry {
    struct cress_list node;
    struct cress_ticker *ticker;
    struct cress_plan *plan;
    char *name;
    int64_t done_ms;     /* all ticks up to this are done; 0: not known yet */
    int64_t tick_ms;     /* the one that is claimed or submitted */
    int64_t look_ms;     /* monotonic: when to look again */
    int64_t register_ms; /* monotonic: when to register again */
    bool is_new;         /* the definition is to replace the store's */
    bool is_overtaken;   /* what is being registered is to be registered again */
    bool busy;           /* a call is under way */
    bool retired;        /* no section has it any more */
    unsigned failures;   /* in a row */
};

struct cress_ticker {
    const struct cress_services *services;
    const char *worker;
    struct cress_list entries;
    uv_timer_t timer;
    bool stopped;
    void (*closed)(void *arg);
    void *closed_arg;
    struct cress_log_limit log;
};

static void look(struct entry *entry);

/* --- entries --- */

static struct entry *find_entry(struct cress_ticker *ticker, const char *name)
{
    for (struct cress_list *at = ticker->entries.next; at != &ticker->entries; at = at->next) {
        struct entry *entry = CRESS_CONTAINER(at, struct entry, node);
        if (strcmp(entry->name, name) == 0) {
            return entry;
        }
    }
    return NULL;
}

static void free_entry(struct entry *entry)
{
    cress_list_remove(&entry->node);
    cress_plan_free(entry->plan);
    free(entry->name);
    free(entry);
}

static void ticker_closed_cb(uv_handle_t *handle)
{
    struct cress_ticker *ticker = handle->data;
    void (*closed)(void *arg) = ticker->closed;
    void *arg = ticker->closed_arg;
    struct cress_list *node;
    while ((node = cress_list_shift(&ticker->entries))) {
        free_entry(CRESS_CONTAINER(node, struct entry, node));
    }
    free(ticker);
    closed(arg);
}

static void close_when_idle(struct cress_ticker *ticker)
{
    for (struct cress_list *at = ticker->entries.next; at != &ticker->entries; at = at->next) {
        if (CRESS_CONTAINER(at, struct entry, node)->busy) {
            return;
        }
    }
    if (ticker->closed && !uv_is_closing((uv_handle_t *)&ticker->timer)) {
        uv_close((uv_handle_t *)&ticker->timer, ticker_closed_cb);
    }
}

/* --- when to look --- */

static void ticker_timer_cb(uv_timer_t *timer);

/* Sets the timer for the entry that is to be looked at first. */
static void set_timer(struct cress_ticker *ticker)
{
    int64_t first_ms = INT64_MAX;
    for (struct cress_list *at = ticker->entries.next; at != &ticker->entries; at = at->next) {
        const struct entry *entry = CRESS_CONTAINER(at, struct entry, node);
        if (!entry->busy && entry->look_ms < first_ms) {
            first_ms = entry->look_ms;
        }
    }
    if (first_ms == INT64_MAX || ticker->stopped) {
        uv_timer_stop(&ticker->timer);
        return;
    }
    const int64_t wait_ms = first_ms - cress_clock_mono_ms();
    uv_timer_start(&ticker->timer, ticker_timer_cb, wait_ms > 0 ? (uint64_t)wait_ms : 0, 0);
}

static void ticker_timer_cb(uv_timer_t *timer)
{
    struct cress_ticker *ticker = timer->data;
    const int64_t now_ms = cress_clock_mono_ms();
    for (struct cress_list *at = ticker->entries.next; at != &ticker->entries; at = at->next) {
        struct entry *entry = CRESS_CONTAINER(at, struct entry, node);
        if (!entry->busy && entry->look_ms <= now_ms) {
            look(entry);
        }
    }
    set_timer(ticker);
}

static int64_t at_most(int64_t number, int64_t limit)
{
    return number < limit ? number : limit;
}

static void look_in(struct entry *entry, int64_t ms)
{
    entry->look_ms = cress_clock_mono_ms() + ms;
}

/* A call has come back: the entry is looked at in `ms`. */
static void go_on(struct entry *entry, int64_t ms)
{
    struct cress_ticker *ticker = entry->ticker;
    entry->busy = false;
    look_in(entry, ms);
    if (entry->retired) {
        free_entry(entry);
    }
    set_timer(ticker);
    close_when_idle(ticker);
}

static void fail_entry(struct entry *entry, const struct cress_error *err)
{
    uint64_t suppressed;
    if (!entry->ticker->stopped &&
        cress_log_allow(&entry->ticker->log, LOG_INTERVAL_MS, &suppressed)) {
        cress_log(CRESS_LOG_WARN, "schedule waits, trying on", CRESS_KV("schedule", entry->name),
                  CRESS_KV_ERROR(err), CRESS_KVI("suppressed", suppressed));
    }
    const unsigned doublings = entry->failures < 6 ? entry->failures++ : entry->failures;
    go_on(entry, at_most((int64_t)FAILURE_MS << doublings, LOOK_MS));
}

static void finish_tick(struct entry *entry, int64_t done_ms)
{
    entry->failures = 0;
    if (done_ms > entry->done_ms) {
        entry->done_ms = done_ms;
    }
    go_on(entry, 0);
}

/* --- a tick's job --- */

static void tick_noted_cb(const struct cress_error *err, void *arg)
{
    struct entry *entry = arg;
    if (err) {
        fail_entry(entry, err); /* it is claimed and submitted again, and found to exist */
    } else {
        finish_tick(entry, entry->tick_ms);
    }
}

static void note_done(struct entry *entry, const char *id)
{
    cress_store_schedule_done(entry->ticker->services->store, entry->name, entry->tick_ms, id,
                              tick_noted_cb, entry);
}

static void log_tick(const struct entry *entry, enum cress_log_level level, const char *message,
                     const struct cress_error *err)
{
    char tick[CRESS_TIME_TEXT_MAX];
    cress_time_format(entry->tick_ms, tick);
    if (err) {
        cress_log(level, message, CRESS_KV("schedule", entry->name), CRESS_KV("tick", tick),
                  CRESS_KV_ERROR(err));
    } else {
        cress_log(level, message, CRESS_KV("schedule", entry->name), CRESS_KV("tick", tick),
                  CRESS_KVI("late_ms", cress_clock_wall_ms() - entry->tick_ms));
    }
}

/* Whether the same job would be refused each time. */
static bool is_refused_for_good(const struct cress_error *err)
{
    return err->status == CRESS_INVALID || err->status == CRESS_MALFORMED ||
           err->status == CRESS_TOO_LARGE;
}

static void tick_submitted_cb(const struct cress_record *record, const struct cress_error *err,
                              void *arg)
{
    struct entry *entry = arg;
    char id[CRESS_ID_MAX + 1];
    (void)record;
    if (err && err->status != CRESS_CONFLICT && !is_refused_for_good(err)) {
        fail_entry(entry, err);
        return;
    }
    if (err && is_refused_for_good(err)) {
        log_tick(entry, CRESS_LOG_ERROR, "the schedule's job is refused, this tick has none", err);
        note_done(entry, NULL);
        return;
    }
    if (!err) { /* else it has been submitted before */
        log_tick(entry, CRESS_LOG_INFO, "scheduled job submitted", NULL);
    }
    note_done(entry, cress_plan_tick_id(entry->name, entry->tick_ms, id));
}

static void submit_tick(struct entry *entry)
{
    char id[CRESS_ID_MAX + 1], *texts = NULL;
    const char *request = entry->plan->request;
    struct cress_job job;
    struct cress_error err;
    if (cress_job_from_request(request, strlen(request), cress_clock_wall_ms(), &job, &texts,
                               &err) == CRESS_OK) {
        job.id = cress_plan_tick_id(entry->name, entry->tick_ms, id);
        cress_submit(cress_services_door(entry->ticker->services, SUBMIT_MS), &job,
                     tick_submitted_cb, entry);
    } else {
        tick_submitted_cb(NULL, &err, entry); /* cannot happen: the plan has been checked */
    }
    free(texts);
}

/* --- claiming and registering --- */

static void log_early(struct entry *entry)
{
    uint64_t suppressed;
    if (cress_log_allow(&entry->ticker->log, LOG_INTERVAL_MS, &suppressed)) {
        cress_log(CRESS_LOG_WARN,
                  "a schedule is not due by the store's clock, which is a minute behind or more: "
                  "one of the two clocks is wrong",
                  CRESS_KV("schedule", entry->name), CRESS_KVI("suppressed", suppressed));
    }
}

static void tick_claimed_cb(enum cress_claim claim, int64_t number, const struct cress_error *err,
                            void *arg)
{
    struct entry *entry = arg;
    if (err) {
        fail_entry(entry, err);
        return;
    }
    switch (claim) {
    case CRESS_CLAIM_CLAIMED:
        submit_tick(entry);
        break;
    case CRESS_CLAIM_BUSY:
        go_on(entry, number);
        break;
    case CRESS_CLAIM_EARLY:
        log_early(entry);
        go_on(entry, LOOK_MS);
        break;
    case CRESS_CLAIM_UNKNOWN:
        entry->register_ms = 0;
        go_on(entry, 0);
        break;
    case CRESS_CLAIM_OVERLAP:
        log_tick(entry, CRESS_LOG_INFO, "tick passed over: the job before has not ended", NULL);
        finish_tick(entry, number);
        break;
    case CRESS_CLAIM_PAUSED:
    case CRESS_CLAIM_DONE:
        finish_tick(entry, number);
        break;
    }
}

static void entry_registered_cb(int64_t done_ms, const struct cress_error *err, void *arg)
{
    struct entry *entry = arg;
    if (err) {
        fail_entry(entry, err);
        return;
    }
    if (!entry->is_overtaken) {
        entry->is_new = false;
        entry->register_ms = cress_clock_mono_ms() + REGISTER_MS;
    }
    finish_tick(entry, done_ms);
}

static void register_entry(struct entry *entry)
{
    const struct cress_schedule_config *config = entry->plan->config;
    const struct cress_schedule_definition definition = {
        .cron = config->cron,
        .timezone = config->timezone,
        .missed = config->missed,
        .overlap = config->overlap,
        .request = entry->plan->request,
    };
    entry->busy = true;
    entry->is_overtaken = false;
    cress_store_schedule_register(entry->ticker->services->store, entry->name,
                                  entry->ticker->worker, &definition, entry->done_ms, entry->is_new,
                                  entry_registered_cb, entry);
}

/* The next step, which makes the entry busy or says when to look again. */
static void look(struct entry *entry)
{
    const struct cress_plan *plan = entry->plan;
    struct cress_store *store = entry->ticker->services->store;
    const int64_t now_ms = cress_clock_wall_ms();

    if (!cress_store_is_ready(store, NULL)) {
        look_in(entry, LOOK_MS); /* or when it comes back */
        return;
    }
    if (cress_clock_mono_ms() >= entry->register_ms) {
        register_entry(entry);
        return;
    }
    entry->tick_ms = cress_schedule_due(&plan->schedule, entry->done_ms, now_ms,
                                        plan->config->grace_ms, plan->runs_missed);
    if (entry->tick_ms > 0) {
        entry->busy = true;
        cress_store_schedule_claim(store, entry->name, entry->tick_ms, CLAIM_MS,
                                   plan->skips_overlap, tick_claimed_cb, entry);
        return;
    }
    look_in(entry, at_most(cress_schedule_next(&plan->schedule, now_ms) - now_ms, LOOK_MS));
}

/* --- coming and going --- */

static void add_entry(struct cress_ticker *ticker, struct cress_plan *plan)
{
    struct entry *entry = CRESS_NEW(struct entry);
    entry->ticker = ticker;
    entry->plan = plan;
    entry->name = cress_strdup(plan->config->name);
    entry->is_new = true;
    cress_list_append(&ticker->entries, &entry->node);
}

/* The store is to be told, also when it is just being told something else. */
static void register_anew(struct entry *entry)
{
    entry->is_overtaken = true;
    entry->register_ms = entry->look_ms = 0;
}

/* What the entry is at goes on with the new plan: the tick's id is the same. */
static void replace_plan(struct entry *entry, struct cress_plan *plan)
{
    cress_plan_free(entry->plan);
    entry->plan = plan;
    entry->is_new = true;
    entry->retired = false;
    register_anew(entry);
}

static void take_section(struct cress_ticker *ticker, const struct cress_config *config,
                         const struct cress_schedule_config *section)
{
    struct cress_plan *plan;
    struct cress_error err;
    struct entry *entry = find_entry(ticker, section->name);
    if (cress_plan_make(config, section, &plan, &err) != CRESS_OK) { /* it was good a moment ago */
        cress_log(CRESS_LOG_ERROR, "schedule cannot be read", CRESS_KV_ERROR(&err));
    } else if (entry) {
        replace_plan(entry, plan);
    } else {
        add_entry(ticker, plan);
    }
}

static void drop_entry(struct entry *entry)
{
    entry->retired = true;
    if (!entry->busy) {
        free_entry(entry);
    }
}

void cress_ticker_reload(struct cress_ticker *ticker, const struct cress_config *config)
{
    for (struct cress_list *at = ticker->entries.next, *next; at != &ticker->entries; at = next) {
        struct entry *entry = CRESS_CONTAINER(at, struct entry, node);
        next = at->next;
        if (!cress_config_schedule(config, entry->name)) {
            drop_entry(entry);
        }
    }
    for (size_t i = 0; i < config->schedule_count; i++) {
        take_section(ticker, config, &config->schedules[i]);
    }
    set_timer(ticker);
}

struct cress_ticker *cress_ticker_open(const struct cress_services *services, const char *worker)
{
    struct cress_ticker *ticker = CRESS_NEW(struct cress_ticker);
    ticker->services = services;
    ticker->worker = worker;
    cress_list_init(&ticker->entries);
    uv_timer_init(services->loop, &ticker->timer);
    ticker->timer.data = ticker;
    cress_ticker_reload(ticker, services->config);
    return ticker;
}

void cress_ticker_store_ready(struct cress_ticker *ticker)
{
    for (struct cress_list *at = ticker->entries.next; at != &ticker->entries; at = at->next) {
        register_anew(CRESS_CONTAINER(at, struct entry, node));
    }
    set_timer(ticker);
}

void cress_ticker_stop(struct cress_ticker *ticker)
{
    ticker->stopped = true;
    uv_timer_stop(&ticker->timer);
}

void cress_ticker_close(struct cress_ticker *ticker, void (*closed)(void *arg), void *arg)
{
    cress_ticker_stop(ticker);
    ticker->closed = closed;
    ticker->closed_arg = arg;
    close_when_idle(ticker);
}
