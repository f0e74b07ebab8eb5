/**
 * Do the files that a configuration names still have the content they had?
 *
 * Certificates, keys, CAs and service keys are renewed by programs that know nothing of us: they
 * write in place, put another file there by rename, or turn a symbolic link (certbot, Kubernetes).
 * What a name leads to is therefore looked at anew each time: device, inode, size and time of the
 * change.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_CONF_FILES_H
#define FRUN_CONF_FILES_H

#include "frun/conf/doc.h"

#include <stdbool.h>
#include <stdint.h>

/** Look at all files that keys of the type CONF_PATH name. @param d document @return mark that
 * changes with any of them, never 0. Thread: main (asks the file system). */
uint64_t conf_files_look(const struct conf_doc *d);

#endif
