/**
 * A gateway on loopback for the connector's tests: takes the reverse upgrade as it is told to, and
 * speaks HTTP/2 as the client. One per test, all in one loop.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_TESTS_CONNECTOR_GATEWAY_H
#define FRUN_TESTS_CONNECTOR_GATEWAY_H

#include "frun/base/buf.h"
#include "frun/h2/session.h"
#include "frun/loop/loop.h"
#include "frun/loop/offload.h"
#include "frun/net/addr.h"
#include "frun/net/listener.h"
#include "frun/net/stream.h"
#include "frun/tunnel/ptth.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/** Connections of one test at most. */
#define GATEWAY_MAX_LINKS 32

/** A test that waits longer has failed, milliseconds. */
#define GATEWAY_GUARD_MS 20000

struct gateway;

/** One connection. */
struct link {
    struct gateway *gateway;
    struct stream *stream; /**< until the session stands, or for refusals */
    struct h2 *h2;         /**< the session */
    struct buf in;         /**< greeting */
    size_t scanned;
    bool is_open;
    uint64_t at_ms; /**< when it came */
};

/** The gateway. */
struct gateway {
    struct loop *loop;
    struct offload *offload;
    struct listener *listener;
    unsigned port;
    unsigned wish;        /**< tunnels it asks for */
    const char *answer;   /**< sent instead of a welcome; "" : says nothing; NULL: welcome */
    bool is_answer_final; /**< close behind the answer */
    struct link links[GATEWAY_MAX_LINKS];
    size_t n_links;
    char location[64]; /**< last greeting's location ID */
    char subaccount[64];
    bool (*is_done)(void); /**< what the test waits for */
    struct deadline guard;
    struct deadline poll;
    /* one call at a time */
    struct call *call;
    unsigned status;
    char origin[32];
    bool is_call_over;
    bool is_call_failed;
    bool is_unprocessed;
};

static struct gateway gw;

static void link_closed(void *ctx, frun_err err)
{
    struct link *k = ctx;
    (void)err;
    stream_free(k->stream);
    k->stream = NULL;
}

static void link_h2_closed(void *ctx, frun_err err, const char *why)
{
    struct link *k = ctx;
    (void)err;
    (void)why;
    k->is_open = false;
    h2_free(k->h2);
    k->h2 = NULL;
}

static const struct h2_events link_h2_events = {.on_closed = link_h2_closed};

static void link_welcome(struct link *k, const struct ptth_hello *hello)
{
    struct h2_settings set = {.is_client = true,
                              .max_streams = 16,
                              .stream_window = 65535,
                              .max_head_bytes = 65536,
                              .ping_interval_ms = 15000,
                              .ping_timeout_ms = 10000};
    struct buf out;
    (void)memcpy(gw.location, hello->location_id.p, hello->location_id.n);
    gw.location[hello->location_id.n] = '\0';
    (void)memcpy(gw.subaccount, hello->subaccount.p, hello->subaccount.n);
    gw.subaccount[hello->subaccount.n] = '\0';
    buf_init(&out, 4096);
    assert_int_equal(ptth_write_welcome(gw.wish, &out), FRUN_OK);
    assert_int_equal(stream_put(k->stream, buf_span(&out)), FRUN_OK);
    buf_done(&out);
    assert_int_equal(h2_new(&k->stream, SPAN_LIT(""), &set, &link_h2_events, k, &k->h2), FRUN_OK);
    k->is_open = true;
}

static void link_greeting(struct link *k, size_t n)
{
    struct head_limits lim = HEAD_LIMITS_DEFAULT;
    struct head_fault fault;
    struct head h;
    struct ptth_hello hello;
    unsigned status = 0;
    const char *why = "";
    assert_int_equal(head_parse_request(span_head(buf_span(&k->in), n), &lim, &h, &fault), FRUN_OK);
    assert_int_equal(ptth_read_hello(&h, &hello, &status, &why), FRUN_OK);
    if (!gw.answer) {
        link_welcome(k, &hello);
    } else if (gw.answer[0]) {
        assert_int_equal(stream_put(k->stream, span_of(gw.answer)), FRUN_OK);
        if (gw.is_answer_final) {
            stream_finish(k->stream);
        }
    }
}

static void link_readable(void *ctx)
{
    struct link *k = ctx;
    struct head_limits lim = HEAD_LIMITS_DEFAULT;
    struct head_fault fault;
    char part[4096];
    size_t n = 0;
    frun_err err = FRUN_E_AGAIN;
    while (k->stream && !(err = stream_read(k->stream, part, sizeof(part), &n))) {
        if (k->in.max == 0) {
            continue; /* greeting was read; what follows is of no interest */
        }
        assert_int_equal(buf_put(&k->in, span_make(part, n)), FRUN_OK);
        if (!head_cut(buf_span(&k->in), &lim, &k->scanned, &n, &fault)) {
            link_greeting(k, n);
            buf_done(&k->in);
            k->in.max = 0;
            return;
        }
    }
    if (k->stream && err != FRUN_E_AGAIN) {
        stream_free(k->stream);
        k->stream = NULL;
    }
}

