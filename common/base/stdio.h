// SPDX-License-Identifier: Apache-2.0
// A program's three standard files.
#ifndef CRESS_BASE_STDIO_H
#define CRESS_BASE_STDIO_H

/* To be called first in main(). Whoever starts us may have closed a standard file, and the next
 * socket would get its number: messages would go into it, and libuv aborts when it is to close one.
 * What is missing becomes /dev/null, opened the wrong way round, so that using it is an error
 * (EBADF) as before. */
void cress_stdio_protect(void);

#endif
