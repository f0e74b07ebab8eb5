/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/conf/dn.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* "TYPE=value" of every part, '|' before a new RDN and '&' before a joined part, DER as !... */
static void show(const struct dn *d, char *out, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; i < d->n && n < size; i++) {
        const struct dn_part *p = &d->parts[i];
        n += (size_t)snprintf(out + n, size - n, "%s%.*s=%s%.*s",
                              i == 0         ? ""
                              : p->is_joined ? "&"
                                             : "|",
                              SPAN_FMT(p->type), p->is_der ? "!" : "", SPAN_FMT(p->value));
    }
}

static const struct {
    const char *label;
    const char *text;
    const char *want; /* NULL: refused */
} rows[] = {
    {"one", "CN=s4-acme", "CN=s4-acme"},
    {"three", "CN=s4-acme,O=ACME,C=DE", "CN=s4-acme|O=ACME|C=DE"},
    {"blanks as SAP prints them", " CN=s4 acme , O = ACME ,C=DE ", "CN=s4 acme|O=ACME|C=DE"},
    {"semicolon", "CN=a;O=b", "CN=a|O=b"},
    {"joined", "CN=a+OU=b,O=c", "CN=a&OU=b|O=c"},
    {"dotted type", "2.5.4.3=a", "2.5.4.3=a"},
    {"escaped comma", "CN=a\\,b,O=c", "CN=a,b|O=c"},
    {"escaped octets", "CN=Lu\\C4\\8Di\\C4\\87", "CN=Lu\xc4\x8di\xc4\x87"},
    {"escaped blank at the end", "CN=a\\ ,O=c", "CN=a |O=c"},
    {"blank within", "CN=a  b", "CN=a  b"},
    {"equals within", "CN=a=b", "CN=a=b"},
    {"quoted", "CN=\"a, b\" , O=c", "CN=a, b|O=c"},
    {"quote within quotes", "CN=\"a\\\"b\"", "CN=a\"b"},
    {"DER", "1.2.3=#0C0161,O=c",
     "1.2.3=!\x0c\x01"
     "a|O=c"},
    {"no type", "s4-acme", NULL},
    {"empty", "", NULL},
    {"empty value", "CN=,O=c", NULL},
    {"empty quoted value", "CN=\"\"", NULL},
    {"empty type", "=a", NULL},
    {"separator at the end", "CN=a,", NULL},
    {"joined to nothing", "CN=a+", NULL},
    {"type with a blank", "C N=a", NULL},
    {"mixed type", "2.x=a", NULL},
    {"open quote", "CN=\"a", NULL},
    {"behind the quote", "CN=\"a\" b", NULL},
    {"quote in the middle", "CN=a\"b", NULL},
    {"open escape", "CN=a\\", NULL},
    {"bad escape", "CN=a\\z", NULL},
    {"half an octet", "CN=a\\4", NULL},
    {"NUL", "CN=a\\00b", NULL},
    {"odd DER", "1.2.3=#0C016", NULL},
    {"empty DER", "1.2.3=#", NULL},
};

static void test_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct dn d;
        char text[256] = "";
        const char *why = NULL;
        frun_err err = dn_parse(span_of(rows[i].text), &d, &why);
        if (!err) {
            show(&d, text, sizeof(text));
        }
        if ((err == FRUN_OK) != (rows[i].want != NULL) || (err && !why) ||
            (!err && strcmp(text, rows[i].want) != 0)) {
            fail_msg("%s: %d %s %s", rows[i].label, err, text, why ? why : "");
        }
    }
}

static void test_ceilings(void **state)
{
    (void)state;
    struct dn d;
    char text[2 * DN_MAX_BYTES];
    const char *why = NULL;
    size_t n = 0;
    for (int i = 0; i < DN_MAX_PARTS; i++) {
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%sOU=x", i ? "," : "");
    }
    assert_int_equal(dn_parse(span_make(text, n), &d, &why), FRUN_OK);
    assert_int_equal(d.n, DN_MAX_PARTS);
    memcpy(text + n, ",OU=x", 5);
    assert_int_equal(dn_parse(span_make(text, n + 5), &d, &why), FRUN_E_LIMIT);
    memset(text, 'x', sizeof(text));
    memcpy(text, "CN=", 3);
    assert_int_equal(dn_parse(span_make(text, 3 + DN_MAX_BYTES), &d, &why), FRUN_OK);
    assert_int_equal(dn_parse(span_make(text, 4 + DN_MAX_BYTES), &d, &why), FRUN_E_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_names),
                                       cmocka_unit_test(test_ceilings)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
