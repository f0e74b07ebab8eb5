/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/buf.h"

#include "frun/base/stock.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Smaller first steps would reallocate several times within one request head. */
#define BUF_FIRST_BYTES 512

/* Formatted text up to this size needs no memory of its own. */
#define BUF_PRINTF_BYTES 1024

void buf_init(struct buf *b, size_t max_bytes)
{
    *b = (struct buf){.max = max_bytes};
}

void buf_done(struct buf *b)
{
    if (!b) {
        return;
    }
    stock_give(b->data, b->cap);
    buf_init(b, b->max);
}

bool buf_sane(const struct buf *b)
{
    return b->head <= b->tail && b->tail <= b->cap && b->cap <= b->max &&
           (b->data == NULL) == (b->cap == 0);
}

static size_t grown_cap(const struct buf *b, size_t need)
{
    size_t cap = b->cap < BUF_FIRST_BYTES / 2 ? BUF_FIRST_BYTES : b->cap;

    if (b->cap > 0) {
        cap = cap > b->max / 2 ? b->max : cap * 2;
    }
    cap = cap < need ? need : cap;
    return cap > b->max ? b->max : cap;
}

frun_err buf_reserve(struct buf *b, size_t n, char **at)
{
    size_t len = buf_len(b);

    if (n > b->max - len) {
        return FRUN_E_LIMIT;
    }
    if (n > b->cap - b->tail) {
        if (n <= b->cap - len) {
            memmove(b->data, b->data + b->head, len);
        } else {
            size_t cap = grown_cap(b, len + n);
            char *data = stock_take(&cap);
            if (!data) {
                return FRUN_E_NOMEM;
            }
            if (len > 0) {
                memcpy(data, b->data + b->head, len);
            }
            stock_give(b->data, b->cap);
            b->data = data;
            b->cap = cap < b->max ? cap : b->max;
        }
        b->head = 0;
        b->tail = len;
    }
    *at = b->tail > 0 ? b->data + b->tail : b->data;
    return FRUN_OK;
}

frun_err buf_put(struct buf *b, struct span s)
{
    char *at;

    if (s.n == 0) {
        return FRUN_OK;
    }
    frun_err err = buf_reserve(b, s.n, &at);
    if (err) {
        return err;
    }
    memcpy(at, s.p, s.n);
    buf_commit(b, s.n);
    return FRUN_OK;
}

frun_err buf_printf(struct buf *b, const char *fmt, ...)
{
    char small[BUF_PRINTF_BYTES];
    char *text = small;
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(small, sizeof(small), fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n > buf_room(b)) {
        return FRUN_E_LIMIT;
    }
    if ((size_t)n >= sizeof(small)) {
        /* The final NUL must not count against the ceiling, so the text is not made in place. */
        text = malloc((size_t)n + 1);
        if (!text) {
            return FRUN_E_NOMEM;
        }
        va_start(ap, fmt);
        n = vsnprintf(text, (size_t)n + 1, fmt, ap);
        va_end(ap);
    }
    frun_err err = n < 0 ? FRUN_E_LIMIT : buf_put(b, span_make(text, (size_t)n));
    if (text != small) {
        free(text);
    }
    return err;
}

void buf_trim(struct buf *b)
{
    if (buf_len(b) == 0) {
        buf_done(b);
    }
}
