/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/connector/dialer.h"

#include "frun/base/buf.h"
#include "frun/base/log.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** Octets of a reason for the log. */
#define WHY_BYTES 256

/** Octets of a Host value at most: a DNS name, or an address in brackets. */
#define HOST_BYTES 300

struct dialer {
    struct dialer_settings set;        /**< as given */
    const struct dialer_events *ev;    /**< owner's */
    void *ctx;                         /**< for them */
    enum dialer_state state;           /**< where it is */
    struct backoff backoff;            /**< when next */
    struct deadline timer;             /**< waiting: next dial; greeting: its ceiling */
    struct later at_once;              /**< waiting: a dial that waits for nothing */
    struct dial *dial;                 /**< dialling only */
    struct stream *stream;             /**< greeting only */
    struct buf answer;                 /**< greeting only: what the gateway said so far */
    size_t scanned;                    /**< of answer */
    struct h2 *h2;                     /**< open and draining */
    uint64_t opened_ms;                /**< when it opened last, 0: never */
    char opened[MONO_WALL_TEXT_BYTES]; /**< the same, wall clock */
    bool is_leaving;                   /**< greeting: drained as soon as it stands */
    char scope[160];                   /**< for the log */
};

static const char *const state_names[] = {"waiting", "dialling", "greeting",
                                          "open",    "draining", "ended"};

/* Which states may follow which; one row per state. */
static const bool may_follow[6][6] = {
    /*                    wait   dial   greet  open   drain  end */
    [DIALER_WAITING] = {false, true, false, false, false, true},
    [DIALER_DIALLING] = {true, false, true, false, false, true},
    [DIALER_GREETING] = {true, false, false, true, false, true},
    [DIALER_OPEN] = {true, false, false, false, true, true},
    [DIALER_DRAINING] = {false, false, false, false, false, true},
    [DIALER_ENDED] = {false, false, false, false, false, false},
};

static void start_dial(struct dialer *d);

static void set_state(struct dialer *d, enum dialer_state to)
{
    assert(may_follow[d->state][to]);
    log_debug(d->scope, "%s -> %s", state_names[d->state], state_names[to]);
    deadline_clear(&d->timer);
    later_cancel(&d->at_once);
    d->state = to;
}

static void drop_connection(struct dialer *d)
{
    dial_cancel(d->dial);
    d->dial = NULL;
    stream_free(d->stream);
    d->stream = NULL;
    buf_done(&d->answer);
    h2_free(d->h2);
    d->h2 = NULL;
}

/* An unchanged failure is said once, then now and then; every tunnel of a gateway shares the memory
 * of what has been said. */
static void say_failure(struct dialer *d, const char *why, uint64_t wait_ms)
{
    struct dialer_news *n = d->set.news;
    uint64_t now = loop_now_ms(d->set.loop);
    bool is_same = strncmp(n->text, why, sizeof(n->text) - 1) == 0;
    if (is_same && now - n->at_ms < DIALER_NEWS_MS) {
        n->unsaid++;
        log_debug(d->scope, "%s; retrying in %.1f s", why, (double)wait_ms / 1000.0);
        return;
    }
    if (is_same) {
        log_warning(d->scope,
                    "%s (%u times more since the last line); retrying in %.1f s, for ever", why,
                    n->unsaid, (double)wait_ms / 1000.0);
    } else {
        log_warning(d->scope, "%s; retrying in %.1f s, for ever", why, (double)wait_ms / 1000.0);
    }
    (void)snprintf(n->text, sizeof(n->text), "%s", why);
    n->at_ms = now;
    n->unsaid = 0;
}

