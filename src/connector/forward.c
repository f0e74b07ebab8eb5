/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/connector/forward.h"

#include "frun/admin/accesslog.h"
#include "frun/base/arena.h"
#include "frun/base/log.h"
#include "frun/base/mono.h"
#include "frun/base/text.h"
#include "frun/connector/access.h"
#include "frun/connector/rewrite.h"
#include "frun/http/policy.h"
#include "frun/http/problem.h"
#include "frun/http/relay.h"
#include "frun/http/uri.h"
#include "frun/tunnel/ptth.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/** Memory of a request besides its head, and of the answer's changes. */
#define ARENA_EXTRA_BYTES 65536

/** Octets of a text for the pusher. */
#define DETAIL_BYTES 768

/** Octets of a path in an audit line. */
#define MAX_LOGGED_PATH 256

/** Seconds after which a request may come again that found no connection free. */
enum { RETRY_AFTER_BUSY_S = 2 };

/** Where a request is. */
enum forward_state {
    FORWARD_JUDGING,   /**< not sent anywhere, call and relay are unused */
    FORWARD_NAMING,    /**< the certificate of its principal is being made */
    FORWARD_CALLING,   /**< call is open, nothing was answered */
    FORWARD_ANSWERING, /**< the back end's head went out; call is NULL once the answer is complete
                        */
    FORWARD_REFUSING,  /**< our own error is going out, rest waits for room */
    FORWARD_GONE       /**< served is gone, call is NULL, freed after the pass */
};

/** One request. */
struct forward {
    struct forward_env *env;         /**< shared things */
    struct forward *next_spare;      /**< another one, while spare */
    const char *scope;               /**< tunnel it came through */
    const char *subaccount;          /**< membership it came by */
    struct served *in;               /**< towards the gateway */
    struct call *call;               /**< towards the back end, or NULL */
    enum forward_state state;        /**< where it is */
    struct arena arena;              /**< its memory */
    struct head got;                 /**< as received, in the arena */
    struct head req;                 /**< what is sent, also again; borrows from got */
    struct relay relay;              /**< bodies */
    struct access_result access;     /**< decision */
    struct principals_waiter naming; /**< for that certificate */
    struct span method;              /**< as received */
    struct span path;                /**< canonical, without query; absent if malformed */
    struct span request_id;          /**< the gateway's, may be absent */
    struct span log_id;              /**< the same for the log, "-" if absent */
    struct span rest;                /**< refusing: what of our text has not been taken */
    const char *error;               /**< RFC 9209 error type of what went wrong, or NULL */
    struct span note;                /**< more about it, for the access line alone */
    unsigned repeats;                /**< how often it was sent again */
    unsigned status;                 /**< of the answer, 0: none yet */
    uint64_t begun_us;               /**< when it came */
    uint64_t named_us;               /**< when its principal's certificate was there, 0: none */
    uint64_t answered_us;            /**< when the back end's head came, 0: not yet */
    uint64_t own_bytes;              /**< octets of our own text that went out */
    bool is_repeatable;              /**< may be sent again though it may have been processed */
};

/** What a failure of the back end is told as. */
struct fault {
    unsigned status;   /**< HTTP status */
    const char *type;  /**< RFC 9209 error type */
    const char *words; /**< what happened */
};

static void on_named(struct principals_waiter *w, frun_err err, struct span text);

static const struct call_events call_table;
static const struct served_events served_table;

static struct forward *make(struct forward_env *env)
{
    struct forward *f = env->spare;
    if (f) {
        env->spare = f->next_spare;
        env->n_spare--;
        return f;
    }
    f = calloc(1, sizeof(*f));
    if (f) {
        f->env = env;
        list_init(&f->naming.node);
        f->naming.fn = on_named;
        arena_init(&f->arena, (size_t)env->conf->connector->max_head * 2 + ARENA_EXTRA_BYTES);
    }
    return f;
}

static void destroy(struct forward *f)
{
    arena_done(&f->arena);
    free(f);
}

