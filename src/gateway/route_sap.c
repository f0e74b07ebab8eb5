/**
 * The route through SAP's connectivity proxy to a genuine Cloud Connector: plain HTTP/1.1 with
 * absolute targets, a token on each request, errors told apart, a circuit breaker.
 *
 *     closed --no_tunnel--> open --pause over--> trying --any other answer--> closed
 *                             ^--------no_tunnel--'
 *
 * While the circuit is open requests wait as they do for a tunnel; trying, one of them goes first.
 * An answer that may be SAP's own is held until its text has been looked at (SAP_ERROR_MAX_BYTES at
 * most), then either told as a failure or passed on as it came. One endpoint's in one worker.
 *
 * By SOCKS5 (via = socks5) token and location ID travel once for each connection; what the proxy
 * refuses it says before the connection stands. The request is then an ordinary one, and every
 * answer is Focused Run's own.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/gateway/route.h"

#include "frun/base/arena.h"
#include "frun/base/log.h"
#include "frun/conf/check.h"
#include "frun/gateway/sap_error.h"
#include "frun/gateway/worker.h"
#include "frun/tunnel/backoff.h"
#include "frun/upstream/upstream.h"
#include "route_int.h"

#include <stdlib.h>
#include <string.h>

/** Octets of a line that the proxy takes, its end included; above it answers some 4xx. */
#define SAP_MAX_LINE_BYTES 8192

/** Idle connections kept. */
#define SAP_MAX_IDLE 64

/** Ceiling of a copied answer head. */
#define SAP_HEAD_BYTES 131072

/** Longest target that is put together: lines are refused long before. */
#define SAP_TARGET_BYTES 16384

/** So long the others wait for the one that tries; then the next one goes too, and so on: the first
 * may be a slow sender's, or nobody answers it, and the pause of the others must not be its own. */
#define SAP_TRY_MS 2000

/** One path is denied while others go through: a minute without a denial is worth a line, not each
 * good answer in between. */
#define SAP_DENIED_MS 60000

enum circuit {
    CIRCUIT_CLOSED, /* requests go */
    CIRCUIT_OPEN,   /* requests wait, the pause runs */
    CIRCUIT_TRYING  /* one request goes, the others wait for what becomes of it, SAP_TRY_MS long */
};

struct sap_route {
    struct route base;
    struct loop *loop;
    const struct endpoint *e;
    struct upstream *pool;
    bool is_socks;           /* via = socks5 */
    struct dial_socks socks; /* token of the call that is being opened; read by the pool's dials */
    char *proxy;             /* socks5: host:port of the proxy */
    char *host;              /* socks5: virtual host */
    struct token_desk *desk;
    struct token_waiter token_waiter;
    struct list waiting; /* requests, for a token or for the circuit */
    enum circuit circuit;
    struct backoff backoff;
    struct deadline pause; /* open: until it is tried; trying: until the next one goes too */
    uint64_t pause_ms;     /* the present one's length */
    struct later wake;
    struct sap_call *first; /* trying: the one that went last */
    bool is_tokenless;      /* the last open() found no token */
    struct diag token_why;
    const struct call_verdict *refusal; /* the last open() refused a line, or NULL */
    struct head head;                   /* scratch */
    struct buf target;                  /* scratch */
};

enum sap_call_state {
    SAP_CALL_ASKING,  /* no head yet */
    SAP_CALL_LOOKING, /* an answer that may be SAP's own is gathered */
    SAP_CALL_HANDING, /* it was not: what was gathered is handed on */
    SAP_CALL_PASSING, /* everything goes straight through */
    SAP_CALL_DEAD     /* freed after the pass */
};

/* A call of the exchange, around one of the pool. */
struct sap_call {
    struct call call;
    struct sap_route *r;
    struct call *inner; /* NULL once it has ended */
    struct token_value *value;
    enum sap_call_state state;
    bool is_trial; /* went while the circuit was being tried */
    struct later later;
    struct arena arena; /* copy of a held head */
    struct head *head;
    struct buf body; /* what was gathered of the body */
};

/* -- the circuit
 * ------------------------------------------------------------------------------------------------
 */

