// SPDX-License-Identifier: Apache-2.0
// Of a library of Lua functions, those that a script uses.
//
// Redis runs the whole text of a script at each call, and so makes each of its functions anew: those
// that a call does not need cost a hot script more than its work. Pure.
#ifndef CRESS_STORE_LUA_LIBRARY_H
#define CRESS_STORE_LUA_LIBRARY_H

#include "common/base/buf.h"

/* Adds to `text` what stands before the first function of `library`, and the functions that `users`,
 * the text that is to follow, calls or that those call. Each begins with a line
 * "local function NAME(", at its start, and ends where the next one begins. */
void cress_lua_library_add(struct cress_buf *text, const char *library, const char *users);

#endif
