/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/http/uri.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct row {
    const char *label;
    struct span target;
    const char *path; /* NULL: refused */
    const char *query;
};

#define GOOD(label, text, path, query)                                                             \
    {                                                                                              \
        label, {text, sizeof(text) - 1}, path, query                                               \
    }
#define BAD(label, text) GOOD(label, text, NULL, NULL)

static const struct row rows[] = {
    GOOD("root", "/", "/", NULL),
    GOOD("push", "/ACME_PROD/sap/frun/ngdci", "/ACME_PROD/sap/frun/ngdci", NULL),
    GOOD("slash at the end", "/a/b/", "/a/b/", NULL),
    GOOD("all of pchar", "/aZ09-._~!$&'()*+,;=:@", "/aZ09-._~!$&'()*+,;=:@", NULL),
    GOOD("escaped blank", "/a%20b", "/a%20b", NULL),
    GOOD("escaped reserved", "/a%3Ab%2b", "/a%3Ab%2b", NULL),
    GOOD("escaped percent", "/a%25", "/a%25", NULL),
    GOOD("escaped percent, no escape", "/a%25zz", "/a%25zz", NULL),
    GOOD("UTF-8", "/%C3%A4%e2%82%ac%F0%9F%98%80", "/%C3%A4%e2%82%ac%F0%9F%98%80", NULL),
    GOOD("three dots", "/.../..a/a..", "/.../..a/a..", NULL),
    GOOD("hidden file", "/.well-known/x", "/.well-known/x", NULL),
    GOOD("parameter", "/a;b=c/d", "/a;b=c/d", NULL),
    GOOD("query", "/a?b=c&d", "/a", "b=c&d"),
    GOOD("empty query", "/a?", "/a", ""),
    GOOD("second question mark", "/a?b?c", "/a", "b?c"),
    GOOD("query like a path", "/a?/../%2f//", "/a", "/../%2f//"),
    GOOD("raw characters of SAP clients", "/a?b={\"c\":[<d>|^`\\]}", "/a", "b={\"c\":[<d>|^`\\]}"),
    GOOD("absolute", "http://h.example.com/a?b", "/a", "b"),
    GOOD("absolute, case", "HTTPS://H.Example.COM/a", "/a", NULL),
    GOOD("absolute, default port", "https://h.example.com:443/a", "/a", NULL),
    GOOD("absolute without path", "http://h.example.com", "/", NULL),
    BAD("empty", ""),
    BAD("asterisk", "*"),
    BAD("no slash", "sap/frun"),
    BAD("authority form", "h.example.com:443"),
    BAD("slash slash", "//a"),
    BAD("slash slash inside", "/a//b"),
    BAD("slash slash at the end", "/a//"),
    BAD("dot", "/."),
    BAD("dot inside", "/a/./b"),
    BAD("dot dot", "/.."),
    BAD("dot dot inside", "/a/../b"),
    BAD("dot dot at the end", "/a/.."),
    BAD("dot dot with parameter", "/a/..;/b"),
    BAD("dot dot with parameter value", "/a/..;x=y/b"),
    BAD("dot with parameter", "/a/.;x"),
    BAD("dot dot with escaped parameter", "/a/..%3Bx/b"),
    BAD("dot dot with escaped parameter, lower case", "/a/..%3bx/b"),
    BAD("parameter alone", "/a/;x/b"),
    BAD("escaped dot", "/a/%2e/b"),
    BAD("escaped dot dot", "/a/%2e%2e/b"),
    BAD("half escaped dot dot", "/a/.%2E/b"),
    BAD("escaped dot in name", "/a%2eb"),
    BAD("escaped slash", "/a%2fb"),
    BAD("escaped slash, upper case", "/a%2Fb"),
    BAD("escaped backslash", "/a%5cb"),
    BAD("backslash", "/a\\b"),
    BAD("backslash dots", "/a\\..\\b"),
    BAD("escaped NUL", "/a%00"),
    BAD("escaped LF", "/a%0a"),
    BAD("escaped CR", "/a%0D"),
    BAD("escaped DEL", "/a%7f"),
    BAD("escaped letter", "/sap/%66run"),
    BAD("escaped digit", "/%31"),
    BAD("escaped underscore", "/a%5fb"),
    BAD("escaped tilde", "/%7e"),
    BAD("twice escaped dot", "/a/%252e%252e/b"),
    BAD("twice escaped slash", "/a%252fb"),
    BAD("overlong slash", "/a%c0%afb"),
    BAD("overlong dot", "/a/%c0%ae%c0%ae/b"),
    BAD("overlong slash of three", "/a%e0%80%afb"),
    BAD("overlong slash of four", "/a%f0%80%80%afb"),
    BAD("surrogate", "/%ed%a0%80"),
    BAD("above Unicode", "/%f4%90%80%80"),
    BAD("Latin-1", "/%e4"),
    BAD("UTF-8 cut", "/%e2%82"),
    BAD("UTF-8 cut by a letter", "/%e2%82a%ac"),
    BAD("continuation alone", "/%80"),
    BAD("percent at the end", "/a%"),
    BAD("percent and one digit", "/a%2"),
    BAD("percent and no digits", "/a%zz"),
    BAD("percent u", "/a%u002e"),
    BAD("blank", "/a b"),
    BAD("quote", "/a\"b"),
    BAD("braces", "/a{b}"),
    BAD("fragment", "/a#b"),
    BAD("bracket", "/a[b]"),
    BAD("pipe", "/a|b"),
    BAD("NUL", "/a\0b"),
    BAD("LF", "/a\nb"),
    BAD("octet above ASCII", "/\xc3\xa4"),
    BAD("query with bad escape", "/a?b=%zz"),
    BAD("query with percent at the end", "/a?b%"),
    BAD("query with NUL", "/a?b=%00"),
    BAD("query with blank", "/a?b c"),
    BAD("query with fragment", "/a?b#c"),
    BAD("query with LF", "/a?b\nc"),
    BAD("query above ASCII", "/a?\xe4"),
    BAD("absolute, other host", "http://other.example.com/a"),
    BAD("absolute, other port", "http://h.example.com:81/a"),
    BAD("absolute, port of the other scheme", "https://h.example.com:80/a"),
    BAD("absolute, user", "http://u:p@h.example.com/a"),
    BAD("absolute, query at once", "http://h.example.com?b"),
    BAD("absolute, backslash", "http://h.example.com\\@other/a"),
    BAD("absolute, dots", "http://h.example.com/../a"),
    BAD("absolute, no host", "http:///a"),
    BAD("other scheme", "ftp://h.example.com/a"),
    BAD("scheme without slashes", "http:h.example.com/a"),
};

