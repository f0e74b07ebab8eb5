/**
 * What doc.c and value.c share: the document's body and the bookkeeping in front of each section.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_CONF_DOC_INT_H
#define FRUN_CONF_DOC_INT_H

#include "frun/base/map.h"
#include "frun/conf/doc.h"

#include <stdarg.h>

/** Stands directly in front of each section's structure. */
struct conf_meta {
    const struct conf_kind *kind; /**< what it is */
    const char *title;            /**< "endpoint ACME_PROD" */
    const char *file;             /**< its file */
    unsigned file_no;             /**< order of that file */
    unsigned line;                /**< line of its head */
    unsigned *key_lines;          /**< one per row: line of the key, 0: not given */
    void *data;                   /**< the structure */
};

/** Sections of one kind. */
struct conf_kin {
    void **items; /**< structures */
    size_t n;     /**< count */
    size_t cap;   /**< room */
};

/** A secret to wipe at the end. */
struct conf_secret_link {
    struct conf_secret_link *next; /**< older one */
    struct secret *secret;         /**< it */
};

/** An issue with its sorting key. */
struct conf_issue_key {
    unsigned file_no; /**< order of the file */
    unsigned line;    /**< line */
};

/** The document. */
struct conf_doc {
    struct arena arena;               /**< all texts and structures */
    const struct conf_kind *kinds;    /**< schema */
    size_t n_kinds;                   /**< its length */
    struct conf_kin *kin;             /**< one per kind */
    struct map *titles;               /**< title -> struct conf_meta */
    size_t n_sections;                /**< of all kinds */
    struct conf_issue *issues;        /**< found so far, sorted */
    struct conf_issue_key *keys;      /**< beside issues */
    size_t n_issues;                  /**< count */
    size_t issues_cap;                /**< room */
    struct conf_secret_link *secrets; /**< all fetched */
    bool is_starved;                  /**< memory was refused */
    bool is_unread;                   /**< a file could not be read: what is missing is unknown */
    const char *file;                 /**< file being read */
    const char *dir;                  /**< its folder, absolute if it could be found out */
    unsigned file_no;                 /**< its number */
    struct conf_meta *at;             /**< section being read, NULL: skip its keys */
    bool is_headless;                 /**< no section head came yet in this file */
    const struct conf_drafts *drafts; /**< while it is read: files as they would be; may be NULL */
};

/** A file as it would be. @param d document being read @param path file @return draft, or NULL: as
 * it is on the disk. */
const struct conf_draft *conf_draft_of(const struct conf_doc *d, const char *path);

/** Bookkeeping of a section. @param section structure of this document @return it. */
struct conf_meta *conf_meta_of(const void *section);

/** Zeroed memory of the document. @param d document @param n octets @return memory or NULL, then
 * the document is starved. */
void *conf_alloc(struct conf_doc *d, size_t n);

/** Copy of a text. @param d document @param s text @return copy, or NULL as conf_alloc(). */
const char *conf_copy(struct conf_doc *d, struct span s);

/** Add an issue at a place. @param d document @param is_error else warning @param m section or NULL
 * @param key key or NULL @param line line @param fmt printf format. */
void conf_fault(struct conf_doc *d, bool is_error, const struct conf_meta *m, const char *key,
                unsigned line, const char *fmt, ...) FRUN_PRINTF(6, 7);

/** A number in the largest unit that divides it. @param type of the row @param v value @param out
 * text. */
void conf_number_text(enum conf_type type, uint64_t v, char out[32]);

/** Parse a value by its row and store it; what is wrong becomes an issue. @param d document @param
 * m section @param row row of its kind @param value text, trimmed @param line its line. */
void conf_value_set(struct conf_doc *d, struct conf_meta *m, const struct conf_row *row,
                    struct span value, unsigned line);

/** File name from the point of view of the file being read. @param d document @param name as
 * written @return absolute name, or NULL as conf_alloc(). */
const char *conf_path(struct conf_doc *d, struct span name);

#endif
