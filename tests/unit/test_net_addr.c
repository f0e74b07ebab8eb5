/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/net/addr.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_parse(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        const char *text;
        const char *want; /* NULL: refused */
        const char *host;
    } rows[] = {
        {"v4", "192.0.2.1:443", "192.0.2.1:443", "192.0.2.1"},
        {"v6", "[2001:db8::1]:443", "[2001:db8::1]:443", "2001:db8::1"},
        {"any", "*:443", "[::]:443", "::"},
        {"any v4", "0.0.0.0:8444", "0.0.0.0:8444", "0.0.0.0"},
        {"port 0", "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1"},
        {"last port", "127.0.0.1:65535", "127.0.0.1:65535", "127.0.0.1"},
        {"mapped", "[::ffff:192.0.2.7]:80", "192.0.2.7:80", "192.0.2.7"},
        {"longest", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe]:65535",
         "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe]:65535",
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"},
        {"no port", "192.0.2.1", NULL, NULL},
        {"empty port", "192.0.2.1:", NULL, NULL},
        {"port too big", "192.0.2.1:65536", NULL, NULL},
        {"port signed", "192.0.2.1:+80", NULL, NULL},
        {"port long", "192.0.2.1:000080", NULL, NULL},
        {"name", "localhost:80", NULL, NULL},
        {"v6 bare", "2001:db8::1:443", NULL, NULL},
        {"v4 in brackets", "[192.0.2.1]:80", NULL, NULL},
        {"open bracket", "[::1:80", NULL, NULL},
        {"short v4", "192.0.2:80", NULL, NULL},
        {"octal v4", "0300.0.2.1:80", NULL, NULL},
        {"junk behind", "192.0.2.1:80 ", NULL, NULL},
        {"empty", "", NULL, NULL},
        {"brackets only", "[]:80", NULL, NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct addr a;
        char text[ADDR_TEXT_BYTES];
        frun_err err = addr_parse(rows[i].text, &a);
        if ((err == FRUN_OK) != (rows[i].want != NULL)) {
            fail_msg("%s: result %d", rows[i].label, err);
        }
        if (err) {
            assert_int_equal(err, FRUN_E_SYNTAX);
            continue;
        }
        addr_text(&a, text);
        assert_string_equal(text, rows[i].want);
        addr_host_text(&a, text);
        assert_string_equal(text, rows[i].host);
    }
}

static void test_split(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        const char *text;
        const char *host; /* NULL: refused */
        unsigned port;
    } rows[] = {
        {"name", "frun.corp:44300", "frun.corp", 44300},
        {"v4", "192.0.2.1:80", "192.0.2.1", 80},
        {"v6", "[2001:db8::1]:443", "2001:db8::1", 443},
        {"underscore", "fr1_frun:443", "fr1_frun", 443},
        {"port 0", "frun.corp:0", NULL, 0},
        {"no port", "frun.corp", NULL, 0},
        {"no host", ":443", NULL, 0},
        {"two colons", "a:b:443", NULL, 0},
        {"blank", "a b:443", NULL, 0},
        {"control", "a\tb:443", NULL, 0},
        {"name in brackets", "[frun.corp]:443", NULL, 0},
        {"text after bracket", "[::1]x:443", NULL, 0},
        {"empty", "", NULL, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct span host = {NULL, 0};
        unsigned port = 0;
        frun_err err = addr_split(span_of(rows[i].text), &host, &port);
        if ((err == FRUN_OK) != (rows[i].host != NULL)) {
            fail_msg("%s: result %d", rows[i].label, err);
        }
        if (!err) {
            assert_true(span_eq(host, span_of(rows[i].host)));
            assert_int_equal(port, rows[i].port);
        }
    }
    char longname[300];
    struct span host;
    unsigned port;
    memset(longname, 'a', sizeof(longname));
    (void)snprintf(longname + 254, sizeof(longname) - 254, ":1");
    assert_int_equal(addr_split(span_of(longname), &host, &port), FRUN_E_SYNTAX);
    assert_int_equal(addr_split(span_of(longname + 1), &host, &port), FRUN_OK);
}

static void test_unknown_family(void **state)
{
    (void)state;
    struct addr a = {.len = sizeof(sa_family_t)};
    char text[ADDR_TEXT_BYTES];
    a.ss.ss_family = AF_UNIX;
    addr_text(&a, text);
    assert_string_equal(text, "unknown:0");
    assert_int_equal(addr_port(&a), 0);
}

static void same(void **state)
{
    static const struct {
        const char *a;
        const char *b;
        bool is_same;
    } cases[] = {
        {"192.0.2.1:443", "192.0.2.1:443", true},
        {"192.0.2.1:443", "192.0.2.1:444", false},
        {"192.0.2.1:443", "192.0.2.2:443", false},
        {"[2001:db8::1]:443", "[2001:db8:0::1]:443", true},
        {"[2001:db8::1]:443", "[2001:db8::2]:443", false},
        {"0.0.0.0:443", "[::]:443", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct addr a;
        struct addr b;
        assert_int_equal(addr_parse(cases[i].a, &a), FRUN_OK);
        assert_int_equal(addr_parse(cases[i].b, &b), FRUN_OK);
        if (addr_same(&a, &b) != cases[i].is_same) {
            fail_msg("%s and %s", cases[i].a, cases[i].b);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same),
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_unknown_family),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