static void targets_are_judged(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *row = &rows[i];
        struct uri u = {.path = SPAN_LIT("untouched")};
        const char *why = NULL;
        char *copy = malloc(row->target.n + 1);
        frun_err err;

        assert_non_null(copy);
        memcpy(copy, row->target.p, row->target.n);
        err = uri_parse(span_make(copy, row->target.n), SPAN_LIT("h.example.com"), &u, &why);
        if ((err == FRUN_OK) != (row->path != NULL)) {
            fail_msg("%s: %d %s", row->label, err, why ? why : "");
        }
        if (err) {
            assert_int_equal(err, FRUN_E_SYNTAX);
            assert_non_null(why);
            assert_true(span_eq(u.path, SPAN_LIT("untouched")));
        } else if (!span_eq(u.path, span_of(row->path)) || !span_eq(u.query, span_of(row->query)) ||
                   (u.query.p == NULL) != (row->query == NULL)) {
            fail_msg("%s: %.*s ? %.*s", row->label, SPAN_FMT(u.path), SPAN_FMT(u.query));
        }
        free(copy);
    }
}

/* Every octet that is not allowed plainly, and every escape of one octet. */
static void every_octet_is_judged(void **state)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
                                "!$&'()*+,;=:@/?";

    (void)state;
    for (unsigned c = 0; c < 256; c++) {
        char target[16] = {'/', 'a', (char)c, 'a'};
        struct uri u;
        const char *why;
        bool is_plain = c != 0 && strchr(plain, (int)c) != NULL;
        bool may_escape = c >= 0x20 && c < 0x7f && c != '/' && c != '\\' && c != '%' &&
                          (!is_plain || strchr("!$&'()*+,;=:@?", (int)c) != NULL);

        assert_int_equal(uri_parse(span_make(target, 4), SPAN_LIT("h"), &u, &why) == FRUN_OK,
                         is_plain);
        (void)snprintf(target, sizeof(target), "/a%%%02xg", c);
        assert_int_equal(uri_parse(span_make(target, 6), SPAN_LIT("h"), &u, &why) == FRUN_OK,
                         may_escape || c == '%');
    }
}

