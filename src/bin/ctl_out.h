/**
 * What frunctl says: text for people, or with --json one JSON value on standard output, whatever
 * happens.
 *
 * Errors, warnings and hints are written to ctl_err(). For people that is standard error. With
 * --json they are kept; if nothing has been printed until the end they become the value,
 * {"result":"failed","exit":78,"errors":["..."]}, else one line of JSON on standard error.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_BIN_CTL_OUT_H
#define FRUN_BIN_CTL_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct json_t;

/* Look whether --json stands among the arguments. */
void ctl_out_begin(int argc, char **argv);

/* Does it? */
bool ctl_is_json(void);

/* Where errors, warnings and hints go, a line each. */
FILE *ctl_err(void);

/* Print the answer; NULL: there was no memory for it. */
void ctl_json_print(const struct json_t *value);

/* The same of which several follow each other, one a line. */
void ctl_json_line(const struct json_t *value);

/* One that is text already. */
void ctl_json_text(const char *text, size_t n);

/* Print and free; NULL: no memory, reported. The exit code. */
int ctl_json_take(struct json_t *value);

/* Run what prints a document; with --json it becomes {"name":...,"text":...}. The exit code. */
int ctl_document(const char *name, void (*print)(const void *what), const void *what);

/* The end: say what was kept. The exit code. */
int ctl_out_end(int status);

#endif