/* What all workers know of the endpoint's road; a change is one line, whoever sees it first. */
static void note(const struct sap_route *r, enum sap_error_kind kind, struct span body)
{
    struct sap_state *known = r->e->sap_state;
    uint64_t now_ms = loop_now_ms(r->loop);
    int last = atomic_load_explicit(&known->kind, memory_order_relaxed);
    if (kind == SAP_ERROR_ACCESS_DENIED_RESOURCE) {
        atomic_store_explicit(&known->denied_ms, now_ms, memory_order_relaxed);
    } else if (kind == SAP_ERROR_NONE && last == SAP_ERROR_ACCESS_DENIED_RESOURCE &&
               now_ms - atomic_load_explicit(&known->denied_ms, memory_order_relaxed) <
                   SAP_DENIED_MS) {
        return;
    }
    if (last == (int)kind) {
        return;
    }
    int before = atomic_exchange(&known->kind, (int)kind);
    if (before == (int)kind) {
        return;
    }
    char scope[96];
    (void)snprintf(scope, sizeof(scope), "endpoint %.*s", SPAN_FMT(r->e->name));
    if (kind == SAP_ERROR_NONE) {
        log_info(scope, "sap-connectivity: good again after %s",
                 sap_error_verdict((enum sap_error_kind)before)->kind);
        return;
    }
    const struct call_verdict *v = sap_error_verdict(kind);
    struct span said = span_head(body, body.n < 300 ? body.n : 300);
    log_warning(scope, "sap-connectivity %s: %s: %s; it says: %.*s", r->e->conf->sap_name, v->kind,
                v->detail, SPAN_FMT(said));
}

/* While one has to go first it is the oldest; if it does not go after all, the next one. */
static void wake_some(struct sap_route *r)
{
    struct list todo;
    struct list *it;
    list_init(&todo);
    while ((it = list_first(&r->waiting))) {
        list_remove(it);
        list_append(&todo, it);
    }
    while ((it = list_first(&todo))) {
        if (r->circuit == CIRCUIT_OPEN || (r->circuit == CIRCUIT_TRYING && r->first)) {
            break;
        }
        list_remove(it);
        struct hub_waiter *w = list_entry(it, struct hub_waiter, node);
        w->fn(w);
    }
    /* In front of those who came to wait meanwhile: the order stays. */
    while (!list_is_empty(&todo)) {
        it = todo.prev;
        list_remove(it);
        list_prepend(&r->waiting, it);
    }
}

static void on_wake(struct later *l)
{
    wake_some(list_entry(l, struct sap_route, wake));
}

static void on_pause(struct deadline *d)
{
    struct sap_route *r = list_entry(d, struct sap_route, pause);
    r->circuit = CIRCUIT_TRYING;
    r->first = NULL; /* nothing is known of it in time: another one tries beside it */
    wake_some(r);
}

static void circuit_open(struct sap_route *r, const struct sap_call *c)
{
    if (r->circuit == CIRCUIT_OPEN || (r->circuit == CIRCUIT_TRYING && !c->is_trial)) {
        return; /* others went before it was known */
    }
    r->circuit = CIRCUIT_OPEN;
    r->first = NULL;
    r->pause_ms = backoff_next(&r->backoff, 0);
    deadline_set(r->loop, &r->pause, r->pause_ms);
}

/* Any answer from behind the proxy, a refusal too, proves that the Cloud Connector is there. */
static void circuit_close(struct sap_route *r)
{
    if (r->circuit == CIRCUIT_CLOSED) {
        return;
    }
    r->circuit = CIRCUIT_CLOSED;
    r->first = NULL;
    deadline_clear(&r->pause);
    r->backoff.failures = 0;
    later_arm(r->loop, &r->wake);
}

/* -- the end of a call
 * ------------------------------------------------------------------------------------------ */

static void call_done(void *obj)
{
    struct sap_call *c = obj;
    token_value_unref(&c->value);
    arena_done(&c->arena);
    buf_done(&c->body);
    free(c);
}

/* From now on nothing of it is called. If it was to go first and nothing came of it: the next. */
static void call_drop(struct sap_call *c)
{
    struct sap_route *r = c->r;
    c->state = SAP_CALL_DEAD;
    later_cancel(&c->later);
    if (r->first == c) {
        r->first = NULL;
        later_arm(r->loop, &r->wake);
    }
    loop_free_later(r->loop, call_done, c);
}

static void call_fail(struct sap_call *c, const struct call_failure *f)
{
    const struct call call = c->call;
    if (c->inner) {
        c->inner->ops->cancel(c->inner);
        c->inner = NULL;
    }
    call_drop(c);
    call.ev->on_fail(call.owner, f);
}

static void call_end(struct sap_call *c)
{
    const struct call call = c->call;
    call_drop(c);
    call.ev->on_end(call.owner);
}

/* -- answers that may be SAP's own
 * ------------------------------------------------------------------------------ */

