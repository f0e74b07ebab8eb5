/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/http/uri.h"

#include "chars_int.h"
#include "uri_int.h"

#include <arpa/inet.h>

#define HOST_MAX_BYTES 255

static bool is_escape(struct span s, size_t i)
{
    return i + 2 < s.n && s.p[i] == '%' && chars_is(s.p[i + 1], CHARS_HEX) &&
           chars_is(s.p[i + 2], CHARS_HEX);
}

static unsigned escape_value(struct span s, size_t i)
{
    return chars_hex(s.p[i + 1]) << 4 | chars_hex(s.p[i + 2]);
}

/* Escaped octets from 0x80 up must be UTF-8 of the shortest form: a reader that takes longer forms
 * would see '/' or '.' in them. *i stands on the first escape and moves to the last. */
static bool is_utf8_escape(struct span s, size_t *i)
{
    unsigned lead = escape_value(s, *i);
    unsigned min = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    unsigned max = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    int more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;

    if (lead < 0xc2 || lead > 0xf4) {
        return false;
    }
    for (; more > 0; more--) {
        unsigned next;

        *i += 3;
        if (!is_escape(s, *i)) {
            return false;
        }
        next = escape_value(s, *i);
        if (next < min || next > max) {
            return false;
        }
        min = 0x80;
        max = 0xbf;
    }
    return true;
}

/* One escape in a path; NULL if it may stand, else why not. */
static const char *check_escape(struct span path, size_t *i)
{
    unsigned v;

    if (!is_escape(path, *i)) {
        return "bad percent escape in the path";
    }
    v = escape_value(path, *i);
    if (v >= 0x80) {
        return is_utf8_escape(path, i) ? NULL : "escaped octets in the path are not UTF-8";
    }
    if (v < 0x20 || v == 0x7f) {
        return "escaped control character in the path";
    }
    if (v == '/' || v == '\\') {
        return "escaped slash or backslash in the path";
    }
    if (chars_is((char)v, CHARS_UNRESERVED)) {
        return "escaped unreserved character in the path";
    }
    if (v == '%' && *i + 4 < path.n && chars_is(path.p[*i + 3], CHARS_HEX) &&
        chars_is(path.p[*i + 4], CHARS_HEX)) {
        return "escaped percent escape in the path";
    }
    *i += 2;
    return NULL;
}

/* One segment without its slashes; parameters begin at ';', plain or escaped. */
static const char *check_segment(struct span seg)
{
    size_t n = span_find(seg, ';');

    for (size_t i = 0; i + 2 < n; i++) {
        if (seg.p[i] == '%' && seg.p[i + 1] == '3' && (seg.p[i + 2] | 0x20) == 'b') {
            n = i;
        }
    }
    if (n == 0 && seg.n > 0) {
        return "empty segment with a parameter in the path";
    }
    if ((n == 1 && seg.p[0] == '.') || (n == 2 && seg.p[0] == '.' && seg.p[1] == '.')) {
        return "dot segment in the path";
    }
    return NULL;
}

static const char *check_path(struct span path)
{
    size_t seg = 1;
    const char *why = NULL;

    for (size_t i = 1; i <= path.n && !why; i++) {
        if (i == path.n || path.p[i] == '/') {
            if (i < path.n && i == seg) {
                return "empty segment in the path";
            }
            why = check_segment(span_make(path.p + seg, i - seg));
            seg = i + 1;
        } else if (path.p[i] == '%') {
            why = check_escape(path, &i);
        } else if (!chars_is(path.p[i], CHARS_PATH)) {
            why = "character in the path that needs escaping";
        }
    }
    return why;
}

static const char *check_query(struct span query)
{
    for (size_t i = 0; i < query.n; i++) {
        if (!chars_is(query.p[i], CHARS_TARGET)) {
            return "character in the query that needs escaping";
        }
        if (query.p[i] == '%' && (!is_escape(query, i) || escape_value(query, i) == 0)) {
            return "bad percent escape in the query";
        }
    }
    return NULL;
}

static bool same_authority(struct span a, struct span b, unsigned default_port)
{
    struct span host_a;
    struct span host_b;
    unsigned port_a;
    unsigned port_b;

    return uri_is_authority(a, &host_a, &port_a) && uri_is_authority(b, &host_b, &port_b) &&
           span_eq_nocase(host_a, host_b) &&
           (port_a ? port_a : default_port) == (port_b ? port_b : default_port);
}

/* Cut scheme and authority off an absolute-form target. */
static const char *cut_absolute(struct span *rest, struct span host, struct uri *u)
{
    unsigned port = 0;
    size_t n = 0;

    if (span_starts_nocase(*rest, SPAN_LIT("http://"))) {
        port = 80;
        *rest = span_skip(*rest, 7);
    } else if (span_starts_nocase(*rest, SPAN_LIT("https://"))) {
        port = 443;
        *rest = span_skip(*rest, 8);
    } else {
        return "the target is neither a path nor an http or https URL";
    }
    while (n < rest->n && rest->p[n] != '/' && rest->p[n] != '?') {
        n++;
    }
    u->authority = span_head(*rest, n);
    *rest = span_skip(*rest, n);
    if (!same_authority(u->authority, host, port)) {
        return "the target's host is not the Host field's";
    }
    if (rest->n == 0) {
        *rest = SPAN_LIT("/");
    }
    return NULL;
}

