/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/admin/audit.h"

#include "../../src/admin/audit_int.h"
#include "temp.h"

#include <ftw.h>
#include <pthread.h>
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

static char folder[TEMP_NAME];
static char path[TEMP_PATH];

static int remove_one(const char *name, const struct stat *st, int kind, struct FTW *where)
{
    (void)st;
    (void)kind;
    (void)where;
    return remove(name);
}

static int setup(void **state)
{
    (void)state;
    temp_folder(folder);
    (void)snprintf(path, sizeof(path), "%s/audit.log", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return nftw(folder, remove_one, 4, FTW_DEPTH | FTW_PHYS);
}

static struct conf_audit settings(int level)
{
    return (struct conf_audit){
        .level = level, .path = path, .is_file_given = true, .max_size = 1 << 20};
}

static struct audit *begin(int level)
{
    struct conf_audit conf = settings(level);
    struct audit *a = NULL;
    struct diag d = {.text = ""};
    if (audit_open(&conf, &a, &d)) {
        fail_msg("%s", d.text);
    }
    return a;
}

static char text[1 << 18];

static const char *slurp(void)
{
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    size_t n = fread(text, 1, sizeof(text) - 1, f);
    text[n] = '\0';
    (void)fclose(f);
    return text;
}

static void on_fault(void *ctx, const char *file, uint64_t line, const char *why)
{
    (void)ctx;
    (void)file;
    (void)line;
    fail_msg("%s", why);
}

static uint64_t count(void)
{
    struct chain_check c = {.path = path, .fault = on_fault};
    struct diag d = {.text = ""};
    assert_int_equal(chain_verify(&c, &d), FRUN_OK);
    return c.n_records;
}

static struct audit_event denial(const char *who, const char *from)
{
    return (struct audit_event){.name = "access.denied",
                                .outcome = "denied",
                                .who = span_of(who),
                                .from = span_of(from),
                                .object = SPAN_LIT("ACME_PROD"),
                                .detail = SPAN_LIT("401"),
                                .is_frequent = true};
}

static void events_become_records(void **state)
{
    (void)state;
    struct audit *a = begin(CONF_AUDIT_SECURITY);
    audit_tell(a, &(struct audit_event){.name = "admin.command",
                                        .outcome = "ok",
                                        .who = SPAN_LIT("uid 0"),
                                        .object = SPAN_LIT("POST /api/v1/drain"),
                                        .detail = SPAN_LIT("\"quoted\"\n\xff")});
    audit_tell(
        a, &(struct audit_event){.name = "access.allowed", .outcome = "ok", .is_routine = true});
    audit_set_level(a, CONF_AUDIT_ALL);
    audit_tell(
        a, &(struct audit_event){.name = "access.allowed", .outcome = "ok", .is_routine = true});
    audit_set_level(a, CONF_AUDIT_OFF);
    audit_tell(a, &(struct audit_event){.name = "not.there", .outcome = "ok"});
    audit_free(a);
    assert_int_equal(count(), 4); /* both changes of the level, too */
    assert_non_null(strstr(slurp(), "\"event\":\"admin.command\",\"outcome\":\"ok\","
                                    "\"who\":\"uid 0\",\"object\":\"POST /api/v1/drain\","
                                    "\"detail\":\"\\u0022quoted\\u0022\\u000a\\u00ff\""));
    assert_null(strstr(text, "not.there"));
    audit_tell(NULL, &(struct audit_event){.name = "nobody", .outcome = "ok"});
    assert_false(audit_wants(NULL, false));
    audit_free(NULL);
}

/* The longest texts fit. */
static void long_texts_are_cut(void **state)
{
    (void)state;
    static char wild[4096];
    memset(wild, 1, sizeof(wild));
    struct span s = span_make(wild, sizeof(wild));
    struct audit *a = begin(CONF_AUDIT_SECURITY);
    audit_tell(a, &(struct audit_event){
                      .name = "x", .outcome = "ok", .who = s, .from = s, .object = s, .detail = s});
    audit_free(a);
    assert_int_equal(count(), 1);
}

/* A flood is a line, and a number a minute later. */
static void floods_are_counted(void **state)
{
    (void)state;
    struct audit *a = begin(CONF_AUDIT_SECURITY);
    struct audit_event e = denial("s4-acme", "192.0.2.1");
    for (int i = 0; i < 1000; i++) {
        audit_tell(a, &e);
    }
    e = denial(NULL, "192.0.2.1");
    audit_tell(a, &e);
    audit_free(a);
    assert_int_equal(count(), 3);
    assert_non_null(strstr(slurp(), "\"again\":999"));
}

/* So is one of ever different names: the disk cannot be filled from outside. */
static void floods_of_names_are_counted(void **state)
{
    (void)state;
    struct audit *a = begin(CONF_AUDIT_SECURITY);
    for (int i = 0; i < 5000; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "2001:db8::%x", (unsigned)i);
        struct audit_event e = denial("s4-acme", name);
        audit_tell(a, &e);
    }
    audit_free(a);
    assert_int_equal(count(), AUDIT_SLOTS * 3 / 4 + 1);
    assert_non_null(strstr(slurp(), "too many different ones to tell apart"));
    char want[32];
    (void)snprintf(want, sizeof(want), "\"again\":%d", 5000 - AUDIT_SLOTS * 3 / 4);
    assert_non_null(strstr(text, want));
}

