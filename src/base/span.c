/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/span.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct span span_trim(struct span s)
{
    while (s.n > 0 && is_blank(s.p[0])) {
        s = span_skip(s, 1);
    }
    while (s.n > 0 && is_blank(s.p[s.n - 1])) {
        s.n--;
    }
    return s;
}

bool span_split(struct span *rest, char sep, struct span *part)
{
    if (!rest->p) {
        return false;
    }
    size_t at = span_find(*rest, sep);
    *part = span_head(*rest, at);
    *rest = at < rest->n ? span_skip(*rest, at + 1) : (struct span){NULL, 0};
    return true;
}

frun_err span_to_u64(struct span s, uint64_t *out)
{
    uint64_t v = 0;
    bool is_over = false;

    if (s.n == 0) {
        return FRUN_E_SYNTAX;
    }
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') {
            return FRUN_E_SYNTAX;
        }
        uint64_t digit = (uint64_t)(s.p[i] - '0');
        is_over = is_over || v > (UINT64_MAX - digit) / 10;
        v = is_over ? 0 : v * 10 + digit;
    }
    if (is_over) {
        return FRUN_E_LIMIT;
    }
    *out = v;
    return FRUN_OK;
}