static void link_ready(void *ctx)
{
    struct link *k = ctx;
    stream_read_on(k->stream, true);
}

static const struct stream_events link_events = {
    .on_ready = link_ready, .on_readable = link_readable, .on_closed = link_closed};

static void gateway_accept(void *ctx, int *fd, const struct addr *from)
{
    struct stream_settings set = {.handshake_ms = 2000};
    (void)ctx;
    (void)from;
    assert_true(gw.n_links < GATEWAY_MAX_LINKS);
    struct link *k = &gw.links[gw.n_links++];
    k->gateway = &gw;
    k->at_ms = loop_now_ms(gw.loop);
    buf_init(&k->in, 16384);
    assert_int_equal(stream_new(gw.loop, fd, &set, &link_events, k, &k->stream), FRUN_OK);
}

static void gateway_listen(void)
{
    struct addr a;
    struct addr bound;
    struct diag d;
    char text[32];
    int fd = -1;
    (void)snprintf(text, sizeof(text), "127.0.0.1:%u", gw.port);
    assert_int_equal(addr_parse(text, &a), FRUN_OK);
    assert_int_equal(listener_socket(&a, &bound, &fd, &d), FRUN_OK);
    gw.port = addr_port(&bound);
    assert_int_equal(listener_new(gw.loop, &fd, gateway_accept, NULL, &gw.listener), FRUN_OK);
}

static void gateway_unlisten(void)
{
    listener_free(gw.listener);
    gw.listener = NULL;
}

/* Like a gateway that was killed. */
static void gateway_kill(struct link *k)
{
    h2_free(k->h2);
    k->h2 = NULL;
    stream_reset(k->stream);
    k->stream = NULL;
    k->is_open = false;
}

static void gateway_guard(struct deadline *d)
{
    (void)d;
    fail_msg("what the test waits for does not come");
}

static void gateway_poll(struct deadline *d)
{
    if (gw.is_done()) {
        loop_stop(gw.loop);
    } else {
        deadline_set(gw.loop, d, 1);
    }
}

static void wait_until(bool (*is_done)(void))
{
    gw.is_done = is_done;
    deadline_set(gw.loop, &gw.guard, GATEWAY_GUARD_MS);
    deadline_set(gw.loop, &gw.poll, 1);
    loop_run(gw.loop);
    deadline_clear(&gw.guard);
    deadline_clear(&gw.poll);
}

static void gateway_start(void)
{
    gw = (struct gateway){.wish = 1};
    assert_int_equal(loop_new(&gw.loop), FRUN_OK);
    assert_int_equal(offload_new(1, 64, &gw.offload), FRUN_OK);
    deadline_init(&gw.guard, gateway_guard);
    deadline_init(&gw.poll, gateway_poll);
    gateway_listen();
}

static void gateway_stop(void)
{
    gateway_unlisten();
    for (size_t i = 0; i < gw.n_links; i++) {
        gateway_kill(&gw.links[i]);
        buf_done(&gw.links[i].in);
    }
    offload_free(gw.offload);
    loop_free(gw.loop);
}

static size_t gateway_open_links(void)
{
    size_t n = 0;
    for (size_t i = 0; i < gw.n_links; i++) {
        n += gw.links[i].is_open ? 1 : 0;
    }
    return n;
}

static void call_head(void *owner, const struct head *h)
{
    const struct field *f = head_find(h, SPAN_LIT(PTTH_ORIGIN_FIELD));
    (void)owner;
    gw.status = h->status;
    struct span origin = f ? f->value : SPAN_LIT("");
    (void)snprintf(gw.origin, sizeof(gw.origin), "%.*s", SPAN_FMT(origin));
}

static size_t call_body(void *owner, struct span data)
{
    (void)owner;
    return data.n;
}

static void call_room(void *owner)
{
    (void)owner;
}

static void call_end(void *owner)
{
    (void)owner;
    gw.call = NULL;
    gw.is_call_over = true;
}

static void call_fail(void *owner, const struct call_failure *f)
{
    (void)owner;
    gw.call = NULL;
    gw.is_call_over = gw.is_call_failed = true;
    gw.is_unprocessed = f->is_unprocessed;
}

static const struct call_events call_events = {.on_head = call_head,
                                               .on_body = call_body,
                                               .on_room = call_room,
                                               .on_end = call_end,
                                               .on_fail = call_fail};

static void gateway_call(struct link *k, const char *target)
{
    struct head h = {
        .method = SPAN_LIT("GET"), .target = span_of(target), .authority = SPAN_LIT("fr1_frun")};
    gw.status = 0;
    gw.is_call_over = gw.is_call_failed = gw.is_unprocessed = false;
    assert_int_equal(h2_call(k->h2, &h, &call_events, NULL, &gw.call), FRUN_OK);
}

static bool call_is_over(void)
{
    return gw.is_call_over;
}

#endif
