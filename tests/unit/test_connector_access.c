/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/connector/access.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct conf_resource frun = {
    .place = {.name = "frun"}, .path = "/sap/frun", .policy = 1, .active = true};
static const struct conf_resource ping = {
    .place = {.name = "ping"}, .path = "/sap/bc/ping", .policy = 0, .active = true};
static const struct conf_resource suspended = {
    .place = {.name = "odata"}, .path = "/sap/opu", .policy = 1, .active = false};
static const struct conf_resource slash = {
    .place = {.name = "slash"}, .path = "/below/", .policy = 1, .active = true};
static const struct conf_resource all = {
    .place = {.name = "all"}, .path = "/", .policy = 1, .active = true};
static const struct conf_resource root_only = {
    .place = {.name = "root"}, .path = "/", .policy = 0, .active = true};

static const struct conf_resource *const of_frun[] = {&suspended, &frun, &ping, &slash};
static const struct conf_resource *const of_open[] = {&all};
static const struct conf_resource *const of_root[] = {&root_only};

static const struct conf_mapping frun_443 = {.place = {.name = "fr1_frun:443"},
                                             .virtual_host = "fr1_frun",
                                             .virtual_port = 443,
                                             .resources = of_frun,
                                             .n_resources = 4};
static const struct conf_mapping frun_8443 = {.place = {.name = "fr1_frun:8443"},
                                              .virtual_host = "fr1_frun",
                                              .virtual_port = 8443,
                                              .resources = of_root,
                                              .n_resources = 1};
static const struct conf_mapping closed = {
    .place = {.name = "closed"}, .virtual_host = "closed", .virtual_port = 443};
static const struct conf_mapping six = {.place = {.name = "[2001:db8::1]:443"},
                                        .virtual_host = "2001:db8::1",
                                        .virtual_port = 443,
                                        .resources = of_open,
                                        .n_resources = 1};
static const struct conf_mapping *const mappings[] = {&frun_443, &frun_8443, &closed, &six};
static const struct conf_cn conf = {.mappings = mappings, .n_mappings = 4};

struct row {
    const char *label;
    const char *authority;
    const char *path;
    enum access_verdict want;
    size_t index;
};

#define NO_SYSTEM ACCESS_DENIED_SYSTEM
#define NO_PATH   ACCESS_DENIED_RESOURCE

static const struct row rows[] = {
    {"the path itself", "fr1_frun:443", "/sap/frun", ACCESS_ALLOWED, 0},
    {"below it", "fr1_frun:443", "/sap/frun/ingest", ACCESS_ALLOWED, 0},
    {"final slash", "fr1_frun:443", "/sap/frun/", ACCESS_ALLOWED, 0},
    {"missing port is 443", "fr1_frun", "/sap/frun", ACCESS_ALLOWED, 0},
    {"host without case", "FR1_FRUN", "/sap/frun", ACCESS_ALLOWED, 0},
    {"no segment boundary", "fr1_frun", "/sap/frunX", NO_PATH, 0},
    {"path with case", "fr1_frun", "/sap/FRUN", NO_PATH, 0},
    {"above it", "fr1_frun", "/sap", NO_PATH, 0},
    {"root", "fr1_frun", "/", NO_PATH, 0},
    {"path only, equal", "fr1_frun", "/sap/bc/ping", ACCESS_ALLOWED, 0},
    {"path only, final slash", "fr1_frun", "/sap/bc/ping/", NO_PATH, 0},
    {"path only, below", "fr1_frun", "/sap/bc/ping/x", NO_PATH, 0},
    {"path only, longer", "fr1_frun", "/sap/bc/pingx", NO_PATH, 0},
    {"suspended", "fr1_frun", "/sap/opu/odata", NO_PATH, 0},
    {"resource that ends in a slash, below", "fr1_frun", "/below/a", ACCESS_ALLOWED, 0},
    {"resource that ends in a slash, without", "fr1_frun", "/below", NO_PATH, 0},
    {"path parameters are not cut off", "fr1_frun", "/sap/frun;x=1", NO_PATH, 0},
    {"escaped letters are other octets", "fr1_frun", "/sap/%66run", NO_PATH, 0},
    {"other port, other mapping", "fr1_frun:8443", "/", ACCESS_ALLOWED, 1},
    {"other port has not the first's paths", "fr1_frun:8443", "/sap/frun", NO_PATH, 1},
    {"unknown port", "fr1_frun:80", "/sap/frun", NO_SYSTEM, 0},
    {"unknown host", "frun.corp", "/sap/frun", NO_SYSTEM, 0},
    {"internal host is not virtual", "frun.corp:44300", "/sap/frun", NO_SYSTEM, 0},
    {"prefix of a host", "fr1_fru", "/sap/frun", NO_SYSTEM, 0},
    {"host with a final dot", "fr1_frun.", "/sap/frun", NO_SYSTEM, 0},
    {"mapping without resources", "closed", "/", NO_PATH, 2},
    {"IPv6", "[2001:db8::1]:443", "/anything", ACCESS_ALLOWED, 3},
    {"IPv6 without port", "[2001:DB8::1]", "/anything", ACCESS_ALLOWED, 3},
    {"empty authority", "", "/sap/frun", NO_SYSTEM, 0},
    {"user information", "x@fr1_frun", "/sap/frun", NO_SYSTEM, 0},
    {"port zero", "fr1_frun:0", "/sap/frun", NO_SYSTEM, 0},
    {"port too large", "fr1_frun:65979", "/sap/frun", NO_SYSTEM, 0},
    {"empty port", "fr1_frun:", "/sap/frun", NO_SYSTEM, 0},
    {"blank", "fr1_frun ", "/sap/frun", NO_SYSTEM, 0},
};

