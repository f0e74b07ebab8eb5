/**
 * What writing and checking a chain share: lines, hashes, the head file, names of full files.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_BASE_CHAIN_INT_H
#define FRUN_BASE_CHAIN_INT_H

#include "frun/base/chain.h"

/** Octets of a head file. */
#define CHAIN_HEAD_BYTES 256

/** What a head file says. */
struct chain_head {
    struct chain_end end; /**< last record */
    uint64_t first;       /**< number of the oldest record that is kept, or of the first to come */
    uint64_t size;        /**< octets of the present file */
};

/** One line taken apart. */
struct chain_line {
    uint64_t seq;     /**< number */
    struct span head; /**< what the hash covers */
    struct span prev; /**< hash of the line before */
    struct span hash; /**< its own */
};

/** The hash that stands before the first record. */
extern const char chain_zero[CHAIN_HASH_BYTES];

/** Hash octets. @param key or absent @param s octets @param out hash. */
void chain_hash(struct span key, struct span s, char out[CHAIN_HASH_BYTES]);

/** Take a line apart; nothing is proven. @param line without its end @param out filled @return it
 * has the form of a record. */
bool chain_cut(struct span line, struct chain_line *out);

/** Write a line. @param key or absent @param end the record before; moved on @param record members
 * @param out CHAIN_LINE_BYTES octets @return its octets with the line end. */
size_t chain_compose(struct span key, struct chain_end *end, struct span record, char *out);

/** Read a head file. @param fd file @param key or absent @param out filled @return FRUN_OK;
 * FRUN_E_NOT_FOUND empty; FRUN_E_SYNTAX damaged, or of another key; FRUN_E_IO. */
frun_err chain_head_read(int fd, struct span key, struct chain_head *out) FRUN_MUST_CHECK;

/** Write a head file in place. @param fd file @param key or absent @param h contents @param
 * is_synced wait for the disk @return FRUN_OK; FRUN_E_IO. */
frun_err chain_head_write(int fd, struct span key, const struct chain_head *h,
                          bool is_synced) FRUN_MUST_CHECK;

/** Numbers in the names of full files, ascending. @param path file of the chain @param out array,
 * free() it @param n count @return FRUN_OK; FRUN_E_IO; FRUN_E_NOMEM. */
frun_err chain_full_files(const char *path, uint64_t **out, size_t *n) FRUN_MUST_CHECK;

/** Name of a full file. @param path file of the chain @param last its last record @param out name
 * @param room octets @return false: too long. */
bool chain_full_name(const char *path, uint64_t last, char *out, size_t room);

#endif
