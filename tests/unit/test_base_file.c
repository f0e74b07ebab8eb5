/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void all_of_it_arrives(void **state)
{
    static char text[300000];
    static char back[sizeof(text) + 1];
    FILE *f = tmpfile();
    int fd;

    (void)state;
    assert_non_null(f);
    fd = fileno(f);
    memset(text, 'x', sizeof(text));
    assert_int_equal(file_write_all(fd, span_make(text, sizeof(text))), FRUN_OK);
    assert_int_equal(file_write_all(fd, SPAN_LIT("")), FRUN_OK);
    assert_int_equal(pread(fd, back, sizeof(back), 0), sizeof(text));
    assert_memory_equal(back, text, sizeof(text));
    (void)fclose(f);
}

static void full_disk_is_told(void **state)
{
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(file_write_all(fd, SPAN_LIT("key")), FRUN_E_IO);
    assert_int_equal(errno, ENOSPC);
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_it_arrives),
        cmocka_unit_test(full_disk_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
