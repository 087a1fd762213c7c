// SPDX-License-Identifier: Apache-2.0
// The SSRF guard: which addresses a URL from a job may be fetched from. Private, loopback,
// link-local, metadata and otherwise special addresses are refused, unless allow-listed by address
// and port.
//
// It is asked with the address about to be dialled, after name resolution and on each redirect, so
// neither a rebinding name nor an odd spelling of an address gets around it. Sources: IANA's IPv4
// and IPv6 special-purpose address registries (RFC 6890); the metadata address 168.63.129.16 of
// Azure. Read-only after making: any thread.
#ifndef CRESS_HTTP_GUARD_H
#define CRESS_HTTP_GUARD_H

#include "common/base/status.h"

#include <stdbool.h>
#include <sys/socket.h>

struct cress_guard;

/* `allow` is a list of "address:port" ("127.0.0.1:8000", "[::1]:8000", "10.0.0.5:*" for every
 * port), NULL at the end; names are not taken, for their meaning can change. CRESS_CONFIG names a
 * bad one. */
CRESS_MUST_CHECK enum cress_status cress_guard_make(char *const *allow, struct cress_guard **out,
                                                    struct cress_error *err);
void cress_guard_free(struct cress_guard *guard);

/* Anything but IPv4 and IPv6 is refused. An IPv4 address inside an IPv6 one (mapped, NAT64, 6to4)
 * is judged as such. */
bool cress_guard_permits(const struct cress_guard *guard, const struct sockaddr *address);

#endif
