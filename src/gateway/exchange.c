/**
 * One push from its admission to its access line: from open() on the relay moves the bodies; this
 * file only reacts to its ends.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/gateway/exchange.h"

#include "exchange_int.h"
#include "frun/base/log.h"
#include "frun/base/mono.h"
#include "frun/tunnel/ptth.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** Exchanges a worker keeps for the next requests: 26 KiB each with their arena's block. */
#define EXCHANGE_MAX_SPARE 256

/** The route's own time-outs come first, because they can say more; ours follows this much later,
 * milliseconds. */
#define EXCHANGE_SLACK_MS 3000

static void on_tunnel(struct hub_waiter *w);
static void on_deadline(struct deadline *d);

/* -- stock
 * -----------------------------------------------------------------------------------------------------
 */

struct exchange *exchange_new(struct worker *w)
{
    struct list *it = list_first(&w->spare);
    struct exchange *x = NULL;
    if (it) {
        x = list_entry(it, struct exchange, node);
        list_remove(it);
        w->n_spare--;
        if (w->n_spare < w->n_spare_least) {
            w->n_spare_least = w->n_spare;
        }
    } else {
        x = calloc(1, sizeof(*x));
        if (!x) {
            return NULL;
        }
        x->w = w;
        list_init(&x->node);
        list_init(&x->held);
        list_init(&x->auth_waiter.node);
        list_init(&x->hub_waiter.node);
        own_init(&x->own);
        x->auth_waiter.fn = exchange_on_verdict;
        x->hub_waiter.fn = on_tunnel;
        turn_init(&x->turn, exchange_on_turn);
        deadline_init(&x->deadline, on_deadline);
        arena_init(&x->arena, EXCHANGE_ARENA_BYTES);
    }
    arena_limit(&x->arena, EXCHANGE_ARENA_BYTES + EXCHANGE_HEADS * w->conf->gateway->max_head);
    x->state = EXCHANGE_STATE_NEW;
    return x;
}

static void recycle(void *obj)
{
    struct exchange *x = obj;
    struct worker *w = x->w;
    arena_reset(&x->arena);
    roads_unref(&x->roads);
    identity_unref(&x->identity);
    if (w->n_spare >= EXCHANGE_MAX_SPARE) {
        arena_done(&x->arena);
        free(x);
        return;
    }
    x->served = NULL;
    x->e = NULL;
    x->policy = NULL;
    x->who = NULL;
    x->errand = NULL;
    x->via = (struct hub_way){0};
    x->repeats = 0;
    x->is_client_slow = x->is_body_open = x->is_orphan = false;
    x->rest = (struct span){0};
    x->auth_waiter.way = 0;
    x->auth_waiter.shown = NULL;
    x->auth_waiter.from = (struct span){0};
    own_init(&x->own);
    x->in.is_http2 = false; /* the next head may break off before it is parsed */
    x->log = (struct accesslog_entry){0};
    x->facts = (struct policy_facts){0};
    x->begun_us = x->opened_us = 0;
    list_prepend(&w->spare, &x->node);
    w->n_spare++;
}

void exchange_free(struct exchange *x)
{
    if (x) {
        loop_free_later(x->w->loop, recycle, x);
    }
}

static void drop_spare(struct worker *w, size_t n)
{
    for (struct list *it; n > 0 && (it = list_first(&w->spare)) != NULL; n--) {
        struct exchange *x = list_entry(it, struct exchange, node);
        list_remove(it);
        w->n_spare--;
        arena_done(&x->arena);
        free(x);
    }
}

void exchange_trim_spare(struct worker *w)
{
    drop_spare(w, w->n_spare_least);
    w->n_spare_least = w->n_spare;
}

void exchange_drop_spare(struct worker *w)
{
    drop_spare(w, w->n_spare);
}

struct arena *exchange_arena(struct exchange *x)
{
    return &x->arena;
}

struct head *exchange_head(struct exchange *x)
{
    return &x->in;
}

/* -- the end
 * ---------------------------------------------------------------------------------------------------
 */