/* Whatever went wrong: close, say it, wait, dial again. The owner may free us in on_lost. */
static void fail(struct dialer *d, const char *why, unsigned retry_after_s)
{
    uint64_t now = loop_now_ms(d->set.loop);
    if (retry_after_s > DIALER_MAX_RETRY_AFTER_S) {
        retry_after_s = DIALER_MAX_RETRY_AFTER_S;
    }
    if (d->state == DIALER_OPEN) {
        backoff_worked(&d->backoff, now - d->opened_ms);
    }
    drop_connection(d);
    if (d->is_leaving) {
        set_state(d, DIALER_ENDED);
        d->ev->on_ended(d->ctx, d);
        return;
    }
    set_state(d, DIALER_WAITING);
    uint64_t wait_ms = backoff_next(&d->backoff, (uint64_t)retry_after_s * 1000);
    deadline_set(d->set.loop, &d->timer, wait_ms ? wait_ms : 1);
    d->set.news->failed++;
    (void)snprintf(d->set.news->last, sizeof(d->set.news->last), "%s", why);
    mono_wall_text(d->set.news->last_at);
    say_failure(d, why, wait_ms);
    d->ev->on_lost(d->ctx, d);
}

static bool on_h2_head(void *ctx, struct h2_place *place)
{
    struct dialer *d = ctx;
    return d->ev->on_head(d->ctx, place);
}

static void on_h2_request(void *ctx, struct served *s, const struct head *h)
{
    struct dialer *d = ctx;
    (void)h; /* in the place */
    d->ev->on_request(d->ctx, d->scope, s);
}

static void on_h2_head_lost(void *ctx, void *owner, const char *why)
{
    struct dialer *d = ctx;
    log_debug(d->scope, "a request was refused before it was complete: %s", why);
    d->ev->on_head_lost(d->ctx, owner);
}

static void on_h2_drain(void *ctx)
{
    struct dialer *d = ctx;
    if (d->state != DIALER_OPEN) {
        return; /* our own wish */
    }
    backoff_worked(&d->backoff, loop_now_ms(d->set.loop) - d->opened_ms);
    set_state(d, DIALER_DRAINING);
    log_info(d->scope,
             "the gateway drains this tunnel; another one is dialled, %zu requests finish here",
             h2_in_flight(d->h2));
    d->ev->on_drain(d->ctx, d);
}

static void on_h2_closed(void *ctx, frun_err err, const char *why)
{
    struct dialer *d = ctx;
    if (d->state == DIALER_DRAINING) {
        drop_connection(d);
        set_state(d, DIALER_ENDED);
        log_info(d->scope, "drained and closed");
        d->ev->on_ended(d->ctx, d);
        return;
    }
    char text[WHY_BYTES];
    (void)snprintf(text, sizeof(text), "lost: %s", why && why[0] ? why : err_text(err));
    fail(d, text, 0);
}

static const struct h2_events h2_table = {
    .on_head = on_h2_head,
    .on_request = on_h2_request,
    .on_head_lost = on_h2_head_lost,
    .on_drain = on_h2_drain,
    .on_closed = on_h2_closed,
};

/* The gateway said 101; what came behind it belongs to HTTP/2. */
static void open_session(struct dialer *d, size_t head_bytes, unsigned tunnels)
{
    struct span first = span_skip(buf_span(&d->answer), head_bytes);
    if (h2_new(&d->stream, first, &d->set.h2, &h2_table, d, &d->h2)) {
        fail(d, "no memory for the tunnel's session", 0);
        return;
    }
    buf_done(&d->answer);
    set_state(d, DIALER_OPEN);
    d->opened_ms = loop_now_ms(d->set.loop);
    mono_wall_text(d->opened);
    d->set.news->text[0] = '\0';
    d->set.news->opened++;
    log_info(d->scope, "open, location ID \"%.*s\"; the gateway would like %u tunnels",
             SPAN_FMT(d->set.hello.location_id), tunnels);
    if (d->is_leaving) {
        dialer_drain(d);
        return;
    }
    d->ev->on_open(d->ctx, d, tunnels);
}