/* Most requests follow another one: what it left is warm, and its heads need no zeroing. */
static void recycle(void *obj)
{
    struct forward *f = obj;
    struct forward_env *env = f->env;
    relay_done(&f->relay);
    arena_reset(&f->arena);
    if (env->n_spare >= FORWARD_MAX_SPARE) {
        destroy(f);
        return;
    }
    f->state = FORWARD_JUDGING;
    f->access = (struct access_result){0};
    f->path = f->method = f->request_id = f->log_id = f->rest = f->note = (struct span){0};
    f->repeats = f->status = 0;
    f->begun_us = f->named_us = f->answered_us = f->own_bytes = 0;
    f->error = NULL;
    f->is_repeatable = false;
    f->next_spare = env->spare;
    env->spare = f;
    env->n_spare++;
}

void forward_env_done(struct forward_env *env)
{
    while (env->spare) {
        destroy(make(env)); /* takes the first of them */
    }
}

/* "tunnel LABEL #N", for log lines, is "LABEL #N" here. */
static const char *tunnel_name(const char *scope)
{
    static const char word[] = "tunnel ";
    return strncmp(scope, word, sizeof(word) - 1) == 0 ? scope + sizeof(word) - 1 : scope;
}

static void remember(const struct forward *f, const struct meter_event *e)
{
    struct admin_recent_entry *x = admin_recent_add(f->env->recent);
    const struct conf_mapping *m = f->access.mapping;
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME_COARSE, &now);
    *x = (struct admin_recent_entry){
        .ended_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000,
        .by = e->origin == METER_ORIGIN_BACKEND ? "focused-run"
              : e->origin == METER_ORIGIN_OWN   ? "connector"
                                                : NULL,
        .status = e->status,
        .total_us = e->total_us,
        .upstream_us = e->upstream_us,
        .bytes_in = e->bytes_in,
        .bytes_out = e->bytes_out,
    };
    admin_recent_text(x->id, sizeof(x->id), f->request_id);
    admin_recent_text(x->endpoint, sizeof(x->endpoint), span_of(m ? m->place.name : NULL));
    admin_recent_text(x->tunnel, sizeof(x->tunnel), span_of(tunnel_name(f->scope)));
    admin_recent_text(x->method, sizeof(x->method), f->method);
    admin_recent_text(x->path, sizeof(x->path), f->path);
}

static struct span field_of(const struct head *h, struct span name)
{
    const struct field *f = head_find(h, name);
    return f ? f->value : (struct span){0};
}

/* What the gateway's line cannot say; the request ID joins the two. */
static void write_line(const struct forward *f, const struct meter_event *e)
{
    const struct head *h = &f->got;
    const struct conf_mapping *m = f->access.mapping;
    struct span path = f->path;
    if (!path.p && h->target.n && h->target.p[0] == '/') {
        path = span_head(h->target, span_find(h->target, '?'));
    }
    uint64_t sent_us = f->named_us ? f->named_us : f->begun_us;
    const struct accesslog_entry line = {
        /* The gateway says it, nobody else can: it drops what comes by that name. */
        .client = field_of(h, SPAN_LIT("X-Forwarded-For")),
        .method = f->method,
        .path = path,
        .protocol = SPAN_LIT("HTTP/2.0"),
        .user_agent = field_of(h, SPAN_LIT("User-Agent")),
        .request_id = f->request_id,
        .traceparent = field_of(h, SPAN_LIT("traceparent")),
        .subaccount = f->subaccount,
        .system = m ? m->place.name : NULL,
        .resource = f->access.resource ? f->access.resource->place.name : NULL,
        .tunnel = tunnel_name(f->scope),
        .status = e->status,
        .by = e->origin == METER_ORIGIN_BACKEND ? "focused-run"
              : e->origin == METER_ORIGIN_OWN   ? "connector"
                                                : NULL,
        .error = f->error,
        .note = f->note,
        .repeats = e->repeats,
        .bytes_in = e->bytes_in,
        .bytes_out = e->bytes_out + f->own_bytes,
        .total_us = e->total_us,
        .wait_us = f->named_us ? f->named_us - f->begun_us : 0,
        .upstream_us = f->answered_us ? f->answered_us - sent_us : 0,
    };
    accesslog_write(&line, (enum conf_access)f->env->conf->log->access);
}

