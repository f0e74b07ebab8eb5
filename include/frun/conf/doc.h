/**
 * Reading INI files against a table: every key is one row, every error names its place, all errors
 * come at once.
 *
 * A schema is a set of section kinds ("gateway", "system NAME", ...); each kind has rows. A row
 * says the key's type, limits, default, unit, reload scope and help; the sample file, the manual
 * and `frunctl config` come from or are checked against it. conf_load() fills the caller's typed
 * structures through the rows. Lower-level than conf/gateway.h and conf/connector.h, which most
 * readers want.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_CONF_DOC_H
#define FRUN_CONF_DOC_H

#include "frun/base/arena.h"
#include "frun/base/err.h"
#include "frun/base/secret.h"
#include "frun/base/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/** Kind of a value; the comment names the C type of the field at the row's offset. */
enum conf_type {
    CONF_TEXT,    /**< const char *: any text without controls; min and max are its length */
    CONF_BOOL,    /**< bool: yes|no|on|off|true|false */
    CONF_UINT,    /**< uint64_t: digits, min..max */
    CONF_SIZE,    /**< uint64_t octets: digits with optional K, M, G (powers of 1024) */
    CONF_TIME,    /**< uint64_t milliseconds: digits with ms, s, m, h; bare digits are seconds */
    CONF_CHOICE,  /**< int: index into choices */
    CONF_PATH,    /**< const char *: file name, made absolute from the folder of the naming file */
    CONF_FOLDER,  /**< const char *: as CONF_PATH, but a folder, which need not be there yet */
    CONF_ADDRESS, /**< const char *: host:port, IP:port or [IPv6]:port; port required */
    CONF_SECRET,  /**< struct secret *: fetched by secret_fetch(); a literal gives a warning */
    CONF_LIST,    /**< struct conf_list: comma separated texts; may be given several times */
    CONF_LINES,   /**< struct conf_list: as CONF_LIST, but one text a line, commas belong to it */
    CONF_WORKERS  /**< uint64_t: "auto" (0) or 1..64 */
};

/** A list of texts. */
struct conf_list {
    const char **items; /**< NUL-terminated texts in the document's memory */
    size_t n;           /**< count */
};

/** When a changed value takes effect. */
enum conf_reload {
    CONF_RELOAD_LIVE,   /**< at reload */
    CONF_RELOAD_RESTART /**< at restart only */
};

/** One key. */
struct conf_row {
    const char *key;      /**< name in the file */
    enum conf_type type;  /**< kind of value */
    size_t offset;        /**< of the field in the section's structure */
    uint64_t min;         /**< lowest number, or shortest text */
    uint64_t max;         /**< highest number, or longest text; 0: no limit */
    const char *fallback; /**< default as it would stand in a file; NULL: none, field stays zero */
    bool is_required;     /**< must be given */
    const char *choices;  /**< CONF_CHOICE: names separated by '|'; else name of a check in check.h
                             or NULL */
    enum conf_reload reload; /**< when a change takes effect */
    const char *help;        /**< one or two sentences for manual and sample */
};

/** One kind of section. */
struct conf_kind {
    const char *word;       /**< first word in the brackets */
    const char *name_check; /**< check of the name, as conf_row.choices; NULL: any text */
    bool is_named;          /**< a name follows: [endpoint ACME_PROD] */
    bool is_required;       /**< at least one must be there */
    size_t size; /**< of the section's structure; its first member is struct conf_place */
    const struct conf_row *rows; /**< keys */
    size_t n_rows;               /**< their number */
    const char *help;            /**< what the section is for */
};

/** Where a section stands; first member of each section's structure. */
struct conf_place {
    const char *name; /**< name behind the first word; "" for an unnamed kind */
    const char *file; /**< file */
    unsigned line;    /**< line of the section's head */
};

/** An error or a warning found while reading. */
struct conf_issue {
    bool is_error;     /**< else a warning */
    const char *file;  /**< place */
    unsigned line;     /**< place, 0: the file as a whole */
    const char *where; /**< "section.key", e.g. "endpoint ACME_PROD.user" */
    const char *why;   /**< what is wrong and the remedy */
};

/** What a file set was read into. Opaque, immutable once loaded. */
struct conf_doc;

/** Ceilings of one document; what is above is refused with an issue. */
enum {
    CONF_MAX_FILE_BYTES = 4 * 1024 * 1024, /**< of one file */
    CONF_MAX_FILES = 4096,                 /**< main file and included ones */
    CONF_MAX_SECTIONS = 65536,             /**< of all kinds */
    CONF_MAX_ISSUES = 1000,                /**< then one line says that there are more */
    CONF_MAX_LIST = 4096,                  /**< items of one list */
    CONF_MAX_DOC_BYTES = 128 * 1024 * 1024 /**< memory of a document */
};

