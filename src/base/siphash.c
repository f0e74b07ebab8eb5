/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/siphash.h"

#include "frun/base/span.h"

#include <endian.h>
#include <string.h>

static inline uint64_t turn(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

/* One SipRound, n times. */
static inline void mix(uint64_t v[4], int n)
{
    for (; n > 0; n--) {
        v[0] += v[1];
        v[2] += v[3];
        v[1] = turn(v[1], 13) ^ v[0];
        v[3] = turn(v[3], 16) ^ v[2];
        v[0] = turn(v[0], 32);
        v[2] += v[1];
        v[0] += v[3];
        v[1] = turn(v[1], 17) ^ v[2];
        v[3] = turn(v[3], 21) ^ v[0];
        v[2] = turn(v[2], 32);
    }
}

static inline void take(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    mix(v, 2);
    v[0] ^= word;
}

static inline uint64_t word_at(const char *p)
{
    return span_load8(p, 8);
}

void siphash_init(struct siphash *h, const unsigned char key[SIPHASH_KEY_BYTES])
{
    const char *p = span_make(key, SIPHASH_KEY_BYTES).p;
    uint64_t k0 = word_at(p);
    uint64_t k1 = word_at(p + 8);

    *h = (struct siphash){.v = {k0 ^ 0x736f6d6570736575U, k1 ^ 0x646f72616e646f6dU ^ 0xee,
                                k0 ^ 0x6c7967656e657261U, k1 ^ 0x7465646279746573U}};
}

void siphash_update(struct siphash *h, const void *p, size_t n)
{
    struct span s = span_make(p, n);
    size_t kept = h->length % 8;

    h->length += n;
    if (kept > 0) {
        size_t room = 8 - kept;
        size_t some = s.n < room ? s.n : room;

        h->rest |= span_load8(s.p, some) << 8 * kept;
        if (some < room) {
            return;
        }
        take(h->v, h->rest);
        s = span_skip(s, some);
    }
    for (; s.n >= 8; s = span_skip(s, 8)) {
        take(h->v, word_at(s.p));
    }
    h->rest = span_load8(s.p, s.n);
}

void siphash_final(struct siphash *h, unsigned char out[SIPHASH_BYTES])
{
    uint64_t half[2];

    take(h->v, h->rest | h->length << 56);
    h->v[2] ^= 0xee;
    mix(h->v, 4);
    half[0] = htole64(h->v[0] ^ h->v[1] ^ h->v[2] ^ h->v[3]);
    h->v[1] ^= 0xdd;
    mix(h->v, 4);
    half[1] = htole64(h->v[0] ^ h->v[1] ^ h->v[2] ^ h->v[3]);
    memcpy(out, half, sizeof(half));
}
