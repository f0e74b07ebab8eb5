/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/cpus.h"

#include <stdint.h>

static frun_err read_number(struct span text, unsigned *out)
{
    uint64_t n = 0;
    if (span_to_u64(span_trim(text), &n) != FRUN_OK) {
        return FRUN_E_SYNTAX;
    }
    if (n >= CPU_SETSIZE) {
        return FRUN_E_LIMIT;
    }
    *out = (unsigned)n;
    return FRUN_OK;
}

static frun_err add_range(struct span text, cpu_set_t *set)
{
    struct span part;
    unsigned first = 0;
    unsigned last = 0;
    if (!span_split(&text, '-', &part)) {
        return FRUN_E_SYNTAX;
    }
    frun_err err = read_number(part, &first);
    last = first;
    if (!err && span_split(&text, '-', &part)) {
        err = read_number(part, &last);
    }
    if (err || text.p || last < first) {
        return err ? err : FRUN_E_SYNTAX;
    }
    for (unsigned i = first; i <= last; i++) {
        CPU_SET(i, set);
    }
    return FRUN_OK;
}

frun_err cpus_parse(struct span text, cpu_set_t *out)
{
    cpu_set_t set;
    struct span part;
    frun_err err = FRUN_E_SYNTAX;
    CPU_ZERO(&set);
    while (span_split(&text, ',', &part)) {
        err = add_range(part, &set);
        if (err) {
            return err;
        }
    }
    if (!err) {
        *out = set;
    }
    return err;
}

int cpus_pick(const cpu_set_t *set, unsigned index)
{
    int n = CPU_COUNT(set);
    if (n == 0) {
        return -1;
    }
    int left = (int)(index % (unsigned)n);
    int cpu = 0;
    for (;; cpu++) {
        if (CPU_ISSET((size_t)cpu, set) && left-- == 0) {
            return cpu;
        }
    }
}
