// SPDX-License-Identifier: Apache-2.0
// The Lua scripts; see script.h.
#include "common/store/script.h"

#include "common/base/buf.h"
#include "common/base/mem.h"
#include "common/job/attempts.h"
#include "common/store/fields.h"
#include "common/store/keys.h"
#include "common/store/lua_library.h"
#include "common/store/schedules.h"
#include "common/store/store.h"

#include "scripts.h"
#include <stdlib.h>

enum { SCRIPT_MAX = 64 * 1024 };

/* No Lua tables: each call of a script would build them anew. */
static void add_states(struct cress_buf *text)
{
    cress_buf_add_text(text, "local function is_terminal(state)\nreturn false");
    for (enum cress_state state = 0; state < CRESS_STATE_COUNT; state++) {
        if (cress_state_is_terminal(state)) {
            cress_buf_printf(text, " or state == '%s'", cress_state_word(state));
        }
    }
    cress_buf_add_text(text, "\nend\nlocal TRANSITIONS = ' ");
    for (enum cress_state from = 0; from < CRESS_STATE_COUNT; from++) {
        for (enum cress_state to = 0; to < CRESS_STATE_COUNT; to++) {
            if (cress_state_may_become(from, to)) {
                cress_buf_printf(text, "%s>%s ", cress_state_word(from), cress_state_word(to));
            }
        }
    }
    cress_buf_add_text(text, "'\n");
}

static void add_constants(struct cress_buf *text)
{
    add_states(text);
    cress_buf_printf(text,
                     "local APPLIED, TERMINAL, STALE, POISON, MISSING, LEASED, CANCELLED = %d, %d, "
                     "%d, %d, %d, %d, %d\n",
                     CRESS_VERDICT_APPLIED, CRESS_VERDICT_TERMINAL, CRESS_VERDICT_STALE,
                     CRESS_VERDICT_POISON, CRESS_VERDICT_MISSING, CRESS_VERDICT_LEASED,
                     CRESS_VERDICT_CANCELLED);
    cress_buf_printf(text, "local SUSPECT, FOREIGN = %d, %d\n", CRESS_VERDICT_SUSPECT,
                     CRESS_VERDICT_FOREIGN);
    cress_buf_printf(text, "local RECALLED = '%d'\n", CRESS_SCRIPT_RECALLED);
    cress_buf_printf(text, "local ATTEMPTS_KEPT = %d\n", CRESS_ATTEMPTS_KEPT);
    cress_buf_printf(text, "local FOLLOW = %d\n", CRESS_SCRIPT_FOLLOW);
    cress_buf_printf(
        text, "local FLAG_BATCHED, FLAG_UNIQUE, FLAG_CANCEL, FLAG_AWAITED = %d, %d, %d, %d\n",
        CRESS_RECORD_BATCHED, CRESS_RECORD_UNIQUE, CRESS_RECORD_CANCEL, CRESS_RECORD_AWAITED);
    cress_buf_printf(
        text, "local FLAG_GUARD, FLAG_CHAINED, FLAG_HELD, FLAG_NEEDS = %d, %d, %d, %d\n",
        CRESS_RECORD_GUARD, CRESS_RECORD_CHAINED, CRESS_RECORD_HELD, CRESS_RECORD_NEEDS);
    cress_buf_printf(text, "local FLAG_LIMITED, LIMITED, NEXT, WAIT = %d, %d, %d, %d\n",
                     CRESS_RECORD_LIMITED, CRESS_VERDICT_LIMITED, CRESS_VERDICT_NEXT,
                     CRESS_SCRIPT_WAIT);
    cress_buf_printf(text, "local LIMIT, LIMITS = '%s', '%s'\n", CRESS_KEY_LIMIT, CRESS_KEY_LIMITS);
    cress_buf_printf(text,
                     "local SAME_ID, SAME_UNIQUE, SAME_REQUEST, OTHER_REQUEST = %d, %d, %d, %d\n",
                     CRESS_SAME_ID, CRESS_SAME_UNIQUE, CRESS_SAME_REQUEST, CRESS_OTHER_REQUEST);
    cress_buf_printf(text, "local JOB, BATCH, RESULTS, WORKER = '%s', '%s', '%s', '%s'\n",
                     CRESS_KEY_JOB, CRESS_KEY_BATCH, CRESS_KEY_RESULTS, CRESS_KEY_WORKER);
    cress_buf_printf(text, "local MEMBERS, AFTER, PENDING = '%s', '%s', '%s'\n", CRESS_KEY_MEMBERS,
                     CRESS_KEY_AFTER, CRESS_KEY_PENDING);
    cress_buf_printf(text, "local NEEDED, KEPT, REPORTS = '%s', '%s', '%s'\n", CRESS_KEY_NEEDED,
                     CRESS_KEY_KEPT, CRESS_KEY_REPORTS);
    cress_buf_printf(text, "local CANCELLED_NOTE, CONTROL = '%s', '%s'\n", CRESS_KEY_CANCELLED,
                     CRESS_KEY_CONTROL);
    cress_buf_printf(text, "local UNIQUE, IDEMPOTENCY = '%s', '%s'\n", CRESS_KEY_UNIQUE,
                     CRESS_KEY_IDEMPOTENCY);
}

