/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/admin/alerts.h"

#include "frun/admin/server.h"
#include "frun/loop/loop.h"
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

static struct loop *l;
static struct alerts *a;
static struct admin_server *server;
static char answer[512 * 1024];
static char script[TEMP_NAME];
static char out[TEMP_PATH];

/* The command appends what it gets to a file. */
static int setup(void **state)
{
    (void)state;
    int fd = temp_file(script);
    (void)snprintf(out, sizeof(out), "%s.out", script);
    char text[3 * TEMP_PATH];
    int n = snprintf(text, sizeof(text), "#!/bin/sh\nenv | grep -c FRUN_TEST >> %s\ncat >> %s\n",
                     out, out);
    assert_int_equal(write(fd, text, (size_t)n), n);
    assert_int_equal(fchmod(fd, 0700), 0);
    assert_int_equal(close(fd), 0);
    assert_int_equal(setenv("FRUN_TEST", "1", 1), 0);
    assert_int_equal(loop_new(&l), FRUN_OK);
    assert_int_equal(alerts_new(l, "frunproxyd", &a), FRUN_OK);
    assert_int_equal(admin_server_new(l, &ADMIN_LIMITS_DEFAULT, &server), FRUN_OK);
    assert_int_equal(alerts_serve(a, server), FRUN_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    admin_server_free(server);
    alerts_free(a);
    loop_free(l);
    (void)unlink(script);
    (void)unlink(out);
    return 0;
}

static void on_answer(void *ctx, unsigned status, struct span body)
{
    (void)ctx;
    assert_int_equal(status, 200);
    assert_true(body.n < sizeof(answer));
    memcpy(answer, body.p, body.n);
    answer[body.n] = '\0';
}

/* How many fire, as everybody sees it; the answer stays. */
static size_t firing(void)
{
    static const char state[] = "\"state\":\"firing\"";
    size_t n = 0;
    assert_int_equal(admin_server_ask(server, "/api/v1/alerts", on_answer, NULL), FRUN_OK);
    for (const char *at = answer; (at = strstr(at, state)) != NULL; at += sizeof(state) - 1) {
        n++;
    }
    return n;
}

static struct alerts_fact fact(const char *name, unsigned level)
{
    return (struct alerts_fact){.alert = "tunnel-down",
                                .name = name,
                                .for_ms = 60000,
                                .level = level,
                                .text = "no \"tunnel\"",
                                .remedy = "look"};
}

static void round_at(uint64_t now_ms, const char *name, unsigned level)
{
    struct alerts_fact f = fact(name ? name : "", level);
    alerts_begin(a, now_ms);
    if (name) {
        alerts_tell(a, &f);
    }
    alerts_end(a);
}

static void it_takes_its_time(void **state)
{
    (void)state;
    round_at(1000, "dc1", 1);
    assert_int_equal(firing(), 0);
    round_at(60999, "dc1", 1);
    assert_int_equal(firing(), 0);
    round_at(61000, "dc1", 1);
    assert_int_equal(firing(), 1);
    /* a short recovery is none */
    round_at(70000, NULL, 0);
    round_at(80000, "dc1", 1);
    round_at(90000, NULL, 0);
    assert_int_equal(firing(), 1);
    round_at(90000 + ALERTS_CLEAR_MS, NULL, 0);
    assert_int_equal(firing(), 0);
    /* and it needs its time again */
    round_at(200000, "dc1", 1);
    assert_int_equal(firing(), 0);
    round_at(260000, "dc1", 1);
    assert_int_equal(firing(), 1);
}

static void a_blink_is_nothing(void **state)
{
    (void)state;
    for (uint64_t t = 1000; t < 400000; t += 50000) {
        round_at(t, "dc1", 1);
        round_at(t + 25000, NULL, 0);
    }
    assert_int_equal(firing(), 0);
}

static void too_many_are_counted(void **state)
{
    (void)state;
    for (int round = 0; round < 2; round++) {
        alerts_begin(a, 1000 + 60000 * (uint64_t)round);
        for (int i = 0; i < ALERTS_MAX + 10; i++) {
            char name[32];
            (void)snprintf(name, sizeof(name), "dc%d", i);
            struct alerts_fact f = fact(name, 1);
            alerts_tell(a, &f);
        }
        alerts_end(a);
    }
    assert_int_equal(firing(), ALERTS_MAX);
}

static void certificates_get_worse(void **state)
{
    (void)state;
    static const int64_t days[] = {31, 30, 14, 7, 1, 0};
    for (size_t i = 0; i < sizeof(days) / sizeof(days[0]); i++) {
        alerts_begin(a, 1000 * (i + 1));
        alerts_certificate(a, 30, "front", "gateway", days[i] * 86400);
        alerts_end(a);
        assert_int_equal(firing(), i > 0);
    }
    alerts_begin(a, 100000);
    alerts_certificate(a, 0, "other", "gateway", 0);
    alerts_end(a);
    assert_int_equal(firing(), 1);
}

static void on_over(struct deadline *d)
{
    (void)d;
    loop_stop(l);
}

/* JSON on its standard input, one after the other, and nothing of our environment. */
static void the_command_is_told(void **state)
{
    (void)state;
    struct deadline over;
    char text[4096] = "";
    deadline_init(&over, on_over);
    alerts_set_command(a, script);
    round_at(1000, "dc1", 1);
    round_at(61000, "dc1", 1);
    round_at(62000, "dc1", 1); /* no storm */
    round_at(63000, "dc1", 2); /* worse */
    round_at(64000, NULL, 0);
    round_at(64000 + ALERTS_CLEAR_MS, NULL, 0);
    for (int i = 0; i < 100 && !strstr(text, "resolved"); i++) {
        deadline_set(l, &over, 100);
        loop_run(l);
        FILE *f = fopen(out, "re");
        size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
        text[n] = '\0';
        if (f) {
            (void)fclose(f);
        }
    }
    deadline_clear(&over);
    char *first = strstr(text, "\"state\":\"firing\"");
    assert_non_null(first);
    assert_non_null(strstr(first + 1, "\"state\":\"firing\""));
    assert_null(strstr(strstr(first + 1, "\"state\":\"firing\"") + 1, "\"state\":\"firing\""));
    assert_non_null(strstr(text, "\"state\":\"resolved\""));
    assert_non_null(strstr(text, "\"text\":\"no \\\"tunnel\\\"\""));
    assert_non_null(strstr(text, "\"daemon\":\"frunproxyd\""));
    assert_int_equal(text[0], '0');
}

/* A program that is not there is told, and nothing else happens. */
static void a_missing_command(void **state)
{
    (void)state;
    alerts_set_command(a, "/nonexistent/command");
    round_at(1000, "dc1", 1);
    round_at(61000, "dc1", 1);
    assert_int_equal(firing(), 1);
}

static void disks(void **state)
{
    (void)state;
    alerts_begin(a, 1000);
    alerts_disk(a, "/tmp", 1);
    alerts_disk(a, NULL, UINT64_MAX);
    alerts_disk(a, "/nonexistent", UINT64_MAX);
    alerts_disk(a, "/tmp", UINT64_MAX);
    alerts_end(a);
    alerts_begin(a, 1000 + ALERTS_CLEAR_MS);
    alerts_disk(a, "/tmp", UINT64_MAX);
    alerts_end(a);
    assert_int_equal(firing(), 1);
}

static void limit_at(uint64_t now_ms, uint64_t used)
{
    const struct alerts_limit_terms terms = {80, 60000};
    const struct alerts_limit x = {.name = "waiting requests",
                                   .used = used,
                                   .max = 1000,
                                   .what = "requests wait",
                                   .remedy = "look"};
    alerts_begin(a, now_ms);
    alerts_limit(a, &terms, &x);
    alerts_end(a);
}

/* Near its ceiling for long enough; not over as long as it comes and goes about the threshold. */
static void a_limit_is_near(void **state)
{
    static const struct {
        uint64_t at_s;
        uint64_t used;
        size_t firing;
    } rows[] = {{1, 799, 0},    {2, 800, 0},   {30, 750, 0}, /* not so for all that time */
                {40, 800, 0},   {99, 900, 0},  {100, 800, 1}, {110, 790, 1}, {150, 701, 1},
                {160, 1000, 1}, {170, 699, 1}, {180, 710, 1}, {190, 0, 1},   {206, 0, 0}};
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        limit_at(rows[i].at_s * 1000, rows[i].used);
        if (firing() != rows[i].firing) {
            fail_msg("after %u s with %u: %zu fire", (unsigned)rows[i].at_s, (unsigned)rows[i].used,
                     firing());
        }
    }
}

