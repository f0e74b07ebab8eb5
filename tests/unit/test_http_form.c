/**
 * Form bodies: what is decoded, what is refused.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/http/form.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* All fields as "name=value;" */
static void show(const struct form *f, char *out, size_t size)
{
    size_t n = 0;
    out[0] = '\0';
    for (size_t i = 0; i < f->n && n < size; i++) {
        n += (size_t)snprintf(out + n, size - n, "%.*s=%.*s;", SPAN_FMT(f->fields[i].name),
                              SPAN_FMT(f->fields[i].value));
    }
}

static void parses_and_refuses(void **state)
{
    static const struct {
        const char *label;
        const char *text;
        frun_err err;
        const char *want;
    } rows[] = {
        {"empty", "", FRUN_OK, ""},
        {"one", "a=1", FRUN_OK, "a=1;"},
        {"two", "a=1&b=2", FRUN_OK, "a=1;b=2;"},
        {"no value", "a=&b", FRUN_OK, "a=;b=;"},
        {"no name", "=1", FRUN_OK, "=1;"},
        {"empty parts", "&&a=1&", FRUN_OK, "a=1;"},
        {"second equals sign", "a=b=c", FRUN_OK, "a=b=c;"},
        {"escapes", "cl%69ent=%41%2b%3D%26", FRUN_OK, "client=A+=&;"},
        {"plus is a blank", "a+b=c+d", FRUN_OK, "a b=c d;"},
        {"repeated", "a=1&a=2", FRUN_OK, "a=1;a=2;"},
        {"UTF-8", "a=%C3%A4", FRUN_OK, "a=\xc3\xa4;"},
        {"escape without digits", "a=%", FRUN_E_SYNTAX, NULL},
        {"escape with one digit", "a=%4", FRUN_E_SYNTAX, NULL},
        {"escape cut by the next field", "a=%4&b=1", FRUN_E_SYNTAX, NULL},
        {"escape of no digits", "a=%zz", FRUN_E_SYNTAX, NULL},
        {"NUL", "a=%00", FRUN_E_SYNTAX, NULL},
        {"line break", "a=%0d%0a", FRUN_E_SYNTAX, NULL},
        {"bare control", "a=\x01", FRUN_E_SYNTAX, NULL},
        {"DEL", "a%7f=1", FRUN_E_SYNTAX, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char room[256];
        char shown[256];
        struct form f = {.n = 0};
        frun_err err = form_parse(span_of(rows[i].text), room, &f);
        if (err != rows[i].err) {
            fail_msg("%s: result %d", rows[i].label, err);
        }
        show(&f, shown, sizeof(shown));
        if (!err && strcmp(shown, rows[i].want) != 0) {
            fail_msg("%s: %s", rows[i].label, shown);
        }
    }
}

static void body_and_query_make_one_form(void **state)
{
    char room[64];
    struct form f = {.n = 0};
    struct span v;
    (void)state;
    assert_int_equal(form_parse(span_of("grant_type=x"), room, &f), FRUN_OK);
    assert_int_equal(form_parse(span_of("scope=y&scope=z"), room + 32, &f), FRUN_OK);
    assert_int_equal(f.n, 3);
    assert_int_equal(form_get(&f, span_of("grant_type"), &v), FRUN_OK);
    assert_true(span_eq(v, span_of("x")));
    assert_int_equal(form_get(&f, span_of("scope"), &v), FRUN_E_EXISTS);
    assert_int_equal(form_get(&f, span_of("client_id"), &v), FRUN_OK);
    assert_null(v.p);
}

static void fields_have_a_ceiling(void **state)
{
    char text[4 * (FORM_MAX_FIELDS + 1)];
    char room[sizeof(text)];
    struct form f = {.n = 0};
    (void)state;
    for (size_t i = 0; i <= FORM_MAX_FIELDS; i++) {
        memcpy(text + 4 * i, "a=1&", 4);
    }
    assert_int_equal(form_parse(span_make(text, 4 * FORM_MAX_FIELDS), room, &f), FRUN_OK);
    assert_int_equal(f.n, FORM_MAX_FIELDS);
    f.n = 0;
    assert_int_equal(form_parse(span_make(text, sizeof(text)), room, &f), FRUN_E_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_and_refuses),
        cmocka_unit_test(body_and_query_make_one_form),
        cmocka_unit_test(fields_have_a_ceiling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
