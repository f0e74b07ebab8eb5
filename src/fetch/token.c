/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/fetch/token.h"

#include "frun/base/mono.h"
#include "frun/loop/offload.h"
#include "token_int.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Token calls at once, and those that may wait for a thread: one for each token at most. */
#define OFFICE_THREADS    4
#define OFFICE_MAX_QUEUED 65536

/* Pauses after a failure: from the first to the longest, doubled each time. A refusal is not mended
 * in a second, and every try may count against the client. */
#define RETRY_FIRST_MS   500
#define RETRY_LAST_MS    30000
#define REFUSED_FIRST_MS 5000
#define REFUSED_LAST_MS  300000

/* Octets of a form: each octet of a value may become three. */
#define FORM_MAX_BYTES ((size_t)32768)

/* Answers of a token end-point are small. */
#define ANSWER_MAX_BYTES 65536

struct token_value {
    atomic_int refs;
    atomic_bool is_proven;
    uint64_t born_ms;
    uint64_t until_ms;
    char *text;
    size_t n;
};

struct token {
    atomic_int refs;
    struct token_source s; /* own copies */
    pthread_mutex_t lock;  /* guards what follows */
    struct token_value *value;
    uint64_t renew_ms; /* when to fetch the next one */
    uint64_t retry_ms; /* not before, after a failure */
    unsigned failures; /* in a row */
    bool is_fetching;  /* a flight is under way */
    bool is_denied;    /* the last failure was a refusal: waiting does not help */
    bool is_told;      /* event says what the news said last */
    enum token_event event;
    char why[256]; /* of the last failure */
};

struct token_office {
    atomic_int refs; /* one each: the owner, desks */
    struct token_office_settings s;
    struct offload *helpers; /* NULL once closed */
    atomic_bool is_closing;
    pthread_mutex_t lock; /* guards the list, and each desk's is_posted */
    struct list desks;
};

struct token_desk {
    struct list node; /* in the office */
    struct token_office *office;
    struct loop *loop;
    struct list waiters; /* the loop's */
    struct deadline timer;
    bool is_posted; /* a wake is on its way; under the office's lock */
    bool is_closed; /* freed by that wake; the loop's */
};

/* One call to the end-point. */
struct flight {
    struct offload_job job;
    struct token_office *office; /* joins its threads before it goes */
    struct token *token;         /* one reference */
};

/* What a call brought. */
struct outcome {
    frun_err err;
    bool is_denied;
    uint64_t retry_after_ms; /* the end-point's wish, or 0 */
    struct token_answer answer;
    struct diag d;
};

/* ---- values ---- */

struct span token_value_text(const struct token_value *v)
{
    return span_make(v->text, v->n);
}

void token_value_prove(struct token_value *v)
{
    /* Nearly always so already: no write then, the line stays in every core's cache. */
    if (!atomic_load_explicit(&v->is_proven, memory_order_relaxed)) {
        atomic_store_explicit(&v->is_proven, true, memory_order_relaxed);
    }
}

void token_value_unref(struct token_value **v)
{
    struct token_value *x = *v;
    *v = NULL;
    if (x && atomic_fetch_sub_explicit(&x->refs, 1, memory_order_acq_rel) == 1) {
        secret_wipe(x->text, x->n);
        free(x->text);
        free(x);
    }
}

static struct token_value *value_ref(struct token_value *v)
{
    atomic_fetch_add_explicit(&v->refs, 1, memory_order_relaxed);
    return v;
}

/* ---- source ---- */

static bool copy_text(const char *from, const char **to)
{
    *to = from ? strdup(from) : NULL;
    return !from || *to;
}

static frun_err copy_secret(const struct secret *from, const struct secret **to)
{
    struct secret *made = NULL;
    frun_err err = from ? secret_new(secret_span(from), &made) : FRUN_OK;
    *to = made;
    return err;
}

