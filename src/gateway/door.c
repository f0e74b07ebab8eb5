/**
 * The tunnel's door.
 *
 *     shaking hands --> greeting --> handed over (to the hub of the worker with the fewest tunnels
 * of this connector)
 *                           \-----> refused: an ordinary HTTP answer, then the end
 *
 * The stream moves between threads before its 101 is sent, so that every worker gets a tunnel
 * however the kernel spread the connections.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/gateway/door.h"

#include "frun/base/arena.h"
#include "frun/base/buf.h"
#include "frun/base/log.h"
#include "frun/gateway/reply.h"
#include "frun/http/head.h"
#include "frun/http/problem.h"
#include "frun/tunnel/ptth.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** Octets of a hello at most. */
#define DOOR_HELLO_BYTES 16384

/** Lines about strangers in a window: enough for the connectors of a site that all fail at once. */
#define DOOR_STRANGER_LINES 5

/** Retry-After for connectors that come while we cannot take them, seconds. */
#define DOOR_RETRY_S 5

struct door {
    struct list node; /* in worker.doors; first, because the worker knows no more of us */
    struct worker *w;
    struct stream *stream; /* NULL once given away */
    struct buf in;
    size_t scanned;
    struct deadline deadline;
    bool is_refused; /* the refusal is on its way out */
    char peer[ADDR_TEXT_BYTES];
    char subject[HUB_SUBJECT_BYTES];
};

/* A stream on its way to another worker. */
struct handover {
    struct worker *to;
    struct stream *stream;
    struct hub_member member;
    size_t n_tried; /* workers that had no use for it */
    size_t n_first;
    char first[];
};

static void destroy(struct door *d)
{
    list_remove(&d->node);
    deadline_clear(&d->deadline);
    buf_done(&d->in);
    stream_free(d->stream);
    d->stream = NULL;
    d->w->n_doors--;
    loop_free_later(d->w->loop, free, d);
}

/* -- refusal
 * ---------------------------------------------------------------------------------------------------
 */

static void refuse(struct door *d, unsigned status, unsigned retry_after_s, const char *why)
{
    log_warning("tunnel", "connector from %s (%s) refused with %u: %s", d->peer,
                d->subject[0] ? d->subject : "no certificate", status, why);
    meter_add(&d->w->count.tunnels_refused, 1);
    audit_tell(d->w->shared->audit,
               &(struct audit_event){.name = "tunnel.refused",
                                     .outcome = "denied",
                                     .who = span_of(d->subject[0] ? d->subject : NULL),
                                     .from = span_of(d->peer),
                                     .detail = span_of(why),
                                     .is_frequent = true});
    struct arena a;
    arena_init(&a, DOOR_HELLO_BYTES);
    struct head *h = arena_alloc(&a, sizeof(*h));
    struct span body = {0};
    struct reply r = {.status = status,
                      .error = "http_request_denied",
                      .detail = why,
                      .retry_after_s = retry_after_s};
    struct buf out;
    buf_init(&out, DOOR_HELLO_BYTES);
    bool is_chunked = false;
    frun_err err = h ? reply_build(&r, (struct span){0}, &a, h, &body) : FRUN_E_NOMEM;
    if (!err) {
        h->is_keep_alive = false;
        err = head_write_answer(h, SPAN_LIT("GET"), 1, &out, &is_chunked);
    }
    if (!err) {
        err = buf_put(&out, body);
    }
    if (!err) {
        err = stream_put(d->stream, buf_span(&out));
    }
    buf_done(&out);
    arena_done(&a);
    if (err) {
        destroy(d);
        return;
    }
    d->is_refused = true;
    stream_finish(d->stream);
}

struct refusal {
    unsigned status;
    unsigned retry_after_s;
    const char *why;
};

/* Somebody we know: whoever looks for that connector is told, too. */
static void refuse_known(struct door *d, struct seat *seat, const struct refusal *r)
{
    seat_refused(seat, r->why);
    refuse(d, r->status, r->retry_after_s, r->why);
}

/* -- hand-over
 * -------------------------------------------------------------------------------------------------
 */

/* What every worker is asked to do when a connector has dialled. */
struct probe {
    struct worker *w;
    struct seat *seat; /* counted */
};

static void probe_job(void *arg)
{
    struct probe *p = arg;
    if (p->w->hub) { /* else the worker is being freed */
        hub_probe(p->w->hub, p->seat);
    }
    seat_unref(&p->seat);
    free(p);
}