static void judge_answer(struct dialer *d, size_t head_bytes)
{
    struct head h;
    struct head_fault fault = {0};
    struct head_limits lim = HEAD_LIMITS_DEFAULT;
    char text[WHY_BYTES];
    lim.max_head_bytes = DIALER_MAX_GREETING_BYTES;
    struct span in = span_head(buf_span(&d->answer), head_bytes);
    if (head_parse_answer(in, &lim, SPAN_LIT("GET"), &h, &fault)) {
        (void)snprintf(text, sizeof(text), "the gateway does not speak HTTP: %s", fault.why);
        fail(d, text, 0);
        return;
    }
    unsigned tunnels = 1;
    unsigned retry_after_s = 0;
    const char *why = "";
    frun_err err = ptth_read_welcome(&h, &tunnels, &retry_after_s, &why);
    if (!err) {
        open_session(d, head_bytes, tunnels);
        return;
    }
    const char *remedy = "";
    if (err == FRUN_E_DENIED) {
        remedy = "; see the [connector ...] sections and the log of the gateway";
    } else if (err == FRUN_E_UNSUPPORTED) {
        remedy = "; bring connector and gateway to versions that fit";
    }
    (void)snprintf(text, sizeof(text), "the gateway refused with %u %.*s: %s%s", h.status,
                   (int)(h.reason.n > 40 ? 40 : h.reason.n), h.reason.p ? h.reason.p : "", why,
                   remedy);
    fail(d, text, retry_after_s);
}

static void on_greeting_readable(void *ctx)
{
    struct dialer *d = ctx;
    struct head_limits lim = HEAD_LIMITS_DEFAULT;
    lim.max_head_bytes = DIALER_MAX_GREETING_BYTES;
    for (;;) {
        char *at = NULL;
        size_t n = buf_room(&d->answer) < 2048 ? buf_room(&d->answer) : 2048;
        if (n == 0 || buf_reserve(&d->answer, n, &at)) {
            fail(d, "the gateway's answer to the greeting is too long", 0);
            return;
        }
        frun_err err = stream_read(d->stream, at, n, &n);
        if (err == FRUN_E_AGAIN) {
            return;
        }
        if (err) {
            /* Why a client certificate was refused comes only now: TLS 1.3 asks for it last. */
            char text[WHY_BYTES];
            const char *why = stream_why(d->stream);
            (void)snprintf(text, sizeof(text), "the gateway closed the connection: %s",
                           why[0] ? why : err_text(err));
            fail(d, text, 0);
            return;
        }
        buf_commit(&d->answer, n);
        struct head_fault fault = {0};
        size_t head_bytes = 0;
        err = head_cut(buf_span(&d->answer), &lim, &d->scanned, &head_bytes, &fault);
        if (err == FRUN_E_AGAIN) {
            continue;
        }
        if (err) {
            fail(d, "the gateway does not speak HTTP here", 0);
        } else {
            judge_answer(d, head_bytes);
        }
        return;
    }
}

static void on_greeting_closed(void *ctx, frun_err err)
{
    struct dialer *d = ctx;
    char text[WHY_BYTES];
    const char *why = stream_why(d->stream);
    (void)snprintf(text, sizeof(text), "the gateway closed the connection: %s",
                   why[0] ? why : err_text(err));
    fail(d, text, 0);
}

static const struct stream_events greeting_table = {
    .on_readable = on_greeting_readable,
    .on_closed = on_greeting_closed,
};

static void greet(struct dialer *d)
{
    struct buf hello;
    const char *name = d->set.target.server_name ? d->set.target.server_name : d->set.target.host;
    char host[HOST_BYTES];
    int n = strchr(name, ':') ? snprintf(host, sizeof(host), "[%s]", name) /* RFC 3986 3.2.2 */
                              : snprintf(host, sizeof(host), "%s", name);
    buf_init(&hello, DIALER_MAX_GREETING_BYTES);
    buf_init(&d->answer, DIALER_MAX_GREETING_BYTES + 1);
    d->scanned = 0;
    stream_set_events(d->stream, &greeting_table, d);
    frun_err err = n > 0 && (size_t)n < sizeof(host)
                       ? ptth_write_hello(&d->set.hello, span_of(host), &hello)
                       : FRUN_E_LIMIT;
    if (!err) {
        err = stream_put(d->stream, buf_span(&hello));
    }
    buf_done(&hello);
    if (err) {
        char text[WHY_BYTES];
        (void)snprintf(text, sizeof(text), "the greeting cannot be sent: %s", err_text(err));
        fail(d, text, 0);
        return;
    }
    deadline_set(d->set.loop, &d->timer, d->set.greeting_ms);
    stream_read_on(d->stream, true);
}