static frun_err copy_source(const struct token_source *from, struct token_source *to)
{
    *to = (struct token_source){.connect_timeout_ms = from->connect_timeout_ms,
                                .timeout_ms = from->timeout_ms};
    bool is_good = copy_text(from->name, &to->name) && copy_text(from->url, &to->url) &&
                   copy_text(from->client_id, &to->client_id) &&
                   copy_text(from->certificate, &to->certificate) &&
                   copy_text(from->private_key, &to->private_key) &&
                   copy_text(from->tenant, &to->tenant) &&
                   copy_text(from->resource, &to->resource) && copy_text(from->scope, &to->scope) &&
                   copy_text(from->ca_file, &to->ca_file) && copy_text(from->proxy, &to->proxy) &&
                   copy_text(from->proxy_user, &to->proxy_user);
    frun_err err = is_good ? copy_secret(from->client_secret, &to->client_secret) : FRUN_E_NOMEM;
    return err ? err : copy_secret(from->proxy_password, &to->proxy_password);
}

/* The copies are this module's own: writable, although the fields lend them as const. */
static void free_text(const char *text, bool is_secret)
{
    char *own = (char *)(uintptr_t)text;
    if (own && is_secret) {
        secret_wipe(own, strlen(own));
    }
    free(own);
}

static void free_source(struct token_source *s)
{
    const char *const texts[] = {s->name,   s->url,       s->client_id, s->certificate,
                                 s->tenant, s->resource,  s->scope,     s->ca_file,
                                 s->proxy,  s->proxy_user};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        free_text(texts[i], false);
    }
    free_text(s->private_key, true);
    secret_free((struct secret *)(uintptr_t)s->client_secret);
    secret_free((struct secret *)(uintptr_t)s->proxy_password);
}

static bool is_same(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0 && !a == !b;
}

bool token_is_of(const struct token *t, const struct token_source *s)
{
    const struct token_source *o = &t->s;
    return is_same(o->url, s->url) && is_same(o->client_id, s->client_id) &&
           is_same(o->tenant, s->tenant) && is_same(o->resource, s->resource) &&
           is_same(o->scope, s->scope) && is_same(o->certificate, s->certificate) &&
           is_same(o->private_key, s->private_key) && is_same(o->ca_file, s->ca_file) &&
           is_same(o->proxy, s->proxy) && is_same(o->proxy_user, s->proxy_user) &&
           o->connect_timeout_ms == s->connect_timeout_ms && o->timeout_ms == s->timeout_ms &&
           secret_equal(secret_span(o->client_secret), secret_span(s->client_secret)) &&
           secret_equal(secret_span(o->proxy_password), secret_span(s->proxy_password));
}

frun_err token_new(const struct token_source *s, struct token **out)
{
    struct token *t = calloc(1, sizeof(*t));
    if (!t) {
        return FRUN_E_NOMEM;
    }
    atomic_init(&t->refs, 1);
    pthread_mutex_init(&t->lock, NULL);
    frun_err err = copy_source(s, &t->s);
    if (err) {
        token_unref(&t);
        return err;
    }
    *out = t;
    return FRUN_OK;
}

struct token *token_ref(struct token *t)
{
    atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
    return t;
}

void token_unref(struct token **t)
{
    struct token *x = *t;
    *t = NULL;
    if (x && atomic_fetch_sub_explicit(&x->refs, 1, memory_order_acq_rel) == 1) {
        token_value_unref(&x->value);
        free_source(&x->s);
        pthread_mutex_destroy(&x->lock);
        free(x);
    }
}

/* ---- the request ---- */

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           strchr("-._~", c);
}

/* One field of a form; client ids contain '!' and '|', secrets anything. */
static frun_err form_add(struct buf *form, const char *name, struct span value)
{
    static const char hex[] = "0123456789ABCDEF";
    frun_err err = buf_printf(form, "%s%s=", buf_len(form) ? "&" : "", name);
    for (size_t i = 0; !err && i < value.n; i++) {
        unsigned char c = (unsigned char)value.p[i];
        const char coded[3] = {'%', hex[c >> 4], hex[c & 15]};
        err = c && is_unreserved((char)c) ? buf_put(form, span_make(value.p + i, 1))
                                          : buf_put(form, span_make(coded, 3));
    }
    return err;
}

