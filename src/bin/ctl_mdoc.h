/**
 * Manual pages in mdoc(7), on standard output.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_BIN_CTL_MDOC_H
#define FRUN_BIN_CTL_MDOC_H

#include <stddef.h>

/* Text as it stands, whatever it holds. */
void ctl_mdoc_text(const char *text, size_t n);

/* The same as a line of its own. */
void ctl_mdoc_line(const char *text);

/* Head of a page and its NAME. */
void ctl_mdoc_begin(const char *title, int section, const char *name, const char *what);

/* frunctl(1), from the table of commands. */
void ctl_mdoc_frunctl(const void *nothing);

#endif
