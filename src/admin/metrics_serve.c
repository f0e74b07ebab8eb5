/**
 * A text in pieces.
 *
 *     one piece in a pass of the loop --no room--> waits for its reader --room--> goes on
 *          \--all sent--> end                          \--stall_ms--> cut off
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics_int.h"

#include <stdlib.h>

/** Octets that are written in one pass: about as many as a connection takes at once. */
#define PIECE_BYTES 32768

struct text {
    struct admin_metrics_job job;
    struct admin_request *r;
    struct admin_metrics m;
    size_t part;           /* being written */
    size_t at;             /* in it */
    bool is_begun;         /* the head has been sent */
    struct later next;     /* the next piece */
    struct deadline stall; /* the reader takes nothing */
};

static void text_free(struct text *t)
{
    later_cancel(&t->next);
    deadline_clear(&t->stall);
    admin_metrics_done(&t->m);
    if (t->job.done) {
        t->job.done(t->job.ctx);
    }
    free(t);
}

static void give_up(struct text *t)
{
    struct admin_request *r = t->r;
    bool is_begun = t->is_begun;
    text_free(t);
    if (is_begun) {
        admin_request_abort(r);
    } else {
        admin_request_fail(r, 500, "out of memory");
    }
}

static bool is_written(const struct text *t)
{
    return t->part == t->job.n_parts;
}

/* Write on until there is a piece. */
static void fill(struct text *t)
{
    while (!is_written(t) && buf_len(&t->m.out) < PIECE_BYTES && !t->m.is_failed) {
        if (!t->job.parts[t->part](t->job.ctx, &t->m, &t->at)) {
            t->part++;
            t->at = 0;
        }
        if (is_written(t)) {
            admin_metrics_end(&t->m);
        }
    }
}

/* Give the reader what it takes; false: it has gone. */
static bool send_some(struct text *t)
{
    struct span rest = buf_span(&t->m.out);
    size_t room = admin_request_room(t->r);
    size_t n = rest.n < room ? rest.n : room;
    if (n > 0) {
        if (admin_request_send(t->r, span_head(rest, n)) != FRUN_OK) {
            return false;
        }
        buf_consume(&t->m.out, n);
        deadline_set(t->job.loop, &t->stall, t->job.stall_ms);
    }
    return true;
}

static void finish(struct text *t)
{
    struct admin_request *r = t->r;
    text_free(t);
    admin_request_end(r);
}

static void begin(struct text *t)
{
    t->is_begun = true;
    admin_request_begin(t->r, admin_metrics_type(&t->m));
    deadline_set(t->job.loop, &t->stall, t->job.stall_ms);
}

/* The whole text fits into one piece. */
static void answer(struct text *t)
{
    struct admin_request *r = t->r;
    struct buf body = t->m.out;
    const char *type = admin_metrics_type(&t->m);
    t->m.out = (struct buf){.max = body.max};
    text_free(t);
    admin_request_answer(r, 200, type, &body);
}

/* A pass's work. */
static void go_on(struct text *t)
{
    fill(t);
    if (t->m.is_failed || admin_request_is_gone(t->r)) {
        give_up(t);
        return;
    }
    if (!t->is_begun && is_written(t)) {
        answer(t);
        return;
    }
    if (!t->is_begun) {
        begin(t);
    }
    bool is_read = !span_eq(admin_request_head(t->r)->method, SPAN_LIT("HEAD"));
    if (is_read && !send_some(t)) {
        give_up(t);
    } else if (!is_read || (is_written(t) && buf_len(&t->m.out) == 0)) {
        finish(t);
    } else if (buf_len(&t->m.out) == 0) {
        later_arm(t->job.loop, &t->next);
    } /* else on_room() goes on */
}

static void on_next(struct later *l)
{
    go_on(list_entry(l, struct text, next));
}

static void on_room(void *ctx)
{
    struct text *t = ctx;
    if (t->is_begun || admin_request_is_gone(t->r)) {
        go_on(t);
    }
}

static void on_stall(struct deadline *d)
{
    give_up(list_entry(d, struct text, stall));
}

void admin_metrics_serve(const struct admin_metrics_job *job, struct admin_request *r)
{
    struct text *t = calloc(1, sizeof(*t));
    if (!t) {
        if (job->done) {
            job->done(job->ctx);
        }
        admin_request_fail(r, 500, "out of memory");
        return;
    }
    t->job = *job;
    t->r = r;
    later_init(&t->next, on_next);
    deadline_init(&t->stall, on_stall);
    admin_metrics_begin(&t->m, job->prefix, r);
    admin_request_on_room(r, on_room, t);
    go_on(t);
}
