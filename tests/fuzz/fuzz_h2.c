/**
 * The server's side of HTTP/2: what a stranger sends on one connection, and everything answered.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/h2/session.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Loop passes that one input may take. */
#define MAX_TICKS 3

struct world {
    struct loop *loop;
    struct h2 *h2;
    struct deadline tick;
    int left;
};

static size_t on_body(void *owner, struct span data)
{
    (void)owner;
    return data.n;
}

static void on_body_end(void *owner)
{
    struct served *s = owner;
    const struct head h = {.status = 200, .body = HEAD_BODY_LENGTH, .body_len_bytes = 2};

    if (s->ops->send_head(s, &h) != FRUN_OK) {
        s->ops->abandon(s);
    } else if (s->ops->send_body(s, SPAN_LIT("ok"), true) != 2) {
        abort();
    }
}

static void on_room(void *owner)
{
    (void)owner;
}

static void on_gone(void *owner, frun_err err, const char *why)
{
    (void)owner;
    if (!err || !why) {
        abort();
    }
}

static const struct served_events served_events = {on_body, on_body_end, on_room, on_gone};

static void on_request(void *ctx, struct served *s, const struct head *h)
{
    (void)ctx;
    if (!head_is_token(h->method) || !head_is_target(h->target) || h->authority.n == 0) {
        abort();
    }
    for (size_t i = 0; i < h->n_fields; i++) {
        if (!head_is_token(h->fields[i].name) || !head_is_value(h->fields[i].value)) {
            abort(); /* HTTP/1.1 behind us would read something else */
        }
    }
    s->ev = &served_events;
    s->owner = s;
    s->ops->accept_body(s);
}

static void on_closed(void *ctx, frun_err err, const char *why)
{
    struct world *w = ctx;

    (void)err;
    (void)why;
    loop_stop(w->loop);
}

static const struct h2_events h2_events = {.on_request = on_request, .on_closed = on_closed};

static void on_tick(struct deadline *d)
{
    struct world *w = list_entry(d, struct world, tick);

    if (--w->left == 0) {
        loop_stop(w->loop);
    } else {
        deadline_set(w->loop, d, 1);
    }
}

static const struct stream_events stream_events = {.on_room = NULL};

static void run(struct world *w, struct stream **s, struct span input)
{
    const struct h2_settings set = {.is_stranger = true,
                                    .max_streams = 4,
                                    .max_head_bytes = 4096,
                                    .max_fields = 20,
                                    .body_timeout_ms = 1000,
                                    .head_timeout_ms = 1000,
                                    .idle_timeout_ms = 1000};

    if (h2_new(s, input, &set, &h2_events, w, &w->h2) != FRUN_OK) {
        return;
    }
    deadline_init(&w->tick, on_tick);
    deadline_set(w->loop, &w->tick, 1);
    loop_run(w->loop);
    h2_free(w->h2);
    deadline_clear(&w->tick);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world w = {.left = MAX_TICKS};
    struct stream_settings plain = {.handshake_ms = 1000};
    struct stream *s = NULL;
    int fd[2];

    if (loop_new(&w.loop) != FRUN_OK) {
        return 0;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) == 0) {
        if (stream_new(w.loop, &fd[1], &plain, &stream_events, NULL, &s) == FRUN_OK) {
            run(&w, &s, span_make(data, size));
            stream_free(s);
        } else {
            (void)close(fd[1]);
        }
        (void)close(fd[0]);
    }
    loop_free(w.loop);
    return 0;
}
