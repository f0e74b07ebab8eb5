/**
 * Values as they would stand in a file, and what is different in another document: by the same
 * table that files are read by.
 *
 * Effective values: defaults and what sections inherit are filled in. A secret is never shown, only
 * that there is one, and whether it is another one.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_CONF_DIFF_H
#define FRUN_CONF_DIFF_H

#include "frun/base/err.h"
#include "frun/conf/doc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/** Octets of a value that is told of a change; longer ones are cut. */
#define CONF_CHANGE_BYTES 200

/** Changes that are kept; above it only their number is. */
#define CONF_MAX_CHANGES 1000

/** One difference; all texts its own. */
struct conf_change {
    char *section;           /**< "endpoint ACME_PROD" */
    char *key;               /**< key; NULL: the section as a whole came or went */
    char *before;            /**< value; NULL: it was not there */
    char *now;               /**< value; NULL: it is not there any more */
    enum conf_reload reload; /**< when it takes effect */
};

/** All differences, in order of the sections. */
struct conf_changes {
    struct conf_change *all; /**< at most CONF_MAX_CHANGES */
    size_t n;                /**< their number */
    size_t n_more;           /**< those that were not kept */
};

/** Print a value as it would stand in a file; nothing for one that is not set. @param section
 * structure of a document @param row row of its kind @param to stream. Thread: any. */
void conf_value_print(const void *section, const struct conf_row *row, FILE *to);

/** Print every section with every key that has a value. @param d document @param to stream. Thread:
 * any. */
void conf_print(const struct conf_doc *d, FILE *to);

/** Do two sections of one kind say the same? @param a section @param b section @return true if all
 * effective values are the same. Thread: any. */
bool conf_is_same(const void *a, const void *b);

/** Compare two documents of one schema. @param before document @param now document @param reload
 * only what takes effect then @param out differences, added to what is there; zero it before the
 * first call, conf_changes_done() it @return FRUN_OK; FRUN_E_NOMEM, @p out has those found so far.
 * Thread: any. */
frun_err conf_diff(const struct conf_doc *before, const struct conf_doc *now,
                   enum conf_reload reload, struct conf_changes *out) FRUN_MUST_CHECK;

/** A change in one line: "gateway.hold: 8 s -> 7 s". @param c change @param out text @param size
 * octets of @p out. Thread: any. */
void conf_change_text(const struct conf_change *c, char *out, size_t size);

/** Free what conf_diff() made. @param c differences. Thread: any. */
void conf_changes_done(struct conf_changes *c);

#endif