static frun_err make_form(const struct token_source *s, struct buf *form)
{
    char *whole;
    /* At once, so that no outgrown piece with a secret in it goes back to the heap. */
    frun_err err = buf_reserve(form, form->max, &whole);
    err = err ? err : form_add(form, "grant_type", SPAN_LIT("client_credentials"));
    err = err ? err : form_add(form, "client_id", span_of(s->client_id));
    if (!err && s->client_secret) {
        err = form_add(form, "client_secret", secret_span(s->client_secret));
    }
    if (!err && s->resource) {
        err = form_add(form, "resource", span_of(s->resource));
    }
    if (!err && s->scope) {
        err = form_add(form, "scope", span_of(s->scope));
    }
    return err;
}

static bool is_refusal(int status)
{
    return status >= 300 && status < 500 && status != 408 && status != 429;
}

static uint64_t wish_of(const struct fetch_answer *a)
{
    uint64_t seconds = 0;
    struct span v = fetch_answer_field(a, SPAN_LIT("Retry-After"));
    if (!v.p || span_to_u64(v, &seconds) || seconds == 0) {
        return 0;
    }
    return (seconds < REFUSED_LAST_MS / 1000 ? seconds : REFUSED_LAST_MS / 1000) * 1000;
}

static void judge(const struct token_source *s, const struct fetch_answer *a, struct outcome *o)
{
    char code[TOKEN_ERROR_BYTES];
    if (a->status == 200) {
        o->err = token_answer_read(buf_span(&a->body), s->tenant, (int64_t)time(NULL), &o->answer,
                                   &o->d);
        o->is_denied = o->err && o->err != FRUN_E_NOMEM;
        return;
    }
    token_answer_error(buf_span(&a->body), code);
    o->err = is_refusal(a->status) ? FRUN_E_DENIED : FRUN_E_IO;
    o->is_denied = is_refusal(a->status);
    o->retry_after_ms = wish_of(a);
    diag_set(&o->d, "HTTP %d%s%s%s", a->status, code[0] ? " " : "", code,
             a->status == 401 || strcmp(code, "invalid_client") == 0
                 ? "; was the secret or certificate renewed? does the token URL belong to this "
                   "client's tenant?"
             : a->status < 400 ? "; a redirect is not followed, correct the token URL"
             : o->is_denied    ? "; check client, tenant and token URL"
                               : "; the token service has trouble");
}

static void call(const struct flight *f, struct outcome *o)
{
    const struct token_source *s = &f->token->s;
    char zid[320];
    const char *fields[3] = {"Content-Type: application/x-www-form-urlencoded",
                             "Accept: application/json", zid};
    struct fetch_request r = {.url = s->url,
                              .method = "POST",
                              .fields = fields,
                              .n_fields = s->tenant ? 3 : 2,
                              .certificate = s->certificate,
                              .private_key = s->private_key,
                              .ca_file = s->ca_file,
                              .proxy = s->proxy,
                              .proxy_user = s->proxy_user,
                              .proxy_password = s->proxy_password,
                              .connect_timeout_ms = s->connect_timeout_ms,
                              .timeout_ms = s->timeout_ms,
                              .max_body = ANSWER_MAX_BYTES,
                              .is_secret = true,
                              .stop = &f->office->is_closing};
    struct fetch_answer a;
    struct buf form;
    buf_init(&form, FORM_MAX_BYTES);
    (void)snprintf(zid, sizeof(zid), "X-zid: %s", s->tenant ? s->tenant : "");
    o->err = make_form(s, &form);
    if (o->err) {
        diag_set(&o->d, "%s", err_text(o->err));
        o->is_denied = o->err == FRUN_E_LIMIT;
    } else {
        r.body = buf_span(&form);
        token_fetch_fn fetch = f->office->s.fetch ? f->office->s.fetch : fetch_run;
        o->err = fetch(&r, &a, &o->d);
        /* What only a changed configuration mends; all else may be over in a second. */
        o->is_denied = o->err == FRUN_E_TLS || o->err == FRUN_E_SYNTAX;
        if (!o->err) {
            judge(s, &a, o);
            fetch_answer_done(&a);
        }
    }
    secret_wipe(form.data, form.cap);
    buf_done(&form);
}

/* ---- what it brought ---- */

static uint64_t now_of(const struct token_office *o)
{
    return o->s.now_ms ? o->s.now_ms() : mono_now_ms();
}

