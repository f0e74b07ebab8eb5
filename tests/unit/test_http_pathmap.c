/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/http/pathmap.h"
#include "frun/http/uri.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define RULE(from, to)                                                                             \
    {                                                                                              \
        {(from), sizeof(from) - 1},                                                                \
        {                                                                                          \
            (to), sizeof(to) - 1                                                                   \
        }                                                                                          \
    }

static const struct pathmap_rule rules[] = {
    RULE("/api/calm-metrics", "/sap/frun/m"),
    RULE("/api", "/sap/frun/other"),
    RULE("/api/calm-metrics/v1/raw", "/sap/frun/raw"),
    RULE("/sap/frun/other", "/sap/frun/else"), /* not entered by a result */
    RULE("/x%20y", "/sap/frun/b%C3%A4r"),
};
static const struct pathmap map = {rules, sizeof(rules) / sizeof(rules[0])};

static const struct pathmap_rule all_rules[] = {
    RULE("/", "/sap/frun"),
    RULE("/sap/frun", "/sap/frun"),
};
static const struct pathmap all = {all_rules, 2};

static const struct pathmap none = {NULL, 0};

struct row {
    const char *label;
    const struct pathmap *map;
    const char *path;
    const char *want;
};

static void check(const struct row *rows, size_t n,
                  frun_err (*fn)(const struct pathmap *m, struct span path, struct arena *a,
                                 struct span *out))
{
    struct arena a;
    arena_init(&a, 65536);
    for (size_t i = 0; i < n; i++) {
        struct span got = {0};
        assert_int_equal(fn(rows[i].map, span_of(rows[i].path), &a, &got), FRUN_OK);
        if (!span_eq(got, span_of(rows[i].want))) {
            fail_msg("%s: %.*s", rows[i].label, SPAN_FMT(got));
        }
    }
    arena_done(&a);
}

static void forward(void **state)
{
    static const struct row rows[] = {
        {"whole", &map, "/api/calm-metrics", "/sap/frun/m"},
        {"below", &map, "/api/calm-metrics/v1/metrics", "/sap/frun/m/v1/metrics"},
        {"final slash", &map, "/api/calm-metrics/", "/sap/frun/m/"},
        {"longest wins", &map, "/api/calm-metrics/v1/raw/a", "/sap/frun/raw/a"},
        {"a shorter one takes the rest", &map, "/api/calm-logs", "/sap/frun/other/calm-logs"},
        {"once, not again", &map, "/api/x", "/sap/frun/other/x"},
        {"segment boundary", &map, "/api/calm-metricsX/v1", "/sap/frun/other/calm-metricsX/v1"},
        {"no boundary at all", &map, "/apiary", "/apiary"},
        {"case matters", &map, "/API/x", "/API/x"},
        {"escapes are compared as they stand", &map, "/x%20y/z", "/sap/frun/b%C3%A4r/z"},
        {"an escape is no boundary", &map, "/x%20y%3Bz", "/x%20y%3Bz"},
        {"a parameter is no boundary", &map, "/api;v=1/x", "/api;v=1/x"},
        {"nothing fits", &map, "/sap/frun/ngdci", "/sap/frun/ngdci"},
        {"chains are not followed", &map, "/sap/frun/other/q", "/sap/frun/else/q"},
        {"all", &all, "/ngdci", "/sap/frun/ngdci"},
        {"all but one", &all, "/sap/frun/ngdci", "/sap/frun/ngdci"},
        {"all, bare", &all, "/", "/sap/frun/"},
        {"no rules", &none, "/api", "/api"},
    };
    (void)state;
    check(rows, sizeof(rows) / sizeof(rows[0]), pathmap_forward);
}

static void back(void **state)
{
    static const struct row rows[] = {
        {"below", &map, "/sap/frun/m/v1", "/api/calm-metrics/v1"},
        {"query stays", &map, "/sap/frun/m?x=/sap/frun/raw", "/api/calm-metrics?x=/sap/frun/raw"},
        {"fragment stays", &map, "/sap/frun/raw#m", "/api/calm-metrics/v1/raw#m"},
        {"boundary", &map, "/sap/frun/mX", "/sap/frun/mX"},
        {"would be caught by a longer rule", &map, "/sap/frun/m/v1/raw/a", "/sap/frun/m/v1/raw/a"},
        {"by a rule for a path of Focused Run", &map, "/sap/frun/else/q", "/sap/frun/other/q"},
        {"nothing fits", &map, "/sap/frun/ngdci", "/sap/frun/ngdci"},
        {"the rule that leads there", &all, "/sap/frun/ngdci", "/ngdci"},
        {"its root", &all, "/sap/frun", "/sap/frun"},
        {"never another host", &all, "/sap/frun//example.net/x", "/sap/frun//example.net/x"},
    };
    (void)state;
    check(rows, sizeof(rows) / sizeof(rows[0]), pathmap_back);
}

/* What was canonical stays canonical, for every rule and tail. */
static void results_are_canonical(void **state)
{
    static const char *const paths[] = {"/api", "/api/a%20b/c;d=e/", "/x%20y", "/api/calm-metrics/",
                                        "/"};
    struct arena a;
    (void)state;
    arena_init(&a, 65536);
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        for (int k = 0; k < 2; k++) {
            struct span got;
            struct uri u;
            const char *why = "";
            assert_int_equal(pathmap_forward(k ? &map : &all, span_of(paths[i]), &a, &got),
                             FRUN_OK);
            if (uri_parse(got, (struct span){0}, &u, &why) != FRUN_OK) {
                fail_msg("%s: %s", paths[i], why);
            }
        }
    }
    arena_done(&a);
}

static void memory_refused(void **state)
{
    struct arena a;
    struct span got = {0};
    (void)state;
    arena_init(&a, 4);
    assert_int_equal(pathmap_forward(&map, SPAN_LIT("/api/x"), &a, &got), FRUN_E_NOMEM);
    assert_int_equal(pathmap_back(&map, SPAN_LIT("/sap/frun/m"), &a, &got), FRUN_E_NOMEM);
    arena_done(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forward),
        cmocka_unit_test(back),
        cmocka_unit_test(results_are_canonical),
        cmocka_unit_test(memory_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