void exchange_stop_waiting(struct exchange *x)
{
    auth_forget(&x->auth_waiter);
    own_forget(&x->own);
    hub_forget(&x->hub_waiter);
    list_remove(&x->held);
    deadline_clear(&x->deadline);
    if (x->state == EXCHANGE_STATE_WAITING) {
        x->state = EXCHANGE_STATE_NEW; /* counted out once, whatever comes next */
        x->w->n_waiting--;
    }
}

static void count_out(struct exchange *x)
{
    struct exchange_tally *t = x->tally;
    x->tally = NULL;
    if (t && --t->n == 0 && t->is_left) {
        free(t);
    }
}

void exchange_tally_leave(struct exchange_tally *t)
{
    if (t && t->n == 0) {
        free(t);
    } else if (t) {
        t->is_left = true;
    }
}

void exchange_count_for(struct exchange *x, struct exchange_tally *t)
{
    x->tally = t;
    t->n++;
}

/* The served side is gone, the call side too: write the line, go back to stock. */
static void finish(struct exchange *x)
{
    if (x->state == EXCHANGE_STATE_ENDED) {
        return;
    }
    exchange_stop_waiting(x);
    turn_end(&x->turn);
    x->state = EXCHANGE_STATE_ENDED;
    x->log.total_us = mono_now_us() - x->begun_us;
    if (x->e && !x->opened_us) {
        x->log.wait_us = x->log.total_us; /* it never came to anything else */
    }
    exchange_tell(x);
    relay_done(&x->relay);
    loop_free_later(x->w->loop, recycle, x);
    count_out(x);
    if (x->is_orphan) {
        list_remove(&x->node);
        x->w->n_orphans--;
        atomic_fetch_sub_explicit(&x->w->shared->n_connections, 1, memory_order_relaxed);
        worker_on_gone(x->w);
    }
}

static void cancel_call(struct exchange *x)
{
    struct call *c = x->relay.out;
    if (c) {
        relay_detach(&x->relay);
        c->ops->cancel(c);
    }
}

/* Nothing good can be said any more: the pusher must see that the answer is not complete. */
void exchange_abandon(struct exchange *x, const char *error)
{
    cancel_call(x);
    struct served *s = x->served;
    x->relay.in = NULL;
    x->log.error = x->log.error ? x->log.error : error;
    if (s) {
        x->served = NULL;
        s->ops->abandon(s);
    }
    finish(x);
}

/* -- our own answers
 * ------------------------------------------------------------------------------------------- */

/* Send what is left of our own body; the exchange ends with its last octet. */
static void reply_more(struct exchange *x)
{
    size_t n = x->served->ops->send_body(x->served, x->rest, true);
    bool is_all = n == x->rest.n;
    x->log.bytes_out += n;
    x->rest = span_skip(x->rest, n);
    if (is_all) {
        x->served = NULL;
        x->relay.in = NULL;
        finish(x);
    }
}

void exchange_reply(struct exchange *x, const struct reply *r)
{
    exchange_stop_waiting(x);
    cancel_call(x);
    turn_end(&x->turn); /* Focused Run has nothing to do with it any more */
    x->state = EXCHANGE_STATE_REPLYING;
    x->log.status = r->status;
    x->log.by = r->by ? r->by : "gateway";
    x->log.error = r->kind ? r->kind : r->error;
    struct head *h = arena_alloc(&x->arena, sizeof(*h));
    struct span note = span_of(r->note ? r->note : r->detail);
    if (!h || (note.p && arena_copy(&x->arena, note, &x->log.note) != FRUN_OK) ||
        reply_build(r, x->facts.request_id, &x->arena, h, &x->rest) != FRUN_OK ||
        x->served->ops->send_head(x->served, h) != FRUN_OK) {
        exchange_abandon(x, "proxy_internal_error");
        return;
    }
    if (span_eq(x->in.method, SPAN_LIT("HEAD"))) {
        x->rest.n = 0;
    }
    reply_more(x);
}

