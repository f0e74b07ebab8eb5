/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/http/relay.h"

#include <assert.h>

static const struct span nothing = {"", 0};

void relay_begin(struct relay *r, struct served *in, uint64_t max_body_bytes)
{
    *r = (struct relay){.in = in, .max_body_bytes = max_body_bytes, .is_whole_kept = true};
    buf_init(&r->kept, EXCHANGE_BUFFER_BYTES);
}

static size_t unsent_bytes(const struct relay *r)
{
    return buf_len(&r->kept) - r->resent_bytes;
}

static void forget_kept(struct relay *r)
{
    r->is_whole_kept = false;
    r->resent_bytes = 0;
    buf_done(&r->kept);
}

/* Give the call what it has not had of the kept octets, and the end if it is known. */
static void send_kept(struct relay *r)
{
    size_t n = unsent_bytes(r);

    if (n > 0) {
        struct span rest = span_skip(buf_span(&r->kept), r->resent_bytes);
        size_t taken = r->out->ops->send(r->out, rest, r->is_request_done);

        r->resent_bytes += taken;
        r->is_end_sent = r->is_request_done && taken == n;
        if (r->is_answered && taken == n) {
            forget_kept(r);
        }
    } else if (r->is_request_done && !r->is_end_sent) {
        (void)r->out->ops->send(r->out, nothing, true);
        r->is_end_sent = true;
    }
}

/* The last thing a function does: the served side may offer octets from within. */
static void go_on_reading(struct relay *r)
{
    if (r->in && r->is_request_held && unsent_bytes(r) == 0) {
        r->is_request_held = false;
        r->in->ops->resume(r->in);
    }
}

void relay_attach(struct relay *r, struct call *out)
{
    assert(relay_can_repeat(r));
    r->out = out;
    r->resent_bytes = 0;
    r->is_end_sent = false;
    r->is_answer_held = false;
    send_kept(r);
    go_on_reading(r);
}

void relay_detach(struct relay *r)
{
    r->out = NULL;
    r->is_answer_held = false;
}

bool relay_can_repeat(const struct relay *r)
{
    return r->is_whole_kept && !r->is_answered;
}

void relay_answer(struct relay *r)
{
    r->is_answered = true;
    if (unsent_bytes(r) == 0) {
        forget_kept(r);
    }
    r->is_whole_kept = false;
}

/* Octets that no call has taken: as many as fit wait for the next one. */
static size_t keep_unsent(struct relay *r, struct span data)
{
    size_t n = data.n < buf_room(&r->kept) ? data.n : buf_room(&r->kept);

    return r->is_whole_kept && n > 0 && !buf_put(&r->kept, span_head(data, n)) ? n : 0;
}

/* What does not fit behind the first octets will be long: all the room at once, to grow but once.
 */
static frun_err keep(struct relay *r, struct span data)
{
    char *at;
    bool is_growing = r->kept.cap > 0 && data.n > r->kept.cap - r->kept.tail;
    frun_err err = is_growing ? buf_reserve(&r->kept, buf_room(&r->kept), &at) : FRUN_OK;

    return err ? err : buf_put(&r->kept, data);
}

/* Octets that the call has taken: kept for a second call while they fit. */
static void keep_sent(struct relay *r, struct span data)
{
    if (!r->is_whole_kept || data.n == 0) {
        return;
    }
    if (data.n > buf_room(&r->kept) || keep(r, data)) {
        forget_kept(r);
    } else {
        r->resent_bytes += data.n;
    }
}

void relay_limit(struct relay *r, uint64_t max_body_bytes)
{
    r->max_body_bytes = max_body_bytes;
}

size_t relay_on_request_body(struct relay *r, struct span data)
{
    size_t n = 0;

    if (data.n > r->max_body_bytes - r->request_bytes) {
        r->is_too_long = true;
        return 0;
    }
    if (!r->out) {
        n = keep_unsent(r, data);
    } else if (unsent_bytes(r) == 0) {
        n = r->out->ops->send(r->out, data, false);
        keep_sent(r, span_head(data, n));
    }
    r->request_bytes += n;
    r->is_request_held = n < data.n;
    return n;
}

void relay_on_request_end(struct relay *r)
{
    r->is_request_done = true;
    if (r->out && unsent_bytes(r) == 0) {
        send_kept(r);
    }
}

void relay_on_request_room(struct relay *r)
{
    if (r->out) {
        send_kept(r);
        go_on_reading(r);
    }
}

void relay_on_answer_room(struct relay *r)
{
    if (r->out && r->is_answer_held) {
        r->is_answer_held = false;
        r->out->ops->resume(r->out);
    }
}

size_t relay_on_answer_body(struct relay *r, struct span data)
{
    size_t n;

    if (!r->in) {
        return 0;
    }
    n = r->in->ops->send_body(r->in, data, false);
    r->answer_bytes += n;
    r->is_answer_held = n < data.n;
    return n;
}

bool relay_on_answer_end(struct relay *r)
{
    struct served *in = r->in;

    r->out = NULL;
    r->is_answer_done = true;
    if (!in) {
        return false;
    }
    r->in = NULL;
    (void)in->ops->send_body(in, nothing, true);
    return true;
}

void relay_done(struct relay *r)
{
    r->in = NULL;
    r->out = NULL;
    buf_done(&r->kept);
}