/* SAP refused: what it means for the circuit, the token, and for sending again. */
static void refuse(struct sap_call *c, enum sap_error_kind kind)
{
    struct sap_route *r = c->r;
    struct span body = buf_span(&c->body);
    struct call_failure f = {
        .err = FRUN_E_DENIED, .is_unprocessed = true, .verdict = *sap_error_verdict(kind)};
    (void)snprintf(f.text, sizeof(f.text), "%.*s", (int)(body.n < 255 ? body.n : 255),
                   body.n ? body.p : "");
    if (kind == SAP_ERROR_NO_TUNNEL) {
        circuit_open(r, c);
    } else if (kind != SAP_ERROR_PROXY_AUTH && kind != SAP_ERROR_HTTPS_NOT_ALLOWED &&
               kind != SAP_ERROR_AFFINITY && kind != SAP_ERROR_NO_SOCKS) {
        circuit_close(r);
    }
    if ((kind == SAP_ERROR_PROXY_AUTH && token_drop(r->e->sap->token, r->desk, c->value)) ||
        kind == SAP_ERROR_AFFINITY) {
        f.err = FRUN_E_CLOSED; /* lost, not refused: worth another try */
    } else {
        note(r, kind, body);
    }
    call_fail(c, &f);
}

static void hand_on(struct sap_call *c)
{
    if (c->state == SAP_CALL_HANDING && buf_len(&c->body) > 0) {
        struct span gathered = buf_span(&c->body);
        size_t n = c->call.ev->on_body(c->call.owner, gathered);
        if (c->state == SAP_CALL_DEAD) {
            return;
        }
        buf_consume(&c->body, n);
        if (n < gathered.n) {
            return; /* until resume() */
        }
    }
    if (c->state != SAP_CALL_HANDING) {
        return;
    }
    c->state = SAP_CALL_PASSING;
    if (c->inner) {
        c->inner->ops->resume(c->inner);
    } else {
        call_end(c);
    }
}

static void on_later(struct later *l)
{
    hand_on(list_entry(l, struct sap_call, later));
}

static void answered(struct sap_call *c)
{
    token_value_prove(c->value);
    circuit_close(c->r);
    note(c->r, SAP_ERROR_NONE, (struct span){0});
}

static void decide(struct sap_call *c)
{
    enum sap_error_kind kind = sap_error_find(c->head->status, buf_span(&c->body));
    if (c->head->status != 407) {
        token_value_prove(c->value);
    }
    if (kind != SAP_ERROR_NONE) {
        refuse(c, kind);
        return;
    }
    answered(c);
    c->state = SAP_CALL_HANDING;
    c->call.ev->on_head(c->call.owner, c->head);
    hand_on(c);
}

static frun_err keep_field(struct sap_call *c, const struct field *f)
{
    struct span name;
    struct span value;
    frun_err err = arena_copy(&c->arena, f->name, &name);
    err = err ? err : arena_copy(&c->arena, f->value, &value);
    return err ? err : head_add(c->head, name, value);
}

/* The pool's head lives until the event returns; this one until the text has been looked at. */
static frun_err keep_head(struct sap_call *c, const struct head *h)
{
    c->head = arena_alloc(&c->arena, sizeof(*c->head));
    if (!c->head) {
        return FRUN_E_NOMEM;
    }
    route_copy_head(h, c->head);
    c->head->n_fields = 0;
    frun_err err = arena_copy(&c->arena, h->reason, &c->head->reason);
    for (size_t i = 0; !err && i < h->n_fields; i++) {
        err = keep_field(c, &h->fields[i]);
    }
    return err;
}

/* -- events of the pool's call
 * ---------------------------------------------------------------------------------- */

static void inner_on_head(void *owner, const struct head *h)
{
    struct sap_call *c = owner;
    bool is_suspect = !c->r->is_socks && sap_error_is_suspect(h->status);
    if (is_suspect && keep_head(c, h) == FRUN_OK) {
        c->state = SAP_CALL_LOOKING;
        return;
    }
    c->state = SAP_CALL_PASSING;
    answered(c);
    c->call.ev->on_head(c->call.owner, h);
}

