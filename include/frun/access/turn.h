/**
 * One request's way past the limits: its turn by the pusher's rate, then a place of the pusher's,
 * then one of the endpoint's.
 *
 * Who comes too early waits, because a push that is refused is lost: its senders keep nothing, and
 * some stay away for hours after an error. Waiting ends after the hold time; only then, or when it
 * is certain from the beginning, the request is refused. The order is the same for all, so that no
 * two can wait for each other's places. One worker's; embedded in the exchange.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_ACCESS_TURN_H
#define FRUN_ACCESS_TURN_H

#include "frun/access/quota.h"
#include "frun/loop/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Quotas that a request passes. */
#define TURN_QUOTAS 2

/** What became of it. */
enum turn_result {
    TURN_COME,       /**< go on; turn_end() it when the request has ended */
    TURN_PENDING,    /**< waits; fn will be told */
    TURN_TOO_FAST,   /**< above the rate: refuse, see retry_after_s */
    TURN_TOO_MANY_0, /**< no place in the first quota: refuse */
    TURN_TOO_MANY_1  /**< no place in the second quota: refuse */
};

/** State; zero it and set fn before the first use. */
struct turn {
    void (*fn)(struct turn *t, enum turn_result result); /**< told once after TURN_PENDING */
    struct quota *quotas[TURN_QUOTAS];                   /**< private */
    size_t n_entered;                                    /**< private: places taken */
    struct quota_waiter waiter;                          /**< private */
    struct deadline deadline;                            /**< private */
    struct loop *loop;                                   /**< private */
    size_t *n_waiting;                                   /**< private */
    uint64_t until_ms;      /**< when patience ends, in loop_now_ms() */
    unsigned worker;        /**< private */
    unsigned retry_after_s; /**< on refusal: when to try again, seconds, 1.. */
    bool is_waiting;        /**< TURN_PENDING was said and fn not told yet */
    bool is_paced;          /**< private: the rate has been passed */
};

/** Where and how long a request may wait. */
struct turn_terms {
    struct loop *loop;    /**< the worker's */
    unsigned worker;      /**< its index */
    uint64_t hold_ms;     /**< patience */
    size_t *n_waiting;    /**< the worker's waiting requests, counted here */
    uint64_t max_waiting; /**< ceiling of that; the requests of one second quota come up to three
                             quarters of it, so that a flood of one customer leaves room */
};

/** Prepare once. @param t turn @param fn told the end of waiting. Thread: worker. */
void turn_init(struct turn *t, void (*fn)(struct turn *t, enum turn_result result));

/** Begin. @param t prepared, ended turn @param terms see there @param first quota with the rate
 * @param second quota passed after it @return what became of it. Thread: worker. */
enum turn_result turn_begin(struct turn *t, const struct turn_terms *terms, struct quota *first,
                            struct quota *second);

/** End: places are given back, waiting ends; harmless if not begun. @param t turn. Thread: worker.
 */
void turn_end(struct turn *t);

#endif
