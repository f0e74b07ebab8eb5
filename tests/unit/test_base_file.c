/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/file.h"
#include "temp.h"

#include <errno.h>
#include <fcntl.h>
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

static void read_back(const char *path, const char *want)
{
    char text[64] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(read(fd, text, sizeof(text) - 1), strlen(want));
    (void)close(fd);
    assert_string_equal(text, want);
}

static void replaced_whole_or_not_at_all(void **state)
{
    char folder[TEMP_NAME];
    char path[TEMP_PATH];
    char draft[TEMP_PATH];
    struct diag d = {.text = ""};

    (void)state;
    temp_folder(folder);
    (void)snprintf(path, sizeof(path), "%s/roads", folder);
    (void)snprintf(draft, sizeof(draft), "%s/roads.new", folder);
    assert_int_equal(file_replace(path, SPAN_LIT("one\n"), &d), FRUN_OK);
    assert_int_equal(file_replace(path, SPAN_LIT("two\n"), &d), FRUN_OK);
    read_back(path, "two\n");
    assert_int_equal(access(draft, F_OK), -1);
    /* What stands in the draft's place is not ours to remove. */
    assert_int_equal(mkdir(draft, 0700), 0);
    assert_int_equal(file_replace(path, SPAN_LIT("three\n"), &d), FRUN_E_IO);
    assert_non_null(strstr(d.text, draft));
    read_back(path, "two\n");
    assert_int_equal(rmdir(draft), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
    assert_int_equal(file_replace(path, SPAN_LIT("four\n"), &d), FRUN_E_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_it_arrives),
        cmocka_unit_test(full_disk_is_told),
        cmocka_unit_test(replaced_whole_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