/* Doubled each time, a quarter up or down by chance, so that gateways do not come all at once. */
static uint64_t pause_after(const struct outcome *o, unsigned failures)
{
    uint64_t last = o->is_denied ? REFUSED_LAST_MS : RETRY_LAST_MS;
    uint64_t ms = o->is_denied ? REFUSED_FIRST_MS : RETRY_FIRST_MS;
    for (unsigned i = 1; i < failures && ms < last; i++) {
        ms *= 2;
    }
    ms = ms < last ? ms : last;
    ms = ms * 3 / 4 + mono_entropy_below(ms / 2);
    return o->retry_after_ms > ms ? o->retry_after_ms : ms;
}

static frun_err keep_value(struct token *t, struct outcome *o, uint64_t now_ms)
{
    struct token_value *v = calloc(1, sizeof(*v));
    if (!v) {
        return FRUN_E_NOMEM;
    }
    atomic_init(&v->refs, 1);
    atomic_init(&v->is_proven, false);
    v->born_ms = now_ms;
    v->until_ms = now_ms + o->answer.life_ms;
    v->text = o->answer.text;
    v->n = o->answer.n;
    o->answer.text = NULL;
    token_value_unref(&t->value);
    t->value = v;
    t->renew_ms = now_ms + o->answer.life_ms / 5 * 4;
    t->retry_ms = 0;
    t->failures = 0;
    t->is_denied = false;
    return FRUN_OK;
}

static void keep_failure(struct token *t, const struct outcome *o, uint64_t now_ms)
{
    t->failures++;
    t->is_denied = o->is_denied;
    t->retry_ms = now_ms + pause_after(o, t->failures);
    (void)snprintf(t->why, sizeof(t->why), "%.255s", o->d.text[0] ? o->d.text : err_text(o->err));
}

/* Publish, and say what there is to say. Under the lock only what readers see. */
static void land(struct token *t, struct token_office *office, struct outcome *o)
{
    uint64_t now_ms = now_of(office);
    struct token_news news = {.name = t->s.name};
    char why[sizeof(t->why)];
    pthread_mutex_lock(&t->lock);
    if (!o->err) {
        o->err = keep_value(t, o, now_ms);
    }
    if (o->err) {
        keep_failure(t, o, now_ms);
    }
    bool is_valid = t->value && now_ms < t->value->until_ms;
    news.event = !o->err ? TOKEN_FETCHED : is_valid ? TOKEN_KEPT : TOKEN_LOST;
    news.is_change = !t->is_told || t->event != news.event;
    news.valid_ms = is_valid ? t->value->until_ms - now_ms : 0;
    news.retry_ms = o->err ? t->retry_ms - now_ms : 0;
    t->is_told = true;
    t->event = news.event;
    t->is_fetching = false;
    (void)snprintf(why, sizeof(why), "%s", t->why);
    pthread_mutex_unlock(&t->lock);
    news.text = o->err ? why : NULL;
    if (office->s.news && !atomic_load(&office->is_closing)) {
        office->s.news(office->s.ctx, &news);
    }
}

static void wake_desk(void *arg);

static void wake_desks(struct token_office *o)
{
    struct list *it;
    pthread_mutex_lock(&o->lock);
    list_foreach (it, &o->desks) {
        struct token_desk *d = list_entry(it, struct token_desk, node);
        /* If memory is refused, the desk's own timer comes round. */
        d->is_posted = d->is_posted || loop_post(d->loop, wake_desk, d) == FRUN_OK;
    }
    pthread_mutex_unlock(&o->lock);
}

static void flight_work(struct offload_job *j)
{
    struct flight *f = list_entry(j, struct flight, job);
    struct outcome o = {.d = {.text = ""}};
    if (atomic_load(&f->office->is_closing)) {
        o.err = FRUN_E_CLOSED;
    } else {
        call(f, &o);
    }
    land(f->token, f->office, &o);
    if (o.answer.text) {
        secret_wipe(o.answer.text, o.answer.n);
        free(o.answer.text);
    }
    wake_desks(f->office);
}

