/**
 * What the commands about configuration files share to print JSON.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_BIN_CTL_CONFIG_JSON_H
#define FRUN_BIN_CTL_CONFIG_JSON_H

#include "frun/conf/diff.h"
#include "frun/conf/doc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct json_t;

/* Errors and warnings on their way into JSON. */
struct ctl_report {
    FILE *file; /* they are written here */
    char *text; /* of file */
    size_t len; /* octets of text */
};

/* Begin. NULL: no memory; ctl_report_take() all the same. */
FILE *ctl_report_open(struct ctl_report *r);

/* End: an array of lines, json_decref() it; NULL: no memory. */
struct json_t *ctl_report_take(struct ctl_report *r);

/* All values of a file as they count, no secrets; NULL: no memory. */
struct json_t *ctl_config_values(const struct conf_doc *doc, bool is_connector);

/* Differences as an array; NULL: no memory. */
struct json_t *ctl_changes(const struct conf_changes *c);

#endif
