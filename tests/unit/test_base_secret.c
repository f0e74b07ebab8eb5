/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/secret.h"
#include "temp.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static char folder[TEMP_NAME];

static void put_file(const char *name, const char *text, size_t n)
{
    char path[TEMP_PATH];

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, n), n);
    (void)close(fd);
}

static int set_up(void **state)
{
    static char longest[SECRET_MAX_BYTES + 2];

    (void)state;
    temp_folder(folder);
    put_file("plain", "s3cret", 6);
    put_file("lf", "s3cret\n", 7);
    put_file("crlf", "s3cret\r\n", 8);
    put_file("two", "s3cret\n\n", 8);
    put_file("empty", "", 0);
    put_file("only-lf", "\n", 1);
    memset(longest, 'x', sizeof(longest));
    longest[SECRET_MAX_BYTES] = '\n';
    put_file("longest", longest, SECRET_MAX_BYTES + 1);
    longest[SECRET_MAX_BYTES] = 'x';
    put_file("too-long", longest, SECRET_MAX_BYTES + 1);
    (void)setenv("CREDENTIALS_DIRECTORY", folder, 1);
    (void)setenv("FRUN_TEST_SECRET", "from env", 1);
    (void)setenv("FRUN_TEST_EMPTY", "", 1);
    return 0;
}

static int tear_down(void **state)
{
    static const char *const names[] = {"plain", "lf",      "crlf",    "two",
                                        "empty", "only-lf", "longest", "too-long"};
    char path[TEMP_PATH];

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        (void)unlink(path);
    }
    return rmdir(folder);
}

static void places(void **state)
{
    static const struct {
        const char *where;
        frun_err err;
        const char *want; /* secret, or a word of the message */
    } rows[] = {
        {"file:plain", FRUN_OK, "s3cret"},
        {"file:lf", FRUN_OK, "s3cret"},
        {"file:crlf", FRUN_OK, "s3cret"},
        {"file:two", FRUN_OK, "s3cret\n"},
        {"file:longest", FRUN_OK, NULL},
        {"file:too-long", FRUN_E_LIMIT, "4096"},
        {"file:empty", FRUN_E_SYNTAX, "empty"},
        {"file:only-lf", FRUN_E_SYNTAX, "empty"},
        {"file:missing", FRUN_E_NOT_FOUND, "missing"},
        {"file:plain/x", FRUN_E_NOT_FOUND, "plain/x"},
        {"file:.", FRUN_E_IO, "directory"},
        {"file:", FRUN_E_SYNTAX, "name"},
        {"credential:lf", FRUN_OK, "s3cret"},
        {"credential:missing", FRUN_E_NOT_FOUND, "missing"},
        {"credential:../lf", FRUN_E_SYNTAX, "credential"},
        {"credential:..", FRUN_E_SYNTAX, "credential"},
        {"env:FRUN_TEST_SECRET", FRUN_OK, "from env"},
        {"env:FRUN_TEST_EMPTY", FRUN_E_SYNTAX, "empty"},
        {"env:FRUN_TEST_UNSET", FRUN_E_NOT_FOUND, "FRUN_TEST_UNSET"},
        {"literal", FRUN_OK, "literal"},
        {"", FRUN_E_SYNTAX, "empty"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct secret *s = NULL;
        struct diag d = {0};
        bool is_literal = false;
        frun_err err = secret_fetch(rows[i].where, folder, &s, &is_literal, &d);
        if (err != rows[i].err) {
            fail_msg("%s: %s (%s)", rows[i].where, err_text(err), d.text);
        }
        if (err) {
            assert_null(s);
            assert_non_null(strstr(d.text, rows[i].want));
        } else if (rows[i].want) {
            assert_string_equal(secret_span(s).p, rows[i].want);
            assert_int_equal(is_literal, strcmp(rows[i].where, "literal") == 0);
        }
        secret_free(s);
    }
}

static void base_folder(void **state)
{
    struct secret *s = NULL;
    char where[128];

    (void)state;
    (void)snprintf(where, sizeof(where), "file:%s/lf", folder);
    assert_int_equal(secret_fetch(where, "/nonexistent", &s, NULL, NULL), FRUN_OK);
    secret_free(s);
    assert_int_equal(secret_fetch(where, NULL, &s, NULL, NULL), FRUN_OK);
    secret_free(s);
    assert_int_equal(secret_fetch("file:lf", "/nonexistent", &s, NULL, NULL), FRUN_E_NOT_FOUND);
    (void)unsetenv("CREDENTIALS_DIRECTORY");
    assert_int_equal(secret_fetch("credential:lf", folder, &s, NULL, NULL), FRUN_E_NOT_FOUND);
    (void)setenv("CREDENTIALS_DIRECTORY", folder, 1);
}

static void a_literal_never_shows_in_the_message(void **state)
{
    static char huge[SECRET_MAX_BYTES + 2];
    struct secret *s = NULL;
    struct diag d = {0};

    (void)state;
    memset(huge, 'q', sizeof(huge) - 1);
    assert_int_equal(secret_fetch(huge, NULL, &s, NULL, &d), FRUN_E_LIMIT);
    assert_null(strstr(d.text, "qq"));
}

static void comparing_and_wiping(void **state)
{
    char text[] = "abc";

    (void)state;
    assert_true(secret_equal(SPAN_LIT("abc"), SPAN_LIT("abc")));
    assert_false(secret_equal(SPAN_LIT("abc"), SPAN_LIT("abd")));
    assert_false(secret_equal(SPAN_LIT("abc"), SPAN_LIT("ab")));
    assert_true(secret_equal(span_of(NULL), SPAN_LIT("")));
    secret_wipe(text, 3);
    assert_memory_equal(text, "\0\0\0", 4);
    secret_wipe(NULL, 0);
    assert_int_equal(secret_span(NULL).n, 0);
    secret_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places),
        cmocka_unit_test(base_folder),
        cmocka_unit_test(a_literal_never_shows_in_the_message),
        cmocka_unit_test(comparing_and_wiping),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