/* A connector dials because it is new, or because it has lost a tunnel that we may still believe
 * in. */
static void probe_all(const struct gateway_shared *g, struct seat *seat)
{
    for (size_t i = 0; i < g->n_workers; i++) {
        struct probe *p = malloc(sizeof(*p));
        if (!p) {
            return; /* the regular PING finds out too, later */
        }
        *p = (struct probe){.w = g->workers[i], .seat = seat_ref(seat)};
        if (loop_post(p->w->loop, probe_job, p) != FRUN_OK) {
            seat_unref(&p->seat);
            free(p);
        }
    }
}

bool door_knows(const struct generation *g, const struct hub_member *m)
{
    size_t index = 0;
    const struct conf_gw_connector *c =
        g->tunnel_tls ? generation_connector(g, m->subject, &index) : NULL;
    return c && g->seats[index] == m->seat && generation_may_serve(c, span_of(m->location_id));
}

static void arrive(void *arg);

/* Of workers that drain one may be done while requests of another wait for a tunnel. When they are
 * freed none has use for it, and the next one may be gone. */
static bool pass_on(struct handover *m)
{
    const struct gateway_shared *g = m->to->shared;
    size_t from = m->to->index;
    size_t next = (from + 1) % g->n_workers;
    if (worker_takes_tunnels(m->to) || !m->to->hub || ++m->n_tried >= g->n_workers) {
        return false;
    }
    m->to = g->workers[next];
    seat_move(m->member.seat, from, next); /* now: what is posted is the other thread's */
    if (loop_post(m->to->loop, arrive, m) != FRUN_OK) {
        seat_move(m->member.seat, next, from);
        m->to = g->workers[from];
        return false;
    }
    return true;
}

/* On the worker that shall have the tunnel. Its configuration may be newer than the one that let
 * the connector in. */
static void arrive(void *arg)
{
    struct handover *m = arg;
    if (pass_on(m)) {
        return;
    }
    struct worker *w = m->to;
    struct buf out;
    buf_init(&out, DOOR_HELLO_BYTES);
    bool is_refused = !worker_takes_tunnels(w) || !door_knows(w->gen, &m->member) ||
                      !tls_has_same_trust(stream_tls(m->stream), w->gen->tunnel_tls);
    frun_err err = is_refused ? FRUN_E_CLOSED : stream_attach(m->stream, w->loop);
    if (!err) {
        err = ptth_write_welcome((unsigned)w->shared->n_workers, &out);
    }
    if (!err) {
        err = stream_put(m->stream, buf_span(&out));
    }
    if (!err) {
        err = hub_join(w->hub, &m->stream, span_make(m->first, m->n_first), &m->member);
    }
    buf_done(&out);
    if (err) {
        if (!is_refused) {
            log_error("tunnel", "connector %s from %s could not be taken on: %s",
                      seat_name(m->member.seat), m->member.address, err_text(err));
        }
        seat_leave(m->member.seat, w->index);
        seat_ended(m->member.seat,
                   "it came while the configuration changed, or memory was refused");
        stream_free(m->stream);
    } else {
        seat_opened(m->member.seat, m->member.until_s);
        atomic_fetch_add(&w->shared->n_tunnels, 1);
        meter_add(&w->count.tunnels_opened, 1);
        audit_tell(w->shared->audit,
                   &(struct audit_event){.name = "tunnel.opened",
                                         .outcome = "ok",
                                         .who = span_of(seat_name(m->member.seat)),
                                         .from = span_of(m->member.address),
                                         .object = span_of(m->member.location_id),
                                         .detail = span_of(m->member.subject),
                                         .is_frequent = true});
        probe_all(w->shared, m->member.seat);
    }
    seat_unref(&m->member.seat);
    free(m);
}

static void hand_over(struct door *d, const struct hub_member *member, struct span first)
{
    struct gateway_shared *g = d->w->shared;
    struct handover *m = calloc(1, sizeof(*m) + first.n);
    if (!m) {
        destroy(d);
        return;
    }
    size_t target = seat_enter(member->seat);
    m->to = g->workers[target];
    m->member = *member;
    (void)seat_ref(m->member.seat);
    m->n_first = first.n;
    if (first.n && first.p) {
        memcpy(m->first, first.p, first.n);
    }
    m->stream = d->stream;
    d->stream = NULL;
    stream_detach(m->stream);
    if (loop_post(m->to->loop, arrive, m) != FRUN_OK) {
        seat_leave(m->member.seat, target);
        stream_free(m->stream);
        seat_unref(&m->member.seat);
        free(m);
    }
    destroy(d);
}

