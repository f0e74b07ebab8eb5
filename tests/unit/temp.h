/**
 * Temporary files and folders of unit tests: in TMPDIR, or in /tmp.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_TESTS_TEMP_H
#define FRUN_TESTS_TEMP_H

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/** Octets of a name made here: the path of a socket in such a folder has no more than 108. */
#define TEMP_NAME 80

/** Octets of the path of a file in such a folder. */
#define TEMP_PATH 256

static inline void temp_template(char name[TEMP_NAME])
{
    const char *top = getenv("TMPDIR");
    int n = snprintf(name, TEMP_NAME, "%s/frun-XXXXXX", top && *top ? top : "/tmp");
    assert(n > 0 && n < TEMP_NAME);
    (void)n;
}

/** Make a folder. @param name gets its name; the caller removes it. */
static inline void temp_folder(char name[TEMP_NAME])
{
    temp_template(name);
    const char *made = mkdtemp(name);
    assert(made);
    (void)made;
}

/** Make a file. @param name gets its name; the caller removes it @return descriptor, open for
 * reading and writing */
static inline int temp_file(char name[TEMP_NAME])
{
    temp_template(name);
    int fd = mkstemp(name);
    assert(fd >= 0);
    return fd;
}

#endif
