// SPDX-License-Identifier: Apache-2.0
// A number in decimal digits, for where each job needs several: snprintf() costs ten times as much.
#ifndef CRESS_BASE_DECIMAL_H
#define CRESS_BASE_DECIMAL_H

#include <stddef.h>
#include <stdint.h>

enum { CRESS_DECIMAL_MAX = 21 }; /* of INT64_MIN, with its end */

/* Writes `number` and a null character. Returns the number's size. */
size_t cress_decimal(int64_t number, char text[CRESS_DECIMAL_MAX]);

#endif