static void flight_done(struct offload_job *j)
{
    struct flight *f = list_entry(j, struct flight, job);
    token_unref(&f->token);
    free(f);
}

/* Under the token's lock. A flight that cannot begin is as good as one that failed. */
static void begin_flight(struct token *t, const struct token_desk *d, uint64_t now_ms)
{
    struct offload *helpers = d->office->helpers;
    struct flight *f = calloc(1, sizeof(*f));
    frun_err err = f ? FRUN_OK : FRUN_E_NOMEM;
    if (f) {
        f->office = d->office;
        f->token = t;
        f->job.work = flight_work;
        f->job.done = flight_done;
        err = helpers ? offload_submit(helpers, d->loop, &f->job) : FRUN_E_CLOSED;
    }
    if (!err) {
        /* For the flight: it gives it back on this loop, so not before this function returns. */
        (void)token_ref(t);
        t->is_fetching = true;
        return;
    }
    free(f);
    t->retry_ms = now_ms + RETRY_FIRST_MS;
    (void)snprintf(t->why, sizeof(t->why), "%s", err_text(err));
}

/* ---- readers ---- */

frun_err token_take(struct token *t, struct token_desk *d, struct token_value **out,
                    struct diag *why)
{
    uint64_t now_ms = now_of(d->office);
    frun_err err = FRUN_OK;
    pthread_mutex_lock(&t->lock);
    bool is_valid = t->value && now_ms < t->value->until_ms;
    if (!t->is_fetching && now_ms >= t->retry_ms && (!is_valid || now_ms >= t->renew_ms)) {
        begin_flight(t, d, now_ms);
    }
    if (is_valid) {
        *out = value_ref(t->value);
    } else {
        err = t->is_denied && !t->is_fetching ? FRUN_E_DENIED : FRUN_E_AGAIN;
        diag_set(why, "%s", t->failures ? t->why : "the token service has not answered yet");
    }
    pthread_mutex_unlock(&t->lock);
    return err;
}

bool token_drop(struct token *t, struct token_desk *d, struct token_value *v)
{
    uint64_t now_ms = now_of(d->office);
    struct token_value *gone = NULL;
    bool is_worth_it = true;
    pthread_mutex_lock(&t->lock);
    if (t->value == v) {
        is_worth_it = atomic_load_explicit(&v->is_proven, memory_order_relaxed) ||
                      now_ms - v->born_ms >= TOKEN_FRESH_MS;
        if (is_worth_it) {
            gone = t->value;
            t->value = NULL;
        }
    }
    pthread_mutex_unlock(&t->lock);
    token_value_unref(&gone);
    return is_worth_it;
}

bool token_is_usable(struct token *t, const struct token_desk *d)
{
    uint64_t now_ms = now_of(d->office);
    pthread_mutex_lock(&t->lock);
    bool is_usable = (t->value && now_ms < t->value->until_ms) || t->failures == 0;
    if (!is_usable && !t->is_fetching && now_ms >= t->retry_ms) {
        begin_flight(t, d, now_ms);
    }
    pthread_mutex_unlock(&t->lock);
    return is_usable;
}

/* Would token_take() say something else than "wait"? If not, *in_ms tells when to look again. */
static bool is_ready(struct token *t, uint64_t now_ms, uint64_t *in_ms)
{
    pthread_mutex_lock(&t->lock);
    bool is_valid = t->value && now_ms < t->value->until_ms;
    bool is_it = is_valid || (!t->is_fetching && (t->is_denied || now_ms >= t->retry_ms));
    *in_ms = t->is_fetching || is_it ? 1000 : t->retry_ms - now_ms;
    pthread_mutex_unlock(&t->lock);
    return is_it;
}

/* Everyone whose token is ready is told, once; the others are looked at again in time. */
static void serve(struct token_desk *d)
{
    uint64_t now_ms = now_of(d->office);
    uint64_t next_ms = 0;
    struct list todo;
    struct list *it;
    list_init(&todo);
    while ((it = list_first(&d->waiters))) {
        list_remove(it);
        list_append(&todo, it);
    }
    while ((it = list_first(&todo))) {
        struct token_waiter *w = list_entry(it, struct token_waiter, node);
        uint64_t in_ms = 0;
        list_remove(it);
        if (is_ready(w->token, now_ms, &in_ms)) {
            w->fn(w); /* may wait again: then it stands in the desk's list */
            continue;
        }
        list_append(&d->waiters, &w->node);
        next_ms = next_ms && next_ms < in_ms ? next_ms : in_ms;
    }
    if (next_ms) {
        deadline_set(d->loop, &d->timer, next_ms);
    }
}

