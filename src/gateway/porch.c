/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/gateway/porch.h"

#include "front_int.h"
#include "frun/base/log.h"
#include "frun/gateway/door.h"
#include "frun/gateway/front.h"
#include "frun/net/proxy_head.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Lines about refused connections in a window, however many there are. */
#define REFUSED_LINES 1

/* Octets of the first piece; nearly every head is shorter. */
#define FIRST_BYTES 256

/* A connection whose head is awaited. */
struct porch {
    struct front base; /* first */
    int fd;
    struct addr peer; /* the balancer */
    bool is_tunnel;
    struct io io;
    struct deadline deadline;
    struct buf head; /* what has come of it */
};

/* -- telling
 * ---------------------------------------------------------------------------------------------------
 */

static void tell_refused(struct worker *w, const char *peer, const char *why)
{
    size_t n;
    if (refused_is_told(&w->refused, loop_now_ms(w->loop), REFUSED_LINES, &n)) {
        log_warning(NULL, "connection from %s refused: %s (%zu such since the last line)", peer,
                    why, n);
    }
}

/* -- letting in
 * ------------------------------------------------------------------------------------------------
 */

static frun_err open_door(struct worker *w, int *fd, const struct addr *peer, bool is_tunnel)
{
    return is_tunnel ? door_new(w, fd, peer) : front_new(w, fd, peer);
}

static void leave(struct porch *p)
{
    io_close(&p->io);
    deadline_clear(&p->deadline);
    buf_done(&p->head);
    if (p->fd >= 0) {
        (void)close(p->fd);
        p->fd = -1;
    }
    loop_free_later(p->base.w->loop, free, p);
    front_leave(&p->base);
}

static void refuse(struct porch *p, const char *why)
{
    tell_refused(p->base.w, p->base.peer, why);
    leave(p);
}

/* The door is entered before the porch is left, so that a draining worker waits for the request. */
static void let_in(struct porch *p, const struct proxy_head *h)
{
    struct worker *w = p->base.w;
    io_close(&p->io);
    if (p->is_tunnel && !worker_takes_tunnels(w)) {
        leave(p); /* connectors come again by themselves */
        return;
    }
    frun_err err = open_door(w, &p->fd, h->has_source ? &h->source : &p->peer, p->is_tunnel);
    if (err) {
        log_error(NULL, "a connection could not be taken on: %s", err_text(err));
    }
    leave(p);
}

/* -- reading
 * ---------------------------------------------------------------------------------------------------
 */

/* Take what has been looked at out of the socket. */
static bool swallow(struct porch *p, char *at, size_t n)
{
    ssize_t got;
    do {
        got = recv(p->fd, at, n, 0);
    } while (got < 0 && errno == EINTR);
    return got >= 0 && (size_t)got == n;
}

static void on_io(struct io *io, int what)
{
    struct porch *p = list_entry(io, struct porch, io);
    (void)what;
    char *at = NULL;
    size_t have = buf_len(&p->head);
    size_t want = have < FIRST_BYTES ? FIRST_BYTES - have : PROXY_HEAD_MAX_BYTES - have;
    if (buf_reserve(&p->head, want, &at) != FRUN_OK) {
        refuse(p, "no memory for its PROXY head");
        return;
    }
    ssize_t got = recv(p->fd, at, want, MSG_PEEK);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got <= 0) {
        leave(p); /* a health check that only connects */
        return;
    }
    buf_commit(&p->head, (size_t)got);
    struct proxy_head h;
    frun_err err = proxy_head_read(buf_span(&p->head), &h);
    if (err == FRUN_E_AGAIN) {
        if (!swallow(p, at, (size_t)got)) {
            leave(p);
        }
    } else if (err) {
        refuse(p, "it does not begin with a PROXY head; proxy_protocol = required is for listeners "
                  "that only a balancer reaches");
    } else if (h.len <= have || !swallow(p, at, h.len - have)) {
        leave(p);
    } else {
        let_in(p, &h);
    }
}

static void on_deadline(struct deadline *d)
{
    refuse(list_entry(d, struct porch, deadline), "its PROXY head did not come in time");
}

/* -- life
 * ------------------------------------------------------------------------------------------------------
 */

/* What has not said whose it is has asked for nothing yet, but may be about to. */
static void go_on(struct front *base)
{
    (void)base;
}

static void kill_it(struct front *base)
{
    leave(list_entry(base, struct porch, base));
}

static const struct front_ops porch_ops = {.drain = go_on, .kill = kill_it};

static frun_err wait_for_head(struct worker *w, int *fd, const struct addr *peer, bool is_tunnel)
{
    struct porch *p = calloc(1, sizeof(*p));
    if (!p) {
        return FRUN_E_NOMEM;
    }
    p->peer = *peer;
    p->is_tunnel = is_tunnel;
    buf_init(&p->head, PROXY_HEAD_MAX_BYTES);
    deadline_init(&p->deadline, on_deadline);
    frun_err err = io_open(&p->io, w->loop, *fd, on_io);
    err = err ? err : io_want(&p->io, IO_READ);
    if (err) {
        io_close(&p->io);
        free(p);
        return err;
    }
    p->fd = *fd;
    *fd = -1;
    deadline_set(w->loop, &p->deadline, w->conf->gateway->handshake_timeout_ms);
    front_enter(&p->base, w, &porch_ops, peer);
    return FRUN_OK;
}

frun_err porch_enter(struct worker *w, int *fd, const struct addr *peer, bool is_tunnel)
{
    const struct conf_proxied *from = is_tunnel
                                          ? (w->conf->tunnel ? &w->conf->tunnel->proxied : NULL)
                                          : &w->conf->gateway->proxied;
    if (!from || from->protocol == CONF_PROXY_OFF) {
        return open_door(w, fd, peer, is_tunnel);
    }
    if (!cidr_any_has(from->nets, from->n_nets, &peer->ss)) {
        char text[ADDR_TEXT_BYTES];
        addr_host_text(peer, text);
        tell_refused(w, text, "it is not in proxy_trusted");
        (void)close(*fd);
        *fd = -1;
        return FRUN_OK;
    }
    return wait_for_head(w, fd, peer, is_tunnel);
}
