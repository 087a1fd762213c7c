// SPDX-License-Identifier: Apache-2.0
// A number in decimal digits; see decimal.h.
#include "common/base/decimal.h"

#include <string.h>

size_t cress_decimal(int64_t number, char text[CRESS_DECIMAL_MAX])
{
    char digits[CRESS_DECIMAL_MAX];
    char *const end = digits + sizeof digits - 1;
    char *at = end;
    uint64_t left = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    *at = '\0';
    do {
        *--at = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    if (number < 0) {
        *--at = '-';
    }
    memcpy(text, at, (size_t)(end - at) + 1);
    return (size_t)(end - at);
}
