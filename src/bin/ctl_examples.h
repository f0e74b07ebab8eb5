/**
 * What the sample files say for keys that have no default, or a more telling one.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_BIN_CTL_EXAMPLES_H
#define FRUN_BIN_CTL_EXAMPLES_H

#include <stdbool.h>
#include <stddef.h>

/* What the sample says for a key; key NULL: the name of the section. */
struct ctl_example {
    const char *word;
    const char *key;
    const char *value;
    bool is_active; /* stands without comment sign */
};

extern const struct ctl_example ctl_gateway_examples[];
extern const size_t ctl_n_gateway_examples;
extern const struct ctl_example ctl_connector_examples[];
extern const size_t ctl_n_connector_examples;

#endif
