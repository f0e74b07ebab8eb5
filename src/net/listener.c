/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/net/listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Fairness: other work of the loop comes in between. */
#define ACCEPTS_PER_WAKEUP 32

/* A connection more or less does not matter here; the kernel cuts it to net.core.somaxconn. */
#define BACKLOG 4096

#define REST_MS 100

/* Room for a text of strerror_r(). */
#define SYS_TEXT_BYTES 128

struct listener {
    struct io io;
    struct loop *loop;
    struct deadline rest;
    listener_fn fn;
    listener_starved_fn on_starved;
    void *ctx;
    int fd;
    bool is_on;
    bool is_starved;
    bool is_freed;
};

static const char *remedy(int number)
{
    switch (number) {
    case EADDRINUSE:
        return "another program listens there: stop it or choose another port";
    case EACCES:
        return "ports below 1024 need CAP_NET_BIND_SERVICE or socket activation";
    case EADDRNOTAVAIL:
        return "no interface of this host has that address";
    case EAFNOSUPPORT:
        return "this host has no such address family: is IPv6 switched off?";
    default:
        return "check the address";
    }
}

static frun_err setup(int fd, const struct addr *a, bool is_shared)
{
    int one = 1;
    int shared = is_shared;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &shared, sizeof(shared))) {
        return FRUN_E_IO;
    }
    if (a->ss.ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)&a->ss;
        int is_only = !IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr);
        if (setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &is_only, sizeof(is_only))) {
            return FRUN_E_IO;
        }
    }
    if (bind(fd, (const struct sockaddr *)&a->ss, a->len) || listen(fd, BACKLOG)) {
        return FRUN_E_IO;
    }
    return FRUN_OK;
}

static frun_err make_socket(const struct addr *a, bool is_shared, struct addr *bound, int *out,
                            struct diag *d)
{
    char text[ADDR_TEXT_BYTES];
    char why[SYS_TEXT_BYTES];
    int fd = socket(a->ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setup(fd, a, is_shared)) {
        int number = errno;
        addr_text(a, text);
        diag_set(d, "cannot listen on %s: %s; %s", text, strerror_r(number, why, sizeof(why)),
                 remedy(number));
        if (fd >= 0) {
            close(fd);
        }
        errno = number;
        return FRUN_E_IO;
    }
    if (bound) {
        *bound = (struct addr){.len = sizeof(bound->ss)};
        (void)getsockname(fd, (struct sockaddr *)&bound->ss, &bound->len);
    }
    *out = fd;
    return FRUN_OK;
}

frun_err listener_socket(const struct addr *a, struct addr *bound, int *out, struct diag *d)
{
    return make_socket(a, true, bound, out, d);
}

frun_err listener_socket_alone(const struct addr *a, struct addr *bound, int *out, struct diag *d)
{
    return make_socket(a, false, bound, out, d);
}

static void watch(struct listener *x)
{
    bool is_resting = x->rest.at_ms != 0;
    if (io_want(&x->io, x->is_on && !is_resting ? IO_READ : 0)) {
        deadline_set(x->loop, &x->rest, REST_MS); /* tried again then */
    }
}

/* Out of descriptors or memory: the waiting connection would wake us at once, again and again. */
static void starve(struct listener *x)
{
    deadline_set(x->loop, &x->rest, REST_MS);
    watch(x);
    if (!x->is_starved) {
        x->is_starved = true;
        if (x->on_starved) {
            x->on_starved(x->ctx, true);
        }
    }
}

static void on_rest(struct deadline *d)
{
    watch(list_entry(d, struct listener, rest));
}

/* false: nothing more to accept now. */
static bool accept_one(struct listener *x)
{
    struct addr peer = {.len = sizeof(peer.ss)};
    int fd = accept4(x->fd, (struct sockaddr *)&peer.ss, &peer.len, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
        if (x->is_starved) {
            x->is_starved = false;
            if (x->on_starved) {
                x->on_starved(x->ctx, false);
            }
        }
        x->fn(x->ctx, &fd, &peer);
        if (fd >= 0) {
            close(fd);
        }
        return true;
    }
    switch (errno) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        starve(x);
        return false;
    case EAGAIN:
        return false;
    default:
        /* Linux reports pending network errors of the new connection here: accept(2). */
        return true;
    }
}

static void on_io(struct io *io, int what)
{
    (void)what;
    struct listener *x = list_entry(io, struct listener, io);
    for (int i = 0; i < ACCEPTS_PER_WAKEUP; i++) {
        if (!accept_one(x) || x->is_freed || !x->is_on) {
            return;
        }
    }
}

frun_err listener_new(struct loop *l, int *fd, listener_fn fn, void *ctx, struct listener **out)
{
    struct listener *x = calloc(1, sizeof(*x));
    if (!x) {
        return FRUN_E_NOMEM;
    }
    x->loop = l;
    x->fd = *fd;
    x->fn = fn;
    x->ctx = ctx;
    x->is_on = true;
    /* Accepted sockets inherit it: one call instead of one a connection. Here, so that sockets from
     * systemd have it too; what is no TCP socket has none. */
    int one = 1;
    (void)setsockopt(x->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    deadline_init(&x->rest, on_rest);
    frun_err err = io_open(&x->io, l, x->fd, on_io);
    if (!err) {
        err = io_want(&x->io, IO_READ);
    }
    if (err) {
        io_close(&x->io);
        free(x);
        return err;
    }
    *fd = -1;
    *out = x;
    return FRUN_OK;
}

int listener_fd(const struct listener *x)
{
    return x->fd;
}

void listener_on_starved(struct listener *x, listener_starved_fn fn)
{
    x->on_starved = fn;
}

void listener_accept_on(struct listener *x, bool is_on)
{
    x->is_on = is_on;
    watch(x);
}

void listener_drain(struct listener *x)
{
    for (int i = 0; i < BACKLOG && x->is_on && !x->is_freed && !x->rest.at_ms; i++) {
        if (!accept_one(x)) {
            break;
        }
    }
    listener_free(x);
}

void listener_free(struct listener *x)
{
    if (!x || x->is_freed) {
        return;
    }
    x->is_freed = true;
    deadline_clear(&x->rest);
    io_close(&x->io);
    close(x->fd);
    loop_free_later(x->loop, free, x);
}
