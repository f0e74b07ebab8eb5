/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/admin/events.h"

#include "events_int.h"
#include "frun/base/list.h"
#include "frun/base/mono.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/** A topic that took so long to answer is left alone for so many times that. */
#define PAUSES 20

struct topic {
    const struct events_topic *is;
    struct events *of;
    struct events_rows *rows; /* NULL: the text is sent as a whole */
    char *text;               /* newest; NULL: none yet */
    size_t n;
    uint64_t version; /* of the text; 0: none yet */
    uint64_t due_ms;
    bool is_asked;  /* the answer has not come yet */
    bool is_absent; /* there is no such route */
};

/* Somebody who listens. */
struct listening {
    struct list node;
    struct events *of;
    struct admin_request *r;
    struct buf out; /* rest of the event that is on its way */
    uint64_t seen[EVENTS_MAX_TOPICS];
    struct events_place places[EVENTS_MAX_TOPICS];
    uint64_t moved_ms; /* when it last took something, or had nothing to take */
};

struct events {
    struct loop *loop;
    struct admin_server *server;
    struct events_times times;
    struct topic topics[EVENTS_MAX_TOPICS];
    size_t n;
    struct list listeners;
    size_t n_listeners;
    struct deadline tick;
};

static void leave(struct listening *x)
{
    struct admin_request *r = x->r;
    list_remove(&x->node);
    x->of->n_listeners--;
    buf_done(&x->out);
    free(x);
    admin_request_abort(r); /* it never ends by itself */
}

/* -- to one listener
 * ------------------------------------------------------------------------------------------- */

static frun_err compose(struct listening *x, size_t i)
{
    const struct topic *t = &x->of->topics[i];
    frun_err err = buf_printf(&x->out, "event: %s\ndata: ", t->is->name);
    if (!err && t->rows) {
        err = events_rows_put(t->rows, &x->places[i], &x->out);
    } else if (!err) {
        err = buf_put(&x->out, span_make(t->text, t->n));
    }
    return err ? err : buf_put(&x->out, SPAN_LIT("\n\n"));
}

static bool has_event(const struct listening *x, size_t i)
{
    const struct topic *t = &x->of->topics[i];
    return t->rows ? events_rows_has(t->rows, &x->places[i]) : t->version > x->seen[i];
}

/* The next event that it has not seen; false: there is none. */
static bool next_event(struct listening *x)
{
    for (size_t i = 0; i < x->of->n; i++) {
        if (!has_event(x, i)) {
            continue;
        }
        x->seen[i] = x->of->topics[i].version;
        if (compose(x, i) == FRUN_OK) {
            return true;
        }
        buf_done(&x->out); /* it gets the next one */
    }
    return false;
}

/* Give it what it takes; false: it has left. */
static bool pump(struct listening *x)
{
    if (admin_request_is_gone(x->r)) {
        leave(x);
        return false;
    }
    while (buf_len(&x->out) > 0 || next_event(x)) {
        struct span rest = buf_span(&x->out);
        size_t room = admin_request_room(x->r);
        size_t n = rest.n < room ? rest.n : room;
        if (n == 0) {
            return true;
        }
        if (admin_request_send(x->r, span_head(rest, n)) != FRUN_OK) {
            leave(x);
            return false;
        }
        buf_consume(&x->out, n);
        x->moved_ms = loop_now_ms(x->of->loop);
        if (buf_len(&x->out) == 0) {
            buf_trim(&x->out);
        }
    }
    x->moved_ms = loop_now_ms(x->of->loop);
    return true;
}

static void on_room(void *ctx)
{
    (void)pump(ctx);
}

static void pump_all(struct events *e)
{
    struct list *it;
    struct list *next;
    list_foreach_safe (it, next, &e->listeners) {
        struct listening *x = list_entry(it, struct listening, node);
        /* Whoever has nothing to read cannot be late with it. */
        if (pump(x) && buf_len(&x->out) > 0 &&
            loop_now_ms(e->loop) - x->moved_ms > e->times.stall_ms) {
            leave(x);
        }
    }
}

/* -- from the API
 * ----------------------------------------------------------------------------------------------
 */

/* The newest text; true: it is another one. */
static bool take_text(struct topic *t, struct span body)
{
    if (t->rows) {
        /* What memory was refused for comes with the next text. */
        return events_rows_take(t->rows, body) == FRUN_OK;
    }
    /* A line end in it would end the event; compact JSON has none. */
    if (body.n > EVENTS_MAX_BYTES || span_find(body, '\n') < body.n ||
        (t->text && span_eq(body, span_make(t->text, t->n)))) {
        return false;
    }
    char *copy = malloc(body.n + 1);
    if (copy) {
        memcpy(copy, body.n ? body.p : "", body.n);
        free(t->text);
        t->text = copy;
        t->n = body.n;
        t->version++;
    }
    return copy != NULL;
}

