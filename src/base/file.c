/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/file.h"

#include <errno.h>
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
