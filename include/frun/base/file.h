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

#endif
