/**
 * Lists of CPUs as people write them, "0,2-5", for pinning threads.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_BASE_CPUS_H
#define FRUN_BASE_CPUS_H

#include "frun/base/err.h"
#include "frun/base/span.h"

#include <sched.h>

/** Read a list of numbers and ranges, parted by commas; blanks around them are skipped. @param text
 * list @param out CPUs; untouched on failure @return FRUN_OK; FRUN_E_SYNTAX malformed, empty, or a
 * range that runs backwards; FRUN_E_LIMIT a number above 1023. Thread: any. Source: cpuset(7) List
 * format. */
frun_err cpus_parse(struct span text, cpu_set_t *out) FRUN_MUST_CHECK;

/** One of a set, in turn. @param set CPUs @param index 0.. @return number of the CPU with rank @p
 * index modulo their count; -1: the set is empty. Thread: any. */
int cpus_pick(const cpu_set_t *set, unsigned index);

#endif
