/**
 * Access lines: what is in them, that nothing breaks their form.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/log.h"
#include "frun/gateway/accesslog.h"
#include "temp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The line that @p e makes. */
static void line_of(const struct accesslog_entry *e, enum conf_access form, char *out, size_t size)
{
    char path[TEMP_NAME];
    int fd = temp_file(path);
    struct log_settings s = {.level = LOG_LEVEL_INFO, .target = LOG_TARGET_FILE, .path = path};
    struct diag d = {.text = ""};
    assert_int_equal(log_start(&s, &d), FRUN_OK);
    accesslog_write(e, form);
    log_stop();
    ssize_t n = read(fd, out, size - 1);
    assert_true(n >= 0);
    out[n] = 0;
    (void)close(fd);
    (void)unlink(path);
}

static const struct accesslog_entry full = {
    .client = {"192.0.2.7", 9},
    .method = {"POST", 4},
    .path = {"/ACME_PROD/sap/frun", 19},
    .protocol = {"HTTP/1.1", 8},
    .request_id = {"r-1", 3},
    .traceparent = {"00-1-2-01", 9},
    .endpoint = {"ACME_PROD", 9},
    .pusher = {"s4-acme", 7},
    .route = "tunnel",
    .connector = "dc1-a",
    .status = 200,
    .by = "focused-run",
    .bytes_in = 1024,
    .bytes_out = 2,
    .total_us = 12345,
    .wait_us = 5,
    .upstream_us = 12000,
};

static void json_has_every_fact(void **state)
{
    (void)state;
    static const char *const wanted[] = {
        "\"client\":\"192.0.2.7\"",
        "\"endpoint\":\"ACME_PROD\"",
        "\"pusher\":\"s4-acme\"",
        "\"route\":\"tunnel\"",
        "\"connector\":\"dc1-a\"",
        "\"method\":\"POST\"",
        "\"status\":200",
        "\"by\":\"focused-run\"",
        "\"bytes_in\":1024",
        "\"ms\":12.345",
        "\"wait_ms\":0.005",
        "\"request_id\":\"r-1\"",
        "\"traceparent\":\"00-1-2-01\"",
    };
    char line[16384];
    line_of(&full, CONF_ACCESS_JSON, line, sizeof(line));
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        if (!strstr(line, wanted[i])) {
            fail_msg("%s is missing in %s", wanted[i], line);
        }
    }
    assert_null(strstr(line, "repeats"));
    assert_null(strstr(line, "error"));
}

static void hostile_values_stay_inside_their_quotes(void **state)
{
    (void)state;
    struct accesslog_entry e = full;
    char line[16384];
    e.user_agent = span_of("a\"b\\c\nd\x01\xff");
    for (int form = CONF_ACCESS_JSON; form <= CONF_ACCESS_COMBINED; form++) {
        line_of(&e, (enum conf_access)form, line, sizeof(line));
        assert_non_null(strstr(line, "\"a\\u0022b\\u005cc\\u000ad\\u0001\\u00ff\""));
        assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
    }
}

static void long_values_are_cut(void **state)
{
    (void)state;
    struct accesslog_entry e = full;
    static char agent[100000];
    char line[32768];
    memset(agent, 'x', sizeof(agent));
    e.user_agent = span_make(agent, sizeof(agent));
    line_of(&e, CONF_ACCESS_JSON, line, sizeof(line));
    assert_true(strlen(line) < 4000);
    assert_int_equal(line[strlen(line) - 2], '}');
}

static void escaped_values_leave_room_for_the_end(void **state)
{
    (void)state;
    struct accesslog_entry e = full;
    char path[1500];
    char agent[2000];
    char line[32768];
    memset(path, '"', sizeof(path));
    memset(agent, 0xff, 300);
    memset(agent + 300, 'x', sizeof(agent) - 300);
    e.path = e.note = span_make(path, sizeof(path));
    e.user_agent = span_make(agent, sizeof(agent));
    line_of(&e, CONF_ACCESS_JSON, line, sizeof(line));
    size_t n = strlen(line);
    assert_true(n < 8192);
    assert_string_equal(line + n - 3, "\"}\n");
    line_of(&e, CONF_ACCESS_COMBINED, line, sizeof(line));
    assert_non_null(strstr(line, " us=12345\n"));
}

static void combined_begins_as_apache_does(void **state)
{
    (void)state;
    char line[16384];
    line_of(&full, CONF_ACCESS_COMBINED, line, sizeof(line));
    assert_memory_equal(line, "192.0.2.7 - s4-acme [", 21);
    assert_non_null(
        strstr(line, "] \"POST /ACME_PROD/sap/frun HTTP/1.1\" 200 2 \"-\" \"-\" id=\"r-1\""));
}

static void off_writes_nothing(void **state)
{
    (void)state;
    char line[16384];
    line_of(&full, CONF_ACCESS_OFF, line, sizeof(line));
    assert_int_equal(strlen(line), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_has_every_fact),
        cmocka_unit_test(hostile_values_stay_inside_their_quotes),
        cmocka_unit_test(long_values_are_cut),
        cmocka_unit_test(escaped_values_leave_room_for_the_end),
        cmocka_unit_test(combined_begins_as_apache_does),
        cmocka_unit_test(off_writes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
