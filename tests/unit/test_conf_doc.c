/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/conf/doc.h"
#include "temp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct all {
    struct conf_place place;
    struct conf_list include;
    const char *text;
    bool flag;
    uint64_t number;
    uint64_t size;
    uint64_t time;
    int choice;
    const char *path;
    const char *address;
    struct secret *secret;
    struct conf_list list;
    uint64_t workers;
};

#define AT(member) offsetof(struct all, member)

static const struct conf_row rows[] = {
    {"include", CONF_LIST, AT(include), 1, 100, NULL, false, NULL, CONF_RELOAD_LIVE, "h"},
    {"text", CONF_TEXT, AT(text), 0, 5, "dflt", false, NULL, CONF_RELOAD_LIVE, "h"},
    {"flag", CONF_BOOL, AT(flag), 0, 0, "yes", false, NULL, CONF_RELOAD_LIVE, "h"},
    {"number", CONF_UINT, AT(number), 2, 9, "3", false, NULL, CONF_RELOAD_LIVE, "h"},
    {"size", CONF_SIZE, AT(size), 1, 4294967296, "64K", false, NULL, CONF_RELOAD_LIVE, "h"},
    {"time", CONF_TIME, AT(time), 100, 7200000, "10 s", false, NULL, CONF_RELOAD_LIVE, "h"},
    {"choice", CONF_CHOICE, AT(choice), 0, 0, "b c", false, "a|b c", CONF_RELOAD_LIVE, "h"},
    {"path", CONF_PATH, AT(path), 0, 0, NULL, false, NULL, CONF_RELOAD_LIVE, "h"},
    {"address", CONF_ADDRESS, AT(address), 0, 0, NULL, false, NULL, CONF_RELOAD_LIVE, "h"},
    {"secret", CONF_SECRET, AT(secret), 0, 0, NULL, false, NULL, CONF_RELOAD_LIVE, "h"},
    {"list", CONF_LIST, AT(list), 1, 5, "x, y", false, NULL, CONF_RELOAD_LIVE, "h"},
    {"workers", CONF_WORKERS, AT(workers), 1, 64, "auto", false, NULL, CONF_RELOAD_LIVE, "h"},
};

struct item {
    struct conf_place place;
    const char *must;
};

static const struct conf_row item_rows[] = {
    {"must", CONF_TEXT, offsetof(struct item, must), 1, 9, NULL, true, NULL, CONF_RELOAD_LIVE, "h"},
};

static const struct conf_kind kinds[] = {
    {"main", NULL, false, true, sizeof(struct all), rows, sizeof(rows) / sizeof(rows[0]), "h"},
    {"item", "name", true, false, sizeof(struct item), item_rows, 1, "h"},
};

/* Issues of a text, one "line where why" a line; @return the result. */
static frun_err load(const char *in, struct conf_doc **d, char *issues, size_t room)
{
    frun_err err = conf_load_text(span_of(in), "dir/t.ini", kinds, 2, d);
    size_t n;
    size_t used = 0;
    const struct conf_issue *it = conf_issues(*d, &n);
    issues[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        int k = snprintf(issues + used, room - used, "%s%u %s: %s\n", it[i].is_error ? "" : "W",
                         it[i].line, it[i].where, it[i].why);
        assert_true(k > 0 && (size_t)k < room - used);
        used += (size_t)k;
    }
    return err;
}

static struct all *main_of(const struct conf_doc *d)
{
    size_t n;
    void *const *s = conf_sections(d, "main", &n);
    assert_int_equal(n, 1);
    return s[0];
}

static void test_defaults(void **state)
{
    (void)state;
    struct conf_doc *d;
    char issues[4096];
    assert_int_equal(load("[main]\n", &d, issues, sizeof(issues)), FRUN_OK);
    const struct all *a = main_of(d);
    assert_string_equal(a->text, "dflt");
    assert_true(a->flag);
    assert_int_equal(a->number, 3);
    assert_int_equal(a->size, 65536);
    assert_int_equal(a->time, 10000);
    assert_int_equal(a->choice, 1);
    assert_null(a->path);
    assert_int_equal(a->list.n, 2);
    assert_string_equal(a->list.items[1], "y");
    assert_int_equal(a->workers, 0);
    assert_false(conf_key_given(d, a, "list"));
    conf_free(d);
}