/* The request has ended: count it under its mapping, or under none. */
static void count(const struct forward *f)
{
    const struct conf_mapping *m = f->access.mapping;
    uint64_t now_us = mono_now_us();
    enum meter_origin origin = f->answered_us ? METER_ORIGIN_BACKEND
                               : f->status    ? METER_ORIGIN_OWN
                                              : METER_ORIGIN_NONE;
    const struct meter_event e = {
        .status = f->status,
        .origin = origin,
        .denial = meter_denial_of(f->status, origin),
        .total_us = now_us - f->begun_us,
        .upstream_us = f->answered_us ? f->answered_us - f->begun_us : 0,
        .bytes_in = f->relay.request_bytes,
        .bytes_out = f->relay.answer_bytes,
        .repeats = f->repeats,
    };
    if (f->env->meter) {
        unsigned subject = !m                ? METER_NOBODY
                           : f->env->serials ? f->env->serials[f->access.index]
                                             : (unsigned)f->access.index;
        meter_request(f->env->meter, 0, subject, 0, span_of(m ? m->place.name : NULL), &e);
    }
    if (f->env->usage) {
        const struct usage_event u = {
            .subaccount = f->subaccount,
            .system = m ? m->place.name : NULL,
            .resource = f->access.resource ? f->access.resource->place.name : NULL,
            .path = f->path,
            .id = f->request_id,
            .is_denied = f->access.verdict != ACCESS_ALLOWED,
            .total_us = e.total_us,
            .upstream_us = e.upstream_us,
            .bytes_in = e.bytes_in,
            .bytes_out = e.bytes_out,
        };
        usage_count(f->env->usage, &u);
    }
    if (f->env->recent) {
        remember(f, &e);
    }
    if (f->env->conf->log && f->env->conf->log->access != CONF_ACCESS_OFF) {
        write_line(f, &e);
    }
}

static void set_state(struct forward *f, enum forward_state to)
{
    assert(f->state != FORWARD_GONE);
    assert(to == FORWARD_GONE || to > f->state);
    f->state = to;
    if (to == FORWARD_GONE) {
        assert(!f->call);
        principals_forget(&f->naming);
        count(f);
        f->in = NULL;
        f->env->in_flight--;
        loop_free_later(f->env->loop, recycle, f);
    }
}

static void cancel_call(struct forward *f)
{
    struct call *c = f->call;
    f->call = NULL;
    if (c) {
        c->ops->cancel(c);
    }
}

/* Cuts the answer off so that nobody takes it for complete. */
static void abandon(struct forward *f)
{
    struct served *s = f->in;
    f->error = f->error ? f->error : "connection_terminated";
    cancel_call(f);
    set_state(f, FORWARD_GONE);
    s->ops->abandon(s);
}

static void send_rest(struct forward *f)
{
    size_t n = f->in->ops->send_body(f->in, f->rest, true);
    bool is_taken = n == f->rest.n;
    f->own_bytes += n;
    f->rest = span_skip(f->rest, n);
    if (is_taken) {
        set_state(f, FORWARD_GONE);
    }
}

/* Answers with an error of our own; nothing may have been answered before. */
static void refuse(struct forward *f, const struct fault *why, const char *detail)
{
    struct problem p = {
        .status = why->status,
        .proxy = "frunconnector",
        .error = why->type,
        .detail = span_of(detail),
        .request_id = f->request_id,
        .retry_after_s = why->status == 503 ? RETRY_AFTER_BUSY_S : 0,
    };
    struct head h = {0};
    cancel_call(f);
    set_state(f, FORWARD_REFUSING);
    f->status = why->status;
    f->error = why->type;
    if (!f->note.p && arena_copy(&f->arena, span_of(detail), &f->note) != FRUN_OK) {
        f->note = (struct span){0};
    }
    relay_done(&f->relay);
    if (problem_build(&p, &f->arena, &h, &f->rest) ||
        head_add(&h, SPAN_LIT(PTTH_ORIGIN_FIELD), SPAN_LIT(REWRITE_ORIGIN_CONNECTOR)) ||
        f->in->ops->send_head(f->in, &h)) {
        abandon(f);
        return;
    }
    if (span_eq(f->method, SPAN_LIT("HEAD"))) {
        f->rest = SPAN_LIT("");
    }
    send_rest(f);
}

