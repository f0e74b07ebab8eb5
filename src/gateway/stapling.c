/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/gateway/stapling.h"

#include "frun/base/buf.h"
#include "frun/base/log.h"
#include "frun/fetch/fetch.h"
#include "frun/loop/offload.h"
#include "frun/net/ocsp.h"
#include "frun/tunnel/backoff.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

/* Threads that ask: a responder that hangs must not hold up the others. */
#define HELPERS 2

/* Questions that may wait: one a certificate, so as many as there are endpoints. */
#define MAX_QUEUED 65536

/* Patience with a responder, milliseconds. */
#define CONNECT_MS 5000
#define WHOLE_MS   15000

/* Octets of a question. */
#define MAX_QUESTION 4096

/* Between two tries without a good answer, milliseconds. */
#define RETRY_MIN_MS 5000
#define RETRY_MAX_MS 600000

/* A revoked certificate rarely comes back; "on hold" may. Milliseconds. */
#define REVOKED_MS UINT64_C(3600000)

/* The wall clock may be set: look at it so often, milliseconds. */
#define LOOK_MS 30000

/* Octets of a point in time as text. */
#define DAY_BYTES 32

enum state {
    STATE_NONE,   /* nothing held, no answer yet */
    STATE_GOOD,   /* held, and the last question was answered */
    STATE_KEPT,   /* held, but not renewed */
    STATE_LOST,   /* nothing held: no answer, or none that may be shown */
    STATE_REVOKED /* nothing held: the CA has revoked the certificate */
};

/* What a helper brings home. */
struct reply {
    struct buf answer;
    struct ocsp_validity validity;
    struct diag why;
    frun_err result;
};

/* One certificate. */
struct item {
    struct stapling *all;
    const char *file;    /* what an administrator knows it by; the configuration's */
    struct tls_ctx *tls; /* counted */
    struct ocsp *ocsp;
    struct deadline timer;
    struct backoff backoff;
    uint64_t ask_ms; /* when to ask next, time of the loop */
    int64_t until_s; /* end of what is held, 0: nothing */
    enum state state;
    frun_err told;   /* why, as it was logged last */
    struct diag why; /* of the last question, in words */
    frun_err result; /* of the last question */
    bool is_asking;
    struct offload_job job;
    struct buf question; /* immutable */
    struct reply reply;  /* the helper's while is_asking */
};

struct stapling {
    struct conf_gw *conf;
    const char *proxy; /* NULL: straight */
    struct loop *loop;
    struct offload *helpers;
    atomic_bool is_stopping;
    struct item **items;
    size_t n_items;
};

/* ---- asking; on a helper ---- */

static const char *proxy_hint(const struct item *x, frun_err err)
{
    bool is_away = err == FRUN_E_RESOLVE || err == FRUN_E_CONNECT || err == FRUN_E_TIMEOUT;
    return is_away && !x->all->proxy ? "; if the way out is an HTTP proxy, set [gateway] ocsp_proxy"
                                     : "";
}

static frun_err fetch_answer(struct item *x, struct fetch_answer *out)
{
    static const char *const fields[] = {"Content-Type: application/ocsp-request",
                                         "Accept: application/ocsp-response"};
    const struct fetch_request r = {.url = ocsp_facts(x->ocsp)->url,
                                    .method = "POST",
                                    .body = buf_span(&x->question),
                                    .fields = fields,
                                    .n_fields = sizeof(fields) / sizeof(fields[0]),
                                    .proxy = x->all->proxy,
                                    .connect_timeout_ms = CONNECT_MS,
                                    .timeout_ms = WHOLE_MS,
                                    .max_body = TLS_STAPLING_MAX_BYTES,
                                    .stop = &x->all->is_stopping};
    struct diag d = {.text = ""};
    frun_err err = fetch_run(&r, out, &d);
    if (err) {
        diag_set(&x->reply.why, "%s%s", d.text, proxy_hint(x, err));
        return err;
    }
    if (out->status != 200) {
        diag_set(&x->reply.why, "HTTP status %d; is the address in the certificate still in use?",
                 out->status);
        fetch_answer_done(out);
        return FRUN_E_IO;
    }
    return FRUN_OK;
}

