/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/http/body.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The outcome of one reading: equal for every way the octets came in. */
struct outcome {
    frun_err err;
    bool is_done;
    size_t used;
    uint64_t hash;
    uint64_t seen;
};

static void must(bool is_so)
{
    if (!is_so) {
        abort();
    }
}

/* Octets come step at a time, and are used at most max_take at a time. */
static struct outcome read_all(const struct head *h, struct span in, size_t step, size_t max_take)
{
    struct outcome o = {.hash = 14695981039346656037U};
    struct body_reader r;
    size_t end = 0;

    body_begin(&r, h);
    while (!o.err && !body_is_done(&r) && (end < in.n || o.used < end)) {
        struct span content;
        size_t framing;

        if (o.used == end) {
            end = end + step < in.n ? end + step : in.n;
        }
        o.err = body_look(&r, span_make(in.p + o.used, end - o.used), &framing, &content);
        if (o.err) {
            break;
        }
        must(framing + content.n <= end - o.used);
        must(framing + content.n > 0 || body_is_done(&r));
        o.used += framing;
        must(content.n == 0 || content.p == in.p + o.used);
        content.n = content.n < max_take ? content.n : max_take;
        for (size_t i = 0; i < content.n; i++) {
            o.hash = (o.hash ^ (unsigned char)content.p[i]) * 1099511628211U;
        }
        body_take(&r, content.n);
        o.used += content.n;
    }
    o.is_done = body_is_done(&r);
    o.seen = r.seen_bytes;
    if (o.err) {
        o.used = 0; /* how far a piece was looked at before the fault depends on the piece */
    }
    must(r.extra_bytes <= BODY_MAX_EXTRA_BYTES || o.err == FRUN_E_LIMIT);
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct head kinds[] = {{.body = HEAD_BODY_CHUNKED},
                                        {.body = HEAD_BODY_LENGTH, .body_len_bytes = 7},
                                        {.body = HEAD_BODY_UNTIL_CLOSE},
                                        {.body = HEAD_BODY_NONE}};
    struct span in = span_make(data, size);

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct outcome at_once = read_all(&kinds[i], in, size, SIZE_MAX);

        for (size_t step = 1; step <= 3; step++) {
            struct outcome o = read_all(&kinds[i], in, step, step == 2 ? 1 : SIZE_MAX);

            must(o.err == at_once.err && o.is_done == at_once.is_done && o.used == at_once.used &&
                 o.hash == at_once.hash && o.seen == at_once.seen);
        }
    }
    return 0;
}