/* The route itself says why there is no call. */
static void reply_why(struct exchange *x)
{
    struct call_failure f = {.err = FRUN_E_DENIED};
    char detail[REPLY_DETAIL_BYTES];
    x->route->ops->why(x->route, &f);
    const struct reply r = reply_failure(&f, detail);
    exchange_reply(x, &r);
}

/* -- time
 * ------------------------------------------------------------------------------------------------------
 */

/* Who is owed something? While the pusher is slow its connection's own time-outs run, not ours. */
static void rearm(struct exchange *x)
{
    const struct conf_gateway *g = x->w->conf->gateway;
    uint64_t in_ms = 0;
    if (x->state == EXCHANGE_STATE_OPEN) {
        if (x->relay.is_end_sent) {
            in_ms = g->response_timeout_ms;
        } else if (x->relay.is_request_held || x->relay.is_request_done) {
            in_ms = g->body_timeout_ms; /* what is there, the route has not taken */
        }
    } else if (x->state == EXCHANGE_STATE_ANSWERING && !x->is_client_slow) {
        in_ms = g->body_timeout_ms;
    }
    if (in_ms) {
        deadline_set(x->w->loop, &x->deadline, in_ms + EXCHANGE_SLACK_MS);
    } else {
        deadline_clear(&x->deadline);
    }
}

static void on_deadline(struct deadline *d)
{
    struct exchange *x = list_entry(d, struct exchange, deadline);
    char detail[256];
    if (x->state == EXCHANGE_STATE_WAITING && exchange_waits_on(x)) {
        return;
    }
    if (x->state == EXCHANGE_STATE_WAITING && x->route->ops->why) {
        reply_why(x);
        return;
    }
    if (x->state == EXCHANGE_STATE_WAITING) {
        const char *location = x->e->conf->location_id;
        (void)snprintf(detail, sizeof(detail),
                       "no connector for location ID \"%s\" is connected; check that frunconnector "
                       "runs and can "
                       "reach this gateway",
                       location ? location : "");
        exchange_reply(x, &(struct reply){.status = 503,
                                          .error = "destination_unavailable",
                                          .detail = detail,
                                          .retry_after_s = EXCHANGE_RETRY_S});
        return;
    }
    if (x->state == EXCHANGE_STATE_OWN) {
        exchange_reply(x, &(struct reply){.status = 408,
                                          .error = "http_request_error",
                                          .detail = "the body did not arrive in time "
                                                    "(body_timeout)"});
        return;
    }
    if (x->state == EXCHANGE_STATE_ANSWERING) {
        log_warning(NULL,
                    "request %.*s: the answer of endpoint %.*s stopped in the middle; cut off",
                    SPAN_FMT(x->facts.request_id), SPAN_FMT(x->e->name));
        exchange_abandon(x, "http_response_timeout");
        return;
    }
    exchange_reply(
        x, &(struct reply){
               .status = 504,
               .error = x->relay.is_end_sent ? "http_response_timeout" : "connection_write_timeout",
               .detail = x->relay.is_end_sent
                             ? "Focused Run did not answer in time (response_timeout)"
                             : "Focused Run stopped taking the request (body_timeout)"});
}

/* -- a sender that has gone
 * ------------------------------------------------------------------------------------ */

static void nobody_accept_body(struct served *s)
{
    (void)s;
}

static frun_err nobody_send_head(struct served *s, const struct head *h)
{
    (void)s;
    (void)h;
    return FRUN_OK;
}

static size_t nobody_send_body(struct served *s, struct span data, bool is_last)
{
    (void)s;
    (void)is_last;
    return data.n;
}

static const struct served_ops nobody_ops = {
    .accept_body = nobody_accept_body,
    .send_head = nobody_send_head,
    .send_body = nobody_send_body,
    .resume = nobody_accept_body,
    .abandon = nobody_accept_body,
};

/* Such senders keep nothing: a push that has arrived completely would be lost. */
static bool is_worth_delivering(const struct exchange *x)
{
    bool is_on_its_way = x->state >= EXCHANGE_STATE_VERIFYING && x->state <= EXCHANGE_STATE_OPEN;
    return is_on_its_way && x->relay.is_request_done && !span_eq(x->in.method, SPAN_LIT("GET")) &&
           !span_eq(x->in.method, SPAN_LIT("HEAD"));
}

