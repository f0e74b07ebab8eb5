/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/stock.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__)
#define STOCK_KEEPS false
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define STOCK_KEEPS false
#endif
#endif
#ifndef STOCK_KEEPS
#define STOCK_KEEPS true
#endif

/* Octets of the blocks of each class, ascending: powers of two, the larger ones with room for what
 * TLS adds to so many octets. Smaller blocks malloc() has at hand itself: glibc's keeps freed ones
 * of up to 1032 octets for the thread, and looks for a place, or a neighbour to join, above that.
 */
static const size_t sizes[] = {1024, 2048, 4096, 8192, STOCK_RECORD_BYTES, 34816, 69632, 139264};

#define CLASSES (sizeof(sizes) / sizeof(sizes[0]))

/* A block nobody uses. */
struct spare {
    struct spare *next;
};

/* The stock of one thread. */
struct stock {
    struct spare *first[CLASSES];
    size_t count[CLASSES];
    size_t least[CLASSES]; /* smallest count since the last stock_trim() */
    size_t bytes;
    bool is_known; /* the thread's end will empty it */
};

static _Thread_local struct stock mine;

static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool has_key; /* written once */

/* First class whose blocks hold n octets, or CLASSES. */
static size_t class_of(size_t n)
{
    size_t c = 0;

    if (!STOCK_KEEPS || n <= sizes[0] / 2) {
        return CLASSES;
    }
    while (c < CLASSES && sizes[c] < n) {
        c++;
    }
    return c;
}

static void drop(struct stock *s, size_t c, size_t n)
{
    for (; n > 0; n--) {
        struct spare *b = s->first[c];

        s->first[c] = b->next;
        s->count[c]--;
        s->bytes -= sizes[c];
        free(b);
    }
}

static void on_thread_end(void *arg)
{
    struct stock *s = arg;

    for (size_t c = 0; c < CLASSES; c++) {
        drop(s, c, s->count[c]);
    }
    s->is_known = false;
}

static void make_key(void)
{
    has_key = pthread_key_create(&key, on_thread_end) == 0;
}

/* Will the thread's end empty its stock? Else nothing may be kept in it. */
static bool know(struct stock *s)
{
    if (!s->is_known) {
        (void)pthread_once(&key_once, make_key);
        s->is_known = has_key && pthread_setspecific(key, s) == 0;
    }
    return s->is_known;
}

void *stock_take(size_t *n)
{
    struct stock *s = &mine;
    size_t c = class_of(*n);

    if (c == CLASSES) {
        return malloc(*n);
    }
    struct spare *b = s->first[c];
    if (b) {
        s->first[c] = b->next;
        s->bytes -= sizes[c];
        if (--s->count[c] < s->least[c]) {
            s->least[c] = s->count[c];
        }
    } else {
        b = malloc(sizes[c]);
    }
    if (b) {
        *n = sizes[c];
    }
    return b;
}

void stock_give(void *p, size_t n)
{
    struct stock *s = &mine;
    size_t c = p ? class_of(n) : CLASSES;

    if (c == CLASSES || s->bytes + sizes[c] > STOCK_MAX_BYTES || !know(s)) {
        free(p);
        return;
    }
    struct spare *b = p;
    b->next = s->first[c];
    s->first[c] = b;
    s->count[c]++;
    s->bytes += sizes[c];
}

void stock_trim(void)
{
    struct stock *s = &mine;

    for (size_t c = 0; c < CLASSES; c++) {
        drop(s, c, s->least[c]);
        s->least[c] = s->count[c];
    }
}

size_t stock_spare_bytes(void)
{
    return mine.bytes;
}
