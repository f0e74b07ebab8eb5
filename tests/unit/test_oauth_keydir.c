/**
 * The folder of signing keys: made, read, rotated, cleaned; and what cannot be done is told.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/oauth/keydir.h"
#include "temp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define DAY 86400U

/* A file system that locks only what is open for writing, as NFS does. */
static bool is_nfs;

int __real_flock(int fd, int what);
int __wrap_flock(int fd, int what);

int __wrap_flock(int fd, int what)
{
    struct stat st;
    if (is_nfs && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
        errno = EBADF;
        return -1;
    }
    return __real_flock(fd, what);
}

struct bench {
    char top[TEMP_NAME];
    char path[TEMP_NAME + 16];
    struct keydir d;
    struct keydir_done done;
    struct diag e;
    struct keys *k;
};

static int set_up(void **state)
{
    struct bench *b = calloc(1, sizeof(*b));
    if (!b) {
        return -1;
    }
    temp_folder(b->top);
    (void)snprintf(b->path, sizeof(b->path), "%s/keys", b->top);
    b->d = (struct keydir){
        .path = b->path, .settle_s = 60, .rotate_after_s = 90 * DAY, .lifetime_s = DAY / 2};
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *b = *state;
    char cmd[512];
    keys_unref(&b->k);
    (void)snprintf(cmd, sizeof(cmd), "%s/keys", b->top);
    struct keys *k = NULL;
    if (keydir_read(&b->d, 0, &k, NULL, &b->e) == FRUN_OK) {
        for (size_t i = 0; i < keys_count(k); i++) {
            (void)snprintf(cmd, sizeof(cmd), "%s/%s", b->path, keys_at(k, i)->file);
            (void)unlink(cmd);
        }
        keys_unref(&k);
    }
    (void)snprintf(cmd, sizeof(cmd), "%s/stray.pem", b->path);
    (void)unlink(cmd);
    (void)snprintf(cmd, sizeof(cmd), "%s/.lock", b->path);
    (void)unlink(cmd);
    is_nfs = false;
    (void)rmdir(b->path);
    (void)rmdir(b->top);
    free(b);
    return 0;
}

static uint64_t now_s(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec;
}

static frun_err tend(struct bench *b, uint64_t at)
{
    keys_unref(&b->k);
    return keydir_tend(&b->d, at, &b->k, &b->done, &b->e);
}

