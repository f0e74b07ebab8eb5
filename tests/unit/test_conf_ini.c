/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/conf/ini.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Items as text: "S2 name;", "P3 key=value;", "F4;". */
struct seen {
    char text[2048];
    size_t n;
    char last_fault[128];
    bool was_cut;
};

static void on_item(const struct conf_ini_item *it, void *ctx)
{
    struct seen *s = ctx;
    int n = 0;
    char *at = s->text + s->n;
    size_t room = sizeof(s->text) - s->n;
    if (it->kind == CONF_INI_SECTION) {
        n = snprintf(at, room, "S%u %.40s;", it->line, it->name);
    } else if (it->kind == CONF_INI_PAIR) {
        n = snprintf(at, room, "P%u %.40s=%.40s;", it->line, it->name, it->value);
        s->was_cut = it->is_cut;
    } else {
        n = snprintf(at, room, "F%u;", it->line);
        (void)snprintf(s->last_fault, sizeof(s->last_fault), "%s", it->name);
    }
    assert_true(n > 0 && (size_t)n < room);
    s->n += (size_t)n;
}

static void scan(const char *in, size_t n, struct seen *s)
{
    memset(s, 0, sizeof(*s));
    /* a copy of exact size lets the address sanitizer see an octet too far */
    char *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    memcpy(copy, in, n);
    assert_int_equal(conf_ini_scan(span_make(copy, n), on_item, s), FRUN_OK);
    free(copy);
}

/* A span that may stand in a static table. */
#define IN(text)                                                                                   \
    {                                                                                              \
        (text), sizeof(text) - 1                                                                   \
    }

static void test_table(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        struct span in;
        const char *want;
    } rows[] = {
        {"pair", IN("[a]\nk=v\n"), "S1 a;P2 k=v;"},
        {"no final line end", IN("[a]\nk=v"), "S1 a;P2 k=v;"},
        {"CRLF", IN("[a]\r\nk = v\r\n"), "S1 a;P2 k=v;"},
        {"byte order mark", IN("\xef\xbb\xbf[a]\nk=v\n"), "S1 a;P2 k=v;"},
        {"indented key is no continuation", IN("[a]\nk=v\n   l=w\n\tm=x\n"),
         "S1 a;P2 k=v;P3 l=w;P4 m=x;"},
        {"indented text is refused, not joined", IN("[a]\nk=v\n  more\n"), "S1 a;P2 k=v;F3;"},
        {"empty value", IN("[a]\nlocation_id =\nk = ; c\n"), "S1 a;P2 location_id=;P3 k=;"},
        {"empty section is told", IN("[a]\n[b]\n"), "S1 a;S2 b;"},
        {"blanks and colon in a section", IN("[system fr1_frun:443]\n"), "S1 system fr1_frun:443;"},
        {"section longer than inih's 50",
         IN("[system a123456789.b123456789.c123456789.d123456789:443]\nk=v\n"),
         "S1 system a123456789.b123456789.c123456789.;P2 k=v;"},
        {"comment behind a section", IN("[a] ; c\n"), "S1 a;"},
        {"text behind a section", IN("[a] k=v\n"), "F1;"},
        {"section not closed", IN("[a\nk=v\n"), "F1;P2 k=v;"},
        {"comments", IN("; c\n# c\n  ; c\n\n[a]\n"), "S5 a;"},
        {"inline comment needs a blank", IN("[a]\nk=v;w\nl=v ;w\n"), "S1 a;P2 k=v;w;P3 l=v;"},
        {"hash is no inline comment", IN("[a]\nk=v #w\n"), "S1 a;P2 k=v #w;"},
        {"equals in the value", IN("[a]\nk=CN=x\n"), "S1 a;P2 k=CN=x;"},
        {"colon does not separate", IN("[a]\nk:v\nk:v=w\n"), "S1 a;F2;F3;"},
        {"no key", IN("[a]\n= v\n"), "S1 a;F2;"},
        {"key with a blank", IN("[a]\nk l = v\n"), "S1 a;F2;"},
        {"NUL", IN("[a]\nk=v\0w\nl=m\n"), "S1 a;F2;P3 l=m;"},
        {"control", IN("[a]\nk=\x1b[0m\n"), "S1 a;F2;"},
        {"lone CR", IN("[a]\nk=v\rl=w\n"), "S1 a;F2;"},
        {"UTF-8", IN("[a]\nk=M\xc3\xbcnchen\n"), "S1 a;P2 k=M\xc3\xbcnchen;"},
        {"Latin-1", IN("[a]\nk=M\xfcnchen\n"), "S1 a;F2;"},
        {"overlong UTF-8", IN("[a]\nk=\xc0\xaf\n"), "S1 a;F2;"},
        {"cut UTF-8", IN("[a]\nk=\xe2\x82"), "S1 a;F2;"},
        {"empty", IN(""), ""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct seen s;
        scan(rows[i].in.p, rows[i].in.n, &s);
        if (strcmp(s.text, rows[i].want) != 0) {
            fail_msg("%s: got '%s', want '%s'", rows[i].label, s.text, rows[i].want);
        }
    }
}

static void test_long_lines(void **state)
{
    (void)state;
    static char in[CONF_INI_MAX_LINE + 100];
    /* a fence of 255 characters must fit */
    static const size_t lengths[] = {150, 300, CONF_INI_MAX_LINE, CONF_INI_MAX_LINE + 1};
    for (size_t i = 0; i < 4; i++) {
        struct seen s;
        memset(in, 'v', sizeof(in));
        memcpy(in, "k=", 2);
        memcpy(in + lengths[i], "\nl=w\n", 5);
        scan(in, lengths[i] + 5, &s);
        bool is_good = strncmp(s.text, "P1 k=vv", 7) == 0;
        if (is_good != (lengths[i] <= CONF_INI_MAX_LINE)) {
            fail_msg("%zu octets: %s", lengths[i], s.text);
        }
        assert_non_null(strstr(s.text, "P2 l=w;"));
    }
}

static void test_cut_is_told(void **state)
{
    (void)state;
    struct seen s;
    scan("[a]\nk=secret ;more\n", 19, &s);
    assert_true(s.was_cut);
    scan("[a]\nk=secret;more\n", 18, &s);
    assert_false(s.was_cut);
}

/* Every beginning of a file is read without a fault of ours. */
static void test_prefixes(void **state)
{
    (void)state;
    static const char in[] =
        "\xef\xbb\xbf[system a:1] ; c\r\n k = v ; c\n[b\nx\0y=\n\xc3\xbc=1\nl=";
    for (size_t n = 0; n < sizeof(in); n++) {
        struct seen s;
        scan(in, n, &s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_cut_is_told),
        cmocka_unit_test(test_prefixes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
