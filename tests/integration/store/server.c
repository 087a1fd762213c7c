// SPDX-License-Identifier: Apache-2.0
// A Redis server for tests; see server.h.
#include "tests/integration/store/server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void must(bool good, const char *what)
{
    if (!good) {
        perror(what);
        exit(1);
    }
}

static struct sockaddr_in loopback(int port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
}

static int free_port(void)
{
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof(address);
    const int fd = socket(AF_INET, SOCK_STREAM, 0);

    must(bind(fd, (struct sockaddr *)&address, size) == 0, "bind");
    must(getsockname(fd, (struct sockaddr *)&address, &size) == 0, "getsockname");
    close(fd);
    return ntohs(address.sin_port);
}

void server_prepare(struct server *server)
{
    snprintf(server->folder, sizeof(server->folder), "/tmp/cress-store-XXXXXX");
    must(mkdtemp(server->folder) != NULL, "mkdtemp");
    server->port = free_port();
    snprintf(server->url, sizeof(server->url), "redis://:se%%63ret@127.0.0.1:%d/9", server->port);
}

static void become_server(const struct server *server)
{
    char port[16];
    const int null = open("/dev/null", O_RDWR);

    snprintf(port, sizeof(port), "%d", server->port);
    dup2(null, STDOUT_FILENO);
    char *const argv[] = {"redis-server",
                          "--port",
                          port,
                          "--bind",
                          "127.0.0.1",
                          "--dir",
                          (char *)server->folder,
                          "--requirepass",
                          "secret",
                          "--save",
                          "3600 1000000",
                          "--unixsocket",
                          "redis.sock",
                          NULL};
    execvp("redis-server", argv);
    execvp("redis-check-rdb", argv); /* the same program, which goes by what it is called */
    _exit(127);
}

static bool listens(int port)
{
    struct sockaddr_in address = loopback(port);
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    const bool good = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;

    close(fd);
    return good;
}

void server_start(struct server *server)
{
    server->pid = fork();
    must(server->pid >= 0, "fork");
    if (server->pid == 0) {
        become_server(server);
    }
    const time_t deadline = time(NULL) + 20;
    while (!listens(server->port)) {
        must(time(NULL) < deadline && waitpid(server->pid, NULL, WNOHANG) == 0, "redis-server");
        nanosleep(&(struct timespec){.tv_nsec = 10 * 1000 * 1000}, NULL);
    }
}

void server_stop(struct server *server)
{
    kill(server->pid, SIGCONT);
    kill(server->pid, SIGTERM);
    waitpid(server->pid, NULL, 0);
}

void server_forget(struct server *server)
{
    char path[96];

    snprintf(path, sizeof(path), "%s/dump.rdb", server->folder);
    unlink(path);
}

void server_clean(struct server *server)
{
    server_forget(server);
    rmdir(server->folder);
}
