/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/tunnel/backoff.h"

#include "frun/base/mono.h"

/** Service of this length forgives all earlier failures, milliseconds. */
#define BACKOFF_HEALTHY_MS 60000

void backoff_init(struct backoff *b, uint64_t min_ms, uint64_t max_ms)
{
    *b = (struct backoff){.min_ms = min_ms ? min_ms : 1, .max_ms = max_ms};
    if (b->max_ms < b->min_ms) {
        b->max_ms = b->min_ms;
    }
}

/* min_ms doubled once per earlier failure, without overflow. */
static uint64_t ceiling_ms(const struct backoff *b)
{
    uint64_t ms = b->min_ms;

    for (unsigned i = 0; i < b->failures && ms < b->max_ms; i++) {
        ms = ms > b->max_ms / 2 ? b->max_ms : ms * 2;
    }
    return ms;
}

uint64_t backoff_next(struct backoff *b, uint64_t at_least_ms)
{
    uint64_t floor_ms = b->min_ms / 2;
    uint64_t wait_ms = floor_ms + mono_entropy_below(ceiling_ms(b) - floor_ms + 1);

    if (b->failures < 64) {
        b->failures++;
    }
    if (wait_ms >= at_least_ms) {
        return wait_ms;
    }
    /* A thousand connectors are told the same Retry-After: spread them behind it, never before. */
    return at_least_ms + mono_entropy_below(b->min_ms);
}

void backoff_worked(struct backoff *b, uint64_t healthy_ms)
{
    if (healthy_ms >= BACKOFF_HEALTHY_MS) {
        b->failures = 0;
    }
}
