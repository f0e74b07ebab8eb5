/**
 * A front-door connection that speaks HTTP/2: every stream is a request, served to an exchange.
 *
 *     open --idle, drain or GOAWAY--> streams finish --> gone       lost, or a rule broken: gone
 *
 * The session does the protocol, the time-outs and the floods; this file gives each request its
 * exchange, whose own head and memory the session fills, and counts them: also a request whose
 * stream the client has reset counts against it until the work behind it has ended.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "front_int.h"
#include "frun/access/identity.h"
#include "frun/base/log.h"
#include "frun/gateway/exchange.h"
#include "frun/gateway/front.h"
#include "frun/h2/session.h"

#include <stdlib.h>

/** Octets of one request's body that may be under way unread. */
#define FRONT_STREAM_WINDOW 65536

/** Octets of all bodies on one connection that may be under way unread. */
#define FRONT_CONNECTION_WINDOW 262144

struct front_h2 {
    struct front base; /* first */
    struct h2 *h2;
    const struct tls_ctx *shown; /* whose certificate the client saw */
    struct exchange_tally *tally;
};

/* -- requests
 * ---------------------------------------------------------------------------------------------- */

static bool on_head(void *ctx, struct h2_place *place)
{
    struct front_h2 *f = ctx;
    struct exchange *x = exchange_new(f->base.w);
    if (!x) {
        return false;
    }
    *place = (struct h2_place){.head = exchange_head(x), .arena = exchange_arena(x), .owner = x};
    return true;
}

static void on_request(void *ctx, struct served *s, const struct head *h)
{
    struct front_h2 *f = ctx;
    struct exchange *x = s->owner;
    (void)h; /* built in the exchange */
    if (f->tally->n >= f->base.w->conf->gateway->http2_max_streams) {
        exchange_free(x); /* nobody takes it on: refused */
        return;
    }
    exchange_count_for(x, f->tally);
    exchange_start(x, s, span_of(f->base.peer), f->shown, f->base.identity);
}

static void on_refused(void *ctx, struct served *s, const struct head_fault *fault)
{
    struct front_h2 *f = ctx;
    struct exchange *x = s->owner;
    exchange_count_for(x, f->tally);
    exchange_refuse(x, s, span_of(f->base.peer), fault);
}

static void on_head_lost(void *ctx, void *owner, const char *why)
{
    struct front_h2 *f = ctx;
    exchange_lose(owner, span_of(f->base.peer), why);
}

/* -- life
 * --------------------------------------------------------------------------------------------------
 */

static void destroy(struct front_h2 *f)
{
    h2_free(f->h2);
    f->h2 = NULL;
    exchange_tally_leave(f->tally);
    f->tally = NULL;
    loop_free_later(f->base.w->loop, free, f);
    front_leave(&f->base);
}

static void on_closed(void *ctx, frun_err err, const char *why)
{
    struct front_h2 *f = ctx;
    if (err == FRUN_E_LIMIT || err == FRUN_E_NOMEM) {
        log_warning(NULL, "HTTP/2 connection from %s closed: %s", f->base.peer, why);
    } else {
        log_debug(NULL, "HTTP/2 connection from %s closed: %s", f->base.peer, why);
    }
    destroy(f);
}

static const struct h2_events h2_events = {
    .on_head = on_head,
    .on_request = on_request,
    .on_refused = on_refused,
    .on_head_lost = on_head_lost,
    .on_closed = on_closed,
};

static void op_drain(struct front *base)
{
    h2_drain(list_entry(base, struct front_h2, base)->h2);
}

static void op_kill(struct front *base)
{
    destroy(list_entry(base, struct front_h2, base));
}

static const struct front_ops front_ops = {.drain = op_drain, .kill = op_kill};

frun_err front_h2_new(struct worker *w, struct stream **s)
{
    const struct conf_gateway *g = w->conf->gateway;
    const struct h2_settings set = {.is_stranger = true,
                                    .max_streams = (uint32_t)g->http2_max_streams,
                                    .stream_window = FRONT_STREAM_WINDOW,
                                    .connection_window = FRONT_CONNECTION_WINDOW,
                                    .budget = &w->windows,
                                    .max_head_bytes = (uint32_t)g->max_head,
                                    .max_target_bytes = (uint32_t)g->max_target,
                                    .max_fields = (uint32_t)g->max_fields,
                                    .idle_timeout_ms = g->keepalive_timeout_ms,
                                    .head_timeout_ms = g->head_timeout_ms,
                                    .body_timeout_ms = g->body_timeout_ms};
    struct front_h2 *f = calloc(1, sizeof(*f));
    struct exchange_tally *tally = calloc(1, sizeof(*tally));
    const struct addr peer = *stream_peer(*s);
    const struct tls_ctx *shown = stream_tls(*s);
    frun_err err = f && tally ? front_identify(&f->base, *s) : FRUN_E_NOMEM;
    err = err ? err : h2_new(s, (struct span){0}, &set, &h2_events, f, &f->h2);
    if (err) {
        if (f) {
            identity_unref(&f->base.identity);
        }
        free(f);
        free(tally);
        return err;
    }
    f->tally = tally;
    f->shown = shown;
    front_enter(&f->base, w, &front_ops, &peer);
    if (w->is_draining) {
        op_drain(&f->base); /* what the client has sent by now is served */
    }
    return FRUN_OK;
}