static void desk_done(void *obj)
{
    struct token_desk *d = obj;
    struct token_office *o = d->office;
    free(d);
    if (atomic_fetch_sub_explicit(&o->refs, 1, memory_order_acq_rel) == 1) {
        pthread_mutex_destroy(&o->lock);
        free(o);
    }
}

static void wake_desk(void *arg)
{
    struct token_desk *d = arg;
    pthread_mutex_lock(&d->office->lock);
    d->is_posted = false;
    pthread_mutex_unlock(&d->office->lock);
    if (d->is_closed) {
        desk_done(d);
        return;
    }
    serve(d);
}

static void on_timer(struct deadline *dl)
{
    serve(list_entry(dl, struct token_desk, timer));
}

void token_wait(struct token *t, struct token_desk *d, struct token_waiter *w)
{
    uint64_t in_ms = 0;
    w->token = t;
    list_append(&d->waiters, &w->node);
    /* Ready between the take and now: a millisecond, never from within this call. */
    bool is_it = is_ready(t, now_of(d->office), &in_ms);
    if (is_it || !d->timer.at_ms || loop_now_ms(d->loop) + in_ms < d->timer.at_ms) {
        deadline_set(d->loop, &d->timer, is_it ? 1 : in_ms);
    }
}

void token_forget(struct token_waiter *w)
{
    list_remove(&w->node);
}

/* ---- office ---- */

frun_err token_desk_new(struct token_office *o, struct loop *l, struct token_desk **out)
{
    struct token_desk *d = calloc(1, sizeof(*d));
    if (!d) {
        return FRUN_E_NOMEM;
    }
    d->office = o;
    d->loop = l;
    list_init(&d->waiters);
    deadline_init(&d->timer, on_timer);
    atomic_fetch_add_explicit(&o->refs, 1, memory_order_relaxed);
    pthread_mutex_lock(&o->lock);
    list_append(&o->desks, &d->node);
    pthread_mutex_unlock(&o->lock);
    *out = d;
    return FRUN_OK;
}

void token_desk_free(struct token_desk *d)
{
    if (!d) {
        return;
    }
    deadline_clear(&d->timer);
    for (struct list *it; (it = list_first(&d->waiters)) != NULL;) {
        list_remove(it);
    }
    pthread_mutex_lock(&d->office->lock);
    list_remove(&d->node);
    bool is_posted = d->is_posted;
    pthread_mutex_unlock(&d->office->lock);
    d->is_closed = true;
    if (!is_posted) {
        loop_free_later(d->loop, desk_done, d);
    }
}

frun_err token_office_new(const struct token_office_settings *s, struct token_office **out)
{
    struct token_office *o = calloc(1, sizeof(*o));
    if (!o) {
        return FRUN_E_NOMEM;
    }
    atomic_init(&o->refs, 1);
    atomic_init(&o->is_closing, false);
    o->s = *s;
    pthread_mutex_init(&o->lock, NULL);
    list_init(&o->desks);
    frun_err err = offload_new(OFFICE_THREADS, OFFICE_MAX_QUEUED, &o->helpers);
    if (err) {
        pthread_mutex_destroy(&o->lock);
        free(o);
        return err;
    }
    *out = o;
    return FRUN_OK;
}

void token_office_look(const struct token_office *o, struct offload_view *out)
{
    offload_look(o ? o->helpers : NULL, out);
}

void token_office_free(struct token_office *o)
{
    if (!o) {
        return;
    }
    atomic_store(&o->is_closing, true);
    offload_free(o->helpers);
    o->helpers = NULL;
    if (atomic_fetch_sub_explicit(&o->refs, 1, memory_order_acq_rel) == 1) {
        pthread_mutex_destroy(&o->lock);
        free(o);
    }
}
