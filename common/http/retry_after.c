// SPDX-License-Identifier: Apache-2.0
// What a Retry-After header asks for; see http.h. Dates in all their forms are read by libcurl.
#include "common/base/text.h"
#include "common/http/http.h"

#include <curl/curl.h>

int64_t cress_http_retry_after_ms(const char *value, int64_t now_ms)
{
    const int64_t max_s = CRESS_HTTP_RETRY_AFTER_MAX_MS / 1000;
    int64_t seconds = 0;
    if (value && !cress_text_to_int(value, &seconds)) {
        const int64_t date_s = curl_getdate(value, NULL);
        seconds = date_s < 0 ? 0 : date_s - now_ms / 1000;
    }
    if (seconds < 0) {
        return 0;
    }
    return (seconds < max_s ? seconds : max_s) * 1000;
}