static void ask(struct offload_job *j)
{
    struct item *x = list_entry(j, struct item, job);
    struct reply *y = &x->reply;
    struct fetch_answer a;
    y->why = (struct diag){.text = ""};
    y->result = atomic_load(&x->all->is_stopping) ? FRUN_E_CLOSED : fetch_answer(x, &a);
    if (y->result) {
        return;
    }
    y->result = ocsp_verify(x->ocsp, buf_span(&a.body), (int64_t)time(NULL), &y->validity, &y->why);
    if (!y->result) {
        y->result = buf_put(&y->answer, buf_span(&a.body));
    }
    fetch_answer_done(&a);
}

/* ---- telling ---- */

static void day_of(int64_t seconds, char out[DAY_BYTES])
{
    time_t at = (time_t)seconds;
    struct tm tm;
    if (!gmtime_r(&at, &tm) || strftime(out, DAY_BYTES, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0) {
        out[0] = '\0';
    }
}

/* Why there is none: the code's own words if memory was refused. */
static const char *reason_of(const struct item *x)
{
    return x->why.text[0] ? x->why.text : err_text(x->result);
}

static void tell_lost(const struct item *x)
{
    const struct ocsp_facts *f = ocsp_facts(x->ocsp);
    log_line(f->is_demanded ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING, "ocsp",
             "%s: no OCSP response to staple%s: %s: %s; trying again at growing intervals of at "
             "most %d min",
             x->file,
             f->is_demanded ? ", which the certificate demands, so that clients that look at it "
                              "refuse the connection"
                            : "",
             f->url, reason_of(x), RETRY_MAX_MS / 60000);
}

static void tell(const struct item *x)
{
    char day[DAY_BYTES];
    day_of(x->until_s, day);
    switch (x->state) {
    case STATE_NONE:
        return;
    case STATE_GOOD:
        log_info("ocsp", "%s: stapling the OCSP response of %s, good until %s", x->file,
                 ocsp_facts(x->ocsp)->url, day);
        return;
    case STATE_KEPT:
        log_warning(
            "ocsp",
            "%s: the OCSP response could not be renewed: %s: %s; the present one is stapled "
            "on, until %s",
            x->file, ocsp_facts(x->ocsp)->url, reason_of(x), day);
        return;
    case STATE_LOST:
        tell_lost(x);
        return;
    case STATE_REVOKED:
        log_error("ocsp",
                  "%s: %s: put a new certificate and key in its place; nothing is "
                  "stapled, clients that check refuse the connection; asked again every hour",
                  x->file, reason_of(x));
        return;
    }
}

/* What is the same as before is not told again. */
static void set_state(struct item *x, enum state state)
{
    frun_err why = state == STATE_GOOD ? FRUN_OK : x->result;
    if (state == x->state && why == x->told) {
        return;
    }
    x->state = state;
    x->told = why;
    tell(x);
}

/* ---- keeping ---- */

static void drop(struct item *x)
{
    tls_stapling_drop(x->tls);
    x->until_s = 0;
}

static void keep(struct item *x, int64_t now_s)
{
    /* A responder's cache may lag behind what is held. */
    if (x->reply.validity.until > x->until_s) {
        x->result = tls_stapling_put(x->tls, buf_span(&x->reply.answer), x->reply.validity.until);
        x->until_s = x->result ? x->until_s : x->reply.validity.until;
    }
    if (x->result) {
        x->ask_ms = loop_now_ms(x->all->loop) + backoff_next(&x->backoff, 0);
        set_state(x, x->until_s ? STATE_KEPT : STATE_LOST);
        return;
    }
    x->backoff.failures = 0;
    x->ask_ms = loop_now_ms(x->all->loop) + (uint64_t)ocsp_renew_s(now_s, x->until_s) * 1000;
    log_debug("ocsp", "%s: OCSP response renewed, asked again in %lld s", x->file,
              (long long)ocsp_renew_s(now_s, x->until_s));
    set_state(x, STATE_GOOD);
}

static void settle(struct item *x)
{
    int64_t now_s = (int64_t)time(NULL);
    uint64_t now_ms = loop_now_ms(x->all->loop);
    switch (x->result) {
    case FRUN_OK:
        keep(x, now_s);
        return;
    case FRUN_E_DENIED:
        drop(x);
        x->ask_ms = now_ms + REVOKED_MS;
        set_state(x, STATE_REVOKED);
        return;
    default:
        x->ask_ms = now_ms + backoff_next(&x->backoff, 0);
        if (x->state != STATE_REVOKED) {
            set_state(x, x->until_s ? STATE_KEPT : STATE_LOST);
        }
        return;
    }
}

static void on_timer(struct deadline *d);

static void on_answered(struct offload_job *j)
{
    struct item *x = list_entry(j, struct item, job);
    x->is_asking = false;
    x->result = x->reply.result;
    x->why = x->reply.why;
    if (!atomic_load(&x->all->is_stopping)) {
        settle(x);
        on_timer(&x->timer);
    }
    buf_done(&x->reply.answer);
}

static void begin(struct item *x)
{
    x->job.work = ask;
    x->job.done = on_answered;
    if (offload_submit(x->all->helpers, x->all->loop, &x->job)) {
        x->ask_ms = loop_now_ms(x->all->loop) + RETRY_MIN_MS;
        return;
    }
    x->is_asking = true;
}

static void on_timer(struct deadline *d)
{
    struct item *x = list_entry(d, struct item, timer);
    int64_t now_s = (int64_t)time(NULL);
    uint64_t now_ms = loop_now_ms(x->all->loop);
    uint64_t in_ms = LOOK_MS;
    if (x->until_s && now_s >= x->until_s) {
        drop(x); /* contexts have not shown it any more since it ended */
        if (x->state == STATE_KEPT) {
            set_state(x, STATE_LOST);
        }
        x->ask_ms = x->state == STATE_GOOD ? now_ms : x->ask_ms; /* the clock has been set */
    }
    if (!x->is_asking && now_ms >= x->ask_ms) {
        begin(x);
    }
    if (!x->is_asking && x->ask_ms - now_ms < in_ms) {
        in_ms = x->ask_ms - now_ms;
    }
    if (x->until_s && (uint64_t)(x->until_s - now_s) * 1000 < in_ms) {
        in_ms = (uint64_t)(x->until_s - now_s) * 1000;
    }
    deadline_set(x->all->loop, d, in_ms ? in_ms : 1);
}

/* ---- which certificates ---- */

static void item_free(struct item *x)
{
    if (x) {
        tls_unref(&x->tls);
        ocsp_free(x->ocsp);
        buf_done(&x->question);
        buf_done(&x->reply.answer);
        free(x);
    }
}

/* Why a certificate that should be stapled cannot be; NULL: it can. */
static const char *lack_of(const struct ocsp_facts *f)
{
    if (!f->url) {
        return f->is_demanded
                   ? "demands a stapled OCSP response (TLS feature status_request), but names no "
                     "OCSP responder: clients that look at it refuse the connection; get a "
                     "certificate that names one, or one without the feature"
                   : "names no OCSP responder, so that nothing can be stapled; "
                     "ocsp_stapling = auto asks only for certificates that demand it";
    }
    if (!f->has_issuer) {
        return f->is_demanded
                   ? "demands a stapled OCSP response (TLS feature status_request), but its "
                     "issuer's certificate is missing in the file: clients that look at it refuse "
                     "the connection; append the CA's intermediate certificates"
                   : "its issuer's certificate is missing in the file, so that no OCSP response "
                     "can be stapled; append the CA's intermediate certificates";
    }
    return NULL;
}

static bool is_wanted(const struct stapling *s, const struct ocsp_facts *f, const void *section,
                      FILE *report)
{
    int mode = s->conf->gateway->ocsp_stapling;
    const char *why = NULL;
    bool is_asked_for = mode == CONF_STAPLING_ON || (mode == CONF_STAPLING_AUTO && f->is_demanded);
    if (is_asked_for) {
        why = lack_of(f);
    } else if (f->is_demanded) {
        why = "demands a stapled OCSP response (TLS feature status_request), but ocsp_stapling = "
              "off: clients that look at it refuse the connection";
    }
    if (why && report) {
        conf_place_print(s->conf->doc, report, false, section, "certificate", why);
    }
    return is_asked_for && !why;
}

/* The same certificate was stapled before: its response is shown on. */
static void go_on(struct item *x, const struct stapling *before)
{
    for (size_t i = 0; before && i < before->n_items; i++) {
        const struct item *old = before->items[i];
        if (!span_eq(buf_span(&old->question), buf_span(&x->question)) || !old->until_s ||
            tls_stapling_keep(x->tls, old->tls, old->until_s) != FRUN_OK) {
            continue;
        }
        x->until_s = old->until_s;
        x->state = old->state;
        x->told = old->told;
        x->ask_ms = old->ask_ms;
        x->backoff = old->backoff;
        return;
    }
}

/* Taken or freed: @p x is the callee's. */
static frun_err add_item(struct stapling *s, const struct stapling *before, struct item *x,
                         struct tls_ctx *t, const char *file)
{
    x->all = s;
    x->file = file;
    deadline_init(&x->timer, on_timer);
    backoff_init(&x->backoff, RETRY_MIN_MS, RETRY_MAX_MS);
    frun_err err = ocsp_ask(x->ocsp, &x->question);
    if (!err) {
        err = tls_stapling_start(t);
    }
    if (err) {
        item_free(x);
        return err;
    }
    x->tls = tls_ref(t);
    go_on(x, before);
    s->items[s->n_items++] = x;
    return FRUN_OK;
}

/* Told at the start, not by the first question. */
static frun_err need_client(const struct stapling *s, const void *section, FILE *report)
{
    struct diag d = {.text = ""};
    frun_err err = fetch_load(&d);
    if (err == FRUN_E_UNSUPPORTED && report) {
        conf_place_print(s->conf->doc, report, true, section, "certificate", d.text);
    }
    return err;
}

static frun_err consider(struct stapling *s, const struct stapling *before, struct tls_ctx *t,
                         const void *section, const char *file, FILE *report)
{
    struct item *x = calloc(1, sizeof(*x));
    if (!x) {
        return FRUN_E_NOMEM;
    }
    buf_init(&x->question, MAX_QUESTION);
    buf_init(&x->reply.answer, TLS_STAPLING_MAX_BYTES);
    frun_err err = ocsp_new(t, &x->ocsp);
    if (err || !is_wanted(s, ocsp_facts(x->ocsp), section, report)) {
        item_free(x);
        return err;
    }
    err = need_client(s, section, report);
    if (err) {
        item_free(x);
        return err;
    }
    return add_item(s, before, x, t, file);
}

frun_err stapling_new(struct conf_gw *conf, struct tls_ctx *front, const struct registry *r,
                      const struct stapling *before, FILE *report, struct stapling **out)
{
    size_t n = 0;
    const struct endpoint *all = registry_endpoints(r, &n);
    struct stapling *s = calloc(1, sizeof(*s));
    if (!s) {
        return FRUN_E_NOMEM;
    }
    atomic_init(&s->is_stopping, false);
    s->conf = conf_gw_ref(conf);
    s->proxy = conf->gateway->ocsp_proxy;
    s->items = calloc(n + 1, sizeof(struct item *));
    frun_err err = s->items ? FRUN_OK : FRUN_E_NOMEM;
    if (!err && front) {
        err = consider(s, before, front, conf->gateway, conf->gateway->certificate, report);
    }
    for (size_t i = 0; i < n && !err; i++) {
        const struct conf_endpoint *c = all[i].conf;
        if (all[i].front_tls && c->certificate) {
            err = consider(s, before, all[i].front_tls, c, c->certificate, report);
        } else if (all[i].front_tls) {
            /* The gateway's in a context of its own; what is wrong with it has been told. */
            err = consider(s, before, all[i].front_tls, conf->gateway, conf->gateway->certificate,
                           NULL);
        }
    }
    if (err) {
        stapling_free(s);
        return err;
    }
    *out = s;
    return FRUN_OK;
}

/* ---- life ---- */

frun_err stapling_start(struct stapling *s, struct loop *l)
{
    s->loop = l;
    frun_err err = s->n_items ? offload_new(HELPERS, MAX_QUEUED, &s->helpers) : FRUN_OK;
    for (size_t i = 0; i < s->n_items && !err; i++) {
        struct item *x = s->items[i];
        if (ocsp_facts(x->ocsp)->is_demanded && !x->until_s) {
            log_info("ocsp",
                     "%s demands a stapled OCSP response; until %s has answered, clients that look "
                     "at it refuse the connection",
                     x->file, ocsp_facts(x->ocsp)->url);
        }
        on_timer(&x->timer);
    }
    return err;
}

void stapling_stop(struct stapling *s)
{
    if (!s) {
        return;
    }
    atomic_store(&s->is_stopping, true);
    for (size_t i = 0; i < s->n_items; i++) {
        deadline_clear(&s->items[i]->timer);
    }
    offload_free(s->helpers);
    s->helpers = NULL;
}

void stapling_free(struct stapling *s)
{
    if (!s) {
        return;
    }
    for (size_t i = 0; s->items && i < s->n_items; i++) {
        item_free(s->items[i]);
    }
    free(s->items);
    conf_gw_unref(&s->conf);
    free(s);
}