static void minutes_end(void **state)
{
    (void)state;
    static struct audit_repeats r;
    struct audit_slot copy;
    struct audit_event out;
    uint64_t n = 0;
    struct audit_event e = denial("s4-acme", "192.0.2.1");
    assert_true(audit_repeats_is_new(&r, &e, 1000));
    assert_false(audit_repeats_is_new(&r, &e, 2000));
    assert_false(audit_repeats_is_new(&r, &e, 60999));
    assert_false(audit_repeats_take(&r, 60999, &out, &copy, &n));
    assert_true(audit_repeats_take(&r, 61000, &out, &copy, &n));
    assert_int_equal(n, 2);
    assert_true(span_eq(out.who, SPAN_LIT("s4-acme")));
    assert_true(span_eq(out.detail, SPAN_LIT("401")));
    assert_false(audit_repeats_take(&r, UINT64_MAX, &out, &copy, &n));
    assert_true(audit_repeats_is_new(&r, &e, 61001));
    assert_false(audit_repeats_take(&r, 200000, &out, &copy, &n)); /* it came once */
    assert_int_equal(r.n, 0);
}

static void *tell_many(void *arg)
{
    for (int i = 0; i < 200; i++) {
        audit_tell(arg, &(struct audit_event){.name = "thread", .outcome = "ok"});
    }
    return NULL;
}

static void threads_may_tell(void **state)
{
    (void)state;
    struct audit *a = begin(CONF_AUDIT_SECURITY);
    pthread_t t[4];
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&t[i], NULL, tell_many, a), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(t[i], NULL), 0);
    }
    audit_free(a);
    assert_int_equal(count(), 800);
}

/* Nobody waits for a disk that is gone; what it missed comes later, and what was too much is
 * counted. */
static void a_missing_disk_is_survived(void **state)
{
    (void)state;
    char away[160];
    struct audit_state st = {.is_failing = false};
    struct audit *a = begin(CONF_AUDIT_SECURITY);
    (void)snprintf(away, sizeof(away), "%s.away", folder);
    assert_int_equal(rename(folder, away), 0);
    audit_tell(a, &(struct audit_event){.name = "first", .outcome = "ok"});
    for (int i = 0; i < 1000 && !st.is_failing; i++) {
        (void)usleep(10000);
        audit_look(a, &st);
    }
    assert_true(st.is_failing);
    assert_non_null(strstr(st.why, path));
    for (int i = 0; i < 20000; i++) {
        audit_tell(a, &(struct audit_event){.name = "more", .outcome = "ok"});
    }
    audit_look(a, &st);
    assert_true(st.n_lost > 0);
    assert_int_equal(rename(away, folder), 0);
    for (int i = 0; i < 1000 && st.is_failing; i++) {
        (void)usleep(10000);
        audit_look(a, &st);
    }
    assert_false(st.is_failing);
    audit_free(a);
    assert_true(count() > 100);
}

static void programs_write_at_once(void **state)
{
    (void)state;
    struct conf_audit conf = settings(CONF_AUDIT_SECURITY);
    struct audit_event e = {.name = "credential.made", .outcome = "ok"};
    struct diag d = {.text = ""};
    assert_int_equal(audit_once(&conf, &e, &d), FRUN_OK);
    assert_int_equal(access(path, F_OK), -1); /* no daemon ever began it */
    struct audit *a = begin(CONF_AUDIT_SECURITY);
    audit_tell(a, &(struct audit_event){.name = "one", .outcome = "ok"});
    assert_int_equal(audit_once(&conf, &e, &d), FRUN_OK);
    audit_free(a);
    assert_int_equal(count(), 2);
    assert_non_null(strstr(slurp(), "credential.made"));
}

static void files_that_cannot_be(void **state)
{
    (void)state;
    struct audit *a = NULL;
    struct diag d = {.text = ""};
    struct conf_audit conf = settings(CONF_AUDIT_SECURITY);
    conf.path = "/nonexistent/audit.log";
    assert_int_equal(audit_open(&conf, &a, &d), FRUN_E_IO);
    conf.is_file_given = false;
    assert_int_equal(audit_open(&conf, &a, &d), FRUN_OK);
    assert_null(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(events_become_records, setup, teardown),
        cmocka_unit_test_setup_teardown(long_texts_are_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(floods_are_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(floods_of_names_are_counted, setup, teardown),
        cmocka_unit_test(minutes_end),
        cmocka_unit_test_setup_teardown(threads_may_tell, setup, teardown),
        cmocka_unit_test_setup_teardown(a_missing_disk_is_survived, setup, teardown),
        cmocka_unit_test_setup_teardown(programs_write_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(files_that_cannot_be, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