static void test_values(void **state)
{
    (void)state;
    struct conf_doc *d;
    char issues[4096];
    frun_err err =
        load("[main]\ntext =\nflag = Off\nnumber=9\nsize = 2 m\ntime = 250ms\nchoice = A\n"
             "address=[::1]:5\nlist = a\nlist = b , c\nworkers=64\n",
             &d, issues, sizeof(issues));
    assert_string_equal(issues, "");
    assert_int_equal(err, FRUN_OK);
    const struct all *a = main_of(d);
    assert_string_equal(a->text, "");
    assert_false(a->flag);
    assert_int_equal(a->number, 9);
    assert_int_equal(a->size, 2 * 1024 * 1024);
    assert_int_equal(a->time, 250);
    assert_int_equal(a->choice, 0);
    assert_string_equal(a->address, "[::1]:5");
    assert_int_equal(a->list.n, 3);
    assert_string_equal(a->list.items[2], "c");
    assert_int_equal(a->workers, 64);
    unsigned line = 0;
    assert_string_equal(conf_key_place(d, a, "list", &line), "dir/t.ini");
    assert_int_equal(line, 9);
    conf_free(d);
}

static void test_bad_values(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        const char *want;
    } cases[] = {
        {"number = 1", "2 main.number: out of range; 2 to 9"},
        {"number = 10", "2 main.number: out of range"},
        {"number = -1", "2 main.number: must be a number"},
        {"number = 3x", "2 main.number: must be a number"},
        {"number =", "2 main.number: is empty"},
        {"number = 99999999999999999999999", "2 main.number: out of range"},
        {"size = 5G", "2 main.size: out of range; 1 to 4G"},
        {"size = 18446744073709551615G", "2 main.size: out of range"},
        {"size = 1T", "2 main.size: must be octets"},
        {"time = 3h", "2 main.time: out of range; 100 ms to 2 h"},
        {"time = 1d", "2 main.time: must be a time"},
        {"flag = maybe", "2 main.flag: must be yes or no"},
        {"choice = d", "2 main.choice: 'd' is not one of a|b c"},
        {"text = 123456", "2 main.text: out of range; 0 to 5"},
        {"list = a,,b", "2 main.list: is empty"},
        {"list = a,a", "2 main.list: 'a' is listed twice"},
        {"path = nowhere.pem", "/dir/nowhere.pem: No such file"},
        {"path = /", "2 main.path: / is a folder"},
        {"address = x", "2 main.address: must be host:port"},
        {"secret = env:FRUN_TEST_NO_SUCH", "2 main.secret: "},
        {"secret = hunter2", "W2 main.secret: the secret itself"},
        {"workers = 65", "2 main.workers: out of range"},
        {"workers = 0", "2 main.workers: out of range"},
        {"flagg = no", "2 main.flagg: unknown key; did you mean 'flag'?"},
        {"must = x", "2 main.must: this key belongs into [item NAME]"},
        {"flag = no\nflag = yes", "3 main.flag: given twice, first in line 2"},
        {"[main]", "2 main: section is there already, at dir/t.ini:1"},
        {"[itm x]", "2 itm x: unknown section; did you mean 'item'?"},
        {"[item]", "2 item: the name is missing"},
        {"[item a b]", "2 item a b: bad name"},
        {"[main x]", "2 main x: this section has no name"},
        {"[item x]", "2 item x.must: is missing"},
        {"text = a\x01", "2 main.text: control character"},
        {"gibberish", "2 main: neither a [section] nor"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct conf_doc *d;
        char in[256];
        char issues[4096];
        (void)snprintf(in, sizeof(in), "[main]\n%s\n", cases[i].line);
        frun_err err = load(in, &d, issues, sizeof(issues));
        if (!strstr(issues, cases[i].want) || (err == FRUN_OK) != (issues[0] == 'W')) {
            fail_msg("%s: %d, %s", cases[i].line, err, issues);
        }
        assert_null(strstr(issues, "hunter2"));
        conf_free(d);
    }
}

