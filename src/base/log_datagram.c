/**
 * Lines as datagrams to a socket that may be missing, full or gone at any moment.
 *
 * Nothing but the writer waits, and that for LOG_STUCK_MS once; afterwards lines are dropped until
 * there is room again. A socket that went away is connected to anew, half a second apart. Names are
 * looked up here, in the writer's thread.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "log_int.h"

#include "frun/base/mono.h"

#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Milliseconds between two attempts to connect. */
#define RETRY_MS 500

/* Room for bursts in the kernel; it gives what it may. */
#define SEND_BUFFER_BYTES (1 << 20)

static int connect_unix(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(at.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(at.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&at, sizeof(at)) != 0) {
        int why = errno;
        (void)close(fd);
        errno = why;
        return -1;
    }
    return fd;
}

/* The end does not wait for a name server. */
static int connect_udp(const char *host, const char *port, bool is_name_allowed)
{
    const struct addrinfo hints = {
        .ai_socktype = SOCK_DGRAM,
        .ai_flags = AI_NUMERICSERV | (is_name_allowed ? 0 : AI_NUMERICHOST),
    };
    struct addrinfo *all = NULL;
    int fd = -1;
    int why = EHOSTUNREACH;
    int bad = getaddrinfo(host, port, &hints, &all);
    for (const struct addrinfo *a = bad ? NULL : all; a && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) != 0) {
            why = errno;
            (void)close(fd);
            fd = -1;
        }
    }
    if (!bad) {
        freeaddrinfo(all);
    }
    errno = why;
    return fd;
}

static void disconnect(struct log_datagram *g)
{
    if (g->base.fd >= 0) {
        (void)close(g->base.fd);
        g->base.fd = -1;
    }
}

static bool is_connected(struct log_datagram *g)
{
    const int room = SEND_BUFFER_BYTES;
    if (g->base.fd >= 0) {
        return true;
    }
    if (mono_now_ms() < g->retry_at_ms) {
        return false;
    }
    bool is_stopping = log_channel_is_stopping(g->base.channel);
    g->base.fd = g->path ? connect_unix(g->path) : connect_udp(g->host, g->port, !is_stopping);
    if (g->base.fd < 0) {
        g->base.error = errno;
        g->retry_at_ms = mono_now_ms() + RETRY_MS;
        return false;
    }
    (void)setsockopt(g->base.fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    g->is_stuck = false;
    return true;
}

/* False: it stays full. */
static bool wait_for_room(struct log_datagram *g)
{
    struct pollfd p = {.fd = g->base.fd, .events = POLLOUT};
    int got = poll(&p, 1, g->is_stuck ? 0 : LOG_STUCK_MS);
    g->is_stuck = got <= 0;
    if (g->is_stuck) {
        g->base.error = EAGAIN;
    }
    return got > 0;
}

/* What an error of the socket means. */
enum outcome {
    AGAIN,   /* try once more */
    SKIP,    /* this one will never go out */
    REFUSED, /* by UDP: an earlier one did not arrive, this one may */
    LOST     /* it and those behind it */
};

static enum outcome judge(struct log_datagram *g, int why, unsigned *n_tries)
{
    if (why == EINTR) {
        return AGAIN;
    }
    if (why == EAGAIN || why == ENOBUFS) {
        return wait_for_room(g) ? AGAIN : LOST;
    }
    g->base.error = why;
    if (why == EMSGSIZE) {
        return SKIP;
    }
    if (!g->path && why == ECONNREFUSED) {
        return (*n_tries)++ < LOG_DATAGRAM_BATCH ? REFUSED : LOST;
    }
    /* The daemon was started anew: its socket is another one. */
    disconnect(g);
    return (*n_tries)++ == 0 ? AGAIN : LOST;
}

/* Send what is in buf; the number of datagrams that did not go out. */
static unsigned long long flush(struct log_datagram *g)
{
    struct mmsghdr msgs[LOG_DATAGRAM_BATCH];
    struct iovec parts[LOG_DATAGRAM_BATCH];
    unsigned long long lost = 0;
    unsigned n_tries = 0;
    size_t at = 0;

    memset(msgs, 0, sizeof(msgs));
    for (size_t i = 0, from = 0; i < g->n; from = g->ends[i++]) {
        parts[i] = (struct iovec){g->buf + from, g->ends[i] - from};
        msgs[i].msg_hdr.msg_iov = &parts[i];
        msgs[i].msg_hdr.msg_iovlen = 1;
    }
    while (at < g->n) {
        if (!is_connected(g)) {
            lost += g->n - at;
            break;
        }
        int done = sendmmsg(g->base.fd, msgs + at, (unsigned)(g->n - at), MSG_NOSIGNAL);
        if (done > 0) {
            at += (size_t)done;
            g->is_stuck = false;
            continue;
        }
        enum outcome what = judge(g, errno, &n_tries);
        if (what == LOST) {
            lost += g->n - at;
            break;
        }
        lost += what != AGAIN;
        at += what == SKIP;
    }
    g->n = g->used = 0;
    return lost;
}

static unsigned long long datagram_send(struct log_sender *base, struct span batch)
{
    struct log_datagram *g = (struct log_datagram *)base;
    unsigned long long lost = 0;
    struct log_record r;

    while (log_record_next(&batch, &r)) {
        if (g->n == LOG_DATAGRAM_BATCH || sizeof(g->buf) - g->used < g->max_bytes) {
            lost += flush(g);
        }
        g->used += g->write(g, &r, g->buf + g->used, g->max_bytes);
        g->ends[g->n++] = g->used;
    }
    return lost + (g->n > 0 ? flush(g) : 0);
}

static const struct log_sender_ops datagram_ops = {.send = datagram_send};

frun_err log_datagram_new(const struct log_where *w, struct log_datagram **out)
{
    struct log_datagram *g = calloc(1, sizeof(*g));
    char *name = strdup(w->name);
    if (!g || !name) {
        free(g);
        free(name);
        return FRUN_E_NOMEM;
    }
    g->base = (struct log_sender){.ops = &datagram_ops, .where = *w, .fd = -1};
    g->base.where.name = name;
    *out = g;
    return FRUN_OK;
}
