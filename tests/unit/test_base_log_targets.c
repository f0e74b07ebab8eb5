/**
 * Targets that are sockets, and access lines with a target of their own.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/log.h"
#include "frun/base/mono.h"
#include "temp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define DEADLINE_MS 10000

static char folder[TEMP_NAME];
static char socket_path[TEMP_PATH];
static char event_path[TEMP_PATH];
static char access_path[TEMP_PATH];
static char old_path[TEMP_PATH];

static int set_up(void **state)
{
    (void)state;
    (void)unsetenv("JOURNAL_STREAM");
    temp_folder(folder);
    (void)snprintf(socket_path, sizeof(socket_path), "%s/socket", folder);
    (void)snprintf(event_path, sizeof(event_path), "%s/events", folder);
    (void)snprintf(access_path, sizeof(access_path), "%s/access", folder);
    (void)snprintf(old_path, sizeof(old_path), "%s/access.1", folder);
    return 0;
}

static int clean(void **state)
{
    (void)state;
    (void)unlink(socket_path);
    (void)unlink(event_path);
    (void)unlink(access_path);
    (void)unlink(old_path);
    return 0;
}

static int tear_down(void **state)
{
    (void)clean(state);
    return rmdir(folder);
}

/* A daemon's socket. */
static int bind_unix(void)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    memcpy(at.sun_path, socket_path, strlen(socket_path) + 1); /* TEMP_NAME and a little */
    (void)unlink(socket_path);
    assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
    return fd;
}

static int bind_udp(char *name, size_t room)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(at);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (const struct sockaddr *)&at, n), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &n), 0);
    (void)snprintf(name, room, "127.0.0.1:%u", (unsigned)ntohs(at.sin_port));
    return fd;
}

/* The next datagram, NUL-terminated, until the next call. */
static const char *next_line(int fd)
{
    static char line[70000];
    struct pollfd p = {.fd = fd, .events = POLLIN};

    assert_int_equal(poll(&p, 1, DEADLINE_MS), 1);
    ssize_t n = recv(fd, line, sizeof(line) - 1, 0);
    assert_true(n > 0);
    line[n] = '\0';
    return line;
}

static void start(enum log_target target, const char *name)
{
    const struct log_settings s = {.level = LOG_LEVEL_INFO,
                                   .events = {.target = target, .name = name, .facility = 3},
                                   .access = {.facility = 16},
                                   .access_severity = 5};
    assert_int_equal(log_start(&s, NULL), FRUN_OK);
}

static void said(const char *line, const char *fields)
{
    log_access(1792306560123, span_of(line), span_of(fields));
}

/* "name=value" as a line of its own? */
static void assert_field(const char *datagram, const char *field)
{
    char line[256];
    (void)snprintf(line, sizeof(line), "\n%s\n", field);
    bool is_first = strncmp(datagram, line + 1, strlen(line + 1)) == 0;
    if (!is_first && !strstr(datagram, line)) {
        fail_msg("no %s in %s", field, datagram);
    }
}

static void the_journal_gets_fields(void **state)
{
    (void)state;
    int fd = bind_unix();
    start(LOG_TARGET_JOURNAL, socket_path);
    assert_true(log_access_has_fields());
    log_warning("tunnel dc1-a", "lost");
    said("POST /x 200", "request_id=r-1\nstatus=200\npath=/a=b\n");
    said("forged\nPRIORITY=0", "");
    log_stop();
    const char *got = next_line(fd);
    assert_field(got, "MESSAGE=tunnel dc1-a: lost");
    assert_field(got, "PRIORITY=4");
    assert_field(got, "SYSLOG_FACILITY=3");
    assert_field(got, "SYSLOG_IDENTIFIER=test_base_log_targets");
    assert_field(got, "FRUN_LOG=event");
    assert_field(got, "FRUN_SCOPE=tunnel dc1-a");
    got = next_line(fd);
    assert_field(got, "MESSAGE=POST /x 200");
    assert_field(got, "PRIORITY=5");
    assert_field(got, "SYSLOG_FACILITY=16");
    assert_field(got, "FRUN_LOG=access");
    assert_field(got, "FRUN_REQUEST_ID=r-1");
    assert_field(got, "FRUN_STATUS=200");
    assert_field(got, "FRUN_PATH=/a=b");
    got = next_line(fd);
    assert_field(got, "MESSAGE=forged PRIORITY=0");
    assert_field(got, "PRIORITY=5");
    (void)close(fd);
}

