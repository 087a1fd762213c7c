// SPDX-License-Identifier: Apache-2.0
// Versions of servers; see server_version.h.
#include "producer/cli/server_version.h"

#include <stdlib.h>
#include <string.h>

bool cress_server_is_before(const char *server, long major, long minor)
{
    const char *digits = server + strcspn(server, "0123456789");
    char *end;
    const long first = strtol(digits, &end, 10);
    const long second = *end == '.' ? strtol(end + 1, NULL, 10) : 0;
    return *digits && (first < major || (first == major && second < minor));
}