static void boundaries_are_kept(void **state)
{
    static const struct {
        const char *path;
        const char *root;
        bool want;
    } cases[] = {
        {"/sap/frun", "/sap/frun", true},
        {"/sap/frun/", "/sap/frun", true},
        {"/sap/frun/x", "/sap/frun", true},
        {"/sap/frunX", "/sap/frun", false},
        {"/sap/fru", "/sap/frun", false},
        {"/sap/frun;x", "/sap/frun", false},
        {"/sap/frun(x)", "/sap/frun", false},
        {"/SAP/frun", "/sap/frun", false},
        {"/", "/", true},
        {"/a", "/", true},
        {"", "/", false},
        {"/a", "", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (uri_is_under(span_of(cases[i].path), span_of(cases[i].root)) != cases[i].want) {
            fail_msg("%s under %s", cases[i].path, cases[i].root);
        }
    }
}

static void authorities_are_judged(void **state)
{
    static const struct {
        const char *text;
        const char *host; /* NULL: refused */
        unsigned port;
    } cases[] = {
        {"push.example.com", "push.example.com", 0},
        {"fr1_frun:443", "fr1_frun", 443},
        {"10.0.0.1:65535", "10.0.0.1", 65535},
        {"[2001:db8::1]", "[2001:db8::1]", 0},
        {"[::1]:1", "[::1]", 1},
        {"", NULL, 0},
        {":443", NULL, 0},
        {"a:", NULL, 0},
        {"a:0", NULL, 0},
        {"a:65536", NULL, 0},
        {"a:4294967739", NULL, 0},
        {"a:000443", NULL, 0},
        {"a:+1", NULL, 0},
        {"a:1:2", NULL, 0},
        {"u@a", NULL, 0},
        {"a/b", NULL, 0},
        {"a b", NULL, 0},
        {"a,b", NULL, 0},
        {"a%41", NULL, 0},
        {"::1", NULL, 0},
        {"[::1", NULL, 0},
        {"[::1]x", NULL, 0},
        {"[::g]", NULL, 0},
        {"[]", NULL, 0},
        {"[fe80::1%eth0]", NULL, 0},
        {".a", NULL, 0},
        {"-a", NULL, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct span host = {0};
        unsigned port = 99;
        bool is_good = uri_is_authority(span_of(cases[i].text), &host, &port);

        if (is_good != (cases[i].host != NULL) ||
            (is_good && (!span_eq(host, span_of(cases[i].host)) || port != cases[i].port))) {
            fail_msg("\"%s\"", cases[i].text);
        }
    }
    assert_true(uri_is_authority(SPAN_LIT("a:1"), NULL, NULL));
}

static bool is_drop(struct span key, void *ctx)
{
    return uri_key_is(key, span_of(ctx));
}

static void parameters_are_dropped(void **state)
{
    static const struct {
        const char *in;
        const char *want;
    } cases[] = {
        {NULL, NULL},
        {"", ""},
        {"a=b", "a=b"},
        {"x=1", NULL},
        {"x", NULL},
        {"x=1&x=2;x", NULL},
        {"x=1&a", "a"},
        {"a&x=1", "a"},
        {"a&x=1&b", "a&b"},
        {"a;x=1&b", "a&b"},
        {"a&x=1;b", "a;b"},
        {"a&&x&b&", "a&&b&"},
        {"%58=1&%78=2&a", "a"},
        {"X=1&xx=2&ax=3", "xx=2&ax=3"},
        {"+x=1&x%20=2&a", "a"},
        {"a=x=1", "a=x=1"},
        {"a%=1&x", "a%=1"},
    };
    char key[] = "x";
    struct arena a;

    (void)state;
    arena_init(&a, 65536);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct span in = span_of(cases[i].in);
        struct span out = {0};

        assert_int_equal(uri_query_drop(in, is_drop, key, &a, &out), FRUN_OK);
        if (!span_eq(out, span_of(cases[i].want)) || (out.p == NULL) != (cases[i].want == NULL)) {
            fail_msg("\"%s\": \"%.*s\"", cases[i].in, SPAN_FMT(out));
        }
        if (cases[i].in && cases[i].want && strcmp(cases[i].in, cases[i].want) == 0) {
            assert_ptr_equal(in.p, out.p);
        }
    }
    arena_done(&a);
    arena_init(&a, 1);
    assert_int_equal(uri_query_drop(SPAN_LIT("a&x"), is_drop, key, &a, &(struct span){0}),
                     FRUN_E_NOMEM);
    arena_done(&a);
}

static void keys_are_compared(void **state)
{
    (void)state;
    assert_true(uri_key_is(SPAN_LIT("sap-user"), SPAN_LIT("sap-user")));
    assert_true(uri_key_is(SPAN_LIT("SAP_User"), SPAN_LIT("sap-user")));
    assert_true(uri_key_is(SPAN_LIT("s%61p%2Duser"), SPAN_LIT("sap-user")));
    assert_true(uri_key_is(SPAN_LIT("sap%5Fuser"), SPAN_LIT("sap-user")));
    assert_true(uri_key_is(SPAN_LIT("+sap-user%20"), SPAN_LIT("sap-user")));
    assert_true(uri_key_is(SPAN_LIT("a+b"), SPAN_LIT("a b")));
    assert_false(uri_key_is(SPAN_LIT("sap-user2"), SPAN_LIT("sap-user")));
    assert_false(uri_key_is(SPAN_LIT("sap-use"), SPAN_LIT("sap-user")));
    assert_false(uri_key_is(SPAN_LIT("sap user"), SPAN_LIT("sap-user")));
    assert_false(uri_key_is(SPAN_LIT("sap-user%00"), SPAN_LIT("sap-user")));
    assert_false(uri_key_is(SPAN_LIT("sap-user%"), SPAN_LIT("sap-user")));
    assert_false(uri_key_is(SPAN_LIT(""), SPAN_LIT("a")));
}

static void texts_are_encoded(void **state)
{
    struct arena a;
    struct span out;

    (void)state;
    arena_init(&a, 4096);
    assert_int_equal(uri_encode(SPAN_LIT("aZ09-._~ &=%/\xe4\n"), &a, &out), FRUN_OK);
    assert_true(span_eq(out, SPAN_LIT("aZ09-._~%20%26%3D%25%2F%E4%0A")));
    assert_int_equal(uri_encode(SPAN_LIT(""), &a, &out), FRUN_OK);
    assert_int_equal(out.n, 0);
    arena_done(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(targets_are_judged),     cmocka_unit_test(every_octet_is_judged),
        cmocka_unit_test(boundaries_are_kept),    cmocka_unit_test(authorities_are_judged),
        cmocka_unit_test(parameters_are_dropped), cmocka_unit_test(keys_are_compared),
        cmocka_unit_test(texts_are_encoded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