static void syslog_is_rfc_5424(void **state)
{
    (void)state;
    char host[256] = "";
    char want[1024];
    int fd = bind_unix();
    assert_int_equal(gethostname(host, sizeof(host) - 1), 0);
    start(LOG_TARGET_SYSLOG, socket_path);
    log_error(NULL, "cannot bind");
    log_info("tunnel dc1-a", "open");
    said("{\"status\":200}", "request_id=r-1\nuser_agent=a\"b]c\\d\n");
    log_stop();
    const char *got = next_line(fd);
    assert_memory_equal(got, "<27>1 20", 8);
    assert_memory_equal(got + 29, "Z ", 2);
    (void)snprintf(want, sizeof(want), " %s test_base_log_targets %ld event - cannot bind", host,
                   (long)getpid());
    assert_string_equal(got + 30, want);
    got = next_line(fd);
    assert_memory_equal(got, "<30>1 ", 6);
    assert_non_null(strstr(got, " event [frun@32473 scope=\"tunnel dc1-a\"] tunnel dc1-a: open"));
    got = next_line(fd);
    (void)snprintf(want, sizeof(want),
                   "<133>1 2026-10-18T06:56:00.123Z %s test_base_log_targets %ld access "
                   "[frun@32473 request_id=\"r-1\" user_agent=\"a\\\"b\\]c\\\\d\"] "
                   "{\"status\":200}",
                   host, (long)getpid());
    assert_string_equal(got, want);
    (void)close(fd);
}

static void syslog_by_udp_is_cut(void **state)
{
    (void)state;
    char name[64];
    static char text[6001];
    int fd = bind_udp(name, sizeof(name));
    for (size_t i = 0; i < sizeof(text) - 1; i += 2) {
        memcpy(text + i, "\xc3\xa4", 2);
    }
    start(LOG_TARGET_SYSLOG, name);
    said(text, "request_id=r-1\n");
    said(text + 1, "request_id=r-2\n");
    log_stop();
    for (int i = 0; i < 2; i++) {
        const char *got = next_line(fd);
        size_t n = strlen(got);
        assert_true(n <= 2048 && n >= 2046);
        assert_non_null(strstr(got, i == 0 ? "request_id=\"r-1\"] \xc3\xa4" : "\"r-2\"] \xa4"));
        assert_int_equal((unsigned char)got[n - 1], 0xa4); /* whole characters */
    }
    (void)close(fd);
}

/* Facts that are too long are left out, whole ones stay, and the message is one. */
static void long_facts_are_left_out(void **state)
{
    (void)state;
    static char fields[12100] = "first=1\nlong=";
    int fd = bind_unix();
    memset(fields + strlen(fields), '"', 12000 - strlen(fields));
    memcpy(fields + 12000, "\nlast=2\n", sizeof("\nlast=2\n"));
    start(LOG_TARGET_SYSLOG, socket_path);
    said("text", fields);
    log_stop();
    const char *got = next_line(fd);
    assert_non_null(strstr(got, "[frun@32473 first=\"1\" last=\"2\"] text"));
    (void)close(fd);
}

/* Wait until a file has a text. */
static void await_text(const char *path, const char *text)
{
    static char all[1 << 16];
    uint64_t until_ms = mono_now_ms() + DEADLINE_MS;
    do {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd >= 0 ? read(fd, all, sizeof(all) - 1) : 0;
        (void)close(fd);
        all[n > 0 ? n : 0] = '\0';
        (void)sched_yield();
    } while (!strstr(all, text) && mono_now_ms() < until_ms);
    if (!strstr(all, text)) {
        fail_msg("no %s in %s", text, all);
    }
}