static size_t inner_on_body(void *owner, struct span data)
{
    struct sap_call *c = owner;
    if (c->state == SAP_CALL_PASSING) {
        return c->call.ev->on_body(c->call.owner, data);
    }
    if (c->state != SAP_CALL_LOOKING) {
        return 0; /* resumed when what was gathered has been handed on */
    }
    size_t n = data.n < buf_room(&c->body) ? data.n : buf_room(&c->body);
    if (n > 0 && buf_put(&c->body, span_head(data, n))) {
        n = 0;
    }
    bool is_full = n < data.n;
    bool is_ours = sap_error_find(c->head->status, buf_span(&c->body)) == SAP_ERROR_AFFINITY;
    if (is_full || is_ours) {
        /* Before its end: a connection that belongs to another tunnel must not be kept. */
        decide(c);
    }
    return n;
}

static void inner_on_room(void *owner)
{
    struct sap_call *c = owner;
    c->call.ev->on_room(c->call.owner);
}

static void inner_on_end(void *owner)
{
    struct sap_call *c = owner;
    c->inner = NULL;
    if (c->state == SAP_CALL_LOOKING) {
        decide(c);
    } else if (c->state == SAP_CALL_PASSING) {
        call_end(c);
    }
}

static void inner_on_fail(void *owner, const struct call_failure *f)
{
    struct sap_call *c = owner;
    c->inner = NULL;
    enum sap_error_kind kind = sap_error_of_refusal(f->refusal);
    if (c->state == SAP_CALL_LOOKING) {
        kind = sap_error_find(c->head->status, buf_span(&c->body));
    }
    if (f->refusal && buf_put(&c->body, span_of(f->text))) { /* what refuse() is to tell */
        kind = SAP_ERROR_NONE;
    }
    if (kind != SAP_ERROR_NONE) {
        refuse(c, kind);
    } else {
        call_fail(c, f);
    }
}

static const struct call_events inner_events = {
    .on_head = inner_on_head,
    .on_body = inner_on_body,
    .on_room = inner_on_room,
    .on_end = inner_on_end,
    .on_fail = inner_on_fail,
};

/* -- operations of the exchange's call
 * -------------------------------------------------------------------------- */

static struct sap_call *of(struct call *call)
{
    return list_entry(call, struct sap_call, call);
}

static size_t sap_send(struct call *call, struct span data, bool is_last)
{
    const struct sap_call *c = of(call);
    /* The answer is complete: the rest of the request is no longer wanted. */
    return c->inner ? c->inner->ops->send(c->inner, data, is_last) : data.n;
}

static void sap_resume(struct call *call)
{
    struct sap_call *c = of(call);
    if (c->state == SAP_CALL_HANDING) {
        later_arm(c->r->loop, &c->later);
    } else if (c->inner && c->state == SAP_CALL_PASSING) {
        c->inner->ops->resume(c->inner);
    }
}

static void sap_cancel(struct call *call)
{
    struct sap_call *c = of(call);
    if (c->inner) {
        c->inner->ops->cancel(c->inner);
        c->inner = NULL;
    }
    call_drop(c);
}

static const struct call_ops call_ops = {
    .send = sap_send, .resume = sap_resume, .cancel = sap_cancel};

/* -- opening
 * --------------------------------------------------------------------------------------------------
 */

static const struct call_verdict target_long = {
    .status = 414,
    .error = "http_request_error",
    .kind = "line_too_long",
    .detail = "path and query are too long for SAP's connectivity proxy, which takes lines of 8192 "
              "octets"};
static const struct call_verdict field_long = {
    .status = 431,
    .error = "http_request_error",
    .kind = "line_too_long",
    .detail = "a header field is too long for SAP's connectivity proxy, which takes lines of 8192 "
              "octets, or there are too many"};
static const struct call_verdict token_long = {
    .status = 502,
    .error = "proxy_configuration_error",
    .kind = "proxy_auth",
    .detail = "the gateway's own access token is too long for SAP's connectivity proxy, which "
              "takes lines of 8192 octets"};

/* The request as the proxy wants it. */
static frun_err make_head(struct sap_route *r, const struct head *req, struct span bearer)
{
    struct span location = span_of(r->e->conf->location_id);
    buf_consume(&r->target, buf_len(&r->target));
    frun_err err = buf_put(&r->target, SPAN_LIT("http://"));
    err = err ? err : buf_put(&r->target, r->e->sap_authority);
    err = err ? err : buf_put(&r->target, req->target);
    if (err) {
        r->refusal = err == FRUN_E_LIMIT ? &target_long : NULL;
        return err;
    }
    route_copy_head(req, &r->head);
    r->head.target = buf_span(&r->target);
    r->head.authority = r->e->sap_authority;
    err = head_add(&r->head, SPAN_LIT("Proxy-Authorization"), bearer);
    if (!err && location.n) {
        err = head_add(&r->head, SPAN_LIT("SAP-Connectivity-SCC-Location_ID"), location);
    }
    r->refusal = err == FRUN_E_LIMIT ? &field_long : NULL;
    return err;
}