/* Go on without a sender; as before it takes a place among the connections. */
static void become_orphan(struct exchange *x)
{
    log_info(NULL, "%.*s went away before the answer; its complete push is delivered all the same",
             SPAN_FMT(x->facts.client_address));
    x->nobody = (struct served){.ops = &nobody_ops};
    x->served = x->relay.in = &x->nobody;
    x->is_orphan = true;
    x->log.note = SPAN_LIT("the sender went away before the answer");
    list_append(&x->w->orphans, &x->node);
    x->w->n_orphans++;
    atomic_fetch_add_explicit(&x->w->shared->n_connections, 1, memory_order_relaxed);
}

void exchange_kill_orphans(struct worker *w)
{
    for (struct list *it; (it = list_first(&w->orphans)) != NULL;) {
        struct exchange *x = list_entry(it, struct exchange, node);
        x->log.note = SPAN_LIT("the gateway was stopped");
        exchange_abandon(x, "connection_terminated");
    }
}

/* -- events of the call
 * ---------------------------------------------------------------------------------------- */

static void call_on_head(void *owner, const struct head *h)
{
    struct exchange *x = owner;
    const struct field *origin = head_find(h, SPAN_LIT(PTTH_ORIGIN_FIELD));
    bool is_connector = x->via.connector && origin && span_eq(origin->value, SPAN_LIT("connector"));
    x->log.status = h->status;
    x->log.by = is_connector ? "connector" : "focused-run";
    const struct field *cause = is_connector ? head_find(h, SPAN_LIT("proxy-status")) : NULL;
    if (cause && arena_copy(&x->arena, cause->value, &x->log.note) != FRUN_OK) {
        x->log.note = (struct span){0};
    }
    x->log.upstream_us = mono_now_us() - x->opened_us;
    if (x->via.connector) {
        exchange_note_backend(x, h);
    }
    if (h->status == 401 && x->route->ops->refused) {
        x->route->ops->refused(x->route);
    }
    struct head *out = arena_alloc(&x->arena, sizeof(*out));
    if (!out || policy_answer(x->policy, x->facts.request_id, h, &x->arena, out) != FRUN_OK ||
        x->served->ops->send_head(x->served, out) != FRUN_OK) {
        exchange_reply(x,
                       &(struct reply){.status = 502,
                                       .error = "http_response_header_section_size",
                                       .detail = "the answer's head is too large to be passed on"});
        return;
    }
    relay_answer(&x->relay);
    x->state = EXCHANGE_STATE_ANSWERING;
    rearm(x);
}

static size_t call_on_body(void *owner, struct span data)
{
    struct exchange *x = owner;
    size_t n = relay_on_answer_body(&x->relay, data);
    x->is_client_slow = n < data.n;
    rearm(x);
    return n;
}

static void call_on_room(void *owner)
{
    struct exchange *x = owner;
    relay_on_request_room(&x->relay);
    if (x->state == EXCHANGE_STATE_OPEN) {
        rearm(x);
    }
}

static void call_on_end(void *owner)
{
    struct exchange *x = owner;
    deadline_clear(&x->deadline);
    if (relay_on_answer_end(&x->relay)) {
        x->served = NULL;
        finish(x);
    }
}

static bool is_idempotent(struct span method)
{
    static const char *const names[] = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (span_eq(method, span_of(names[i]))) {
            return true;
        }
    }
    return false;
}

/* Only what provably was not processed, or may be processed twice, and was read so far that it can
 * be sent from its beginning. */
static bool may_repeat(const struct exchange *x, const struct call_failure *f)
{
    bool is_lost = f->err == FRUN_E_CLOSED || f->err == FRUN_E_EOF || f->is_stale;
    bool is_harmless = is_idempotent(x->in.method) || x->e->conf->repeat_requests;
    return is_lost && (f->is_unprocessed || is_harmless) && x->repeats < EXCHANGE_MAX_REPEATS &&
           relay_can_repeat(&x->relay);
}