/**
 * Read a file and what it includes ("include = PATTERN" in the first unnamed section kind), check
 * rows and fill structures.
 *
 * @param path     main file
 * @param kinds    schema
 * @param n_kinds  its length
 * @param out      the document, also when there were errors (look at conf_issues()); conf_free() it
 * @return FRUN_OK no error (maybe warnings); FRUN_E_SYNTAX errors, see conf_issues(); FRUN_E_NOMEM,
 * @p out untouched Thread: main (reads files). Source: DESIGN section 8.
 */
frun_err conf_load(const char *path, const struct conf_kind *kinds, size_t n_kinds,
                   struct conf_doc **out) FRUN_MUST_CHECK;

/** A file as it would be after a change that has not been made yet. */
struct conf_draft {
    const char *path; /**< as the document would name it; of a secret, absolute */
    struct span text; /**< its content */
    bool is_gone;     /**< it would not be there */
};

/** Files that are taken instead of those on the disk. */
struct conf_drafts {
    const struct conf_draft *items; /**< drafts; borrowed */
    size_t n;                       /**< count */
};

/** As conf_load(), with some files as they would be: the main file, included ones (new ones too, if
 * a pattern of "include" names them) and files of secrets. So that a change is checked as a whole
 * before the first octet of it is written. @param path main file @param drafts files @param kinds
 * schema @param n_kinds its length @param out as in conf_load() @return FRUN_OK; FRUN_E_SYNTAX;
 * FRUN_E_NOMEM, as conf_load(). Thread: main. */
frun_err conf_load_drafts(const char *path, const struct conf_drafts *drafts,
                          const struct conf_kind *kinds, size_t n_kinds,
                          struct conf_doc **out) FRUN_MUST_CHECK;

/** As conf_load(), from memory; "include" is not followed. @param text content @param name stands
 * for the file in messages; relative names start from its folder @param kinds schema @param n_kinds
 * its length @param out as in conf_load() @return FRUN_OK; FRUN_E_SYNTAX; FRUN_E_NOMEM, as
 * conf_load(). Thread: main. */
frun_err conf_load_text(struct span text, const char *name, const struct conf_kind *kinds,
                        size_t n_kinds, struct conf_doc **out) FRUN_MUST_CHECK;

/** Free a document and every structure and text in it; secrets are wiped. @param d document or
 * NULL. Thread: main. */
void conf_free(struct conf_doc *d);

/** Sections of a kind in file order. @param d document @param word kind @param n out: count @return
 * array of pointers to the kind's structure. Thread: any. */
void *const *conf_sections(const struct conf_doc *d, const char *word, size_t *n);

/** Place of a key in a section, for errors found later (cross-checks). @param d document @param
 * section structure @param key name @param line out: its line, or the section's @return file.
 * Thread: any. */
const char *conf_key_place(const struct conf_doc *d, const void *section, const char *key,
                           unsigned *line);

/** Print an error or warning found after loading, as "file:line: section.key: why". @param d
 * document
 * @param to stream @param is_error else warning @param section structure @param key name @param why
 * what is wrong and the remedy. Thread: main. */
void conf_place_print(const struct conf_doc *d, FILE *to, bool is_error, const void *section,
                      const char *key, const char *why);

/** Was the key written in the file, even if empty? @param d document @param section structure
 * @param key name @return true if so. Thread: any. */
bool conf_key_given(const struct conf_doc *d, const void *section, const char *key);

/** The unnamed section of a kind, made of defaults if the file has none. @param d document @param
 * word kind @return structure, or NULL: memory was refused. Thread: main. */
void *conf_section_or_default(struct conf_doc *d, const char *word);

/** Was memory refused while the document was filled? Then it must not be used. @param d document
 * @return true if so. Thread: main. */
bool conf_is_starved(const struct conf_doc *d);

/** Add an error or warning found by a cross-check. @param d document @param is_error else warning
 * @param section structure @param key key or NULL @param fmt printf format. Thread: main. */
void conf_issue_add(struct conf_doc *d, bool is_error, const void *section, const char *key,
                    const char *fmt, ...) FRUN_PRINTF(5, 6);

/** Text in the document's memory. @param d document @param fmt printf format @return text; "" and a
 * starved document if memory was refused. Thread: main. */
const char *conf_text(struct conf_doc *d, const char *fmt, ...) FRUN_PRINTF(2, 3);

/** Octets of a range in words, with the final NUL. */
#define CONF_RANGE_BYTES 96

/** Range of a row's values in words, "1 s to 2 m", "at most 40 characters", "" without limits.
 * @param row row @param out CONF_RANGE_BYTES octets. Thread: any. */
void conf_row_range(const struct conf_row *row, char out[CONF_RANGE_BYTES]);

/** Everything found, in order of file and line. @param d document @param n out: count @return
 * array. Thread: any. */
const struct conf_issue *conf_issues(const struct conf_doc *d, size_t *n);

/** Memory that lives as long as the document, for texts made by cross-checks. @param d document
 * @return arena. Thread: main. */
struct arena *conf_arena(struct conf_doc *d);

/** Print all issues as "file:line: section.key: why", warnings marked "warning: ". @param d
 * document @param to stream @return number of errors. Thread: main. */
size_t conf_issues_print(const struct conf_doc *d, FILE *to);

#endif