/* -- who is it
 * -------------------------------------------------------------------------------------------------
 */

static void copy_text(char *to, size_t size, struct span s)
{
    size_t n = s.n < size - 1 ? s.n : size - 1;
    if (n) {
        memcpy(to, s.p, n);
    }
    to[n] = 0;
}

static void greet(struct door *d, const struct head *h, struct span first)
{
    struct ptth_hello hello;
    unsigned status = 400;
    const char *why = "malformed";
    if (ptth_read_hello(h, &hello, &status, &why) != FRUN_OK) {
        refuse(d, status, 0, why);
        return;
    }
    size_t index = 0;
    const struct generation *g = d->w->gen;
    const struct conf_gw_connector *c = generation_connector(g, d->subject, &index);
    if (!c) {
        refuse(d, 403, 0, "no [connector] section of this gateway has this certificate_subject");
        return;
    }
    struct seat *seat = g->seats[index];
    if (!generation_may_serve(c, hello.location_id)) {
        char text[320];
        (void)snprintf(text, sizeof(text),
                       "connector %s may not serve location ID \"%.*s\"; compare location_id in "
                       "its [connector] section "
                       "with frunconnector.ini",
                       c->place.name, SPAN_FMT(hello.location_id));
        refuse_known(d, seat, &(struct refusal){403, 0, text});
        return;
    }
    bool is_over = !worker_takes_tunnels(d->w);
    if (is_over || !g->tunnel_tls) {
        refuse(d, 503, DOOR_RETRY_S,
               is_over ? "the gateway is stopping" : "no tunnels are taken any more");
        return;
    }
    if (seat_sum(seat) >= g->conf->tunnel->max_tunnels) {
        refuse_known(
            d, seat,
            &(struct refusal){429, DOOR_RETRY_S, "this connector has max_tunnels tunnels already"});
        return;
    }
    struct hub_member m = {.seat = seat};
    copy_text(m.subject, sizeof(m.subject), span_of(d->subject));
    copy_text(m.location_id, sizeof(m.location_id), hello.location_id);
    copy_text(m.instance, sizeof(m.instance), hello.instance);
    copy_text(m.version, sizeof(m.version), hello.version);
    copy_text(m.address, sizeof(m.address), span_of(d->peer));
    m.until_s = stream_peer_until(d->stream);
    hand_over(d, &m, first);
}

/* -- events
 * ----------------------------------------------------------------------------------------------------
 */

static void on_readable(void *ctx)
{
    struct door *d = ctx;
    char *at = NULL;
    size_t n = 0;
    size_t want = buf_room(&d->in);
    if (d->is_refused || want == 0 || buf_reserve(&d->in, want, &at) != FRUN_OK) {
        stream_read_on(d->stream, false);
        return;
    }
    frun_err err = stream_read(d->stream, at, want, &n);
    if (err == FRUN_E_AGAIN) {
        return;
    }
    if (err) {
        destroy(d);
        return;
    }
    buf_commit(&d->in, n);
    struct head_limits lim = {
        .max_head_bytes = DOOR_HELLO_BYTES - 1, .max_target_bytes = 4096, .max_fields = 64};
    struct head_fault fault = {.status = 400, .why = "malformed"};
    size_t len = 0;
    err = head_cut(buf_span(&d->in), &lim, &d->scanned, &len, &fault);
    if (err == FRUN_E_AGAIN) {
        return;
    }
    struct head *h = err ? NULL : malloc(sizeof(*h));
    if (!err && !h) {
        destroy(d);
        return;
    }
    if (!err) {
        err = head_parse_request(span_head(buf_span(&d->in), len), &lim, h, &fault);
    }
    stream_read_on(d->stream, false);
    if (err) {
        refuse(d, fault.status, 0, fault.why);
    } else {
        greet(d, h, span_skip(buf_span(&d->in), len));
    }
    free(h);
}

static void on_ready(void *ctx)
{
    struct door *d = ctx;
    if (stream_peer_subject(d->stream, d->subject, sizeof(d->subject)) != FRUN_OK) {
        refuse(d, 401, 0, "a client certificate is needed");
        return;
    }
    deadline_set(d->w->loop, &d->deadline, DOOR_HELLO_MS);
    stream_read_on(d->stream, true);
}

