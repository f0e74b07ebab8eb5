/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/http/uri.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool is_so)
{
    if (!is_so) {
        abort();
    }
}

static unsigned digit(char c)
{
    return c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a') + 10;
}

/* Decode every escape, as a careless server does. */
static size_t decode(struct span s, char *out)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '%' && i + 2 < s.n) {
            out[n++] = (char)(digit(s.p[i + 1]) << 4 | digit(s.p[i + 2]));
            i += 2;
        } else {
            out[n++] = s.p[i];
        }
    }
    return n;
}

/* However it is decoded, a path that was accepted has the segments that we see. */
static void path_is_plain(struct span path)
{
    char *text = malloc(path.n + 1);
    size_t slashes = 0;
    size_t n;
    size_t start = 1;

    must(text != NULL && path.n > 0 && path.p[0] == '/');
    n = decode(path, text);
    for (size_t i = 0; i < path.n; i++) {
        slashes += path.p[i] == '/';
    }
    for (size_t i = 0; i < n; i++) {
        slashes -= text[i] == '/';
        must(text[i] != '\\' && (unsigned char)text[i] >= 0x20 && text[i] != 0x7f);
        must(text[i] != '/' || i == 0 || text[i - 1] != '/');
    }
    must(slashes == 0);
    for (size_t i = 1; i <= n; i++) {
        if (i == n || text[i] == '/') {
            struct span seg = span_make(text + start, i - start);
            struct span name = span_head(seg, span_find(seg, ';'));

            must(!span_eq(name, SPAN_LIT(".")) && !span_eq(name, SPAN_LIT("..")));
            /* A server that cuts parameters off must not be left with an empty segment. */
            must(name.n > 0 || seg.n == 0);
            start = i + 1;
        }
    }
    free(text);
}

static bool is_logon_key(struct span key, void *ctx)
{
    return uri_key_is(key, span_of(ctx));
}

static void query_is_dropped(struct span query)
{
    char name[] = "sap-user";
    struct arena a;
    struct span rest;
    struct span again;

    arena_init(&a, 1048576);
    if (!uri_query_drop(query, is_logon_key, name, &a, &rest)) {
        must(rest.n <= query.n);
        must(!uri_query_drop(rest, is_logon_key, name, &a, &again));
        must(again.p == rest.p && again.n == rest.n);
    }
    arena_done(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = span_make(data, size);
    size_t cut = span_find(in, '\n');
    /* "target" or "target LF host" */
    struct span host = cut < in.n ? span_skip(in, cut + 1) : SPAN_LIT("a");
    struct uri u = {0};
    struct uri again = {0};
    const char *why = NULL;

    query_is_dropped(in);
    if (uri_parse(span_head(in, cut), host, &u, &why)) {
        must(why != NULL);
        return 0;
    }
    path_is_plain(u.path);
    /* One canonical form: the path alone is taken as itself. */
    must(!uri_parse(u.path, host, &again, &why) && span_eq(u.path, again.path) && !again.query.p);
    must(uri_is_under(u.path, SPAN_LIT("/")));
    if (u.authority.p) {
        must(uri_is_authority(host, NULL, NULL) && uri_is_authority(u.authority, NULL, NULL));
    }
    query_is_dropped(u.query);
    return 0;
}