static bool mentions(const char *text, const char *word)
{
    return strstr(text, word) != NULL;
}

/* Who distrusts whom makes the difference to whoever has to mend it. */
static struct fault fault_of_tls(const char *text)
{
    if (mentions(text, "did not ask for our certificate")) {
        return (struct fault){502, "tls_protocol_error",
                              "it does not ask for this connector's system certificate, without "
                              "which it is not told who pushes"};
    }
    if (mentions(text, "refused our certificate") || mentions(text, "demands a certificate")) {
        return (struct fault){502, "tls_alert_received",
                              "it does not accept this connector's system certificate, or there is "
                              "none"};
    }
    return mentions(text, "certificate")
               ? (struct fault){502, "tls_certificate_error", "its certificate is not trusted"}
               : (struct fault){502, "tls_protocol_error", "TLS failed"};
}

static struct fault fault_of(const struct call_failure *x)
{
    switch (x->err) {
    case FRUN_E_RESOLVE:
        return (struct fault){502, "dns_error", "the host name has no address"};
    case FRUN_E_CONNECT:
        return mentions(x->text, "refused")
                   ? (struct fault){502, "connection_refused", "the connection was refused"}
                   : (struct fault){502, "destination_unavailable", "no address answered"};
    case FRUN_E_TLS:
        return fault_of_tls(x->text);
    case FRUN_E_TIMEOUT:
        return x->is_unprocessed
                   ? (struct fault){504, "connection_timeout", "connecting took too long"}
                   : (struct fault){504, "http_response_timeout", "its answer took too long"};
    case FRUN_E_SYNTAX:
        return (struct fault){502, "http_protocol_error", "its answer is not proper HTTP"};
    case FRUN_E_LIMIT:
        return x->is_unprocessed
                   ? (struct fault){503, "connection_limit_reached", "all connections are in use"}
                   : (struct fault){502, "http_response_header_section_size",
                                    "the head of its answer is too large"};
    case FRUN_E_NOMEM:
        return (struct fault){503, "proxy_internal_error", "the connector is out of memory"};
    default:
        return (struct fault){502, "connection_terminated", "the connection ended"};
    }
}

static void refuse_failed(struct forward *f, const struct call_failure *x)
{
    const struct conf_mapping *m = f->access.mapping;
    struct fault why = fault_of(x);
    char detail[DETAIL_BYTES];
    const char *remedy = "";
    if (x->err == FRUN_E_TLS && m->protocol == 0 && !m->backend_ca) {
        why.type = "tls_certificate_error";
        remedy =
            "; backend_ca is not set in frunconnector.ini, so no certificate of this system is "
            "trusted: name the PEM file of its CA";
    }
    /* The cause may name the internal host, which is nobody's business outside: only the log has
     * it. */
    (void)snprintf(detail, sizeof(detail), "No usable answer from system %s: %s%s", m->place.name,
                   why.words, remedy);
    char line[DETAIL_BYTES];
    (void)snprintf(line, sizeof(line), "%s (%s)%s", why.words, x->text, remedy);
    if (!x->is_stale) {
        backends_failed(f->env->backends, f->access.index, line);
    }
    log_debug(f->scope, "request %.*s: %s, answered %u", SPAN_FMT(f->log_id), line, why.status);
    if (arena_copy(&f->arena, span_of(line), &f->note) != FRUN_OK) {
        f->note = (struct span){0};
    }
    refuse(f, &why, detail);
}

