/**
 * An owner of a call for tests of the pooled client: notes what it is told, and misbehaves on
 * request.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_TESTS_UPSTREAM_CLIENT_H
#define FRUN_TESTS_UPSTREAM_CLIENT_H

#include "../../src/upstream/upstream_int.h"
#include "upstream_fixture.h"

#include <stdbool.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define OK_HEAD "HTTP/1.1 200 OK\r\n"

/* Where an owner does something unexpected, and what. */
enum stage { AT_NEVER, AT_OPEN, AT_ROOM, AT_HEAD, AT_BODY, AT_HOLD, AT_END, AT_FAIL };
enum act { CANCEL, FREE_POOL, FREE_POOL_AFTER_CANCEL };

struct client {
    struct rig *r;
    struct call *c;
    /* what it wants */
    const char *method;
    enum head_body framing;
    const char *body; /* request body, or NULL: total octets of the pattern */
    size_t total;     /* octets of it */
    size_t announced; /* Content-Length if not total */
    size_t step;      /* octets offered at a time, 0: all */
    size_t held_back; /* octets it does not offer by itself */
    size_t take_max;  /* octets taken at a time, 0: all; then resume() at the end of the pass */
    bool takes_nothing;
    enum stage stage;
    enum act act;
    struct client *next; /* opened in on_end */
    /* what it was told */
    unsigned status;
    char text[2048];
    size_t got;
    bool is_garbled;
    size_t sent;
    bool is_end_sent;
    bool is_in_operation;
    bool is_waiting; /* took less than offered and has not called resume() */
    unsigned heads, ends, fails, rooms, cancels;
    struct call_failure failure;
    size_t max_in, max_waiting;
    struct later resume;
};

static inline void client_open(struct client *k);

static inline bool client_is_gone(void *arg)
{
    const struct client *k = arg;
    return k->ends + k->fails + k->cancels > 0;
}

static inline void note_memory(struct client *k)
{
    const struct conn *c = upstream_conn(k->c);
    size_t waiting = buf_len(&c->out) + (c->stream ? upstream_send_waiting(c) : 0);
    k->max_in = c->in.cap > k->max_in ? c->in.cap : k->max_in;
    k->max_waiting = waiting > k->max_waiting ? waiting : k->max_waiting;
}

/* The client misbehaves on purpose; true: its call is gone. */
static inline bool misbehave(struct client *k, enum stage stage)
{
    if (k->stage != stage) {
        return client_is_gone(k);
    }
    k->stage = AT_NEVER;
    bool was_gone = client_is_gone(k);
    if (k->act != FREE_POOL && !was_gone) {
        k->is_in_operation = true;
        k->c->ops->cancel(k->c);
        k->is_in_operation = false;
        k->cancels++;
    }
    if (k->act != CANCEL) {
        upstream_free(k->r->u);
        k->r->u = NULL;
    }
    return client_is_gone(k);
}

static inline size_t client_part(const struct client *k, size_t limit, char *room, struct span *out)
{
    size_t n = limit - k->sent;
    n = k->step && n > k->step ? k->step : n;
    if (k->body) {
        *out = span_make(k->body + k->sent, n);
        return n;
    }
    n = n < 8192 ? n : 8192;
    for (size_t i = 0; i < n; i++) {
        room[i] = rig_pattern(k->sent + i);
    }
    *out = span_make(room, n);
    return n;
}

static inline void client_pump(struct client *k)
{
    char room[8192];
    size_t limit = k->total - k->held_back;
    while (!k->is_end_sent && k->framing != HEAD_BODY_NONE) {
        struct span part;
        size_t n = client_part(k, limit, room, &part);
        bool is_last = k->sent + n == k->total;
        if (n == 0 && !is_last) {
            return;
        }
        k->is_in_operation = true;
        size_t taken = k->c->ops->send(k->c, part, is_last);
        k->is_in_operation = false;
        assert_true(taken <= n);
        k->sent += taken;
        note_memory(k);
        if (taken < n) {
            return;
        }
        k->is_end_sent = is_last;
    }
}