bool door_tell_unproved(struct worker *w, const struct stream *s, const char *peer)
{
    char subject[HUB_SUBJECT_BYTES];
    char text[SEAT_WHY_BYTES];
    size_t index = 0;
    size_t n;
    const char *why = stream_why(s);
    if (stream_refused_subject(s, subject, sizeof(subject)) != FRUN_OK) {
        return false;
    }
    meter_add(&w->count.tunnels_refused, 1);
    if (generation_connector(w->gen, subject, &index)) {
        (void)snprintf(text, sizeof(text), "a certificate with its subject, from %s: %s", peer,
                       why);
        seat_refused(w->gen->seats[index], text);
    }
    if (refused_is_told(&w->unproved, loop_now_ms(w->loop), DOOR_STRANGER_LINES, &n)) {
        log_warning("tunnel",
                    "connection from %s (%s) failed before it became a tunnel: %s (%zu such since "
                    "the last line)",
                    peer, subject, why, n);
        (void)snprintf(text, sizeof(text), "%s (%zu such since the last record)", why, n);
        audit_tell(w->shared->audit, &(struct audit_event){.name = "tunnel.refused",
                                                           .outcome = "denied",
                                                           .from = span_of(peer),
                                                           .object = span_of(subject),
                                                           .detail = span_of(text),
                                                           .is_frequent = true});
    }
    return true;
}

/* Whoever only connects and goes away again is a balancer that looks whether somebody is there. */
static void tell_stranger(struct door *d, frun_err err)
{
    const char *why = stream_why(d->stream);
    size_t n;
    if (!*why && (err == FRUN_E_EOF || err == FRUN_E_CLOSED)) {
        log_debug("tunnel", "connection from %s ended before it became a tunnel", d->peer);
    } else if (refused_is_told(&d->w->strangers, loop_now_ms(d->w->loop), DOOR_STRANGER_LINES,
                               &n)) {
        log_warning("tunnel",
                    "connection from %s failed before it became a tunnel: %s (%zu such since the "
                    "last line)",
                    d->peer, *why ? why : err_text(err), n);
    }
}

static void on_closed(void *ctx, frun_err err)
{
    struct door *d = ctx;
    if (!d->is_refused && !door_tell_unproved(d->w, d->stream, d->peer)) {
        tell_stranger(d, err);
    }
    destroy(d);
}

static const struct stream_events events = {
    .on_ready = on_ready,
    .on_readable = on_readable,
    .on_closed = on_closed,
};

static void on_deadline(struct deadline *x)
{
    struct door *d = list_entry(x, struct door, deadline);
    log_warning("tunnel", "connection from %s (%s) sent no complete tunnel request in time; closed",
                d->peer, d->subject);
    destroy(d);
}

/* -- life
 * ------------------------------------------------------------------------------------------------------
 */

static frun_err make(struct worker *w, const struct addr *peer, struct door **out)
{
    if (w->n_doors >= DOOR_MAX_CALLERS) {
        return FRUN_E_LIMIT;
    }
    struct door *d = calloc(1, sizeof(*d));
    if (!d) {
        return FRUN_E_NOMEM;
    }
    d->w = w;
    list_init(&d->node);
    buf_init(&d->in, DOOR_HELLO_BYTES);
    deadline_init(&d->deadline, on_deadline);
    addr_text(peer, d->peer);
    *out = d;
    return FRUN_OK;
}

static void enter(struct door *d)
{
    list_append(&d->w->doors, &d->node);
    d->w->n_doors++;
}

frun_err door_new(struct worker *w, int *fd, const struct addr *peer)
{
    struct door *d = NULL;
    frun_err err = make(w, peer, &d);
    if (err) {
        return err;
    }
    struct stream_settings s = {.tls = w->gen->tunnel_tls,
                                .handshake_ms = w->conf->gateway->handshake_timeout_ms,
                                .user_timeout_ms = (unsigned)(w->conf->tunnel->ping_timeout_ms * 2),
                                .accepted = peer};
    err = stream_new(w->loop, fd, &s, &events, d, &d->stream);
    if (err) {
        free(d);
        return err;
    }
    enter(d);
    return FRUN_OK;
}

frun_err door_take(struct worker *w, struct stream **s)
{
    struct door *d = NULL;
    frun_err err = make(w, stream_peer(*s), &d);
    if (err) {
        return err;
    }
    d->stream = *s;
    *s = NULL;
    stream_set_events(d->stream, &events, d);
    enter(d);
    on_ready(d);
    return FRUN_OK;
}

void door_kill(struct door *d)
{
    destroy(d);
}