/* Who pushes is the gateway's word; who asks us is the gateway. */
static void audit_request(const struct forward *f, bool is_denied)
{
    char text[ACCESS_TEXT_BYTES];
    struct audit *a = f->env->audit;
    if (!audit_wants(a, !is_denied)) {
        return;
    }
    access_text(&f->access, text);
    audit_tell(a, &(struct audit_event){
                      .name = is_denied ? "access.denied" : "access.allowed",
                      .outcome = is_denied ? "denied" : "ok",
                      .who = span_of(f->scope),
                      .object = span_of(is_denied ? NULL : f->access.resource->place.name),
                      .detail = span_of(is_denied ? text : NULL),
                      .is_routine = !is_denied,
                      .is_frequent = true});
}

/* The audit log counts what comes again; the log has each one. */
static void audit(const struct forward *f)
{
    audit_request(f, f->access.verdict != ACCESS_ALLOWED);
    int level = f->env->conf->audit->level;
    char text[ACCESS_TEXT_BYTES];
    bool is_denied = f->access.verdict != ACCESS_ALLOWED;
    if (level == CONF_AUDIT_OFF || (level == CONF_AUDIT_SECURITY && !is_denied)) {
        return;
    }
    access_text(&f->access, text);
    struct span path = f->access.path;
    path.n = path.n > MAX_LOGGED_PATH ? MAX_LOGGED_PATH : path.n;
    if (is_denied) {
        log_warning(f->scope, "access denied: %.*s %.*s, request %.*s: %s; answered 403",
                    SPAN_FMT(f->method), SPAN_FMT(path), SPAN_FMT(f->log_id), text);
    } else {
        log_info(f->scope, "access allowed: %.*s %.*s, request %.*s: by [resource %s] of %s",
                 SPAN_FMT(f->method), SPAN_FMT(path), SPAN_FMT(f->log_id),
                 f->access.resource->place.name, f->access.mapping->place.name);
    }
}

static frun_err open_call(struct forward *f)
{
    return upstream_call(backends_get(f->env->backends, f->access.index), &f->req, &call_table, f,
                         &f->call);
}

static bool may_repeat(const struct forward *f, const struct call_failure *x)
{
    if (f->env->is_closing || f->repeats >= FORWARD_MAX_REPEATS || !relay_can_repeat(&f->relay)) {
        return false;
    }
    /* A dial that failed has tried every address already. */
    bool is_broken = x->err == FRUN_E_CLOSED || x->err == FRUN_E_IO || x->err == FRUN_E_EOF;
    return (x->is_unprocessed && is_broken) || (x->is_stale && f->is_repeatable);
}

/* The gateway takes what is left of its own time for the tunnel's. Without it nothing is missing.
 */
static void tell_time(struct forward *f, struct head *out)
{
    char *text = arena_alloc(&f->arena, TEXT_NUMBER_BYTES);
    if (text) {
        size_t n = text_number(f->answered_us - f->begun_us, text);
        (void)!head_add(out, SPAN_LIT(PTTH_BACKEND_FIELD), span_make(text, n));
    }
}

static void on_call_head(void *owner, const struct head *h)
{
    struct forward *f = owner;
    struct head out;
    frun_err err = rewrite_answer(f->env->conf, f->access.mapping, h, &f->arena, &out);
    if (err) {
        struct call_failure x = {.err = FRUN_E_LIMIT};
        (void)snprintf(x.text, sizeof(x.text), "%s", err_text(err));
        refuse_failed(f, &x);
        return;
    }
    f->status = h->status;
    f->answered_us = mono_now_us();
    tell_time(f, &out);
    backends_answered(f->env->backends, f->access.index);
    set_state(f, FORWARD_ANSWERING);
    err = f->in->ops->send_head(f->in, &out);
    if (err) {
        log_warning(f->scope, "request %.*s: the answer's head cannot be sent: %s; reset",
                    SPAN_FMT(f->log_id), err_text(err));
        abandon(f);
        return;
    }
    relay_answer(&f->relay);
}

static size_t on_call_body(void *owner, struct span data)
{
    struct forward *f = owner;
    return relay_on_answer_body(&f->relay, data);
}

static void on_call_room(void *owner)
{
    struct forward *f = owner;
    relay_on_request_room(&f->relay);
}

