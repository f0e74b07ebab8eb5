/**
 * Accepting at the front door: the TLS handshake, then whoever speaks what was agreed takes the
 * stream.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/gateway/front.h"

#include "front_int.h"
#include "frun/access/identity.h"
#include "frun/base/log.h"
#include "frun/gateway/door.h"

#include <stdlib.h>

/* A connection that still shakes hands. */
struct greeting {
    struct front base; /* first */
    struct stream *stream;
};

/* -- the worker's list
 * ----------------------------------------------------------------------------------------- */

void front_enter(struct front *f, struct worker *w, const struct front_ops *ops,
                 const struct addr *peer)
{
    f->w = w;
    f->ops = ops;
    addr_host_text(peer, f->peer);
    list_append(&w->fronts, &f->node);
    w->n_fronts++;
    atomic_fetch_add_explicit(&w->shared->n_connections, 1, memory_order_relaxed);
}

frun_err front_identify(struct front *f, const struct stream *s)
{
    frun_err err = identity_new(s, &f->identity);
    return err == FRUN_E_NOT_FOUND ? FRUN_OK : err;
}

void front_leave(struct front *f)
{
    identity_unref(&f->identity);
    list_remove(&f->node);
    f->w->n_fronts--;
    atomic_fetch_sub_explicit(&f->w->shared->n_connections, 1, memory_order_relaxed);
    worker_on_gone(f->w);
}

void front_drain(struct front *f)
{
    f->ops->drain(f);
}

void front_kill(struct front *f)
{
    f->ops->kill(f);
}

/* -- shaking hands
 * --------------------------------------------------------------------------------------------- */

static void end(struct front *base)
{
    struct greeting *g = list_entry(base, struct greeting, base);
    stream_free(g->stream);
    g->stream = NULL;
    loop_free_later(base->w->loop, free, g);
    front_leave(base);
}

/* Whoever serves it afterwards sees that the worker drains. */
static void go_on(struct front *base)
{
    (void)base;
}

static const struct front_ops greeting_ops = {.drain = go_on, .kill = end};

static void on_ready(void *ctx)
{
    struct greeting *g = ctx;
    struct worker *w = g->base.w;
    const struct tls_ctx *shown = stream_tls(g->stream);
    meter_add(&w->count.handshakes, shown ? 1 : 0);
    bool is_tunnel = shown && tls_is_mutual(shown);
    if (is_tunnel && !worker_takes_tunnels(w)) {
        end(&g->base); /* connectors come again by themselves */
        return;
    }
    bool is_h2 = span_eq(stream_alpn(g->stream), SPAN_LIT("h2"));
    frun_err err = is_tunnel ? door_take(w, &g->stream)
                   : is_h2   ? front_h2_new(w, &g->stream)
                             : front_h1_new(w, &g->stream);
    if (err) {
        log_error(NULL, "no memory for the connection from %s; closed", g->base.peer);
    }
    end(&g->base); /* the stream is not ours any more, unless something failed */
}

static void on_closed(void *ctx, frun_err err)
{
    struct greeting *g = ctx;
    (void)err;
    meter_add(&g->base.w->count.handshakes_failed, 1);
    log_debug(NULL, "handshake with %s failed: %s", g->base.peer, stream_why(g->stream));
    (void)door_tell_unproved(g->base.w, g->stream, g->base.peer);
    end(&g->base);
}

static const struct stream_events stream_events = {.on_ready = on_ready, .on_closed = on_closed};

frun_err front_new(struct worker *w, int *fd, const struct addr *peer)
{
    struct greeting *g = calloc(1, sizeof(*g));
    if (!g) {
        return FRUN_E_NOMEM;
    }
    struct stream_settings s = {.tls = w->gen->front_tls,
                                .handshake_ms = w->conf->gateway->handshake_timeout_ms,
                                .accepted = peer};
    frun_err err = stream_new(w->loop, fd, &s, &stream_events, g, &g->stream);
    if (err) {
        free(g);
        return err;
    }
    meter_add(&w->count.connections, 1);
    front_enter(&g->base, w, &greeting_ops, peer);
    return FRUN_OK;
}
