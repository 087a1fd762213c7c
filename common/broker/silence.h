// SPDX-License-Identifier: Apache-2.0
// What is not answered. Private to common/broker.
//
//   a queue that says nothing     what is open on it waits with its route, and is tried again on a
//                                 fresh channel
//   a delay queue                 the next shorter one serves; one that goes on saying nothing is
//                                 replaced by a queue of the next generation
//   a queue that this process     is made again when it never answered: see
//   has made                      cress_declarer_is_stillborn()
//   a queue that refuses          what waits for it is answered when its time is up
//   channels that were left       when too many never say that they are closed, the connection is
//                                 given up
//   nothing at all is confirmed   the connection is given up
#ifndef CRESS_BROKER_SILENCE_H
#define CRESS_BROKER_SILENCE_H

#include "common/broker/routes.h"

/* Looks at all routes when that is due. Returns the milliseconds until it is due again; -1: nothing
 * is waited for. */
int cress_silence_check(struct cress_publisher *publisher);

#endif
