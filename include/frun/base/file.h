/**
 * Writing files so that nothing of them is lost.
 *
 * For small files of our own (keys, configurations) that others read; not for logs and not for the
 * data path, because it waits for the disk.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_BASE_FILE_H
#define FRUN_BASE_FILE_H

#include "frun/base/err.h"
#include "frun/base/span.h"

/** Write all of @p text and wait until the disk has it. @param fd open for writing, blocking @param
 * text octets, may be empty @return FRUN_OK; FRUN_E_IO, errno tells why, some of it may have been
 * written. Thread: any but a worker (blocks). */
frun_err file_write_all(int fd, struct span text) FRUN_MUST_CHECK;

/** Put a text in the place of a file: written beside it (readable for its owner alone), synced, put
 * there in one step; who reads meanwhile, and who comes after a power failure, sees the old file or
 * the new one. @param path file, may be missing; its folder must be there @param text octets @param
 * d filled on failure @return FRUN_OK; FRUN_E_IO the old file is as it was; FRUN_E_LIMIT the name
 * is too long. Thread: any but a worker (blocks). */
frun_err file_replace(const char *path, struct span text, struct diag *d) FRUN_MUST_CHECK;

#endif
