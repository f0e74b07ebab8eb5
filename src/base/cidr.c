/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/cidr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

/* Are the first bits of two addresses the same? */
static bool is_same(const unsigned char *a, const unsigned char *b, unsigned bits)
{
    unsigned whole = bits / 8;
    unsigned rest = bits % 8;
    if (memcmp(a, b, whole) != 0) {
        return false;
    }
    return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

frun_err cidr_parse(struct span text, struct cidr *out)
{
    static const unsigned char zero[16];
    struct cidr c = {.bits = 0};
    char name[INET6_ADDRSTRLEN];
    size_t slash = span_find(text, '/');
    if (slash == 0 || slash >= sizeof(name)) {
        return FRUN_E_SYNTAX;
    }
    memcpy(name, text.p, slash);
    name[slash] = '\0';
    if (memchr(name, '\0', slash)) {
        return FRUN_E_SYNTAX;
    }
    c.is_v6 = inet_pton(AF_INET, name, c.net) != 1;
    if (c.is_v6 && inet_pton(AF_INET6, name, c.net) != 1) {
        return FRUN_E_SYNTAX;
    }
    uint64_t bits = c.is_v6 ? 128 : 32;
    if (slash < text.n) {
        uint64_t most = bits;
        struct span number = span_skip(text, slash + 1);
        if (number.n > 3 || span_to_u64(number, &bits)) {
            return FRUN_E_SYNTAX;
        }
        if (bits > most) {
            return FRUN_E_LIMIT;
        }
    }
    c.bits = (unsigned)bits;
    /* 10.1.2.3/8 is a slip: which of the two was meant decides whom we believe. */
    struct cidr kept = c;
    for (unsigned i = 0; i < sizeof(kept.net); i++) {
        unsigned at = i * 8;
        unsigned mask = at + 8 <= c.bits ? 0U : at >= c.bits ? 0xffU : 0xffU >> (c.bits - at);
        kept.net[i] = (unsigned char)(kept.net[i] & mask);
    }
    if (memcmp(kept.net, zero, sizeof(zero)) != 0) {
        return FRUN_E_LIMIT;
    }
    *out = c;
    return FRUN_OK;
}

bool cidr_any_has(const struct cidr *nets, size_t n, const struct sockaddr_storage *a)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)a;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)a;
    unsigned char at[16] = {0};
    bool is_v6 = a->ss_family == AF_INET6;
    if (a->ss_family == AF_INET) {
        memcpy(at, &v4->sin_addr, 4);
    } else if (is_v6 && IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
        memcpy(at, (const unsigned char *)&v6->sin6_addr + 12, 4);
        is_v6 = false;
    } else if (is_v6) {
        memcpy(at, &v6->sin6_addr, 16);
    } else {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (nets[i].is_v6 == is_v6 && is_same(nets[i].net, at, nets[i].bits)) {
            return true;
        }
    }
    return false;
}
