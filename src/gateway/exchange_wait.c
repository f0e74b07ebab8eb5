/**
 * Waiting for a road that is away: for how long, and what is said when it does not come.
 *
 * A connector that is restarted says so (GOAWAY), finishes what it has and comes back; its longest
 * request decides when. Meanwhile there is somebody to wait for, so patience (`hold`) runs only
 * from when it has gone, and the wait is at most `hold` and `drain_timeout` together.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange_int.h"
#include "frun/gateway/reply.h"
#include "frun/gateway/route.h"
#include "frun/gateway/worker.h"

/* Looks within `hold`: what has gone right behind one of them is still waited for, three quarters
 * of `hold` at least. */
#define LOOKS 4

static uint64_t hold_of(const struct exchange *x)
{
    uint64_t hold_ms = x->w->conf->gateway->hold_ms;
    return x->errand && x->errand->hold_ms < hold_ms ? x->errand->hold_ms : hold_ms;
}

static void arm(struct exchange *x, uint64_t now_ms)
{
    uint64_t left_ms = x->hold_until_ms > now_ms ? x->hold_until_ms - now_ms : 1;
    uint64_t look_ms = hold_of(x) / LOOKS + 1;
    deadline_set(x->w->loop, &x->deadline, left_ms < look_ms ? left_ms : look_ms);
}

void exchange_wait(struct exchange *x)
{
    uint64_t now_ms = loop_now_ms(x->w->loop);
    if (!x->hold_until_ms) {
        x->hold_until_ms = now_ms + hold_of(x);
    }
    if (x->w->n_waiting >= x->w->conf->gateway->max_waiting) {
        exchange_reply(
            x,
            &(struct reply){
                .status = 503,
                .error = "destination_unavailable",
                .detail = "Focused Run cannot be reached now, and too many requests wait for that "
                          "already (max_waiting)",
                .retry_after_s = EXCHANGE_RETRY_S});
        return;
    }
    x->route->ops->wait(x->route, &x->hub_waiter);
    x->state = EXCHANGE_STATE_WAITING;
    x->w->n_waiting++;
    list_append(&x->w->held, &x->held);
    exchange_read_ahead(x);
    if (x->state == EXCHANGE_STATE_WAITING) {
        arm(x, now_ms);
    }
}

bool exchange_waits_on(struct exchange *x)
{
    const struct conf_gateway *g = x->w->conf->gateway;
    const struct route_ops *ops = x->route->ops;
    uint64_t now_ms = loop_now_ms(x->w->loop);
    if (!x->errand && ops->is_expected && ops->is_expected(x->route)) {
        uint64_t end_ms = x->begun_us / 1000 + g->hold_ms + g->drain_timeout_ms;
        uint64_t until_ms = now_ms + g->hold_ms < end_ms ? now_ms + g->hold_ms : end_ms;
        x->hold_until_ms = until_ms > x->hold_until_ms ? until_ms : x->hold_until_ms;
    }
    if (now_ms >= x->hold_until_ms) {
        return false;
    }
    arm(x, now_ms);
    return true;
}
