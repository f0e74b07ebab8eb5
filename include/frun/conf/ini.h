/**
 * Cutting INI text into section heads and "key = value" pairs, strictly.
 *
 * inih cuts the pairs; what inih would silently repair, cut short or join is found before it sees
 * the line: NUL and other controls, octets that are not UTF-8, lines above its buffer, keys without
 * '=', text behind a section head. Leading blanks are dropped, so an indented key is a key and
 * never a continuation. A blank followed by ';' begins a comment; so does ';' or '#' at the start
 * of a line. Pure: no files.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_CONF_INI_H
#define FRUN_CONF_INI_H

#include "frun/base/err.h"
#include "frun/base/span.h"

#include <stdbool.h>

/** Longest line, octets without line end. A build of inih without run-time settings has 197. */
#define CONF_INI_MAX_LINE 4000

/** Longest text between the brackets of a section head, octets. */
#define CONF_INI_MAX_SECTION 300

/** What a line is. */
enum conf_ini_kind {
    CONF_INI_SECTION, /**< name: the text between the brackets, blanks trimmed */
    CONF_INI_PAIR,    /**< name and value, blanks trimmed; value may be empty */
    CONF_INI_FAULT    /**< name: what is wrong with the line; reading goes on behind it */
};

/** One line that says something. */
struct conf_ini_item {
    enum conf_ini_kind kind; /**< what it is */
    unsigned line;           /**< its number, 1.. */
    const char *name;        /**< see the kind; borrowed for the call */
    const char *value; /**< pair: its value; fault: the line's key, if it can be told; else NULL;
                          borrowed for the call */
    bool is_cut;       /**< pair: a comment was cut off behind the value */
};

/** Takes one item. @param it item, borrowed for the call @param ctx the caller's. */
typedef void (*conf_ini_fn)(const struct conf_ini_item *it, void *ctx);

/**
 * Cut @p text into items, first to last.
 *
 * @param text     content of a file, with or without a UTF-8 byte order mark
 * @param on_item  called for each item
 * @param ctx      for @p on_item
 * @return FRUN_OK, also when faults were reported; FRUN_E_NOMEM
 * Thread: main (inih's settings are process-wide).
 */
frun_err conf_ini_scan(struct span text, conf_ini_fn on_item, void *ctx) FRUN_MUST_CHECK;

#endif