/* Lines with their ends. The proxy's own answer to longer ones says nothing that helps. Both tokens
 * are ours: the sender cannot make them shorter. */
static const struct call_verdict *find_long_line(const struct head *h)
{
    if (h->method.n + h->target.n + sizeof("  HTTP/1.1\r\n") - 1 > SAP_MAX_LINE_BYTES) {
        return &target_long;
    }
    for (size_t i = 0; i < h->n_fields; i++) {
        const struct field *f = &h->fields[i];
        if (f->name.n + f->value.n + 4 > SAP_MAX_LINE_BYTES) {
            bool is_token = span_eq_nocase(f->name, SPAN_LIT("Proxy-Authorization")) ||
                            span_eq_nocase(f->name, SPAN_LIT("Authorization"));
            return is_token ? &token_long : &field_long;
        }
    }
    return NULL;
}

static frun_err begin(struct sap_route *r, const struct head *req, const struct call_events *ev,
                      void *owner, struct token_value **v, struct call **out)
{
    struct sap_call *c = calloc(1, sizeof(*c));
    if (!c) {
        return FRUN_E_NOMEM;
    }
    c->call = (struct call){.ops = &call_ops, .ev = ev, .owner = owner};
    c->r = r;
    c->state = SAP_CALL_ASKING;
    later_init(&c->later, on_later);
    arena_init(&c->arena, SAP_HEAD_BYTES);
    buf_init(&c->body, SAP_ERROR_MAX_BYTES);
    frun_err err = upstream_call(r->pool, req, &inner_events, c, &c->inner);
    if (err) {
        free(c);
        return err;
    }
    c->value = *v;
    *v = NULL;
    if (r->circuit == CIRCUIT_TRYING) {
        c->is_trial = true;
        r->first = c;
        deadline_set(r->loop, &r->pause, SAP_TRY_MS);
    }
    *out = &c->call;
    return FRUN_OK;
}

static frun_err sap_open(struct route *base, const struct head *req, const struct call_events *ev,
                         void *owner, struct call **out, const struct hub_way **via)
{
    struct sap_route *r = (struct sap_route *)base;
    struct token_value *v = NULL;
    *via = NULL;
    r->refusal = NULL;
    r->is_tokenless = false;
    if (r->circuit == CIRCUIT_OPEN || (r->circuit == CIRCUIT_TRYING && r->first)) {
        return FRUN_E_AGAIN;
    }
    frun_err err = token_take(r->e->sap->token, r->desk, &v, &r->token_why);
    r->is_tokenless = err;
    if (err) {
        return err;
    }
    if (r->is_socks) {
        /* Should the request need another connection: what that one is opened with. */
        r->socks.token = span_skip(token_value_text(v), sizeof("Bearer ") - 1);
    } else {
        err = make_head(r, req, token_value_text(v));
        r->refusal = err ? r->refusal : find_long_line(&r->head);
    }
    if (r->refusal) {
        err = FRUN_E_DENIED;
    }
    err = err ? err : begin(r, r->is_socks ? req : &r->head, ev, owner, &v, out);
    r->socks.token = (struct span){0};
    token_value_unref(&v);
    return err;
}

static void sap_wait(struct route *base, struct hub_waiter *w)
{
    struct sap_route *r = (struct sap_route *)base;
    list_append(&r->waiting, &w->node);
    if (r->is_tokenless && list_is_empty(&r->token_waiter.node)) {
        token_wait(r->e->sap->token, r->desk, &r->token_waiter);
    }
}

static void on_token(struct token_waiter *w)
{
    wake_some(list_entry(w, struct sap_route, token_waiter));
}

static bool sap_is_usable(const struct route *base)
{
    const struct sap_route *r = (const struct sap_route *)base;
    /* When the pause is over only a request can show more, and without health none may come. */
    bool is_open = r->circuit == CIRCUIT_OPEN || (r->circuit == CIRCUIT_TRYING && r->first);
    return token_is_usable(r->e->sap->token, r->desk) && !is_open;
}

