// SPDX-License-Identifier: Apache-2.0
// How a connection begins and ends: URL, socket, TLS, login, goodbye; see connection.h.
#include "common/base/backoff.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/text.h"
#include "common/base/url.h"
#include "common/base/version.h"
#include "common/broker/connection.h"
#include "common/broker/failure.h"

#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

enum {
    FRAME_MAX = 131072, /* RabbitMQ's own default */
    /* A little more than RabbitMQ itself gives a quorum queue's operation
       (channel_operation_timeout, 15 s). */
    CALL_TIMEOUT_MS = 20000,
    OUT_MAX_BYTES = 1 << 30,
};

/* The parts point into `*text`, which the caller frees. */
static bool parse_url(const char *url, char **text, struct amqp_connection_info *parts)
{
    *text = cress_strdup(url);
    if (amqp_parse_url(*text, parts) != AMQP_STATUS_OK) {
        free(*text);
        return false;
    }
    /* "amqp://host/" is strictly the virtual host "", which nobody has: everyone means the default
     * one. */
    if (!parts->vhost[0]) {
        parts->vhost = "/";
    }
    return true;
}

static enum cress_status check_node(const char *url, struct cress_error *err)
{
    struct amqp_connection_info parts;
    char *text;
    if (!parse_url(url, &text, &parts)) {
        char shown[CRESS_ERROR_MESSAGE_MAX / 2];
        cress_text_redact_url(url, shown, sizeof shown);
        return cress_error_set(err, CRESS_CONFIG, "bad_broker_url",
                               "%s is not amqp[s]://user:password@host:port/vhost", shown);
    }
    free(text);
    return CRESS_OK;
}

enum cress_status cress_endpoint_check(const char *url, struct cress_error *err)
{
    char **urls = cress_url_hosts(url);
    enum cress_status status = CRESS_OK;
    for (char **node = urls; *node && !status; node++) {
        status = check_node(*node, err);
    }
    cress_text_list_free(urls);
    return status;
}

void cress_endpoint_set_url(struct cress_endpoint *endpoint, const char *url)
{
    endpoint->urls = cress_url_hosts(url);
    endpoint->count = 1;
    while (endpoint->urls[endpoint->count]) {
        endpoint->count++;
    }
    endpoint->at = cress_random() % endpoint->count;
}

