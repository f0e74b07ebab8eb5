/**
 * What a worker remembers of credentials: a hash map of fixed size.
 *
 * Nothing that is still good gives way while there is room or something has expired, whatever the
 * tags. When there is none, something that was used only once goes first, and otherwise one by
 * chance: with more credentials in turn than there is room for, giving up the oldest would always
 * give up the next to come, and every one would be verified again. So a tenth too many costs about
 * a tenth of the verifications, and tokens that are used once leave alone what keeps being used.
 *
 * An entry takes 64 octets and its place in the index 4; memory is touched as entries come. Worker
 * thread only.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_ACCESS_MEMO_H
#define FRUN_ACCESS_MEMO_H

#include "frun/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Most entries one memory may have. */
#define MEMO_MAX_ENTRIES 32768

/** Octets of a tag. */
#define MEMO_TAG_BYTES 16

struct pusher;

/** Keyed hash of a credential; strangers cannot choose it. */
struct memo_tag {
    unsigned char octets[MEMO_TAG_BYTES]; /**< evenly spread */
};

/** What is remembered of one credential. */
struct memo_entry {
    struct memo_tag tag;      /**< whose entry this is */
    uint64_t until_ms;        /**< time of the loop; unknown from then on */
    uint64_t limit_ms;        /**< until_ms is never set later than this */
    const struct pusher *who; /**< whose credential it is, or NULL */
    const char *why;          /**< constant text, or NULL */
    unsigned endpoint;        /**< serial of the endpoint it was shown at */
    unsigned verdict;         /**< enum auth_verdict */
    uint16_t way;             /**< enum conf_auth */
    uint16_t next;            /**< private: in its chain, counted from 1; 0: the last */
    bool is_old;              /**< proved by the secret before the present one */
    bool is_used_again;       /**< private: found after it was put */
};

/** A memory. */
struct memo;

/** Make one. @param max entries at most, a power of two, 1..MEMO_MAX_ENTRIES @param out memory;
 * memo_free() it @return FRUN_OK; FRUN_E_NOMEM. Thread: worker. */
frun_err memo_new(size_t max, struct memo **out) FRUN_MUST_CHECK;

/** Wipe and free it. @param m memory or NULL. Thread: worker. */
void memo_free(struct memo *m);

/** Find what is known. @param m memory @param tag of the credential @param now_ms time of the loop
 * @return entry, whose until_ms the caller may put later, borrowed until the next memo_put(); NULL:
 * nothing. Thread: worker. */
struct memo_entry *memo_find(struct memo *m, const struct memo_tag *tag, uint64_t now_ms);

/** Remember. What was known of the same tag is replaced. @param m memory @param e copied; private
 * fields are ignored @param now_ms time of the loop. Thread: worker. */
void memo_put(struct memo *m, const struct memo_entry *e, uint64_t now_ms);

/** Look at everything that is known. @param m memory @param now_ms time of the loop @param keep
 * false: forget the entry; may change its who, verdict, limit_ms and is_old @param ctx for it.
 * Thread: worker. */
void memo_review(struct memo *m, uint64_t now_ms, bool (*keep)(void *ctx, struct memo_entry *e),
                 void *ctx);

/** Forget what was verified in one way. @param m memory @param way enum conf_auth. Thread: worker.
 */
void memo_forget(struct memo *m, unsigned way);

#endif
