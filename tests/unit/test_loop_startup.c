/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/loop/startup.h"

#include <fcntl.h>
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

static int notify_fd = -1;

/* A stand-in for systemd, and a file for standard error. */
static int setup(void **state)
{
    (void)state;
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    socklen_t len = sizeof(sa_family_t);
    notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (notify_fd < 0 || bind(notify_fd, (struct sockaddr *)&un, len)) {
        return -1;
    }
    len = sizeof(un);
    if (getsockname(notify_fd, (struct sockaddr *)&un, &len)) {
        return -1;
    }
    char name[sizeof(un.sun_path) + 1] = "@";
    memcpy(name + 1, un.sun_path + 1, len - sizeof(sa_family_t) - 1);
    (void)unsetenv("JOURNAL_STREAM");
    return setenv("NOTIFY_SOCKET", name, 1);
}

static int teardown(void **state)
{
    (void)state;
    close(notify_fd);
    (void)unsetenv("NOTIFY_SOCKET");
    return 0;
}

struct row {
    const char *label;
    const char *lines;
    const char *failed; /* NULL: the start goes on */
    const char *status; /* what systemd is told; "": nothing */
};

static const struct row rows[] = {
    {"good", "", NULL, ""},
    {"a warning does not stop it", "a.ini:3: warning: x.y: hm\n", NULL, ""},
    {"one error", "a.ini:3: x.y: bad\n", "not good", "STATUS=not started: a.ini:3: x.y: bad"},
    {"warnings are passed over", "a.ini:3: warning: x.y: hm\na.ini:4: x.z: bad\n", "not good",
     "STATUS=not started: a.ini:4: x.z: bad"},
    {"several", "a.ini:3: x.y: bad\na.ini:4: x.z: worse\n", "not good",
     "STATUS=not started, 2 errors: a.ini:3: x.y: bad"},
    {"no line", "", "port 443 is taken", "STATUS=not started: port 443 is taken"},
    {"no newline at the end", "a.ini:3: x.y: bad", "not good",
     "STATUS=not started: a.ini:3: x.y: bad"},
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct startup_report r;
        char got[512];
        print_message("%s\n", rows[i].label);
        startup_report_begin(&r);
        assert_non_null(r.to);
        (void)fputs(rows[i].lines, r.to);
        startup_report_end(&r, rows[i].failed);
        assert_null(r.text);
        ssize_t n = recv(notify_fd, got, sizeof(got) - 1, 0);
        got[n > 0 ? n : 0] = '\0';
#ifdef FRUN_HAVE_SYSTEMD
        assert_string_equal(got, rows[i].status);
#endif
    }
}

/* Everything is written, whatever becomes of the start. */
static void test_lines_are_written(void **state)
{
    (void)state;
    FILE *file = tmpfile();
    int before = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    char got[128];
    assert_non_null(file);
    assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
    struct startup_report r;
    startup_report_begin(&r);
    (void)fputs("a.ini:3: warning: x.y: hm\na.ini:4: x.z: bad\n", r.to);
    startup_report_end(&r, NULL);
    (void)fflush(stderr);
    assert_true(dup2(before, STDERR_FILENO) >= 0);
    close(before);
    rewind(file);
    size_t n = fread(got, 1, sizeof(got) - 1, file);
    got[n] = '\0';
    (void)fclose(file);
    assert_string_equal(got, "a.ini:3: warning: x.y: hm\na.ini:4: x.z: bad\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rows, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lines_are_written, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
