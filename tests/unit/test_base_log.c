/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/log.h"

#include "frun/base/mono.h"
#include "temp.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define OUT_BYTES ((size_t)8 << 20)

static char folder[TEMP_NAME];
static char path[TEMP_PATH];
static char rotated[TEMP_PATH];
static char *out; /* what the log wrote, NUL-terminated */

static int set_up(void **state)
{
    (void)state;
    (void)unsetenv("JOURNAL_STREAM");
    out = malloc(OUT_BYTES);
    if (!out) {
        return -1;
    }
    temp_folder(folder);
    (void)snprintf(path, sizeof(path), "%s/log", folder);
    (void)snprintf(rotated, sizeof(rotated), "%s/log.1", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(out);
    (void)unlink(path);
    (void)unlink(rotated);
    return rmdir(folder);
}

/* Read to the end into out. */
static void read_all(int fd)
{
    size_t n = 0;
    ssize_t got;

    while (n < OUT_BYTES - 1 && (got = read(fd, out + n, OUT_BYTES - 1 - n)) > 0) {
        n += (size_t)got;
    }
    out[n] = '\0';
}

static void read_file(const char *name)
{
    int fd = open(name, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    read_all(fd);
    (void)close(fd);
}

static void start_file(enum log_level level)
{
    const struct log_settings s = {.level = level,
                                   .events = {.target = LOG_TARGET_FILE, .name = path}};

    (void)unlink(path);
    assert_int_equal(log_start(&s, NULL), FRUN_OK);
}

static void said(struct span line)
{
    log_access(mono_wall_ms(), line, (struct span){0});
}

/* The n-th line of out, 0.., as a copy that the next call overwrites. */
static const char *line_at(size_t n)
{
    static char line[20000];
    struct span rest = span_of(out);
    struct span part = {0};

    for (size_t i = 0; i <= n; i++) {
        assert_true(span_split(&rest, '\n', &part));
    }
    (void)snprintf(line, sizeof(line), "%.*s", SPAN_FMT(part));
    return line;
}

static const char *behind_time(const char *line)
{
    assert_true(strlen(line) > 24 && line[23] == 'Z' && line[10] == 'T');
    return line + 24;
}

static void lines_in_a_file(void **state)
{
    (void)state;
    start_file(LOG_LEVEL_INFO);
    log_error(NULL, "cannot %s", "bind");
    log_warning("tunnel dc1-a#2", "lost, retrying in 4 s");
    log_info("request\n1", "a\r\nforged line\x7f\x1b[0m \xc3\xa4 \\x0a");
    log_debug("x", "not wanted");
    said(SPAN_LIT("{\"status\":200}"));
    log_stop();
    read_file(path);
    assert_string_equal(behind_time(line_at(0)), " error cannot bind");
    assert_string_equal(behind_time(line_at(1)), " warning tunnel dc1-a#2: lost, retrying in 4 s");
    assert_string_equal(behind_time(line_at(2)),
                        " info request\\x0a1: a\\x0d\\x0aforged line\\x7f\\x1b[0m \xc3\xa4 "
                        "\\x0a");
    assert_string_equal(line_at(3), "{\"status\":200}");
    assert_string_equal(line_at(4), "");
}

static void levels_filter(void **state)
{
    (void)state;
    start_file(LOG_LEVEL_ERROR);
    assert_true(log_wants(LOG_LEVEL_ERROR));
    assert_false(log_wants(LOG_LEVEL_WARNING));
    log_warning("x", "not wanted");
    log_stop();
    read_file(path);
    assert_string_equal(out, "");
    start_file(LOG_LEVEL_DEBUG);
    assert_true(log_wants(LOG_LEVEL_DEBUG));
    log_debug(NULL, "%d", 1);
    log_stop();
    read_file(path);
    assert_string_equal(behind_time(line_at(0)), " debug 1");
}

static void long_lines_are_cut(void **state)
{
    static char text[20000];

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    start_file(LOG_LEVEL_INFO);
    log_info("s", "%s", text);
    log_info(text, "behind a long scope");
    memset(text, '\x01', sizeof(text) - 1);
    log_info("s", "%s", text);
    said(span_make(text, sizeof(text) - 1));
    log_stop();
    read_file(path);
    for (size_t i = 0; i < 3; i++) {
        const char *line = line_at(i);
        size_t n = strlen(line);
        assert_true(n < 4096);
        assert_true(i == 1 || (n > 4080 && strcmp(line + n - 3, "...") == 0));
        assert_true(i != 1 || strstr(line, "...: behind a long scope"));
    }
    assert_int_equal(strlen(line_at(3)), (16 << 10) - 1);
}

static void reopened_after_rotation(void **state)
{
    (void)state;
    start_file(LOG_LEVEL_INFO);
    log_info(NULL, "before");
    /* The first line is on its way at any moment; rotation must not lose it either way. */
    assert_int_equal(rename(path, rotated), 0);
    log_reopen();
    uint64_t deadline_ms = mono_now_ms() + 5000;
    while (access(path, F_OK) != 0 && mono_now_ms() < deadline_ms) {
        (void)sched_yield();
    }
    log_info(NULL, "after");
    log_stop();
    read_file(path);
    assert_non_null(strstr(out, "info after"));
    bool is_new = strstr(out, "info before") != NULL;
    read_file(rotated);
    assert_true(is_new != (strstr(out, "info before") != NULL));
    assert_null(strstr(out, "info after"));
}

/* Each line goes where it was meant for when it was said. */
static void changed_while_it_runs(void **state)
{
    const struct log_settings one = {.level = LOG_LEVEL_INFO,
                                     .events = {.target = LOG_TARGET_FILE, .name = path}};
    const struct log_settings other = {.level = LOG_LEVEL_ERROR,
                                       .events = {.target = LOG_TARGET_FILE, .name = rotated}};
    const struct log_settings wrong = {
        .level = LOG_LEVEL_DEBUG, .events = {.target = LOG_TARGET_FILE, .name = "/nowhere/at/all"}};
    struct diag d = {0};

    (void)state;
    (void)unlink(path);
    (void)unlink(rotated);
    assert_int_equal(log_start(&one, &d), FRUN_OK);
    log_info(NULL, "before");
    assert_int_equal(log_change(&wrong, &d), FRUN_E_IO);
    assert_false(log_wants(LOG_LEVEL_DEBUG));
    log_info(NULL, "still");
    assert_int_equal(log_change(&other, &d), FRUN_OK);
    log_info(NULL, "not wanted");
    log_error(NULL, "after");
    log_stop();
    read_file(path);
    assert_non_null(strstr(out, "info before"));
    assert_non_null(strstr(out, "info still"));
    assert_null(strstr(out, "after"));
    read_file(rotated);
    assert_non_null(strstr(out, "error after"));
    assert_null(strstr(out, "before"));
    assert_null(strstr(out, "not wanted"));
    assert_int_equal(log_start(&one, &d), FRUN_OK); /* the level stays */
    log_stop();
}

static void unusable_file_is_refused(void **state)
{
    const struct log_settings s = {
        .level = LOG_LEVEL_INFO, .events = {.target = LOG_TARGET_FILE, .name = "/nonexistent/log"}};
    struct diag d = {0};

    (void)state;
    assert_int_equal(log_start(&s, &d), FRUN_E_IO);
    assert_non_null(strstr(d.text, "/nonexistent/log"));
    log_stop();
}

/* Put the write end of a new pipe, or fd if not -1, in place of stderr. */
static int swap_stderr(int fd, int *saved)
{
    int ends[2] = {-1, -1};

    if (fd < 0) {
        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        fd = ends[1];
    }
    *saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    assert_true(dup2(fd, STDERR_FILENO) >= 0);
    (void)close(fd);
    return ends[0];
}

static void restore_stderr(int saved)
{
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    (void)close(saved);
}

static const struct log_settings to_stderr = {
    .level = LOG_LEVEL_INFO,
    .access_severity = 6,
    .events = {.target = LOG_TARGET_STDERR, .name = NULL}};

static void journal_stream_has_priorities(void **state)
{
    char where[64];
    struct stat st;
    int saved;
    int end = swap_stderr(-1, &saved);

    (void)state;
    assert_int_equal(fstat(STDERR_FILENO, &st), 0);
    (void)snprintf(where, sizeof(where), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    (void)setenv("JOURNAL_STREAM", where, 1);
    log_info(NULL, "not started");
    assert_int_equal(log_start(&to_stderr, NULL), FRUN_OK);
    log_error(NULL, "one");
    log_warning("tunnel", "two");
    said(SPAN_LIT("three"));
    log_stop();
    /* Another stream's number: we were started by systemd but redirected since. */
    (void)setenv("JOURNAL_STREAM", "1:1", 1);
    assert_int_equal(log_start(&to_stderr, NULL), FRUN_OK);
    log_error(NULL, "four");
    said(SPAN_LIT("five"));
    log_stop();
    (void)unsetenv("JOURNAL_STREAM");
    restore_stderr(saved);
    read_all(end);
    (void)close(end);
    assert_string_equal(line_at(0), "<6>not started");
    assert_string_equal(line_at(1), "<3>one");
    assert_string_equal(line_at(2), "<4>tunnel: two");
    assert_string_equal(line_at(3), "<6>three");
    assert_string_equal(behind_time(line_at(4)), " error four");
    assert_string_equal(line_at(5), "five");
}

static void *write_many(void *arg)
{
    const char *who = arg;

    for (int i = 0; i < 20000; i++) {
        log_info(who, "line %d of a flood that is longer than the queue, padded %0100d", i, 0);
    }
    return NULL;
}

static void *read_pipe(void *arg)
{
    read_all(*(int *)arg);
    return NULL;
}

/* Nobody reads: callers must not wait, and what is missing is counted to the line. */
static void a_stuck_reader_stops_nobody(void **state)
{
    static char names[4][4] = {"a", "b", "c", "d"};
    pthread_t threads[4];
    pthread_t reader;
    int saved;
    int end = swap_stderr(-1, &saved);
    unsigned long long lines = 0;
    unsigned long long lost = 0;
    struct span rest;
    struct span line;

    (void)state;
    assert_int_equal(log_start(&to_stderr, NULL), FRUN_OK);
    restore_stderr(saved);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, names[i]), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(pthread_create(&reader, NULL, read_pipe, &end), 0);
    log_stop();
    assert_int_equal(pthread_join(reader, NULL), 0);
    (void)close(end);
    rest = span_of(out);
    while (span_split(&rest, '\n', &line) && line.n > 0) {
        char copy[256];
        (void)snprintf(copy, sizeof(copy), "%.*s", SPAN_FMT(line));
        const char *at = strstr(copy, " warning log: ");
        if (at) {
            lost += strtoull(at + strlen(" warning log: "), NULL, 10);
        } else {
            assert_non_null(strstr(behind_time(copy), "of a flood"));
            lines++;
        }
    }
    assert_true(lost > 0);
    assert_int_equal(lines + lost, 80000);
}

static void access_lines_leave_room_for_errors(void **state)
{
    static char text[1000];
    int saved;
    int end = swap_stderr(-1, &saved);
    pthread_t reader;

    (void)state;
    memset(text, 'a', sizeof(text));
    assert_int_equal(log_start(&to_stderr, NULL), FRUN_OK);
    restore_stderr(saved);
    for (int i = 0; i < 3000; i++) {
        said(span_make(text, sizeof(text)));
    }
    log_error(NULL, "the cause of it all");
    assert_int_equal(pthread_create(&reader, NULL, read_pipe, &end), 0);
    log_stop();
    assert_int_equal(pthread_join(reader, NULL), 0);
    (void)close(end);
    assert_non_null(strstr(out, "the cause of it all"));
}

static void stop_does_not_wait_for_ever(void **state)
{
    static char name[] = "x";
    int saved;
    int end = swap_stderr(-1, &saved);

    (void)state;
    assert_int_equal(log_start(&to_stderr, NULL), FRUN_OK);
    restore_stderr(saved);
    (void)write_many(name);
    uint64_t begun_ms = mono_now_ms();
    log_stop();
    assert_true(mono_now_ms() - begun_ms < 4000);
    (void)close(end);
}

static void dead_targets_are_survived(void **state)
{
    int saved;
    int end = swap_stderr(-1, &saved);

    (void)state;
    (void)close(end); /* a pipe without reader: SIGPIPE would end us */
    log_info(NULL, "direct");
    assert_int_equal(log_start(&to_stderr, NULL), FRUN_OK);
    log_info(NULL, "queued");
    log_stop();
    (void)close(STDERR_FILENO);
    log_info(NULL, "direct");
    assert_int_equal(log_start(&to_stderr, NULL), FRUN_OK);
    log_info(NULL, "queued");
    log_stop();
    restore_stderr(saved);
    (void)swap_stderr(open("/dev/full", O_WRONLY | O_CLOEXEC), &saved);
    assert_int_equal(log_start(&to_stderr, NULL), FRUN_OK);
    log_info(NULL, "queued");
    log_stop();
    restore_stderr(saved);
}

static void the_journal_is_there_or_refused(void **state)
{
    const struct log_settings s = {.level = LOG_LEVEL_INFO,
                                   .events = {.target = LOG_TARGET_JOURNAL, .name = NULL}};
    struct diag d = {0};

    (void)state;
#ifdef FRUN_HAVE_SYSTEMD
    /* Without a journal daemon lines are lost, never callers. */
    assert_int_equal(log_start(&s, &d), FRUN_OK);
    log_info("test", "a line");
    said(SPAN_LIT("an access line"));
    log_stop();
#else
    assert_int_equal(log_start(&s, &d), FRUN_E_UNSUPPORTED);
    assert_non_null(strstr(d.text, "stderr"));
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_in_a_file),
        cmocka_unit_test(levels_filter),
        cmocka_unit_test(long_lines_are_cut),
        cmocka_unit_test(reopened_after_rotation),
        cmocka_unit_test(changed_while_it_runs),
        cmocka_unit_test(unusable_file_is_refused),
        cmocka_unit_test(journal_stream_has_priorities),
        cmocka_unit_test(a_stuck_reader_stops_nobody),
        cmocka_unit_test(access_lines_leave_room_for_errors),
        cmocka_unit_test(stop_does_not_wait_for_ever),
        cmocka_unit_test(dead_targets_are_survived),
        cmocka_unit_test(the_journal_is_there_or_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