static void on_call_end(void *owner)
{
    struct forward *f = owner;
    f->call = NULL;
    if (relay_on_answer_end(&f->relay)) {
        set_state(f, FORWARD_GONE);
    }
}

static void on_call_fail(void *owner, const struct call_failure *x)
{
    struct forward *f = owner;
    f->call = NULL;
    relay_detach(&f->relay);
    if (f->state == FORWARD_ANSWERING) {
        backends_failed(f->env->backends, f->access.index, x->text);
        f->note = span_of(x->text); /* lives as long as this call */
        abandon(f);
        return;
    }
    if (may_repeat(f, x)) {
        f->repeats++;
        log_debug(f->scope, "request %.*s: %s; sent again", SPAN_FMT(f->log_id), x->text);
        if (!open_call(f)) {
            relay_attach(&f->relay, f->call);
            return;
        }
    }
    refuse_failed(f, x);
}

static size_t on_served_body(void *owner, struct span data)
{
    struct forward *f = owner;
    if (f->state == FORWARD_REFUSING) {
        return data.n;
    }
    return relay_on_request_body(&f->relay, data);
}

static void on_served_body_end(void *owner)
{
    struct forward *f = owner;
    if (f->state != FORWARD_REFUSING) {
        relay_on_request_end(&f->relay);
    }
}

static void on_served_room(void *owner)
{
    struct forward *f = owner;
    if (f->state == FORWARD_REFUSING) {
        send_rest(f);
    } else {
        relay_on_answer_room(&f->relay);
    }
}

static void on_served_gone(void *owner, frun_err err, const char *why)
{
    struct forward *f = owner;
    log_debug(f->scope, "request %.*s: gone: %s (%s)", SPAN_FMT(f->log_id), why, err_text(err));
    f->error = f->error ? f->error : "connection_terminated";
    f->note = f->note.p ? f->note : span_of(why && *why ? why : err_text(err));
    cancel_call(f);
    set_state(f, FORWARD_GONE);
}

static const struct call_events call_table = {
    .on_head = on_call_head,
    .on_body = on_call_body,
    .on_room = on_call_room,
    .on_end = on_call_end,
    .on_fail = on_call_fail,
};

static const struct served_events served_table = {
    .on_body = on_served_body,
    .on_body_end = on_served_body_end,
    .on_room = on_served_room,
    .on_gone = on_served_gone,
};

/* Only what is harmless in a field, in JSON and in a log line. */
static struct span sane_id(struct span s)
{
    bool is_sane = s.n >= 1 && s.n <= 128;
    for (size_t i = 0; is_sane && i < s.n; i++) {
        char c = s.p[i];
        is_sane = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  strchr("._~+/=-", c);
    }
    return is_sane ? s : (struct span){0};
}

static void note_facts(struct forward *f)
{
    const struct field *id = head_find(&f->got, SPAN_LIT("X-Request-ID"));
    f->is_repeatable = rewrite_is_repeatable(&f->got);
    f->request_id = id ? sane_id(id->value) : (struct span){0};
    f->log_id = f->request_id.p ? f->request_id : SPAN_LIT("-");
    f->method = f->got.method;
}

/* The head is ready: off it goes. */
static void send_on(struct forward *f)
{
    frun_err err = open_call(f);
    if (err) {
        struct call_failure x = {.err = err, .is_unprocessed = true};
        (void)snprintf(x.text, sizeof(x.text), "%s", err_text(err));
        refuse_failed(f, &x);
        return;
    }
    set_state(f, FORWARD_CALLING);
    f->in->ops->accept_body(f->in);
    relay_attach(&f->relay, f->call);
}

static void refuse_unnamed(struct forward *f, frun_err err)
{
    const char *name = f->access.mapping->place.name;
    struct fault why = {502, "proxy_configuration_error",
                        "no certificate for the principal can be made: check that the CA in "
                        "principal_ca_certificate has not expired"};
    if (err == FRUN_E_SYNTAX || err == FRUN_E_LIMIT) {
        why.words = "the principal's name cannot stand in the certificate's subject";
    }
    if (err == FRUN_E_AGAIN || err == FRUN_E_NOMEM) {
        why = (struct fault){503, "proxy_internal_error", "too many certificates are being made"};
    }
    char detail[DETAIL_BYTES];
    (void)snprintf(detail, sizeof(detail), "Nothing was sent to system %s: %s", name, why.words);
    backends_failed(f->env->backends, f->access.index, why.words);
    refuse(f, &why, detail);
}

