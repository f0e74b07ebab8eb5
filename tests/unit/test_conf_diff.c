/**
 * What is told of a change: every kind of value, sections that come and go, no secret.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/conf/diff.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct thing {
    struct conf_place place;
    const char *text;
    const char *password_hash;
    bool flag;
    uint64_t number;
    uint64_t size;
    uint64_t time_ms;
    uint64_t workers;
    int choice;
    struct conf_list list;
    struct secret *secret;
};

#define AT(member) offsetof(struct thing, member)
#define LIVE       CONF_RELOAD_LIVE

static const struct conf_row rows[] = {
    {"text", CONF_TEXT, AT(text), 0, 100, NULL, false, NULL, LIVE, ""},
    {"password_hash", CONF_TEXT, AT(password_hash), 0, 100, NULL, false, NULL, LIVE, ""},
    {"flag", CONF_BOOL, AT(flag), 0, 0, "yes", false, NULL, LIVE, ""},
    {"number", CONF_UINT, AT(number), 0, 100, "5", false, NULL, LIVE, ""},
    {"size", CONF_SIZE, AT(size), 0, 1 << 20, "32K", false, NULL, LIVE, ""},
    {"time", CONF_TIME, AT(time_ms), 0, 100000, "8 s", false, NULL, LIVE, ""},
    {"workers", CONF_WORKERS, AT(workers), 1, 64, "auto", false, NULL, CONF_RELOAD_RESTART, ""},
    {"choice", CONF_CHOICE, AT(choice), 0, 0, "one", false, "one|two", LIVE, ""},
    {"list", CONF_LIST, AT(list), 1, 100, NULL, false, NULL, LIVE, ""},
    {"secret", CONF_SECRET, AT(secret), 0, 0, NULL, false, NULL, LIVE, ""},
};

static const struct conf_kind kinds[] = {
    {"thing", NULL, true, false, sizeof(struct thing), rows, sizeof(rows) / sizeof(rows[0]), ""}};

static struct conf_doc *load(const char *text)
{
    struct conf_doc *d = NULL;
    assert_int_equal(conf_load_text(span_of(text), "x.ini", kinds, 1, &d), FRUN_OK);
    return d;
}

static const struct {
    const char *label;
    const char *before;
    const char *now;
    enum conf_reload reload;
    const char *want; /* NULL: nothing */
} changes[] = {
    {"nothing", "[thing a]\ntext=x\n", "[thing a]\ntext=x\n", LIVE, NULL},
    {"a default written down", "[thing a]\n", "[thing a]\nnumber=5\ntime=8000ms\n", LIVE, NULL},
    {"text", "[thing a]\ntext=x\n", "[thing a]\ntext=y\n", LIVE, "thing a.text: x -> y"},
    {"text comes", "[thing a]\n", "[thing a]\ntext=y\n", LIVE, "thing a.text: (nothing) -> y"},
    {"flag", "[thing a]\n", "[thing a]\nflag=off\n", LIVE, "thing a.flag: yes -> no"},
    {"number", "[thing a]\n", "[thing a]\nnumber=6\n", LIVE, "thing a.number: 5 -> 6"},
    {"size", "[thing a]\n", "[thing a]\nsize=1M\n", LIVE, "thing a.size: 32K -> 1M"},
    {"time", "[thing a]\n", "[thing a]\ntime=1500ms\n", LIVE, "thing a.time: 8 s -> 1500 ms"},
    {"choice", "[thing a]\n", "[thing a]\nchoice=two\n", LIVE, "thing a.choice: one -> two"},
    {"list", "[thing a]\nlist=x\n", "[thing a]\nlist=x,y\n", LIVE, "thing a.list: x -> x, y"},
    {"secret", "[thing a]\nsecret=x\n", "[thing a]\nsecret=y\n", LIVE,
     "thing a.secret: (secret) -> (another secret)"},
    {"hash", "[thing a]\npassword_hash=x\n", "[thing a]\npassword_hash=y\n", LIVE,
     "thing a.password_hash: (secret) -> (another secret)"},
    {"hash goes", "[thing a]\npassword_hash=x\n", "[thing a]\n", LIVE,
     "thing a.password_hash: (secret) -> (nothing)"},
    {"section comes", "[thing a]\n", "[thing a]\n[thing b]\n", LIVE, "[thing b] added"},
    {"section goes", "[thing a]\n[thing b]\n", "[thing b]\n", LIVE, "[thing a] removed"},
    {"restart", "[thing a]\n", "[thing a]\nworkers=4\n", CONF_RELOAD_RESTART,
     "thing a.workers: auto -> 4"},
    {"not now", "[thing a]\n", "[thing a]\nworkers=4\n", LIVE, NULL},
};

static void told_in_one_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        struct conf_doc *a = load(changes[i].before);
        struct conf_doc *b = load(changes[i].now);
        struct conf_changes c = {0};
        char text[512] = "";
        assert_int_equal(conf_diff(a, b, changes[i].reload, &c), FRUN_OK);
        if (c.n) {
            conf_change_text(&c.all[0], text, sizeof(text));
        }
        if (c.n != (changes[i].want ? 1 : 0) ||
            (changes[i].want && strcmp(text, changes[i].want) != 0)) {
            fail_msg("%s: %zu: %s", changes[i].label, c.n, text);
        }
        conf_changes_done(&c);
        conf_free(a);
        conf_free(b);
    }
}

static void printed_as_a_file(void **state)
{
    (void)state;
    struct conf_doc *d = load("[thing a]\ntext=x\nlist=p, q\nsecret=s\n");
    char *text = NULL;
    size_t n = 0;
    FILE *to = open_memstream(&text, &n);
    assert_non_null(to);
    conf_print(d, to);
    assert_int_equal(fclose(to), 0);
    assert_string_equal(text, "[thing a]\ntext = x\nflag = yes\nnumber = 5\nsize = 32K\n"
                              "time = 8 s\nworkers = auto\nchoice = one\nlist = p, q\n"
                              "secret = (secret)\n");
    free(text);
    conf_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(told_in_one_line),
        cmocka_unit_test(printed_as_a_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