static void says(const char *text)
{
    if (!strstr(answer, text)) {
        fail_msg("\"%s\" is not in %s", text, answer);
    }
}

/* What is told of a limit is how it stands now, whether it is near or over. */
static void a_limit_says_how_it_stands(void **state)
{
    const struct alerts_limit_terms never = {0, 0};
    (void)state;
    limit_at(1000, 900);
    limit_at(61000, 950);
    assert_int_equal(firing(), 1);
    says("\"text\":\"950 requests wait, 1000 are the most\"");
    limit_at(62000, 40);
    assert_int_equal(firing(), 1);
    says("\"text\":\"40 requests wait, 1000 are the most\"");
    limit_at(62000 + ALERTS_CLEAR_MS, 30);
    assert_int_equal(firing(), 0);
    says("\"state\":\"resolved\",\"text\":\"30 requests wait, 1000 are the most\"");
    assert_non_null(strstr(answer, "\"until\":\"20"));

    /* not watched any more */
    limit_at(200000, 900);
    limit_at(260000, 900);
    assert_int_equal(firing(), 1);
    assert_null(strstr(answer, "until"));
    for (uint64_t t = 261000; t <= 261000 + ALERTS_CLEAR_MS; t += ALERTS_CLEAR_MS) {
        alerts_begin(a, t);
        alerts_limit(a, &never,
                     &(struct alerts_limit){
                         .name = "waiting requests", .used = 900, .what = "requests wait"});
        alerts_end(a);
    }
    assert_int_equal(firing(), 0);
    says("\"text\":\"900 requests wait\"");

    /* gone */
    limit_at(300000, 900);
    limit_at(360000, 900);
    round_at(361000, NULL, 0);
    round_at(361000 + ALERTS_CLEAR_MS, NULL, 0);
    assert_int_equal(firing(), 0);
    says("\"text\":\"far below its ceiling, or not there any more\"");
}

static void no_limit_is_near(void **state)
{
    const struct alerts_limit_terms never = {0, 0};
    const struct alerts_limit_terms at_once = {80, 0};
    (void)state;
    alerts_begin(a, 1000);
    alerts_limit(a, &never, &(struct alerts_limit){.name = "x", .used = 9, .max = 9, .what = ""});
    alerts_limit(a, &at_once, &(struct alerts_limit){.name = "y", .used = 9, .max = 0, .what = ""});
    alerts_descriptors(a, &never);
    alerts_descriptors(a, &at_once);
    alerts_end(a);
    assert_int_equal(firing(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_takes_its_time, setup, teardown),
        cmocka_unit_test_setup_teardown(a_limit_is_near, setup, teardown),
        cmocka_unit_test_setup_teardown(a_limit_says_how_it_stands, setup, teardown),
        cmocka_unit_test_setup_teardown(no_limit_is_near, setup, teardown),
        cmocka_unit_test_setup_teardown(a_blink_is_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(too_many_are_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(certificates_get_worse, setup, teardown),
        cmocka_unit_test_setup_teardown(the_command_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(a_missing_command, setup, teardown),
        cmocka_unit_test_setup_teardown(disks, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
