/**
 * When to try again: full jitter between nothing and a doubling ceiling, for ever, reset after a
 * healthy minute.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_TUNNEL_BACKOFF_H
#define FRUN_TUNNEL_BACKOFF_H

#include <stdint.h>

/** State of one thing that is tried again and again. */
struct backoff {
    uint64_t min_ms;   /**< first ceiling */
    uint64_t max_ms;   /**< last ceiling */
    unsigned failures; /**< in a row */
};

/** Begin. @param b state @param min_ms first ceiling, 1.. @param max_ms last ceiling, >= min_ms.
 * Thread: owner. */
void backoff_init(struct backoff *b, uint64_t min_ms, uint64_t max_ms);

/** Count a failure and say how long to wait: uniform in [min_ms / 2, min(max_ms, min_ms *
 * 2^failures)]. @param b state @param at_least_ms what the peer asked for (Retry-After), 0: nothing
 * @return milliseconds. Thread: owner. */
uint64_t backoff_next(struct backoff *b, uint64_t at_least_ms);

/** It worked for @p healthy_ms: forget the failures if that was a minute or more. @param b state
 * @param healthy_ms how long. Thread: owner. */
void backoff_worked(struct backoff *b, uint64_t healthy_ms);

#endif