static unsigned count_of(const char *path, const char *text)
{
    static char all[1 << 20];
    unsigned n = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, all, sizeof(all) - 1) : 0;
    (void)close(fd);
    all[got > 0 ? got : 0] = '\0';
    for (const char *at = all; (at = strstr(at, text)) != NULL; at++) {
        n++;
    }
    return n;
}

static void start_apart(const struct log_where *w)
{
    const struct log_settings s = {
        .level = LOG_LEVEL_INFO,
        .events = {.target = LOG_TARGET_FILE, .name = event_path, .facility = 3},
        .access = *w,
        .is_access_apart = true,
        .access_severity = 6};
    assert_int_equal(log_start(&s, NULL), FRUN_OK);
}

static void a_socket_that_comes_and_goes(void **state)
{
    const struct log_where w = {.target = LOG_TARGET_SYSLOG, .name = socket_path, .facility = 3};

    (void)state;
    start_apart(&w);
    said("nobody hears it", "");
    await_text(event_path, "takes no lines (No such file or directory)");
    said("nor this", "");
    uint64_t until_ms = mono_now_ms() + DEADLINE_MS;
    while (log_lost(true) < 2 && mono_now_ms() < until_ms) {
        (void)sched_yield();
    }
    assert_int_equal(log_lost(true), 2);
    assert_int_equal(log_lost(false), 0);
    /* It comes: what is said from half a second on arrives. */
    int fd = bind_unix();
    struct pollfd p = {.fd = fd, .events = POLLIN};
    do {
        said("there it is", "");
    } while (poll(&p, 1, 50) == 0 && mono_now_ms() < until_ms);
    assert_non_null(strstr(next_line(fd), "there it is"));
    /* It is started anew: nothing is lost. */
    uint64_t lost = log_lost(true);
    (void)close(fd);
    fd = bind_unix();
    said("behind a restart", "");
    while (!strstr(next_line(fd), "behind a restart")) {
    }
    assert_int_equal(log_lost(true), lost);
    log_stop();
    (void)close(fd);
    assert_int_equal(count_of(event_path, "takes no lines"), 1);
    assert_int_equal(count_of(event_path, "lines lost in all"), 1);
}

/* Nobody reads: whoever has something to say goes on, and so does the end. */
static void a_full_socket_stops_nobody(void **state)
{
    const struct log_where w = {.target = LOG_TARGET_JOURNAL, .name = socket_path};
    static char text[8000];

    (void)state;
    int fd = bind_unix();
    memset(text, 'x', sizeof(text) - 1);
    start_apart(&w);
    uint64_t begun_ms = mono_now_ms();
    for (int i = 0; i < 5000; i++) {
        said(text, "");
    }
    assert_true(mono_now_ms() - begun_ms < 8000);
    begun_ms = mono_now_ms();
    log_stop();
    assert_true(mono_now_ms() - begun_ms < 8000);
    assert_true(log_lost(true) > 0);
    assert_int_equal(count_of(event_path, "lines lost in all"), 1);
    /* What was taken came, in order; the rest was counted. */
    unsigned got = 0;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    for (; poll(&p, 1, 0) == 1; got++) {
        (void)next_line(fd);
    }
    assert_int_equal(got + log_lost(true), 5000);
    (void)close(fd);
}

/* UDP tells of a missing daemon only behind the next datagram. */
static void nobody_listens_by_udp(void **state)
{
    char name[64];

    (void)state;
    int fd = bind_udp(name, sizeof(name));
    (void)close(fd);
    const struct log_where w = {.target = LOG_TARGET_SYSLOG, .name = name};
    start_apart(&w);
    uint64_t until_ms = mono_now_ms() + DEADLINE_MS;
    while (log_lost(true) == 0 && mono_now_ms() < until_ms) {
        said("nobody hears it", "");
        (void)usleep(1000);
    }
    assert_true(log_lost(true) > 0);
    await_text(event_path, "takes no lines (Connection refused)");
    log_stop();
    assert_int_equal(count_of(event_path, "takes no lines"), 1);
}

