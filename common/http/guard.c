// SPDX-License-Identifier: Apache-2.0
// The SSRF guard: tables of special-purpose addresses, and the operator's exceptions.

#include "common/http/guard.h"

#include "common/base/mem.h"
#include "common/base/text.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

/* An exception. IPv4 is held as IPv4-mapped IPv6, so that there is one way to compare. */
struct exception {
    struct in6_addr address;
    int port; /* 0: every port */
};

struct cress_guard {
    size_t count;
    struct exception exceptions[];
};

struct range {
    const char *prefix;
    int bits;
};

static const struct range special_v4[] = {
    {"0.0.0.0", 8},        /* this network */
    {"10.0.0.0", 8},       /* private */
    {"100.64.0.0", 10},    /* carrier-grade NAT */
    {"127.0.0.0", 8},      /* loopback */
    {"168.63.129.16", 32}, /* Azure's host: looks public, is not */
    {"169.254.0.0", 16},   /* link-local, with the clouds' metadata services */
    {"172.16.0.0", 12},    /* private */
    {"192.0.0.0", 24},     /* IETF protocol assignments */
    {"192.0.2.0", 24},     /* documentation */
    {"192.88.99.0", 24},   /* 6to4 relays */
    {"192.168.0.0", 16},   /* private */
    {"198.18.0.0", 15},    /* benchmarks */
    {"198.51.100.0", 24},  /* documentation */
    {"203.0.113.0", 24},   /* documentation */
    {"224.0.0.0", 4},      /* multicast */
    {"240.0.0.0", 4},      /* reserved, and broadcast */
};

/* Inside 2000::/3; everything outside of it is refused anyway. */
static const struct range special_v6[] = {
    {"2001::", 23},     /* IETF protocol assignments: Teredo, benchmarks, ORCHID */
    {"2001:db8::", 32}, /* documentation */
    {"3fff::", 20},     /* documentation, RFC 9637 */
};

static const struct range global_v6 = {"2000::", 3};

/* Forms that carry an IPv4 address, which then decides. `at` is its first byte. */
static const struct carrier {
    struct range range;
    int at;
} carriers[] = {
    {{"::ffff:0:0", 96}, 12}, /* IPv4-mapped, RFC 4291 */
    {{"64:ff9b::", 96}, 12},  /* NAT64, RFC 6052; its local form 64:ff9b:1::/48 is not global */
    {{"2002::", 16}, 2},      /* 6to4, RFC 3056 */
};

static bool in_range(int family, const unsigned char *address, const struct range *range)
{
    unsigned char prefix[sizeof(struct in6_addr)];
    inet_pton(family, range->prefix, prefix);
    int whole = range->bits / 8;
    int rest = range->bits % 8;
    return memcmp(address, prefix, (size_t)whole) == 0 &&
           (rest == 0 || (address[whole] ^ prefix[whole]) >> (8 - rest) == 0);
}

static bool in_any(int family, const unsigned char *address, const struct range *ranges, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (in_range(family, address, &ranges[i])) {
            return true;
        }
    }
    return false;
}

static bool is_public_v4(const unsigned char *address)
{
    return !in_any(AF_INET, address, special_v4, CRESS_COUNT(special_v4));
}

static bool is_public_v6(const unsigned char *address)
{
    for (size_t i = 0; i < CRESS_COUNT(carriers); i++) {
        if (in_range(AF_INET6, address, &carriers[i].range)) {
            return is_public_v4(address + carriers[i].at);
        }
    }
    return in_range(AF_INET6, address, &global_v6) &&
           !in_any(AF_INET6, address, special_v6, CRESS_COUNT(special_v6));
}

static struct in6_addr map_v4(const struct in_addr *v4)
{
    struct in6_addr v6 = {.s6_addr = {[10] = 0xff, [11] = 0xff}};
    memcpy(v6.s6_addr + 12, v4, sizeof *v4);
    return v6;
}

/* Reads "a.b.c.d:port" or "[v6]:port". */
static bool parse_exception(const char *text, struct exception *exception)
{
    const char *colon = strrchr(text, ':');
    char host[INET6_ADDRSTRLEN + 2];
    if (!colon || (size_t)(colon - text) >= sizeof host) {
        return false;
    }
    size_t length = (size_t)(colon - text);
    memcpy(host, text, length);
    host[length] = '\0';

    int64_t port = 0;
    bool any = strcmp(colon + 1, "*") == 0;
    if (!any && (!cress_text_to_int(colon + 1, &port) || port < 1 || port > 65535)) {
        return false;
    }
    exception->port = (int)port;

    struct in_addr v4;
    if (inet_pton(AF_INET, host, &v4) == 1) {
        exception->address = map_v4(&v4);
        return true;
    }
    if (host[0] != '[' || host[length - 1] != ']') {
        return false;
    }
    host[length - 1] = '\0';
    return inet_pton(AF_INET6, host + 1, &exception->address) == 1;
}

enum cress_status cress_guard_make(char *const *allow, struct cress_guard **out,
                                   struct cress_error *err)
{
    size_t count = 0;
    while (allow && allow[count]) {
        count++;
    }
    struct cress_guard *guard = cress_alloc(sizeof *guard + count * sizeof guard->exceptions[0]);
    for (; guard->count < count; guard->count++) {
        const char *text = allow[guard->count];
        if (!parse_exception(text, &guard->exceptions[guard->count])) {
            free(guard);
            return cress_error_set(err, CRESS_CONFIG, NULL,
                                   "\"%s\" is not an allowed address: expected address:port, such "
                                   "as 127.0.0.1:8000, [::1]:8000 or 10.0.0.5:* (no names)",
                                   text);
        }
    }
    *out = guard;
    return CRESS_OK;
}

void cress_guard_free(struct cress_guard *guard)
{
    free(guard);
}

static bool is_excepted(const struct cress_guard *guard, const struct in6_addr *address, int port)
{
    for (size_t i = 0; i < guard->count; i++) {
        const struct exception *e = &guard->exceptions[i];
        if ((e->port == 0 || e->port == port) &&
            memcmp(&e->address, address, sizeof *address) == 0) {
            return true;
        }
    }
    return false;
}

bool cress_guard_permits(const struct cress_guard *guard, const struct sockaddr *address)
{
    struct in6_addr v6;
    int port;
    /* Copied out: a sockaddr from elsewhere need not be aligned for what is in it. */
    if (address->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, address, sizeof in);
        v6 = map_v4(&in.sin_addr);
        port = ntohs(in.sin_port);
    } else if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, address, sizeof in6);
        v6 = in6.sin6_addr;
        port = ntohs(in6.sin6_port);
    } else {
        return false;
    }
    return is_public_v6(v6.s6_addr) || is_excepted(guard, &v6, port);
}