/* Make key @p i of the set so old. */
static void age(const struct bench *b, size_t i, uint64_t made_s)
{
    char path[512];
    const struct timespec times[2] = {{(time_t)made_s, 0}, {(time_t)made_s, 0}};
    (void)snprintf(path, sizeof(path), "%s/%s", b->path, keys_at(b->k, i)->file);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void first_start_makes_folder_and_key(void **state)
{
    struct bench *b = *state;
    struct stat st;
    char path[512];
    assert_int_equal(tend(b, now_s()), FRUN_OK);
    assert_true(b->done.is_made);
    assert_int_equal(keys_count(b->k), 1);
    assert_non_null(keys_signer(b->k)); /* alone, it need not settle */
    assert_int_equal(stat(b->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    (void)snprintf(path, sizeof(path), "%s/%s.pem", b->path, keys_signer(b->k)->id);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(tend(b, now_s()), FRUN_OK);
    assert_false(b->done.is_made);
    assert_int_equal(keys_count(b->k), 1);
}

static void rotation_and_the_end_of_a_key(void **state)
{
    struct bench *b = *state;
    uint64_t now = now_s();
    char first[KEYS_ID_BYTES];
    assert_int_equal(tend(b, now), FRUN_OK);
    (void)snprintf(first, sizeof(first), "%s", keys_signer(b->k)->id);
    age(b, 0, now - 90 * DAY);
    /* due: a second one is made, the first goes on signing until all have read the second */
    assert_int_equal(tend(b, now), FRUN_OK);
    assert_true(b->done.is_made);
    assert_int_equal(keys_count(b->k), 2);
    assert_string_equal(keys_signer(b->k)->id, first);
    /* settled: the second signs, the first is accepted */
    assert_int_equal(tend(b, now + 90), FRUN_OK);
    assert_string_not_equal(keys_signer(b->k)->id, first);
    assert_int_equal(keys_count(b->k), 2);
    /* its last token has just not expired, then it has */
    assert_int_equal(tend(b, now + DAY / 2 + KEYDIR_MARGIN_S), FRUN_OK);
    assert_int_equal(keys_count(b->k), 2);
    assert_int_equal(tend(b, now + DAY / 2 + KEYDIR_MARGIN_S + 90), FRUN_OK);
    assert_int_equal(b->done.n_removed, 1);
    assert_int_equal(keys_count(b->k), 1);
    assert_string_not_equal(keys_at(b->k, 0)->id, first);
}

static void without_rotation_nothing_is_touched(void **state)
{
    struct bench *b = *state;
    uint64_t now = now_s();
    char id[KEYS_ID_BYTES];
    b->d.rotate_after_s = 0;
    assert_int_equal(tend(b, now), FRUN_OK);
    age(b, 0, now - 1000 * DAY);
    assert_int_equal(keydir_add(b->path, id, &b->e), FRUN_OK);
    assert_int_equal(tend(b, now + 900 * DAY), FRUN_OK);
    assert_int_equal(keys_count(b->k), 2);
    assert_string_equal(keys_signer(b->k)->id, id);
}

static void stray_files_are_skipped_and_told(void **state)
{
    struct bench *b = *state;
    char path[TEMP_PATH];
    assert_int_equal(tend(b, now_s()), FRUN_OK);
    (void)snprintf(path, sizeof(path), "%s/stray.pem", b->path);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    (void)fputs("-----BEGIN PRIVATE KEY-----\nhalf a key\n", f);
    (void)fclose(f);
    assert_int_equal(tend(b, now_s()), FRUN_OK);
    assert_int_equal(b->done.n_skipped, 1);
    assert_non_null(strstr(b->done.note.text, "stray.pem"));
    assert_int_equal(keys_count(b->k), 1);
}

static void nothing_there_and_nothing_can_be_made(void **state)
{
    struct bench *b = *state;
    struct keys *k = NULL;
    assert_int_equal(keydir_read(&b->d, 0, &k, NULL, &b->e), FRUN_E_NOT_FOUND);
    (void)snprintf(b->path, sizeof(b->path), "%s/no/keys", b->top);
    assert_int_equal(tend(b, now_s()), FRUN_E_IO);
    assert_non_null(strstr(b->e.text, "cannot be made"));
    b->d.path = "/proc/self/fdinfo"; /* nobody writes there, root neither */
    assert_int_equal(tend(b, now_s()), FRUN_E_NOT_FOUND);
    assert_non_null(strstr(b->e.text, "frunctl oauth new-key"));
    b->d.path = "/dev/null";
    assert_int_equal(tend(b, now_s()), FRUN_E_IO);
}

/* Without a free descriptor no file can be opened; the keys are there nevertheless. */
static void trouble_of_the_system_loses_no_key(void **state)
{
    struct bench *b = *state;
    struct rlimit all;
    struct keys *k = NULL;
    assert_int_equal(tend(b, now_s()), FRUN_OK);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &all), 0);
    int next = fcntl(0, F_DUPFD_CLOEXEC, 3);
    assert_true(next > 0);
    (void)close(next);
    const struct rlimit few = {(rlim_t)next + 2, all.rlim_max}; /* for the folder, not for a key */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    frun_err read = keydir_read(&b->d, now_s(), &k, NULL, &b->e);
    frun_err tended = tend(b, now_s());
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &all), 0);
    keys_unref(&k);
    assert_int_equal(read, FRUN_E_IO);
    assert_int_equal(tended, FRUN_E_IO);
    assert_int_equal(tend(b, now_s()), FRUN_OK);
    assert_int_equal(keys_count(b->k), 1);
}

