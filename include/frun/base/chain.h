/**
 * A file of records of which none can be changed, removed, inserted or cut off unnoticed.
 *
 * Each line is a JSON object that ends in the hash of the line before and in its own: SHA-256, or
 * HMAC-SHA-256 with a key, without which nobody can write a chain anew. Beside the file FILE stands
 * FILE.head with the number and hash of the last record, so that a missing end is found; full files
 * become FILE.<number of their last record>, and the chain goes on in the next. Several processes
 * may write: each takes the lock of the head file. Nothing here is for the data path: it waits for
 * the disk.
 *
 *     {"seq":7,<members of the record>,"prev":"<64 hex>","hash":"<64 hex>"}
 *
 * The hash covers all octets of the line before ,"hash".
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_BASE_CHAIN_H
#define FRUN_BASE_CHAIN_H

#include "frun/base/err.h"
#include "frun/base/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Octets of a hash as text, with its NUL. */
#define CHAIN_HASH_BYTES 65

/** Octets of the longest line; a longer one is no record. */
#define CHAIN_LINE_BYTES 8192

/** Octets of a record's members at most. */
#define CHAIN_RECORD_BYTES (CHAIN_LINE_BYTES - 256)

/** Where a chain is, and how it is kept. */
struct chain_settings {
    const char *path;   /**< file; its folder must be there */
    struct span key;    /**< key of the hashes; absent: none */
    uint64_t max_bytes; /**< a file that would become longer is closed, 4096.. */
    unsigned max_files; /**< full files that are kept, the oldest goes first; 0: all */
};

/** A chain open for writing. One thread's. */
struct chain;

/** The end of a chain: what a copy kept elsewhere proves later. */
struct chain_end {
    uint64_t seq;                /**< number of the last record; 0: none yet */
    char hash[CHAIN_HASH_BYTES]; /**< its hash */
};

/** Open a chain, or begin one; a line that a crash cut short is taken away. @param s settings,
 * copied @param may_create make the files if they are missing @param out chain; chain_close() it
 * @param d filled on failure @return FRUN_OK; FRUN_E_NOT_FOUND there is none; FRUN_E_IO;
 * FRUN_E_NOMEM. Thread: any but a worker (blocks). */
frun_err chain_open(const struct chain_settings *s, bool may_create, struct chain **out,
                    struct diag *d) FRUN_MUST_CHECK;

/** Add records. All of them are written or none; damage that is found on the way becomes a record
 * of its own ("audit.damaged"). @param c chain @param records members of each, like "a":1,"b":"x"
 * @param n count @param is_synced wait until the disk has them @param d filled on failure @return
 * FRUN_OK; FRUN_E_IO not written, try later; FRUN_E_TIMEOUT another process keeps the lock;
 * FRUN_E_LIMIT one is too long. Thread: owner (blocks). */
frun_err chain_append(struct chain *c, const struct span *records, size_t n, bool is_synced,
                      struct diag *d) FRUN_MUST_CHECK;

/** Where it ends, as of the last chain_append() or chain_open(). @param c chain @return end.
 * Thread: owner. */
const struct chain_end *chain_end(const struct chain *c);

/** Close. @param c chain or NULL. Thread: owner. */
void chain_close(struct chain *c);

/** Something is wrong. @param ctx the caller's @param file file name @param line 1.., 0: the file
 * as a whole @param why what is wrong. */
typedef void (*chain_fault_fn)(void *ctx, const char *file, uint64_t line, const char *why);

/** One record. @param ctx the caller's @param seq number @param line whole line without its end. */
typedef void (*chain_record_fn)(void *ctx, uint64_t seq, struct span line);

/** What to look at. */
struct chain_check {
    const char *path;        /**< file of the chain; full ones beside it belong to it */
    struct span key;         /**< key of the hashes; absent: none */
    struct chain_end expect; /**< a record seen before; seq 0: none */
    chain_fault_fn fault;    /**< told each fault */
    chain_record_fn record;  /**< told each record, or NULL */
    void *ctx;               /**< for both */
    uint64_t n_records;      /**< out: records that are there */
    uint64_t n_faults;       /**< out: faults */
    struct chain_end end;    /**< out: the last record */
};

/** Look for changed, removed, inserted and missing records. @param c what to look at @param d
 * filled on failure @return FRUN_OK, whatever was found; FRUN_E_NOT_FOUND no such file; FRUN_E_IO;
 * FRUN_E_LIMIT the name is too long; FRUN_E_NOMEM. Thread: any but a worker (blocks). */
frun_err chain_verify(struct chain_check *c, struct diag *d) FRUN_MUST_CHECK;

#endif