/* What took so long must not take all the time. */
static void rest_after(struct topic *t, uint64_t since_us)
{
    uint64_t due_ms = loop_now_ms(t->of->loop) + (mono_now_us() - since_us) * PAUSES / 1000;
    t->due_ms = due_ms > t->due_ms ? due_ms : t->due_ms;
}

static void on_heard(void *ctx, unsigned status, struct span body)
{
    struct topic *t = ctx;
    uint64_t since_us = mono_now_us();
    t->is_asked = false;
    if (body.n && body.p[body.n - 1] == '\n') {
        body.n--;
    }
    if (status == 200 && take_text(t, body)) {
        pump_all(t->of);
    }
    rest_after(t, since_us);
}

static void ask(struct events *e, uint64_t now_ms)
{
    for (size_t i = 0; i < e->n && e->n_listeners > 0; i++) {
        struct topic *t = &e->topics[i];
        if (t->is_asked || t->is_absent || now_ms < t->due_ms) {
            continue;
        }
        uint64_t since_us = mono_now_us();
        t->due_ms = now_ms + t->is->period_ms - e->times.tick_ms / 2;
        t->is_asked = true;
        frun_err err = admin_server_ask(e->server, t->is->path, on_heard, t);
        if (err) {
            t->is_asked = false;
            t->is_absent = err == FRUN_E_NOT_FOUND;
        }
        rest_after(t, since_us);
    }
}

static void on_tick(struct deadline *d)
{
    struct events *e = list_entry(d, struct events, tick);
    ask(e, loop_now_ms(e->loop));
    pump_all(e);
    if (e->n_listeners > 0) {
        deadline_set(e->loop, d, e->times.tick_ms);
    }
}

/* -- listeners
 * -------------------------------------------------------------------------------------------------
 */

static void get_events(void *ctx, struct admin_request *r)
{
    struct events *e = ctx;
    struct listening *x = e->n_listeners < EVENTS_MAX_LISTENERS ? calloc(1, sizeof(*x)) : NULL;
    if (!x || admin_request_is_gone(r)) {
        free(x);
        admin_request_set(r, "Retry-After", SPAN_LIT("10"));
        admin_request_fail(r, 503, "%d listen to events already", EVENTS_MAX_LISTENERS);
        return;
    }
    admin_request_set(r, "X-Accel-Buffering", SPAN_LIT("no"));
    admin_request_begin(r, "text/event-stream");
    if (span_eq(admin_request_head(r)->method, SPAN_LIT("HEAD"))) {
        free(x);
        admin_request_end(r);
        return;
    }
    x->of = e;
    x->r = r;
    x->moved_ms = loop_now_ms(e->loop);
    buf_init(&x->out, EVENTS_MAX_BYTES + 256);
    list_append(&e->listeners, &x->node);
    e->n_listeners++;
    admin_request_on_room(r, on_room, x);
    /* What is known may be old, if nobody listened for a while. */
    for (size_t i = 0; e->n_listeners == 1 && i < e->n; i++) {
        e->topics[i].due_ms = 0;
    }
    ask(e, loop_now_ms(e->loop));
    deadline_set(e->loop, &e->tick, e->times.tick_ms);
    pump_all(e);
}

static const struct admin_route routes[] = {
    {"GET", "/api/v1/events", false, get_events},
};

frun_err events_new(struct loop *l, struct admin_server *s, const struct events_topic *topics,
                    size_t n, const struct events_times *times, struct events **out)
{
    assert(n <= EVENTS_MAX_TOPICS);
    struct events *e = calloc(1, sizeof(*e));
    frun_err err = e ? admin_server_add(s, routes, 1, e) : FRUN_E_NOMEM;
    if (err) {
        free(e);
        return err;
    }
    e->loop = l;
    e->server = s;
    e->times = *times;
    list_init(&e->listeners);
    deadline_init(&e->tick, on_tick);
    for (; e->n < n; e->n++) {
        struct topic *t = &e->topics[e->n];
        *t = (struct topic){.is = &topics[e->n], .of = e};
        if (t->is->key && events_rows_new(t->is->key, &t->rows) != FRUN_OK) {
            events_free(e);
            return FRUN_E_NOMEM;
        }
    }
    *out = e;
    return FRUN_OK;
}

void events_free(struct events *e)
{
    if (!e) {
        return;
    }
    deadline_clear(&e->tick);
    for (struct list *it; (it = list_first(&e->listeners)) != NULL;) {
        leave(list_entry(it, struct listening, node));
    }
    for (size_t i = 0; i < e->n; i++) {
        free(e->topics[i].text);
        events_rows_free(e->topics[i].rows);
    }
    free(e);
}
