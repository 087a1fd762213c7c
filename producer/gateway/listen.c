// SPDX-License-Identifier: Apache-2.0
// A listening TCP socket from a text: see listen.h.
#include "producer/gateway/listen.h"

#include "common/base/text.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { BACKLOG = 4096 };

enum cress_status cress_listen_parse(const char *text, char host[CRESS_LISTEN_URL_MAX],
                                     char port[8], struct cress_error *err)
{
    const char *colon = strrchr(text, ':');
    int64_t number;
    if (colon == NULL || !cress_text_to_int(colon + 1, &number) || number < 0 || number > 65535) {
        return cress_error_set(
            err, CRESS_CONFIG, "bad_listen",
            "gateway.listen is \"%s\": expected address:port, such as 127.0.0.1:8080", text);
    }
    size_t size = (size_t)(colon - text);
    if (size >= 2 && text[0] == '[' && text[size - 1] == ']') {
        text++;
        size -= 2;
    }
    if (size >= CRESS_LISTEN_URL_MAX) {
        return cress_error_set(err, CRESS_CONFIG, "bad_listen",
                               "gateway.listen: the name is too long");
    }
    memcpy(host, text, size);
    host[size] = '\0';
    snprintf(port, 8, "%d", (int)number);
    return CRESS_OK;
}

static enum cress_status resolve(const char *text, struct sockaddr_storage *address,
                                 struct cress_error *err)
{
    char host[CRESS_LISTEN_URL_MAX] = "", port[8] = "";
    const enum cress_status status = cress_listen_parse(text, host, port, err);
    if (status != CRESS_OK) {
        return status;
    }
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found;
    const int failure = getaddrinfo(host[0] != '\0' ? host : NULL, port, &hints, &found);
    if (failure != 0) {
        return cress_error_set(err, CRESS_CONFIG, "bad_listen", "gateway.listen: %s: %s", host,
                               gai_strerror(failure));
    }
    memcpy(address, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return CRESS_OK;
}

static void write_url(const uv_tcp_t *listener, char url[CRESS_LISTEN_URL_MAX])
{
    struct sockaddr_storage address = {0};
    int size = sizeof address;
    char name[INET6_ADDRSTRLEN] = "";
    uv_tcp_getsockname(listener, (struct sockaddr *)&address, &size);
    if (address.ss_family == AF_INET6) {
        const struct sockaddr_in6 *ipv6 = (const struct sockaddr_in6 *)&address;
        uv_ip6_name(ipv6, name, sizeof name);
        snprintf(url, CRESS_LISTEN_URL_MAX, "http://[%s]:%d", name, ntohs(ipv6->sin6_port));
    } else {
        const struct sockaddr_in *ipv4 = (const struct sockaddr_in *)&address;
        uv_ip4_name(ipv4, name, sizeof name);
        snprintf(url, CRESS_LISTEN_URL_MAX, "http://%s:%d", name, ntohs(ipv4->sin_port));
    }
}

enum cress_status cress_listen_open(uv_loop_t *loop, const char *text, uv_tcp_t *listener,
                                    uv_connection_cb accept_cb, char url[CRESS_LISTEN_URL_MAX],
                                    struct cress_error *err)
{
    uv_tcp_init(loop, listener);
    struct sockaddr_storage address;
    const enum cress_status status = resolve(text, &address, err);
    if (status != CRESS_OK) {
        uv_close((uv_handle_t *)listener, NULL);
        return status;
    }
    int failure = uv_tcp_bind(listener, (const struct sockaddr *)&address, 0);
    if (failure == 0) {
        failure = uv_listen((uv_stream_t *)listener, BACKLOG, accept_cb);
    }
    if (failure != 0) {
        uv_close((uv_handle_t *)listener, NULL);
        return cress_error_set(
            err, CRESS_UNAVAILABLE, "listen",
            "cannot listen on %s: %s; choose another with --listen or stop who has it", text,
            uv_strerror(failure));
    }
    write_url(listener, url);
    return CRESS_OK;
}