static void a_folder_on_nfs(void **state)
{
    struct bench *b = *state;
    char path[TEMP_PATH];
    is_nfs = true;
    assert_int_equal(tend(b, now_s()), FRUN_OK);
    assert_true(b->done.is_made);
    assert_string_equal(b->done.note.text, "");
    /* somebody else is at it */
    age(b, 0, now_s() - 90 * DAY);
    (void)snprintf(path, sizeof(path), "%s/.lock", b->path);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_int_equal(tend(b, now_s()), FRUN_OK);
    assert_false(b->done.is_made);
    assert_non_null(strstr(b->done.note.text, "cannot be locked"));
    (void)close(fd);
    assert_int_equal(tend(b, now_s()), FRUN_OK);
    assert_true(b->done.is_made);
}

/* The private key of a web server, say, in a folder that was not meant for us alone. */
static void what_others_put_there_stays(void **state)
{
    struct bench *b = *state;
    uint64_t now = now_s();
    char from[512];
    char to[TEMP_PATH];
    assert_int_equal(tend(b, now), FRUN_OK);
    age(b, 0, now - 100 * DAY);
    (void)snprintf(from, sizeof(from), "%s/%s", b->path, keys_at(b->k, 0)->file);
    (void)snprintf(to, sizeof(to), "%s/stray.pem", b->path);
    assert_int_equal(rename(from, to), 0);
    assert_int_equal(tend(b, now), FRUN_OK);
    assert_true(b->done.is_made);
    assert_int_equal(tend(b, now + 80 * DAY), FRUN_OK);
    assert_int_equal(b->done.n_removed, 0);
    assert_int_equal(access(to, F_OK), 0);
}

static void what_strangers_may_do_is_told(void **state)
{
    struct bench *b = *state;
    char path[512];
    assert_int_equal(tend(b, now_s()), FRUN_OK);
    (void)snprintf(path, sizeof(path), "%s/%s", b->path, keys_at(b->k, 0)->file);
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(tend(b, now_s()), FRUN_OK);
    assert_non_null(strstr(b->done.note.text, "chmod o-rwx"));
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(chmod(b->path, 0777), 0);
    assert_int_equal(tend(b, now_s()), FRUN_OK);
    assert_non_null(strstr(b->done.note.text, "chmod o-w"));
}

/* 'frunctl oauth new-key' is run by root, and the daemon has a user of its own. */
static void a_key_of_root_is_for_the_daemon(void **state)
{
    struct bench *b = *state;
    static const struct {
        mode_t folder, file;
    } rows[] = {{0700, 0600}, {0750, 0640}};
    if (geteuid() != 0) {
        skip();
    }
    assert_int_equal(mkdir(b->path, 0700), 0);
    assert_int_equal(chown(b->path, 12345, 23456), 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct stat st;
        char id[KEYS_ID_BYTES];
        char path[512];
        assert_int_equal(chmod(b->path, rows[i].folder), 0);
        assert_int_equal(keydir_add(b->path, id, &b->e), FRUN_OK);
        (void)snprintf(path, sizeof(path), "%s/%s.pem", b->path, id);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_uid, 12345);
        assert_int_equal(st.st_gid, 23456);
        assert_int_equal(st.st_mode & 0777, rows[i].file);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(first_start_makes_folder_and_key, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rotation_and_the_end_of_a_key, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_rotation_nothing_is_touched, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stray_files_are_skipped_and_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_there_and_nothing_can_be_made, set_up, tear_down),
        cmocka_unit_test_setup_teardown(trouble_of_the_system_loses_no_key, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_folder_on_nfs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_others_put_there_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_strangers_may_do_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_key_of_root_is_for_the_daemon, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
