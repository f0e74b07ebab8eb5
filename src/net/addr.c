/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/net/addr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

/* Longest host name in a host:port text (RFC 1035 2.3.4). */
#define MAX_HOST_BYTES 253

static const struct sockaddr_in *as_v4(const struct addr *a)
{
    return (const struct sockaddr_in *)(const void *)&a->ss;
}

static const struct sockaddr_in6 *as_v6(const struct addr *a)
{
    return (const struct sockaddr_in6 *)(const void *)&a->ss;
}

static bool is_v6_text(struct span s)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr in;
    if (s.n == 0 || s.n >= sizeof(text)) {
        return false;
    }
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    return inet_pton(AF_INET6, text, &in) == 1;
}

/* Cut at the colon before the port. A host with colons must stand in brackets: "::1:80" could mean
 * two things. */
static frun_err cut(struct span text, struct span *host, unsigned *port)
{
    struct span rest;
    struct span name;
    if (text.n > 0 && text.p[0] == '[') {
        size_t close = span_find(text, ']');
        if (close == text.n) {
            return FRUN_E_SYNTAX;
        }
        name = span_make(text.p + 1, close - 1);
        rest = span_skip(text, close + 1);
        if (!is_v6_text(name)) {
            return FRUN_E_SYNTAX;
        }
    } else {
        size_t colon = span_find(text, ':');
        name = span_head(text, colon);
        rest = span_skip(text, colon);
    }
    if (name.n == 0 || name.n > MAX_HOST_BYTES || rest.n < 2 || rest.n > 6 || rest.p[0] != ':') {
        return FRUN_E_SYNTAX;
    }
    uint64_t number;
    if (span_to_u64(span_skip(rest, 1), &number) || number > 65535) {
        return FRUN_E_SYNTAX;
    }
    *host = name;
    *port = (unsigned)number;
    return FRUN_OK;
}

frun_err addr_split(struct span text, struct span *host, unsigned *port)
{
    struct span name;
    unsigned number;
    frun_err err = cut(text, &name, &number);
    if (err) {
        return err;
    }
    if (number == 0) {
        return FRUN_E_SYNTAX;
    }
    for (size_t i = 0; i < name.n; i++) {
        if ((unsigned char)name.p[i] <= ' ' || name.p[i] == 0x7f) {
            return FRUN_E_SYNTAX;
        }
    }
    *host = name;
    *port = number;
    return FRUN_OK;
}

frun_err addr_parse(const char *text, struct addr *out)
{
    struct span host;
    unsigned port;
    char name[INET6_ADDRSTRLEN];
    frun_err err = cut(span_of(text), &host, &port);
    if (err) {
        return err;
    }
    if (host.n >= sizeof(name)) {
        return FRUN_E_SYNTAX;
    }
    memcpy(name, host.p, host.n);
    name[host.n] = '\0';

    struct addr a = {0};
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)&a.ss;
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)&a.ss;
    if (strcmp(name, "*") == 0) {
        v6->sin6_addr = in6addr_any;
    } else if (text[0] != '[') {
        if (inet_pton(AF_INET, name, &v4->sin_addr) != 1) {
            return FRUN_E_SYNTAX;
        }
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        a.len = sizeof(*v4);
        *out = a;
        return FRUN_OK;
    } else if (inet_pton(AF_INET6, name, &v6->sin6_addr) != 1) {
        return FRUN_E_SYNTAX;
    }
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons((uint16_t)port);
    a.len = sizeof(*v6);
    *out = a;
    return FRUN_OK;
}

void addr_host_text(const struct addr *a, char out[ADDR_TEXT_BYTES])
{
    const char *done = NULL;
    if (a->ss.ss_family == AF_INET) {
        done = inet_ntop(AF_INET, &as_v4(a)->sin_addr, out, ADDR_TEXT_BYTES);
    } else if (a->ss.ss_family == AF_INET6) {
        const struct in6_addr *in = &as_v6(a)->sin6_addr;
        if (IN6_IS_ADDR_V4MAPPED(in)) {
            done = inet_ntop(AF_INET, &in->s6_addr[12], out, ADDR_TEXT_BYTES);
        } else {
            done = inet_ntop(AF_INET6, in, out, ADDR_TEXT_BYTES);
        }
    }
    if (!done) {
        (void)snprintf(out, ADDR_TEXT_BYTES, "unknown");
    }
}

void addr_text(const struct addr *a, char out[ADDR_TEXT_BYTES])
{
    char host[ADDR_TEXT_BYTES];
    addr_host_text(a, host);
    /* The longest IPv6 text is 45 octets: with brackets and port it fits. */
    (void)snprintf(out, ADDR_TEXT_BYTES, strchr(host, ':') ? "[%.48s]:%u" : "%.48s:%u", host,
                   addr_port(a));
}

bool addr_same(const struct addr *a, const struct addr *b)
{
    if (a->ss.ss_family != b->ss.ss_family || addr_port(a) != addr_port(b)) {
        return false;
    }
    if (a->ss.ss_family == AF_INET) {
        return as_v4(a)->sin_addr.s_addr == as_v4(b)->sin_addr.s_addr;
    }
    return a->ss.ss_family == AF_INET6 && as_v6(a)->sin6_scope_id == as_v6(b)->sin6_scope_id &&
           memcmp(&as_v6(a)->sin6_addr, &as_v6(b)->sin6_addr, sizeof(as_v6(a)->sin6_addr)) == 0;
}

unsigned addr_port(const struct addr *a)
{
    if (a->ss.ss_family == AF_INET) {
        return ntohs(as_v4(a)->sin_port);
    }
    if (a->ss.ss_family == AF_INET6) {
        return ntohs(as_v6(a)->sin6_port);
    }
    return 0;
}