static inline void on_head(void *owner, const struct head *h)
{
    struct client *k = owner;
    assert_false(k->is_in_operation);
    assert_false(client_is_gone(k));
    assert_int_equal(k->heads, 0);
    k->heads++;
    k->status = h->status;
    (void)misbehave(k, AT_HEAD);
    /* The head lives until the return, whatever its reader did meanwhile. */
    for (size_t i = 0; i < h->n_fields; i++) {
        assert_true(head_is_token(h->fields[i].name));
    }
    rig_look(k->r);
}

static inline size_t on_body(void *owner, struct span data)
{
    struct client *k = owner;
    assert_false(k->is_in_operation);
    assert_false(client_is_gone(k));
    assert_int_equal(k->heads, 1);
    assert_true(data.n > 0);
    assert_false(k->is_waiting);
    note_memory(k);
    size_t n = k->take_max && data.n > k->take_max ? k->take_max : data.n;
    n = k->takes_nothing ? 0 : n;
    for (size_t i = 0; i < n; i++) {
        if (k->got + i < sizeof(k->text) - 1) {
            k->text[k->got + i] = data.p[i];
        }
        k->is_garbled |= data.p[i] != rig_pattern(k->got + i);
    }
    k->got += n;
    k->is_waiting = n < data.n;
    if (misbehave(k, AT_BODY)) {
        return n;
    }
    if (n < data.n && !k->takes_nothing) {
        later_arm(k->r->l, &k->resume);
    }
    rig_look(k->r);
    return n;
}

static inline void on_resume(struct later *x)
{
    struct client *k = list_entry(x, struct client, resume);
    if (!client_is_gone(k) && !misbehave(k, AT_HOLD)) {
        k->is_waiting = false;
        k->is_in_operation = true;
        k->c->ops->resume(k->c);
        k->is_in_operation = false;
    }
}

static inline void on_room(void *owner)
{
    struct client *k = owner;
    assert_false(k->is_in_operation);
    assert_false(client_is_gone(k));
    k->rooms++;
    if (!misbehave(k, AT_ROOM)) {
        client_pump(k);
    }
    rig_look(k->r);
}

static inline void on_end(void *owner)
{
    struct client *k = owner;
    assert_false(k->is_in_operation);
    assert_false(client_is_gone(k));
    assert_int_equal(k->heads, 1);
    k->ends++;
    (void)misbehave(k, AT_END);
    if (k->next) {
        client_open(k->next);
    }
    rig_look(k->r);
}

static inline void on_fail(void *owner, const struct call_failure *f)
{
    struct client *k = owner;
    assert_false(k->is_in_operation);
    assert_false(client_is_gone(k));
    assert_true(f->err < 0);
    assert_true(strlen(f->text) > 0);
    k->fails++;
    k->failure = *f;
    (void)misbehave(k, AT_FAIL);
    rig_look(k->r);
}

static const struct call_events client_events = {.on_head = on_head,
                                                 .on_body = on_body,
                                                 .on_room = on_room,
                                                 .on_end = on_end,
                                                 .on_fail = on_fail};

static inline frun_err client_try(struct client *k)
{
    struct head h = {.method = span_of(k->method ? k->method : "GET"),
                     .target = SPAN_LIT("/sap/frun/x"),
                     .authority = SPAN_LIT("fr1_frun"),
                     .minor = 1,
                     .is_keep_alive = true,
                     .body = k->framing};
    k->total = k->body ? strlen(k->body) : k->total;
    if (h.body == HEAD_BODY_LENGTH) {
        h.body_len_bytes = k->announced ? k->announced : k->total;
    }
    later_init(&k->resume, on_resume);
    k->is_in_operation = true;
    frun_err err = upstream_call(k->r->u, &h, &client_events, k, &k->c);
    k->is_in_operation = false;
    return err;
}

static inline void client_open(struct client *k)
{
    assert_int_equal(client_try(k), FRUN_OK);
    if (!misbehave(k, AT_OPEN)) {
        client_pump(k);
    }
}

/* Open a call and see it through. */
static inline void client_run(struct client *k, struct rig *r)
{
    k->r = r;
    client_open(k);
    if (!rig_until(r, client_is_gone, k)) {
        fail_msg("the call never ended");
    }
    later_cancel(&k->resume);
}

static inline bool is_no_connection_open(void *arg)
{
    const struct rig *r = arg;
    for (size_t i = 0; i < r->n_peers; i++) {
        if (!r->peers[i].is_gone) {
            return false;
        }
    }
    return true;
}

#endif
