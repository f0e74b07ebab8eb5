/**
 * Signing keys in a folder, shared by the gateways behind one name: one PEM file for each key.
 *
 * A file appears complete or not at all, readable for its owner alone; one that root makes belongs
 * to the folder's owner, and its group may read it if it may read the folder. Whoever tends the
 * folder holds its lock, so that several gateways agree on one new key. The age of a key is the
 * time of its file. Only files named by their key, as we name them, are ever removed. Blocks on
 * files: never called on a worker.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_OAUTH_KEYDIR_H
#define FRUN_OAUTH_KEYDIR_H

#include "frun/base/err.h"
#include "frun/oauth/keys.h"

#include <stdbool.h>
#include <stdint.h>

/** How long a key is kept behind the end of its last token, seconds. */
#define KEYDIR_MARGIN_S 300

/** What a folder is tended by. */
struct keydir {
    const char *path;        /**< folder */
    uint64_t settle_s;       /**< a new key signs after this time, when all have read it */
    uint64_t rotate_after_s; /**< the newest key is replaced when it is so old; 0: never */
    uint64_t lifetime_s;     /**< longest life of a token */
};

/** What was done besides reading. */
struct keydir_done {
    bool is_made;       /**< a key was made */
    unsigned n_removed; /**< keys removed whose tokens have all expired */
    unsigned n_skipped; /**< files named *.pem that hold no key of ours */
    struct diag note; /**< what could not be done though it is due, which file was skipped, or what
                         strangers may read or write; "" if nothing */
};

/** Read all keys of a folder. @param d folder @param now_s the time, seconds since 1970 @param out
 * sealed set, may be empty; keys_unref() it @param done out: n_skipped and note, may be NULL @param
 * e filled on failure @return FRUN_OK; FRUN_E_NOT_FOUND no such folder; FRUN_E_IO it, or a
 * file for a reason of the system's, cannot be read; FRUN_E_NOMEM. Thread: main. */
frun_err keydir_read(const struct keydir *d, uint64_t now_s, struct keys **out,
                     struct keydir_done *done, struct diag *e) FRUN_MUST_CHECK;

/** Read all keys; before that make the folder and the first key if they are missing, the next key
 * if it is due, and remove keys nobody needs any more. What is due and cannot be done is no failure
 * as long as a key can sign. @param d folder @param now_s the time, seconds since 1970 @param out
 * sealed set with a signer; keys_unref() it @param done out: what was done @param e filled on
 * failure, with the remedy @return FRUN_OK; FRUN_E_IO; FRUN_E_NOT_FOUND no private key and none can
 * be made; FRUN_E_NOMEM. Thread: main. */
frun_err keydir_tend(const struct keydir *d, uint64_t now_s, struct keys **out,
                     struct keydir_done *done, struct diag *e) FRUN_MUST_CHECK;

/** Make one more key in an existing folder. @param path folder @param id out: its name @param e
 * filled on failure @return FRUN_OK; FRUN_E_IO; FRUN_E_NOMEM. Thread: main. */
frun_err keydir_add(const char *path, char id[KEYS_ID_BYTES], struct diag *e) FRUN_MUST_CHECK;

#endif