static struct timeval timeval_of(int64_t ms)
{
    return (struct timeval){.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
}

/* --- the socket --- */

/* OpenSSL itself compares the names, because rabbitmq-c knows nothing of certificates for IP
 * addresses. A mismatch becomes part of the verification's result, which rabbitmq-c checks before
 * the login. */
static void expect_host(SSL_CTX *context, const char *host)
{
    X509_VERIFY_PARAM *param = SSL_CTX_get0_param(context);
    if (!X509_VERIFY_PARAM_set1_ip_asc(param, host)) {
        X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        X509_VERIFY_PARAM_set1_host(param, host, 0);
    }
}

static enum cress_status make_tls_socket(amqp_connection_state_t amqp, const char *ca_file,
                                         const char *host, amqp_socket_t **out,
                                         struct cress_error *err)
{
    amqp_socket_t *socket = amqp_ssl_socket_new(amqp);
    if (!socket) {
        return cress_error_set(err, CRESS_INTERNAL, "tls", "OpenSSL cannot be initialised");
    }
    amqp_ssl_socket_set_verify_peer(socket, 1);
    amqp_ssl_socket_set_verify_hostname(socket, 0);
    expect_host(amqp_ssl_socket_get_context(socket), host);
    amqp_ssl_socket_set_ssl_versions(socket, AMQP_TLSv1_2, AMQP_TLSvLATEST);
    const bool loaded =
        ca_file[0] ? amqp_ssl_socket_set_cacert(socket, ca_file) == AMQP_STATUS_OK
                   : SSL_CTX_set_default_verify_paths(amqp_ssl_socket_get_context(socket)) == 1;
    if (!loaded) {
        return cress_error_set(err, CRESS_CONFIG, "bad_ca_file",
                               "no CA certificates can be read from %s",
                               ca_file[0] ? ca_file : "the system's store");
    }
    *out = socket;
    return CRESS_OK;
}

static enum cress_status open_socket(struct cress_connection *connection,
                                     const struct cress_endpoint *endpoint,
                                     const struct amqp_connection_info *parts,
                                     struct cress_error *err)
{
    amqp_socket_t *socket = NULL;
    if (connection->tls) {
        const enum cress_status status =
            make_tls_socket(connection->amqp, endpoint->ca_file, parts->host, &socket, err);
        if (status) {
            return status;
        }
    } else {
        socket = amqp_tcp_socket_new(connection->amqp);
    }
    const struct timeval timeout = timeval_of(endpoint->connect_timeout_ms);
    const int result = amqp_socket_open_noblock(socket, parts->host, parts->port, &timeout);
    if (result != AMQP_STATUS_OK) {
        enum cress_status status = cress_failure_by_status(result, err);
        if (result == AMQP_STATUS_SOCKET_ERROR || result == AMQP_STATUS_TIMEOUT) {
            status = cress_error_set(err, CRESS_UNAVAILABLE, "connection_refused",
                                     "nothing answers there");
        }
        cress_error_prefix(err, "connecting to %s:%d", parts->host, parts->port);
        return status;
    }
    connection->fd = amqp_get_sockfd(connection->amqp);
    return CRESS_OK;
}

enum cress_status cress_connection_dial(const struct cress_endpoint *endpoint,
                                        struct cress_connection **out, struct cress_error *err)
{
    char *text;
    struct amqp_connection_info parts;
    const char *url = endpoint->urls[endpoint->at];
    if (!parse_url(url, &text, &parts)) {
        return check_node(url, err);
    }
    struct cress_connection *connection = CRESS_NEW(struct cress_connection);
    connection->amqp = amqp_new_connection();
    connection->fd = -1;
    connection->tls = parts.ssl;
    connection->out = cress_buf_make(OUT_MAX_BYTES);
    const enum cress_status status = open_socket(connection, endpoint, &parts, err);
    free(text);
    if (status) {
        cress_connection_free(connection);
        return status;
    }
    *out = connection;
    return CRESS_OK;
}

/* --- login --- */

static amqp_table_entry_t text_entry(const char *key, const char *text)
{
    return (amqp_table_entry_t){.key = amqp_cstring_bytes(key),
                                .value.kind = AMQP_FIELD_KIND_UTF8,
                                .value.value.bytes = amqp_cstring_bytes(text)};
}

static amqp_table_entry_t true_entry(const char *key)
{
    return (amqp_table_entry_t){.key = amqp_cstring_bytes(key),
                                .value.kind = AMQP_FIELD_KIND_BOOLEAN,
                                .value.value.boolean = 1};
}

static amqp_rpc_reply_t login(struct cress_connection *connection,
                              const struct cress_endpoint *endpoint,
                              const struct amqp_connection_info *parts)
{
    amqp_table_entry_t capabilities[] = {
        true_entry("connection.blocked"),           true_entry("consumer_cancel_notify"),
        true_entry("publisher_confirms"),           true_entry("basic.nack"),
        true_entry("authentication_failure_close"),
    };
    amqp_table_entry_t properties[] = {
        text_entry("product", "Cress"),
        text_entry("version", cress_version()),
        text_entry("connection_name", endpoint->name),
        {.key = amqp_cstring_bytes("capabilities"),
         .value.kind = AMQP_FIELD_KIND_TABLE,
         .value.value.table = {.num_entries = CRESS_COUNT(capabilities), .entries = capabilities}},
    };
    const amqp_table_t table = {.num_entries = CRESS_COUNT(properties), .entries = properties};
    return amqp_login_with_properties(connection->amqp, parts->vhost, 0, FRAME_MAX,
                                      (int)(endpoint->heartbeat_ms / 1000), &table,
                                      AMQP_SASL_METHOD_PLAIN, parts->user, parts->password);
}

/* After the login: what the two sides have agreed on. */
static void settle_in(struct cress_connection *connection, const struct cress_endpoint *endpoint)
{
    amqp_connection_state_t amqp = connection->amqp;
    const int heartbeat_s = amqp_get_heartbeat(amqp);
    connection->heartbeat_ms = heartbeat_s ? (int64_t)heartbeat_s * 1000 : endpoint->heartbeat_ms;
    cress_connection_let_library_beat(connection, connection->tls);
    const struct timeval timeout = timeval_of(CALL_TIMEOUT_MS);
    amqp_set_rpc_timeout(amqp, &timeout);
    /* Room for a publish's method and header, each as long as a frame may be. */
    connection->scratch = cress_alloc(2 * (size_t)amqp_get_frame_max(amqp));
    connection->written_ms = connection->heard_ms = cress_clock_mono_ms();
}

enum cress_status cress_connection_login(struct cress_connection *connection,
                                         const struct cress_endpoint *endpoint, int64_t dialled_ms,
                                         struct cress_error *err)
{
    char *text;
    struct amqp_connection_info parts;
    const char *url = endpoint->urls[endpoint->at];
    if (!parse_url(url, &text, &parts)) {
        return check_node(url, err);
    }
    int64_t left_ms = endpoint->connect_timeout_ms - (cress_clock_mono_ms() - dialled_ms);
    const struct timeval timeout = timeval_of(left_ms > 1 ? left_ms : 1);
    amqp_set_handshake_timeout(connection->amqp, &timeout);
    const amqp_rpc_reply_t reply = login(connection, endpoint, &parts);
    enum cress_status status = CRESS_OK;
    if (reply.reply_type != AMQP_RESPONSE_NORMAL) {
        status = cress_failure_by_reply(reply, err);
        cress_error_prefix(err, "logging in to %s:%d as %s, virtual host %s", parts.host,
                           parts.port, parts.user, parts.vhost);
    } else {
        settle_in(connection, endpoint);
    }
    free(text);
    return status;
}

void cress_connection_goodbye(struct cress_connection *connection, int64_t wait_ms)
{
    if (connection->broken || wait_ms <= 0) {
        return;
    }
    const struct timeval timeout = timeval_of(wait_ms);
    amqp_set_rpc_timeout(connection->amqp, &timeout);
    amqp_connection_close(connection->amqp, AMQP_REPLY_SUCCESS);
}

/* --- the server --- */

static void copy_property(const amqp_table_t *table, const char *key, char *text, size_t size)
{
    text[0] = '\0';
    for (int i = 0; i < table->num_entries; i++) {
        const amqp_table_entry_t *entry = &table->entries[i];
        if (entry->value.kind == AMQP_FIELD_KIND_UTF8 && entry->key.len == strlen(key) &&
            memcmp(entry->key.bytes, key, entry->key.len) == 0) {
            const amqp_bytes_t value = entry->value.value.bytes;
            snprintf(text, size, "%.*s", (int)value.len, (const char *)value.bytes);
        }
    }
}

void cress_connection_server(const struct cress_connection *connection, char *text, size_t size)
{
    const amqp_table_t *table = amqp_get_server_properties(connection->amqp);
    char product[64], version[64];
    copy_property(table, "product", product, sizeof product);
    copy_property(table, "version", version, sizeof version);
    snprintf(text, size, "%s %s", product, version);
}
