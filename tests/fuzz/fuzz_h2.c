/**
 * The server's side of HTTP/2: what a stranger, and the other end of the tunnel, send on one
 * connection, and everything answered.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/h2/session.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Loop passes that one input may take: by count, because the loop's time is too coarse. */
#define MAX_PASSES 8

/* Octets of a large answer: more than a window. */
#define BIG_BYTES 70000

struct world {
    struct loop *loop;
    struct h2 *h2;
    struct later turn;
    int left;
    struct head head;   /* lent */
    struct arena arena; /* lent */
    unsigned heads;     /* begun */
    unsigned told;      /* of these: delivered, refused or lost */
    unsigned owned;     /* requests whose end was not told */
};

static char big[BIG_BYTES];

static void answer(struct served *s, unsigned status, size_t n)
{
    const struct head h = {.status = status, .body = HEAD_BODY_LENGTH, .body_len_bytes = n};
    struct world *w = s->owner;

    if (s->ops->send_head(s, &h) != FRUN_OK) {
        w->owned--;
        s->ops->abandon(s);
    } else if (s->ops->send_body(s, span_make(big, n), true) == n) {
        w->owned--;
    }
}

static size_t on_body(void *owner, struct span data)
{
    (void)owner;
    return data.n - data.n / 2; /* the rest is never asked for, if it is more than an octet */
}

static void on_room(void *owner)
{
    (void)owner;
}

static void on_gone(void *owner, frun_err err, const char *why)
{
    struct world *w = owner;

    if (!err || !why || w->owned == 0) {
        abort();
    }
    w->owned--;
}

static void on_body_end(void *owner)
{
    (void)owner;
}

static const struct served_events served_events = {on_body, on_body_end, on_room, on_gone};

static bool on_head(void *ctx, struct h2_place *place)
{
    struct world *w = ctx;

    if (w->heads != w->told) {
        abort(); /* one at a time */
    }
    w->heads++;
    arena_reset(&w->arena);
    *place = (struct h2_place){.head = &w->head, .arena = &w->arena, .owner = w};
    return true;
}

static void on_head_lost(void *ctx, void *owner, const char *why)
{
    struct world *w = ctx;

    if (owner != w || !why) {
        abort();
    }
    w->told++;
}

static void check(const struct world *w, const struct head *h)
{
    if (h != &w->head || !head_is_token(h->method) || !head_is_target(h->target) ||
        h->authority.n == 0) {
        abort();
    }
    for (size_t i = 0; i < h->n_fields; i++) {
        if (!head_is_token(h->fields[i].name) || !head_is_value(h->fields[i].value)) {
            abort(); /* HTTP/1.1 behind us would read something else */
        }
    }
}

/* What the request's owner does depends on its path, so that the fuzzer can choose. */
static void on_request(void *ctx, struct served *s, const struct head *h)
{
    struct world *w = ctx;

    if (s->owner != w) {
        abort();
    }
    w->told++;
    check(w, h);
    if (h->target.n > 1 && h->target.p[1] == 'r') {
        return; /* not taken on */
    }
    s->ev = &served_events;
    w->owned++;
    switch (h->target.n > 1 ? h->target.p[1] : 0) {
    case 'a':
        w->owned--;
        s->ops->abandon(s);
        break;
    case 'b':
        s->ops->accept_body(s);
        answer(s, 200, BIG_BYTES);
        break;
    case 'h':
        s->ops->accept_body(s);
        s->ops->resume(s);
        break;
    case 'w':
        break;
    default:
        answer(s, 403, 2); /* early, if the body is still to come */
        break;
    }
}

static void on_refused(void *ctx, struct served *s, const struct head_fault *fault)
{
    struct world *w = ctx;

    w->told++;
    w->owned++;
    s->ev = &served_events;
    if (fault->status < 400 || !fault->why) {
        abort();
    }
    answer(s, fault->status, 2);
}

static void on_closed(void *ctx, frun_err err, const char *why)
{
    struct world *w = ctx;

    (void)err;
    (void)why;
    loop_stop(w->loop);
}

static const struct h2_events h2_events = {.on_head = on_head,
                                           .on_request = on_request,
                                           .on_refused = on_refused,
                                           .on_head_lost = on_head_lost,
                                           .on_closed = on_closed};

static void on_turn(struct later *x)
{
    struct world *w = list_entry(x, struct world, turn);

    if (--w->left == 0) {
        loop_stop(w->loop);
    } else {
        later_arm(w->loop, x);
    }
}

static const struct stream_events stream_events = {.on_room = NULL};

static void run(struct world *w, struct stream **s, struct span input, bool is_stranger)
{
    const struct h2_settings set = {.is_stranger = is_stranger,
                                    .max_streams = 4,
                                    .max_head_bytes = 4096,
                                    .max_fields = 20,
                                    .body_timeout_ms = 1000,
                                    .head_timeout_ms = 1000,
                                    .idle_timeout_ms = 1000};

    if (h2_new(s, input, &set, &h2_events, w, &w->h2) != FRUN_OK) {
        return;
    }
    later_init(&w->turn, on_turn);
    later_arm(w->loop, &w->turn);
    loop_run(w->loop);
    h2_free(w->h2);
    later_cancel(&w->turn);
    if (w->heads != w->told || w->owned != 0) {
        abort(); /* everybody is told exactly once */
    }
}

static void serve(const uint8_t *data, size_t size, bool is_stranger)
{
    struct world w = {.left = MAX_PASSES};
    struct stream_settings plain = {.handshake_ms = 1000};
    struct stream *s = NULL;
    int fd[2];

    if (loop_new(&w.loop) != FRUN_OK) {
        return;
    }
    arena_init(&w.arena, 32768);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) == 0) {
        if (stream_new(w.loop, &fd[1], &plain, &stream_events, NULL, &s) == FRUN_OK) {
            run(&w, &s, span_make(data, size), is_stranger);
            stream_free(s);
        } else {
            (void)close(fd[1]);
        }
        (void)close(fd[0]);
    }
    loop_free(w.loop);
    arena_done(&w.arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    serve(data, size, true);
    serve(data, size, false);
    return 0;
}
