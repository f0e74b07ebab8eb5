/**
 * Cutting semicolon-separated text into lines and fields, as spreadsheets save it: byte order mark,
 * CRLF, fields in quotes.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_BIN_CTL_CSV_H
#define FRUN_BIN_CTL_CSV_H

#include <stdbool.h>
#include <stddef.h>

/* Most fields of a line. */
#define CTL_CSV_MAX_FIELDS 32

/* A text being cut; set at and end. */
struct ctl_csv {
    char *at;      /* rest of the text; it is changed */
    char *end;     /* behind it; one octet of room must be there */
    unsigned line; /* the one that was cut last, 1.. */
};

/* One line. */
struct ctl_csv_row {
    char *fields[CTL_CSV_MAX_FIELDS]; /* NUL-terminated, without blanks around them */
    size_t n;                         /* count */
    const char *why;                  /* what is wrong with it; NULL: nothing */
};

/* Is it UTF-8 without NUL? */
bool ctl_csv_is_utf8(const char *text, size_t n);

/* The next line that says something; false: the end. */
bool ctl_csv_next(struct ctl_csv *c, struct ctl_csv_row *row);

#endif
