/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

frun_err file_write_all(int fd, struct span text)
{
    while (text.n > 0) {
        ssize_t n = write(fd, text.p, text.n);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return FRUN_E_IO;
        }
        text = span_skip(text, (size_t)n);
    }
    return fsync(fd) == 0 ? FRUN_OK : FRUN_E_IO;
}

/* The folder's entry is on the disk only when the folder is. */
static void sync_folder(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    (void)snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - path) + 1 : 1,
                   slash ? path : ".");
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd); /* it stands there already; this is for a power failure */
        (void)close(fd);
    }
}

frun_err file_replace(const char *path, struct span text, struct diag *d)
{
    char draft[PATH_MAX];
    int n = snprintf(draft, sizeof(draft), "%s.new", path);
    if (n < 0 || (size_t)n >= sizeof(draft)) {
        diag_set(d, "the name %.200s... is too long", path);
        return FRUN_E_LIMIT;
    }
    int fd = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    bool is_good = fd >= 0 && file_write_all(fd, text) == FRUN_OK;
    int code = errno;
    if (fd >= 0 && close(fd) && is_good) {
        is_good = false;
        code = errno;
    }
    if (is_good && rename(draft, path)) {
        is_good = false;
        code = errno;
    }
    if (!is_good) {
        diag_set(d, "%s cannot be written: %s", draft, strerrordesc_np(code));
        if (fd >= 0) {
            (void)unlink(draft);
        }
        return FRUN_E_IO;
    }
    sync_folder(path);
    return FRUN_OK;
}