static void test_missing_and_headless(void **state)
{
    (void)state;
    struct conf_doc *d;
    char issues[4096];
    assert_int_equal(load("flag = no\n", &d, issues, sizeof(issues)), FRUN_E_SYNTAX);
    assert_non_null(strstr(issues, "1 flag: stands before the first [section]"));
    assert_non_null(strstr(issues, "0 main: section [main] is missing"));
    conf_free(d);
}

static void test_issues_have_a_ceiling(void **state)
{
    (void)state;
    struct conf_doc *d;
    static char in[16 + 3000 * 4];
    size_t n = (size_t)snprintf(in, sizeof(in), "[main]\n");
    for (int i = 0; i < 3000; i++) {
        memcpy(in + n, "x=1\n", 5);
        n += 4;
    }
    assert_int_equal(conf_load_text(span_of(in), "t.ini", kinds, 2, &d), FRUN_E_SYNTAX);
    const struct conf_issue *it = conf_issues(d, &n);
    assert_int_equal(n, CONF_MAX_ISSUES);
    assert_non_null(strstr(it[n - 1].why, "too many"));
    conf_free(d);
}

static void put(const char *dir, const char *name, const char *text)
{
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void test_include(void **state)
{
    (void)state;
    char dir[TEMP_NAME];
    char path[512];
    struct conf_doc *d;
    size_t n;
    temp_folder(dir);
    (void)snprintf(path, sizeof(path), "%s/d", dir);
    assert_int_equal(mkdir(path, 0700), 0);
    put(dir, "main.ini", "[main]\ninclude = d/*.ini, none/*.ini, gone.ini\nsecret = file:s\n");
    put(dir, "s", "hunter2\n");
    put(dir, "d/b.ini", "[item two]\nmust = b\n");
    put(dir, "d/a.ini", "[item one]\n must = a\n[item two]\nmust = a\n[oops]\n");
    (void)snprintf(path, sizeof(path), "%s/main.ini", dir);
    assert_int_equal(conf_load(path, kinds, 2, &d), FRUN_E_SYNTAX);
    void *const *s = conf_sections(d, "item", &n);
    assert_int_equal(n, 2);
    assert_string_equal(((struct item *)s[0])->must, "a");
    assert_true(span_eq(secret_span(main_of(d)->secret), SPAN_LIT("hunter2")));
    const struct conf_issue *it = conf_issues(d, &n);
    assert_int_equal(n, 3);
    assert_non_null(strstr(it[0].why, "no such file"));
    assert_int_equal(it[0].line, 2);
    assert_non_null(strstr(it[1].file, "/d/a.ini"));
    assert_int_equal(it[1].line, 5);
    assert_non_null(strstr(it[2].why, "/d/a.ini:3"));
    FILE *null = fopen("/dev/null", "we");
    assert_non_null(null);
    assert_int_equal(conf_issues_print(d, null), 3);
    assert_int_equal(fclose(null), 0);
    conf_free(d);
    static const char *const names[] = {"d/a.ini", "d/b.ini", "s", "main.ini", "d", ""};
    for (size_t i = 0; i < 6; i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        assert_int_equal(remove(path), 0);
    }
}

static void test_no_file(void **state)
{
    (void)state;
    struct conf_doc *d;
    size_t n;
    assert_int_equal(conf_load("/nowhere/x.ini", kinds, 2, &d), FRUN_E_SYNTAX);
    const struct conf_issue *it = conf_issues(d, &n);
    assert_int_equal(n, 1);
    assert_non_null(strstr(it[0].why, "No such file"));
    conf_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_bad_values),
        cmocka_unit_test(test_missing_and_headless),
        cmocka_unit_test(test_issues_have_a_ceiling),
        cmocka_unit_test(test_include),
        cmocka_unit_test(test_no_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