static void on_named(struct principals_waiter *w, frun_err err, struct span text)
{
    struct forward *f = list_entry(w, struct forward, naming);
    struct span own;
    f->named_us = mono_now_us();
    if (err) {
        refuse_unnamed(f, err);
        return;
    }
    /* The set may renew it while the request is still under way. */
    err = arena_copy(&f->arena, text, &own);
    err = err ? err : head_add(&f->req, SPAN_LIT("SSL_CLIENT_CERT"), own);
    if (err) {
        struct fault none = {503, "proxy_internal_error", "the connector is out of memory"};
        struct fault large = {431, "http_request_error", "the head of the request is too large"};
        struct fault *bad = err == FRUN_E_NOMEM ? &none : &large;
        refuse(f, bad, bad->words);
        return;
    }
    send_on(f);
}

/* Signing takes no other's time: whoever waits for it waits milliseconds. */
static void name_principal(struct forward *f, struct span name)
{
    struct principals *p = backends_principals(f->env->backends, f->access.index);
    struct span text = {0};
    set_state(f, FORWARD_NAMING);
    frun_err err = p ? principals_get(p, name, &f->naming, &text) : FRUN_E_TLS;
    if (err == FRUN_E_LIMIT) {
        refuse_unnamed(f, FRUN_E_AGAIN);
    } else if (err != FRUN_E_AGAIN) {
        on_named(&f->naming, err, text);
    }
}

/* Judges, rebuilds the head and opens the call. */
static void start(struct forward *f)
{
    const struct head *h = &f->got;
    struct uri u = {0};
    const char *why = "";
    if (uri_parse(h->target, h->authority, &u, &why)) {
        struct fault bad = {400, "http_request_error", why};
        refuse(f, &bad, why);
        return;
    }
    f->path = u.path;
    enum access_verdict v = access_judge(f->env->conf, h->authority, u.path, &f->access);
    audit(f);
    if (v != ACCESS_ALLOWED) {
        struct fault denied = {403, "http_request_denied", "access denied"};
        char text[ACCESS_TEXT_BYTES];
        access_text(&f->access, text);
        refuse(f, &denied, text);
        return;
    }
    struct span principal;
    frun_err err = rewrite_principal(f->access.mapping, h, &f->arena, &principal);
    if (err == FRUN_E_SYNTAX) {
        struct fault bad = {400, "http_request_error", POLICY_PRINCIPAL_FIELD " is not proper"};
        refuse(f, &bad, bad.words);
        return;
    }
    err = err ? err : rewrite_request(f->access.mapping, h, &u, &f->arena, &f->req);
    if (err) {
        struct fault large = {431, "http_request_error", "the head of the request is too large"};
        refuse(f, &large, large.words);
        return;
    }
    if (principal.p) {
        name_principal(f, principal);
    } else {
        send_on(f);
    }
}

bool forward_lend(struct forward_env *env, const char *subaccount, struct h2_place *place)
{
    struct forward *f = make(env);
    if (f) {
        env->n_lent++;
        f->subaccount = subaccount;
        *place = (struct h2_place){.head = &f->got, .arena = &f->arena, .owner = f};
    }
    return f != NULL;
}

void forward_lose(void *owner)
{
    struct forward *f = owner;
    f->env->n_lent--;
    recycle(f);
}

void forward_begin(const char *scope, struct served *s)
{
    struct forward *f = s->owner;
    f->scope = scope;
    f->begun_us = mono_now_us();
    f->in = s;
    f->env->n_lent--;
    f->env->in_flight++;
    relay_begin(&f->relay, s, UINT64_MAX);
    s->ev = &served_table;
    note_facts(f);
    start(f);
}
