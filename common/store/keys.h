// SPDX-License-Identifier: Apache-2.0
// Every key of Cress in Redis. Nothing else in the tree knows them.
//
//   cress:job:<id>       hash    the record; its fields are in fields.c. Also the channel on which
//   its changes
//                                are published, with the new state as the message
//   cress:batch:<id>     hash    total, done, succeeded, failed, cancelled, expired, closed,
//   completed, skipped,
//                                cancel_requested, if_succeeded, created_ms, completion; see struct
//                                cress_batch. `done` is the sum of the four ends. Also the channel
//                                on which its changes are published
//   cress:results:<id>   list    the ends of the batch's jobs, one JSON text each
//   cress:log:<id>/<n>   string  what attempt n of a job wrote to its log, UTF-8
//   cress:unique:<key>   hash    who has the unique key: id, the job; sent, there when its message is
//                                safe with the broker. Gone when the job has ended, or with its TTL
//   cress:idempotency:<key>  hash  who has the idempotency key: as above, and fingerprint, of the
//                                request
//   cress:members:<id>   list    the ids of the batch's jobs, in the order they were made
//   cress:after:<id>     list    what is to be done when job <id> has ended, see follow_up.lua; without
//                                an id: what nobody's message leads to
//   cress:pending:<id>   set     the jobs that the waiting job <id> still waits for
//   cress:needed:<id>    set     the jobs that will be given what job <id> ended with: its record is
//                                kept for them
//   cress:kept           zset    the ids of those that are needed, by when to see whether they still
//                                are
//   cress:limits         set     names of tasks that have limits
//   cress:limit:<task>   hash    limits, as last used; hold, how many ms a job holds its place on
//                                average; waits, how often a job had to wait. The rest is about
//                                admit.lua:
//     …:running, …:running:<key>  zset  ids of jobs that hold a place, by when it is free at the
//                                latest
//     …:starts, …:starts:<key>    list  times of the last starts, newest first
//     …:line:<key>         zset    ids of jobs that wait, by when they came
//     …:keys               zset    keys that want more, by until when they are thought to
//   cress:worker:<name>  string  the report of a worker, JSON; gone when it stops reporting
//   cress:workers        zset    names of workers, scored by when their report expires
//   cress:reports        hash    since_ms, last_ms, ttl_ms: when reports began to come without a gap,
//                                the last one, and how long it holds
//   cress:queues         set     names of the queues that were ever used
//   cress:cancelled:<id> string  left by a job that was cancelled while its message was on its way:
//                                the attempt which that is for. It may outlive the record
//   cress:schedule:<name> hash   a schedule: its definition, done_ms, last_ms, last_id, paused_ms,
//                                claim_ms (a tick that a worker is at) and claimed_until; see
//                                schedules.h
//   cress:fleet:<name>   zset    who has schedule <name>: a digest of the definition, a blank and the
//                                worker, scored by when it last said so
//   cress:defined:<name> hash    the definitions that those digests stand for
//   cress:schedules      zset    names of schedules, scored by when a worker last had them
//   cress:paused         hash    paused queues, and since when each is, in ms
//   cress:control        channel what workers must hear at once: "cancel <id>"; "queues", when one
//                                was paused or resumed
//
// All live in the one database that store.url selects; the channels are Redis-wide, which ids make
// harmless. To change what a key holds give it a new name, and let the old ones expire. Pure
// functions; any thread.
#ifndef CRESS_STORE_KEYS_H
#define CRESS_STORE_KEYS_H

#define CRESS_KEY_JOB         "cress:job:"
#define CRESS_KEY_BATCH       "cress:batch:"
#define CRESS_KEY_RESULTS     "cress:results:"
#define CRESS_KEY_MEMBERS     "cress:members:"
#define CRESS_KEY_AFTER       "cress:after:"
#define CRESS_KEY_PENDING     "cress:pending:"
#define CRESS_KEY_NEEDED      "cress:needed:"
#define CRESS_KEY_KEPT        "cress:kept"
#define CRESS_KEY_LOG         "cress:log:"
#define CRESS_KEY_UNIQUE      "cress:unique:"
#define CRESS_KEY_IDEMPOTENCY "cress:idempotency:"
#define CRESS_KEY_LIMIT       "cress:limit:"
#define CRESS_KEY_LIMITS      "cress:limits"
#define CRESS_KEY_WORKER      "cress:worker:"
#define CRESS_KEY_WORKERS     "cress:workers"
#define CRESS_KEY_REPORTS     "cress:reports"
#define CRESS_KEY_QUEUES      "cress:queues"
#define CRESS_KEY_CANCELLED   "cress:cancelled:"
#define CRESS_KEY_PAUSED      "cress:paused"
#define CRESS_KEY_CONTROL     "cress:control"
#define CRESS_KEY_SCHEDULE    "cress:schedule:"
#define CRESS_KEY_SCHEDULES   "cress:schedules"
#define CRESS_KEY_FLEET       "cress:fleet:"
#define CRESS_KEY_DEFINED     "cress:defined:"

enum { CRESS_KEY_MAX = 320 };

/* The key that is `prefix`, one of those above, and `name`; cut when that is too long. Returns
 * `key`. */
const char *cress_key(const char *prefix, const char *name, char key[CRESS_KEY_MAX]);

#endif
