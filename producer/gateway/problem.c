// SPDX-License-Identifier: Apache-2.0
// Problem documents: see problem.h.
#include "producer/gateway/problem.h"

#include "common/base/mem.h"

#include <string.h>

static const struct {
    int status;
    const char *title;
} titles[] = {
    {200, "OK"},
    {202, "Accepted"},
    {204, "No Content"},
    {304, "Not Modified"},
    {400, "Bad Request"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {422, "Unprocessable Content"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {503, "Service Unavailable"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
};

const char *cress_problem_title(int status)
{
    for (size_t i = 0; i < CRESS_COUNT(titles); i++) {
        if (titles[i].status == status) {
            return titles[i].title;
        }
    }
    return "Error";
}

int cress_problem_status(enum cress_status status)
{
    switch (status) {
    case CRESS_TIMEOUT:
    case CRESS_CANCELLED:
    case CRESS_DENIED:
        return 503;
    default:
        return cress_status_http(status);
    }
}

void cress_problem_write(struct cress_buf *out, int status, const char *code, const char *detail,
                         const char *members)
{
    cress_buf_add_text(out, "{\"type\":\"urn:cress:problem:");
    for (const char *c = code; *c != '\0'; c++) {
        cress_buf_add_char(out, *c == '_' ? '-' : *c);
    }
    cress_buf_printf(
        out, "\",\"title\":\"%s\",\"status\":%d,\"detail\":", cress_problem_title(status), status);
    cress_buf_add_json(out, detail, strlen(detail));
    cress_buf_printf(out, ",\"code\":\"%s\"", code);
    if (members != NULL) {
        cress_buf_printf(out, ",%s", members);
    }
    cress_buf_add_char(out, '}');
}