static void judges_every_row(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *r = &rows[i];
        struct access_result x;
        enum access_verdict got = access_judge(&conf, span_of(r->authority), span_of(r->path), &x);
        if (got != r->want || got != x.verdict || (x.mapping && x.index != r->index)) {
            fail_msg("%s: got %d, mapping %zu", r->label, (int)got, x.index);
        }
        assert_true((x.mapping == NULL) == (got == ACCESS_DENIED_SYSTEM));
        assert_true((x.resource != NULL) == (got == ACCESS_ALLOWED));
    }
}

static void empty_configuration_denies(void **state)
{
    static const struct conf_cn none = {0};
    struct access_result x;
    (void)state;
    assert_int_equal(access_judge(&none, SPAN_LIT("fr1_frun"), SPAN_LIT("/"), &x),
                     ACCESS_DENIED_SYSTEM);
}

struct text_row {
    const char *label;
    const char *authority;
    const char *path;
    const char *want;
};

static const struct text_row text_rows[] = {
    {"system", "nobody:44300", "/x",
     "Access denied to system nobody:44300: no system mapping has this virtual host and port; if "
     "the request is meant to pass, add [system nobody:44300] to frunconnector.ini"},
    {"resource", "fr1_frun", "/sap/frunX",
     "Access denied to resource /sap/frunX on system fr1_frun:443: no active resource covers the "
     "path; if the request is meant to pass, add a [resource NAME] for this system to "
     "frunconnector.ini"},
    {"suspended", "fr1_frun", "/sap/opu/a",
     "Access denied to resource /sap/opu/a on system fr1_frun:443: [resource odata] covers it but "
     "is suspended; if the request is meant to pass, set its active = yes in frunconnector.ini"},
    {"malformed", "a b", "/", "Access denied to system: the host of the request is malformed"},
    {"allowed", "fr1_frun", "/sap/frun",
     "Access allowed to resource /sap/frun on system fr1_frun:443"},
    {"IPv6", "[2001:db8::2]", "/",
     "Access denied to system [2001:db8::2]:443: no system mapping has this virtual host and "
     "port; if the request is meant to pass, add [system [2001:db8::2]:443] to frunconnector.ini"},
};

static void texts_name_the_remedy(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(text_rows) / sizeof(text_rows[0]); i++) {
        const struct text_row *r = &text_rows[i];
        struct access_result x;
        char got[ACCESS_TEXT_BYTES];
        (void)access_judge(&conf, span_of(r->authority), span_of(r->path), &x);
        access_text(&x, got);
        if (strcmp(got, r->want) != 0) {
            fail_msg("%s: %s", r->label, got);
        }
    }
}

static void long_texts_are_cut(void **state)
{
    char path[5000];
    char got[ACCESS_TEXT_BYTES];
    struct access_result x;
    (void)state;
    memset(path, 'a', sizeof(path));
    path[0] = '/';
    path[7] = '\x1b';
    (void)access_judge(&conf, SPAN_LIT("fr1_frun"), span_make(path, sizeof(path)), &x);
    access_text(&x, got);
    assert_non_null(strstr(got, "/aaaaaa?aaa"));
    assert_null(strchr(got, '\x1b'));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(judges_every_row),
        cmocka_unit_test(empty_configuration_denies),
        cmocka_unit_test(texts_name_the_remedy),
        cmocka_unit_test(long_texts_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