static void a_file_of_their_own(void **state)
{
    const struct log_where w = {.target = LOG_TARGET_FILE, .name = access_path};

    (void)state;
    start_apart(&w);
    assert_false(log_access_has_fields());
    log_info(NULL, "an event");
    said("one", "");
    await_text(access_path, "one\n");
    assert_int_equal(rename(access_path, old_path), 0);
    said("two", "");
    log_reopen();
    said("three", "");
    log_stop();
    assert_int_equal(count_of(old_path, "one\n"), 1);
    assert_int_equal(count_of(old_path, "two\n") + count_of(access_path, "two\n"), 1);
    assert_int_equal(count_of(old_path, "three\n") + count_of(access_path, "three\n"), 1);
    assert_int_equal(count_of(access_path, "event"), 0);
    assert_int_equal(count_of(event_path, "an event"), 1);
    assert_int_equal(count_of(event_path, "three"), 0);
}

/* Apart, together, apart again: each line where it was meant for when it was said. */
static void changed_while_it_runs(void **state)
{
    struct log_settings s = {.level = LOG_LEVEL_INFO,
                             .events = {.target = LOG_TARGET_FILE, .name = event_path},
                             .access = {.target = LOG_TARGET_FILE, .name = access_path},
                             .access_severity = 6};
    struct log_settings wrong = s;
    struct diag d = {.text = ""};

    (void)state;
    wrong.is_access_apart = true;
    wrong.access.name = "/nowhere/at/all";
    assert_int_equal(log_start(&s, NULL), FRUN_OK);
    said("together", "");
    assert_int_equal(log_change(&wrong, &d), FRUN_E_IO);
    assert_non_null(strstr(d.text, "/nowhere/at/all"));
    assert_int_equal(log_check(&wrong, &d), FRUN_E_IO);
    said("still together", "");
    s.is_access_apart = true;
    assert_int_equal(log_change(&s, NULL), FRUN_OK);
    said("apart", "");
    s.is_access_apart = false;
    assert_int_equal(log_change(&s, NULL), FRUN_OK);
    said("united", "");
    s.is_access_apart = true;
    assert_int_equal(log_change(&s, NULL), FRUN_OK);
    assert_int_equal(log_change(&s, NULL), FRUN_OK);
    said("divorced", "");
    log_stop();
    assert_int_equal(count_of(event_path, "together\n"), 2);
    assert_int_equal(count_of(event_path, "apart\n"), 0);
    assert_int_equal(count_of(event_path, "united\n"), 1);
    assert_int_equal(count_of(access_path, "apart\n"), 1);
    assert_int_equal(count_of(access_path, "divorced\n"), 1);
    assert_int_equal(count_of(access_path, "\n"), 2);
}

/* The log says so: once when it begins, once how many. */
static void a_full_disk_is_told_in_the_log(void **state)
{
    const struct log_where w = {.target = LOG_TARGET_FILE, .name = "/dev/full"};

    (void)state;
    start_apart(&w);
    for (int i = 0; i < 10; i++) {
        said("lost", "");
    }
    await_text(event_path, "\"/dev/full\" takes no lines (No space left on device)");
    said("lost", "");
    log_stop();
    assert_int_equal(log_lost(true), 11);
    assert_int_equal(count_of(event_path, "takes no lines"), 1);
    assert_int_equal(count_of(event_path, "access log: 11 lines lost in all"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(the_journal_gets_fields, clean),
        cmocka_unit_test_teardown(syslog_is_rfc_5424, clean),
        cmocka_unit_test_teardown(syslog_by_udp_is_cut, clean),
        cmocka_unit_test_teardown(long_facts_are_left_out, clean),
        cmocka_unit_test_teardown(a_socket_that_comes_and_goes, clean),
        cmocka_unit_test_teardown(a_full_socket_stops_nobody, clean),
        cmocka_unit_test_teardown(nobody_listens_by_udp, clean),
        cmocka_unit_test_teardown(a_file_of_their_own, clean),
        cmocka_unit_test_teardown(changed_while_it_runs, clean),
        cmocka_unit_test_teardown(a_full_disk_is_told_in_the_log, clean),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