static void on_dialled(void *ctx, frun_err err, struct stream *s, const char *why)
{
    struct dialer *d = ctx;
    d->dial = NULL;
    if (err) {
        fail(d, why && why[0] ? why : err_text(err), 0);
        return;
    }
    d->stream = s;
    d->set.news->until_s = stream_peer_until(s);
    set_state(d, DIALER_GREETING);
    greet(d);
}

static void start_dial(struct dialer *d)
{
    set_state(d, DIALER_DIALLING);
    frun_err err = dial_start(d->set.loop, d->set.offload, &d->set.target, on_dialled, d, &d->dial);
    if (err) {
        char text[WHY_BYTES];
        (void)snprintf(text, sizeof(text), "cannot dial: %s", err_text(err));
        fail(d, text, 0);
    }
}

static void on_timer(struct deadline *t)
{
    struct dialer *d = list_entry(t, struct dialer, timer);
    if (d->state == DIALER_WAITING) {
        start_dial(d);
    } else if (d->state == DIALER_GREETING) {
        fail(d, "the gateway does not answer the greeting", 0);
    }
}

static void on_at_once(struct later *x)
{
    start_dial(list_entry(x, struct dialer, at_once));
}

frun_err dialer_new(const struct dialer_settings *s, const struct dialer *before,
                    const struct dialer_events *ev, void *ctx, struct dialer **out)
{
    struct dialer *d = calloc(1, sizeof(*d));
    if (!d) {
        return FRUN_E_NOMEM;
    }
    d->set = *s;
    d->ev = ev;
    d->ctx = ctx;
    d->state = DIALER_WAITING;
    deadline_init(&d->timer, on_timer);
    later_init(&d->at_once, on_at_once);
    backoff_init(&d->backoff, s->retry_min_ms, s->retry_max_ms);
    (void)snprintf(d->scope, sizeof(d->scope), "tunnel %s #%u", s->label, ++s->news->serial_no);
    if (before) {
        d->backoff = before->backoff;
    }
    if (before && loop_now_ms(s->loop) - before->opened_ms < DIALER_SHORT_LIFE_MS) {
        /* A gateway that drains what has just opened would be dialled in a tight circle. */
        deadline_set(s->loop, &d->timer, backoff_next(&d->backoff, 0));
    } else {
        later_arm(s->loop, &d->at_once);
    }
    *out = d;
    return FRUN_OK;
}

void dialer_update(struct dialer *d, const struct dialer_settings *s)
{
    d->set = *s;
}

void dialer_free(struct dialer *d)
{
    if (!d) {
        return;
    }
    drop_connection(d);
    deadline_clear(&d->timer);
    later_cancel(&d->at_once);
    if (d->state != DIALER_ENDED) {
        set_state(d, DIALER_ENDED);
    }
    loop_free_later(d->set.loop, free, d);
}

void dialer_drain(struct dialer *d)
{
    if (d->state == DIALER_OPEN) {
        set_state(d, DIALER_DRAINING);
        log_info(d->scope, "draining, %zu requests finish", h2_in_flight(d->h2));
        h2_drain(d->h2);
    } else if (d->state == DIALER_GREETING) {
        d->is_leaving = true; /* the gateway may have welcomed it and sent requests already */
    } else if (d->state < DIALER_OPEN) {
        drop_connection(d);
        set_state(d, DIALER_ENDED);
    }
}

enum dialer_state dialer_state(const struct dialer *d)
{
    return d->state;
}

const char *dialer_open_since(const struct dialer *d)
{
    return d->h2 ? d->opened : "";
}

size_t dialer_in_flight(const struct dialer *d)
{
    return d->h2 ? h2_in_flight(d->h2) : 0;
}

size_t dialer_max_in_flight(const struct dialer *d)
{
    return d->h2 ? h2_max_in_flight(d->h2) : 0;
}

const char *dialer_state_name(enum dialer_state s)
{
    return state_names[s];
}

uint64_t dialer_open_since_ms(const struct dialer *d)
{
    return d->h2 ? d->opened_ms : 0;
}

uint64_t dialer_rtt_us(const struct dialer *d)
{
    return d->h2 ? h2_rtt_us(d->h2) : 0;
}
