// SPDX-License-Identifier: Apache-2.0
// `cress doctor` looks at RabbitMQ through its management API, where the user gives its address: what
// AMQP does not tell, which is the policies of queues and the alarms of each node.
#include "common/base/mem.h"
#include "common/base/text.h"
#include "common/base/url.h"
#include "producer/cli/doctor.h"

#include <stdlib.h>
#include <string.h>

enum { ANSWER_MAX_BYTES = 64 << 20 };

/* What is asked, in this order, one after the other. */
enum page { PAGE_ALARMS, PAGE_QUEUES, PAGE_POLICIES, PAGE_OPERATOR_POLICIES, PAGE_COUNT };

/* The virtual host stands between. */
static const struct {
    const char *before, *after;
    bool has_vhost;
} paths[PAGE_COUNT] = {
    [PAGE_ALARMS] = {"/api/health/checks/alarms", "", false},
    [PAGE_QUEUES] = {"/api/queues/", "?columns=name,arguments", true},
    [PAGE_POLICIES] = {"/api/policies/", "", true},
    [PAGE_OPERATOR_POLICIES] = {"/api/operator-policies/", "", true},
};

struct inquiry {
    struct cress_doctor *doctor;
    char *base, *vhost;
    enum page at;
    json_t *answers[PAGE_COUNT]; /* NULL: none */
};

/* The virtual host as the API's paths want it: "/" is the default one's name. */
static char *virtual_host(const char *broker_url)
{
    char **urls = cress_url_hosts(broker_url);
    struct cress_url url = {0};
    struct cress_error err;
    char *name = NULL;
    if (cress_url_parse(urls[0], &url, &err) == CRESS_OK && strlen(url.path) > 1) {
        name = cress_strdup(url.path + 1);
    }
    cress_url_free(&url);
    cress_text_list_free(urls);
    return name ? name : cress_strdup("%2F");
}

static enum cress_doctor_check check_of(enum page page)
{
    return page == PAGE_ALARMS ? CRESS_CHECK_ALARMS : CRESS_CHECK_POLICIES;
}

static void ask_management(struct inquiry *inquiry);

static void end_inquiry(struct inquiry *inquiry)
{
    struct cress_finding alarms = {0}, policies = {0};
    json_t **answers = inquiry->answers;
    cress_doctor_judge_alarms(answers[PAGE_ALARMS], &alarms);
    cress_doctor_find(inquiry->doctor, CRESS_CHECK_ALARMS, &alarms);
    cress_doctor_judge_policies(answers[PAGE_QUEUES], answers[PAGE_POLICIES],
                                answers[PAGE_OPERATOR_POLICIES], &policies);
    cress_doctor_find(inquiry->doctor, CRESS_CHECK_POLICIES, &policies);
    for (int i = 0; i < PAGE_COUNT; i++) {
        json_decref(answers[i]);
    }
    free(inquiry->base);
    free(inquiry->vhost);
    free(inquiry);
}

/* An alarm is answered with 503. */
static void take_answer(struct inquiry *inquiry, const struct cress_http_response *response)
{
    json_t **answer = &inquiry->answers[inquiry->at];
    const bool is_told = response->status == 200 || response->status == 503;
    *answer = is_told ? json_loadb(response->body, response->body_size, 0, NULL) : NULL;
    if (!*answer) {
        const bool is_denied = response->status == 401 || response->status == 403;
        cress_doctor_judge(inquiry->doctor, check_of(inquiry->at), CRESS_DOCTOR_WARN,
                           "unknown: RabbitMQ's management API answers %d%s", response->status,
                           is_denied ? ". The user of broker.management_url needs the tag "
                                       "monitoring, and a permission for the virtual host"
                                     : "");
    }
}

static void answer_cb(const struct cress_http_response *response, const struct cress_error *err,
                      void *arg)
{
    struct inquiry *inquiry = arg;
    if (err) {
        cress_doctor_judge(inquiry->doctor, check_of(inquiry->at), CRESS_DOCTOR_WARN,
                           "unknown: RabbitMQ's management API at broker.management_url: %s",
                           err->message);
    } else {
        take_answer(inquiry, response);
    }
    inquiry->at++;
    if (inquiry->at == PAGE_COUNT || cress_cli_over(cress_doctor_cli(inquiry->doctor))) {
        end_inquiry(inquiry);
    } else {
        ask_management(inquiry);
    }
}

static void ask_management(struct inquiry *inquiry)
{
    const char *vhost = paths[inquiry->at].has_vhost ? inquiry->vhost : "";
    char *url = cress_format("%s%s%s%s", inquiry->base, paths[inquiry->at].before, vhost,
                             paths[inquiry->at].after);
    const struct cress_http_request request = {
        .method = "GET",
        .url = url,
        .user_agent = "cress doctor",
        .timeout_ms = cress_doctor_cli(inquiry->doctor)->connect_timeout_ms,
        .max_bytes = ANSWER_MAX_BYTES,
    };
    cress_http_start(cress_doctor_http(inquiry->doctor), &request, answer_cb, inquiry);
    free(url);
}

void cress_doctor_look_at_management(struct cress_doctor *doctor)
{
    const struct cress_config *config = cress_doctor_cli(doctor)->config;
    if (!config->broker_management_url || !config->broker_management_url[0]) {
        cress_doctor_judge(doctor, CRESS_CHECK_ALARMS, CRESS_DOCTOR_SKIP,
                           "nodes not looked at: publish tells of an alarm, and "
                           "broker.management_url of which node");
        cress_doctor_judge(doctor, CRESS_CHECK_POLICIES, CRESS_DOCTOR_SKIP,
                           "not looked at: AMQP does not tell, set broker.management_url to "
                           "RabbitMQ's management API");
        return;
    }
    struct inquiry *inquiry = CRESS_NEW(struct inquiry);
    inquiry->doctor = doctor;
    const char *base = config->broker_management_url;
    const size_t size = strlen(base);
    inquiry->base = cress_strndup(base, size - (base[size - 1] == '/'));
    inquiry->vhost = virtual_host(config->broker_url);
    ask_management(inquiry);
}
