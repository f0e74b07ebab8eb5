/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/gateway/refused.h"

bool refused_is_told(struct refused *r, uint64_t now_ms, unsigned most, size_t *count)
{
    if (r->n_told > 0 && now_ms - r->since_ms >= REFUSED_WINDOW_MS) {
        r->n_told = 0;
    }
    if (r->n_told >= most) {
        r->n_silent++;
        return false;
    }
    if (r->n_told == 0) {
        r->since_ms = now_ms;
    }
    r->n_told++;
    *count = r->n_silent + 1;
    r->n_silent = 0;
    return true;
}
