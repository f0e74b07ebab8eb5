/**
 * Access lines: what is in them, that nothing breaks their form.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/admin/accesslog.h"
#include "frun/base/log.h"
#include "temp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
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
    struct log_settings s = {.level = LOG_LEVEL_INFO,
                             .events = {.target = LOG_TARGET_FILE, .name = path}};
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
    .tunnel = "dc1-a/1#2",
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
        "\"tunnel\":\"dc1-a/1#2\"",
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
    line_of(&e, CONF_ACCESS_JSON, line, sizeof(line));
    assert_non_null(strstr(line, "\"a\\u0022b\\u005cc\\u000ad\\u0001\\u00ff\""));
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
    line_of(&e, CONF_ACCESS_COMBINED, line, sizeof(line));
    assert_non_null(strstr(line, " \"a\\\"b\\\\c\\x0ad\\x01\\xff\"\n"));
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
}

/* Whatever octet at whatever place among others: what stands for itself and what does not. */
static void each_octet_at_each_place(void **state)
{
    (void)state;
    char agent[20];
    char line[16384];
    char want[64];
    for (unsigned c = 1; c < 256; c++) {
        for (size_t at = 0; at < 18; at += 5) {
            struct accesslog_entry e = full;
            bool is_plain = c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
            memset(agent, 'x', sizeof(agent));
            agent[at] = (char)c;
            e.user_agent = span_make(agent, 18);
            line_of(&e, CONF_ACCESS_JSON, line, sizeof(line));
            (void)snprintf(want, sizeof(want),
                           is_plain ? "\"%.*s%c%.*s\"}\n" : "\"%.*s\\u00%02x%.*s\"}\n", (int)at,
                           agent, c, (int)(17 - at), agent + at + 1);
            if (!strstr(line, want)) {
                fail_msg("octet %u at %zu: %s", c, at, line);
            }
        }
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
    assert_non_null(strstr(line, "\\\" HTTP/1.1\" 200 2 \"-\" \"\\xff"));
    assert_string_equal(line + strlen(line) - 5, "xff\"\n");
}

static void combined_is_apaches_format(void **state)
{
    (void)state;
    char line[16384];
    struct accesslog_entry e = full;
    line_of(&e, CONF_ACCESS_COMBINED, line, sizeof(line));
    assert_memory_equal(line, "192.0.2.7 - s4-acme [", 21);
    assert_string_equal(line + 41,
                        " +0000] \"POST /ACME_PROD/sap/frun HTTP/1.1\" 200 2 \"-\" \"-\"\n");
    /* Nobody known, nothing said, nothing sent. */
    e = (struct accesslog_entry){.protocol = SPAN_LIT("HTTP/1.1")};
    line_of(&e, CONF_ACCESS_COMBINED, line, sizeof(line));
    assert_memory_equal(line, "- - - [", 7);
    assert_string_equal(line + 27, " +0000] \"-\" 499 - \"-\" \"-\"\n");
    e.pusher = SPAN_LIT("a \"b\" [c]");
    line_of(&e, CONF_ACCESS_COMBINED, line, sizeof(line));
    assert_memory_equal(line, "- - a_\\\"b\\\"_[c] [", 17);
}

/* Each fact of a line stands alone for targets that keep them so. */
static void journal_has_every_fact(void **state)
{
    (void)state;
    static const char *const wanted[] = {"\nFRUN_REQUEST_ID=r-1\n",
                                         "\nFRUN_TRACEPARENT=00-1-2-01\n",
                                         "\nFRUN_CLIENT=192.0.2.7\n",
                                         "\nFRUN_ENDPOINT=ACME_PROD\n",
                                         "\nFRUN_PUSHER=s4-acme\n",
                                         "\nFRUN_ROUTE=tunnel\n",
                                         "\nFRUN_CONNECTOR=dc1-a\n",
                                         "\nFRUN_TUNNEL=dc1-a/1#2\n",
                                         "\nFRUN_STATUS=200\n",
                                         "\nFRUN_BY=focused-run\n",
                                         "\nFRUN_BYTES_IN=1024\n",
                                         "\nFRUN_BYTES_OUT=2\n",
                                         "\nFRUN_MS=12.345\n",
                                         "\nFRUN_WAIT_MS=0.005\n",
                                         "\nFRUN_UPSTREAM_MS=12.000\n",
                                         "\nFRUN_BACKEND_MS=11.500\n",
                                         "\nFRUN_USER_AGENT=a\"b\\x0ac\n"};
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    struct accesslog_entry e = full;
    struct diag d = {.text = ""};
    char got[32768];
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    char folder[TEMP_NAME];
    temp_folder(folder);
    (void)snprintf(at.sun_path, sizeof(at.sun_path), "%s/s", folder);
    assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
    const struct log_settings s = {.level = LOG_LEVEL_INFO,
                                   .events = {.target = LOG_TARGET_JOURNAL, .name = at.sun_path},
                                   .access_severity = 6};
    assert_int_equal(log_start(&s, &d), FRUN_OK);
    e.user_agent = SPAN_LIT("a\"b\nc");
    e.backend_us = 11500;
    accesslog_write(&e, CONF_ACCESS_COMBINED);
    log_stop();
    ssize_t n = recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT);
    (void)close(fd);
    (void)unlink(at.sun_path);
    (void)rmdir(folder);
    assert_true(n > 0);
    got[n] = '\0';
    assert_memory_equal(got, "MESSAGE=192.0.2.7 - s4-acme [", 29);
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        if (!strstr(got, wanted[i])) {
            fail_msg("%s is missing in %s", wanted[i], got);
        }
    }
    assert_null(strstr(got, "FRUN_REPEATS"));
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
        cmocka_unit_test(each_octet_at_each_place),
        cmocka_unit_test(long_values_are_cut),
        cmocka_unit_test(escaped_values_leave_room_for_the_end),
        cmocka_unit_test(combined_is_apaches_format),
        cmocka_unit_test(journal_has_every_fact),
        cmocka_unit_test(off_writes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
