/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/mono.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

/* Random octets drawn at once, for draws up to the smaller size. */
#define ENTROPY_STOCK_BYTES 1024
#define ENTROPY_SMALL_BYTES 32

/* Milliseconds, time zone and NUL of a wall clock text: ".123Z". */
#define WALL_REST_BYTES 6

uint64_t mono_now_us(void)
{
    struct timespec ts = {0};

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t mono_now_ms(void)
{
    return mono_now_us() / 1000;
}

uint64_t mono_wall_ms(void)
{
    struct timespec ts = {0};

    (void)clock_gettime(CLOCK_REALTIME, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void mono_wall_text_of(uint64_t wall_ms, char out[MONO_WALL_TEXT_BYTES])
{
    /* Calendars are dear, and most lines of a busy second share it. */
    static _Thread_local char text[MONO_WALL_TEXT_BYTES];
    static _Thread_local size_t text_len;
    static _Thread_local time_t second;
    time_t now = (time_t)(wall_ms / 1000);

    if (text_len == 0 || now != second) {
        struct tm parts = {0};
        (void)gmtime_r(&now, &parts);
        text_len = strftime(text, sizeof(text) - WALL_REST_BYTES, "%Y-%m-%dT%H:%M:%S", &parts);
        second = now;
    }
    unsigned ms = (unsigned)(wall_ms % 1000);
    const char rest[WALL_REST_BYTES] = {'.', (char)('0' + ms / 100), (char)('0' + ms / 10 % 10),
                                        (char)('0' + ms % 10), 'Z'};
    memcpy(out, text, text_len);
    memcpy(out + text_len, rest, sizeof(rest));
}

void mono_wall_text(char out[MONO_WALL_TEXT_BYTES])
{
    mono_wall_text_of(mono_wall_ms(), out);
}

static void draw(char *at, size_t n)
{
    while (n > 0) {
        ssize_t got = getrandom(at, n, 0);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            /* Going on with guessable identifiers and back-off would be worse than stopping. */
            abort();
        }
        at += got;
        n -= (size_t)got;
    }
}

void mono_entropy(void *p, size_t n)
{
    /* Each request needs a few octets: one system call serves several of them. */
    static _Thread_local char stock[ENTROPY_STOCK_BYTES];
    static _Thread_local size_t left;

    if (n == 0) {
        return;
    }
    if (n > ENTROPY_SMALL_BYTES) {
        draw(p, n);
        return;
    }
    if (left < n) {
        draw(stock, sizeof(stock));
        left = sizeof(stock);
    }
    left -= n;
    memcpy(p, stock + left, n);
    /* Given once: what is used must not be found in memory later. */
    memset(stock + left, 0, n);
}

uint64_t mono_entropy_below(uint64_t limit)
{
    /* Values under this one would make small results likelier; they are drawn again. */
    uint64_t first_fair = limit > 1 ? (0 - limit) % limit : 0;
    uint64_t v;

    if (limit <= 1) {
        return 0;
    }
    do {
        mono_entropy(&v, sizeof(v));
    } while (v < first_fair);
    return v % limit;
}
