// SPDX-License-Identifier: Apache-2.0
// A program's three standard files; see stdio.h.
#include "common/base/stdio.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

void cress_stdio_protect(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        /* open() takes the lowest number that is free, which is this one. */
        if (fcntl(fd, F_GETFD) < 0 &&
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd) {
            abort();
        }
    }
}