static void sap_why(struct route *base, struct call_failure *f)
{
    static const struct call_verdict no_token = {
        .status = 503,
        .error = "proxy_configuration_error",
        .kind = "proxy_auth",
        .detail = "there is no access token for SAP's connectivity proxy; the gateway's log says "
                  "why",
        .retry_after_s = ROUTE_RETRY_S};
    struct sap_route *r = (struct sap_route *)base;
    if (r->refusal) {
        f->verdict = *r->refusal;
        r->refusal = NULL; /* said to whom it belongs, not to one who waits */
        return;
    }
    if (r->circuit == CIRCUIT_CLOSED || r->is_tokenless) {
        f->verdict = no_token;
        (void)snprintf(f->text, sizeof(f->text), "no access token: %.220s", r->token_why.text);
        return;
    }
    const char *location = r->e->conf->location_id;
    f->verdict = *sap_error_verdict(SAP_ERROR_NO_TUNNEL);
    f->verdict.retry_after_s = (unsigned)(r->pause_ms / 1000) + 1;
    (void)snprintf(f->text, sizeof(f->text), "no SAP Cloud Connector for location ID \"%.100s\"",
                   location ? location : "");
}

static void destroy(struct sap_route *r)
{
    buf_done(&r->target);
    free(r->proxy);
    free(r->host);
    free(r);
}

static void sap_free(struct route *base)
{
    struct sap_route *r = (struct sap_route *)base;
    upstream_free(r->pool);
    token_forget(&r->token_waiter);
    deadline_clear(&r->pause);
    later_cancel(&r->wake);
    destroy(r);
}

static const struct route_ops sap_ops = {
    .name = "sap-connectivity",
    .open = sap_open,
    .wait = sap_wait,
    .is_usable = sap_is_usable,
    .free = sap_free,
    .why = sap_why,
};

/* By HTTP the proxy is the origin; by SOCKS5 Focused Run is, and the proxy stands before it. */
static frun_err make_target(struct sap_route *r, struct dial_target *t)
{
    const struct sap_proxy *sap = r->e->sap;
    t->timeout_ms = sap->conf->connect_timeout_ms;
    if (!r->is_socks) {
        t->host = sap->host;
        t->port = sap->port;
        return FRUN_OK;
    }
    struct span host = {0};
    bool is_ipv6 = strchr(sap->host, ':');
    size_t room = strlen(sap->host) + sizeof("[]:65535");
    (void)conf_check_authority(r->e->sap_authority, &host, &t->port);
    r->host = strndup(host.p ? host.p : "", host.n);
    r->proxy = malloc(room);
    if (!r->host || !r->proxy) {
        return FRUN_E_NOMEM;
    }
    (void)snprintf(r->proxy, room, is_ipv6 ? "[%s]:%u" : "%s:%u", sap->host, sap->port);
    r->socks.location_id = span_of(r->e->conf->location_id);
    t->host = r->host;
    t->tls = r->e->backend_tls;
    t->server_name = r->e->conf->server_name;
    t->proxy = r->proxy;
    t->socks = &r->socks;
    return FRUN_OK;
}

frun_err route_sap_new(struct worker *w, const struct endpoint *e, const struct conf_gateway *g,
                       struct route **out)
{
    const struct conf_sap *s = e->sap->conf;
    struct sap_route *r = calloc(1, sizeof(*r));
    if (!r) {
        return FRUN_E_NOMEM;
    }
    r->base.ops = &sap_ops;
    r->loop = w->loop;
    r->e = e;
    r->desk = w->desk;
    r->is_socks = s->via == CONF_SAP_SOCKS5;
    list_init(&r->waiting);
    list_init(&r->token_waiter.node);
    r->token_waiter.fn = on_token;
    backoff_init(&r->backoff, s->retry_min_ms, s->retry_max_ms);
    deadline_init(&r->pause, on_pause);
    later_init(&r->wake, on_wake);
    buf_init(&r->target, SAP_TARGET_BYTES);
    struct upstream_settings set = {
        .response_timeout_ms = g->response_timeout_ms,
        .body_timeout_ms = g->body_timeout_ms,
        .keepalive_ms = s->keepalive_ms ? s->keepalive_ms : 1,
        .max_idle = s->keepalive_ms ? SAP_MAX_IDLE : 0,
        .max_connections = s->max_connections,
        .limits = {.max_head_bytes = g->max_head,
                   .max_target_bytes = g->max_target,
                   .max_fields = g->max_fields},
    };
    frun_err err = make_target(r, &set.target);
    err = err ? err : upstream_new(w->loop, w->shared->resolvers, &set, &r->pool);
    if (err) {
        destroy(r);
        return err;
    }
    route_fetch_early(e->sap->token, w->desk);
    *out = &r->base;
    return FRUN_OK;
}