static void call_on_fail(void *owner, const struct call_failure *f)
{
    struct exchange *x = owner;
    relay_detach(&x->relay);
    if (x->state == EXCHANGE_STATE_ANSWERING) {
        exchange_abandon(x, reply_error_type(f->err));
        return;
    }
    /* Waiting for what is away ends with hold, so such tries are not counted as repeats. */
    bool is_away = f->verdict.is_away && f->is_unprocessed && relay_can_repeat(&x->relay);
    if (is_away || may_repeat(x, f)) {
        x->repeats += is_away ? 0 : 1;
        exchange_retake_route(x);
        exchange_open_route(x);
        return;
    }
    char detail[REPLY_DETAIL_BYTES];
    const struct reply r = reply_failure(f, detail);
    exchange_reply(x, &r);
}

static const struct call_events call_events = {
    .on_head = call_on_head,
    .on_body = call_on_body,
    .on_room = call_on_room,
    .on_end = call_on_end,
    .on_fail = call_on_fail,
};

/* -- events of the served side
 * --------------------------------------------------------------------------------- */

static size_t served_on_body(void *owner, struct span data)
{
    struct exchange *x = owner;
    if (x->state == EXCHANGE_STATE_REPLYING) {
        return data.n; /* our answer says all there is to say: the rest of the request is dropped */
    }
    if (x->state == EXCHANGE_STATE_OWN) {
        x->log.bytes_in += data.n;
        return own_on_body(&x->own, data);
    }
    size_t n = relay_on_request_body(&x->relay, data);
    if (x->relay.is_too_long) {
        if (x->state == EXCHANGE_STATE_ANSWERING) {
            exchange_abandon(x, "http_request_error");
        } else {
            struct permit permit;
            exchange_permit(x, &permit);
            struct reply no = permit_too_long(&permit);
            exchange_reply(x, &no);
        }
        return 0;
    }
    if (x->state == EXCHANGE_STATE_OPEN) {
        rearm(x);
    }
    return n;
}

static void served_on_body_end(void *owner)
{
    struct exchange *x = owner;
    if (x->state == EXCHANGE_STATE_REPLYING) {
        return;
    }
    if (x->state == EXCHANGE_STATE_OWN) {
        deadline_clear(&x->deadline);
        own_on_body_end(&x->own);
        return;
    }
    relay_on_request_end(&x->relay);
    if (x->state == EXCHANGE_STATE_OPEN) {
        rearm(x);
    }
}

static void served_on_room(void *owner)
{
    struct exchange *x = owner;
    if (x->state == EXCHANGE_STATE_REPLYING) {
        reply_more(x);
        return;
    }
    x->is_client_slow = false;
    relay_on_answer_room(&x->relay);
    if (x->state == EXCHANGE_STATE_ANSWERING) {
        rearm(x);
    }
}

static void served_on_gone(void *owner, frun_err err, const char *why)
{
    struct exchange *x = owner;
    if (is_worth_delivering(x)) {
        become_orphan(x);
        return;
    }
    x->served = NULL;
    x->relay.in = NULL;
    cancel_call(x);
    if (x->log.status == 0 && (err == FRUN_E_SYNTAX || err == FRUN_E_TIMEOUT)) {
        /* The connection answers a body that breaks off by itself; the line shall show it. */
        x->log.status = err == FRUN_E_SYNTAX ? 400 : 408;
        x->log.by = "gateway";
    }
    x->log.error = "connection_terminated";
    x->log.note = span_of(why && *why ? why : err_text(err));
    finish(x);
}

static const struct served_events served_events = {
    .on_body = served_on_body,
    .on_body_end = served_on_body_end,
    .on_room = served_on_room,
    .on_gone = served_on_gone,
};

/* -- the steps
 * -------------------------------------------------------------------------------------------------
 */

static void open_body(struct exchange *x)
{
    if (!x->is_body_open) {
        x->is_body_open = true;
        x->served->ops->accept_body(x->served);
    }
}

void exchange_read_ahead(struct exchange *x)
{
    if (!x->in.wants_continue) {
        open_body(x);
    }
}