static void add_schedules(struct cress_buf *text)
{
    cress_buf_printf(text, "local SCHEDULE, EARLY_MS = '%s', 60000\n", CRESS_KEY_SCHEDULE);
    cress_buf_printf(text, "local FLEET, DEFINED, SCHEDULE_GONE_MS = '%s', '%s', %d\n",
                     CRESS_KEY_FLEET, CRESS_KEY_DEFINED, CRESS_SCHEDULE_GONE_MS);
    cress_buf_printf(
        text,
        "local CLAIMED, DONE, BUSY, PAUSED, OVERLAP, EARLY, UNKNOWN = %d, %d, %d, %d, %d, %d, %d\n",
        CRESS_CLAIM_CLAIMED, CRESS_CLAIM_DONE, CRESS_CLAIM_BUSY, CRESS_CLAIM_PAUSED,
        CRESS_CLAIM_OVERLAP, CRESS_CLAIM_EARLY, CRESS_CLAIM_UNKNOWN);
}

/* Few jobs have limits: the scripts that each job needs load places.lua, and `more`, which uses it,
 * when one does. */
static void add_places_on_demand(struct cress_buf *text, const char *more, const char *exports)
{
    struct cress_buf users = cress_buf_make(SCRIPT_MAX);
    cress_buf_printf(&users, "%sreturn %s\nend\n", more, exports);
    cress_buf_add_text(text, "local function load_places()\n");
    cress_lua_library_add(text, script_places, cress_buf_text(&users));
    cress_buf_add_text(text, cress_buf_text(&users));
    cress_buf_free(&users);
}

/* For those that free places of limits, or fill them. */
static void add_places(struct cress_buf *text, enum cress_script script, const char *body)
{
    switch (script) {
    case CRESS_SCRIPT_START:
        add_places_on_demand(text, script_admit, "admit, enter, pass_on");
        break;
    case CRESS_SCRIPT_CHANGE:
        add_places_on_demand(text, "", "limits_of, pass_on");
        break;
    case CRESS_SCRIPT_BEAT:
    case CRESS_SCRIPT_SLOTS:
        cress_lua_library_add(text, script_places, body);
        break;
    default:
        break;
    }
}

static char *make_script(enum cress_script script, const char *body)
{
    struct cress_buf own = cress_buf_make(SCRIPT_MAX);
    struct cress_buf text = cress_buf_make(SCRIPT_MAX);
    add_places(&own, script, body);
    cress_buf_add_text(&own, body);
    add_constants(&text);
    add_schedules(&text);
    cress_lua_library_add(&text, script_prelude, cress_buf_text(&own));
    cress_buf_add_text(&text, cress_buf_text(&own));
    cress_buf_free(&own);
    return cress_buf_take(&text);
}

void cress_scripts_make(struct cress_redis_script scripts[CRESS_SCRIPT_COUNT])
{
    static const char *const bodies[CRESS_SCRIPT_COUNT] = {
#define X(name, file) [CRESS_SCRIPT_##name] = script_##file,
        CRESS_SCRIPTS(X)
#undef X
    };

    for (size_t i = 0; i < CRESS_SCRIPT_COUNT; i++) {
        scripts[i] =
            (struct cress_redis_script){.text = make_script((enum cress_script)i, bodies[i])};
    }
}

void cress_scripts_free(struct cress_redis_script scripts[CRESS_SCRIPT_COUNT])
{
    for (size_t i = 0; i < CRESS_SCRIPT_COUNT; i++) {
        free(scripts[i].text);
    }
}