frun_err uri_parse(struct span target, struct span host, struct uri *out, const char **why)
{
    struct uri u = {0};
    struct span rest = target;
    const char *bad = NULL;
    size_t n;

    if (rest.n == 0 || rest.p[0] != '/') {
        bad = cut_absolute(&rest, host, &u);
    }
    if (!bad && (rest.n == 0 || rest.p[0] != '/')) {
        bad = "the path does not begin with a slash";
    }
    if (!bad) {
        n = span_find(rest, '?');
        u.path = span_head(rest, n);
        if (n < rest.n) {
            u.query = span_skip(rest, n + 1);
        }
        bad = check_path(u.path);
    }
    if (!bad) {
        bad = check_query(u.query);
    }
    if (bad) {
        *why = bad;
        return FRUN_E_SYNTAX;
    }
    *out = u;
    return FRUN_OK;
}

bool uri_is_under(struct span path, struct span root)
{
    if (root.n == 1 && root.p[0] == '/') {
        return path.n > 0 && path.p[0] == '/';
    }
    return root.n > 0 && span_starts(path, root) && (path.n == root.n || path.p[root.n] == '/');
}

static bool is_port(struct span s, unsigned *port)
{
    unsigned v = 0;

    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') {
            return false;
        }
        v = v * 10 + (unsigned)(s.p[i] - '0');
        if (v > 65535) {
            return false;
        }
    }
    *port = v;
    return s.n > 0 && s.n <= 5 && v > 0;
}

static bool is_ipv6(struct span s)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr addr;

    if (s.n == 0 || s.n >= sizeof(text)) {
        return false;
    }
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    return inet_pton(AF_INET6, text, &addr) == 1;
}

bool uri_is_authority(struct span s, struct span *host, unsigned *port)
{
    size_t n = 0;
    unsigned number = 0;

    if (s.n > 0 && s.p[0] == '[') {
        n = span_find(s, ']');
        if (n == s.n || !is_ipv6(span_make(s.p + 1, n - 1))) {
            return false;
        }
        n++;
    } else {
        while (n < s.n && chars_is(s.p[n], CHARS_UNRESERVED) && s.p[n] != '~') {
            n++;
        }
        if (n == 0 || n > HOST_MAX_BYTES || s.p[0] == '.' || s.p[0] == '-') {
            return false;
        }
    }
    if (n < s.n && (s.p[n] != ':' || !is_port(span_skip(s, n + 1), &number))) {
        return false;
    }
    if (host) {
        *host = span_head(s, n);
    }
    if (port) {
        *port = number;
    }
    return true;
}

/* Length of the part at the front of the list. */
static size_t part_len(struct span list, const char *seps)
{
    size_t n = 0;

    while (n < list.n && list.p[n] != seps[0] && list.p[n] != seps[1]) {
        n++;
    }
    return n;
}

/* Copy the parts that stay, each behind the separator it had, the first without. */
static struct span copy_kept(const struct uri_list *l, char *to)
{
    size_t len = 0;
    bool is_first = true;

    for (size_t pos = 0; pos <= l->list.n;) {
        struct span rest = span_skip(l->list, pos);
        struct span part = span_head(rest, part_len(rest, l->seps));

        if (!l->is_dropped(span_head(part, span_find(part, '=')), l->ctx)) {
            size_t sep = is_first ? 0 : 1;

            memcpy(to + len, part.p - sep, part.n + sep);
            len += part.n + sep;
            is_first = false;
        }
        pos += part.n + 1;
    }
    return is_first ? (struct span){0} : span_make(to, len);
}

frun_err uri_list_drop(const struct uri_list *l, struct arena *a, struct span *out)
{
    bool any = false;
    char *to;

    for (size_t pos = 0; l->list.p && pos <= l->list.n && !any;) {
        struct span rest = span_skip(l->list, pos);
        struct span part = span_head(rest, part_len(rest, l->seps));

        any = l->is_dropped(span_head(part, span_find(part, '=')), l->ctx);
        pos += part.n + 1;
    }
    if (!any) {
        *out = l->list;
        return FRUN_OK;
    }
    to = arena_alloc(a, l->list.n + 1);
    if (!to) {
        return FRUN_E_NOMEM;
    }
    *out = copy_kept(l, to);
    return FRUN_OK;
}

frun_err uri_query_drop(struct span query, uri_key_fn is_dropped, void *ctx, struct arena *a,
                        struct span *out)
{
    const struct uri_list l = {query, "&;", is_dropped, ctx};

    return uri_list_drop(&l, a, out);
}

static char fold(char c)
{
    return c == '_' ? '-' : chars_lower(c);
}

/* The decoded octet at *i, which moves behind it. */
static char next_decoded(struct span s, size_t *i)
{
    if (is_escape(s, *i)) {
        char c = (char)escape_value(s, *i);

        *i += 3;
        return c;
    }
    *i += 1;
    return (char)(s.p[*i - 1] == '+' ? ' ' : s.p[*i - 1]);
}

bool uri_key_is(struct span key, struct span name)
{
    size_t i = 0;
    size_t k = 0;
    bool is_inside = false;

    /* White space around a key is ignored: there are servers that do. */
    while (i < key.n) {
        char c = next_decoded(key, &i);

        if ((c == ' ' || (c >= '\t' && c <= '\r')) && (!is_inside || k == name.n)) {
            continue;
        }
        is_inside = true;
        if (k == name.n || fold(c) != fold(name.p[k])) {
            return false;
        }
        k++;
    }
    return k == name.n;
}

frun_err uri_encode(struct span s, struct arena *a, struct span *out)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t len = 0;
    char *to = s.n > SIZE_MAX / 3 - 1 ? NULL : arena_alloc(a, s.n * 3 + 1);

    if (!to) {
        return FRUN_E_NOMEM;
    }
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (chars_is((char)c, CHARS_UNRESERVED)) {
            to[len++] = (char)c;
        } else {
            to[len++] = '%';
            to[len++] = digits[c >> 4];
            to[len++] = digits[c & 15];
        }
    }
    *out = span_make(to, len);
    return FRUN_OK;
}