/* The tunnel may end before the request does. */
static const char *copy_name(struct exchange *x, const char *name)
{
    struct span copy = {0};
    return name && arena_copy(&x->arena, span_of(name), &copy) == FRUN_OK ? copy.p : NULL;
}

/* Also the way back after a failure: opens the call (again) and lets the bodies flow. */
void exchange_open_route(struct exchange *x)
{
    struct call *c = NULL;
    const struct hub_way *via = NULL;
    frun_err err = x->route->ops->open(x->route, &x->out, &call_events, x, &c, &via);
    if (err == FRUN_E_AGAIN) {
        exchange_wait(x);
        return;
    }
    if (err == FRUN_E_DENIED) {
        reply_why(x);
        return;
    }
    if (err == FRUN_E_UNSUPPORTED) {
        exchange_reply(
            x, &(struct reply){.status = 431,
                               .error = "http_request_error",
                               .detail = "the request's head is larger than the connector takes "
                                         "(max_head in frunconnector.ini)"});
        return;
    }
    if (err) {
        exchange_reply(x, &(struct reply){.status = 503,
                                          .error = err == FRUN_E_LIMIT ? "connection_limit_reached"
                                                                       : "proxy_internal_error",
                                          .detail = err_text(err),
                                          .retry_after_s = EXCHANGE_RETRY_S});
        return;
    }
    x->via = (struct hub_way){0};
    if (via) {
        x->via = (struct hub_way){copy_name(x, via->connector), copy_name(x, via->tunnel)};
    }
    x->state = EXCHANGE_STATE_OPEN;
    x->opened_us = mono_now_us();
    x->log.wait_us = x->opened_us - x->begun_us;
    relay_attach(&x->relay, c);
    rearm(x);
    open_body(x);
}

static void on_tunnel(struct hub_waiter *w)
{
    struct exchange *x = list_entry(w, struct exchange, hub_waiter);
    exchange_stop_waiting(x);
    exchange_open_route(x);
}

void exchange_take_on(struct exchange *x, struct served *s, struct span peer)
{
    x->begun_us = mono_now_us();
    x->hold_until_ms = 0;
    x->uri = (struct uri){0};
    x->roads = roads_ref(x->w->roads);
    x->registry = x->roads->gen->registry;
    x->served = s;
    s->ev = &served_events;
    s->owner = x;
    relay_begin(&x->relay, s, x->w->conf->gateway->max_body);
    if (arena_copy(&x->arena, peer, &x->facts.client_address) != FRUN_OK) {
        x->facts.client_address = (struct span){0};
    }
    x->log.client = x->facts.client_address;
}

void exchange_start(struct exchange *x, struct served *s, struct span peer,
                    const struct tls_ctx *shown, struct identity *identity)
{
    x->shown = shown;
    x->identity = identity_ref(identity);
    exchange_take_on(x, s, peer);
    x->facts.host = x->in.authority;
    x->facts.request_id = policy_request_id(&x->in, x->id_made);
    x->facts.traceparent = policy_traceparent(&x->in, x->trace_made);
    exchange_admit(x);
}

void exchange_refuse(struct exchange *x, struct served *s, struct span peer,
                     const struct head_fault *fault)
{
    /* What was parsed before the fault is not to be relied on: the line shows the fault alone. */
    x->in = (struct head){.minor = 1, .is_http2 = x->in.is_http2};
    exchange_take_on(x, s, peer);
    x->facts.request_id = policy_request_id(&x->in, x->id_made);
    exchange_reply(x, &(struct reply){.status = fault->status,
                                      .error = "http_request_error",
                                      .detail = fault->why});
}

void exchange_lose(struct exchange *x, struct span peer, const char *why)
{
    x->in = (struct head){.minor = 1, .is_http2 = x->in.is_http2};
    x->nobody = (struct served){.ops = &nobody_ops};
    exchange_take_on(x, &x->nobody, peer);
    x->facts.request_id = policy_request_id(&x->in, x->id_made);
    x->log.error = "http_request_error";
    x->log.note = span_of(why);
    x->served = x->relay.in = NULL;
    finish(x);
}
