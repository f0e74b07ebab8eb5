/**
 * What the two directions of the header policy share.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_HTTP_POLICY_INT_H
#define FRUN_HTTP_POLICY_INT_H

#include "frun/http/policy.h"

/** What happens to a field. */
enum policy_action {
    POLICY_PASS,     /**< untouched; also what happens to every name that is not in the table */
    POLICY_DROP,     /**< never passed */
    POLICY_REPLACE,  /**< dropped; our own is added behind the passing fields */
    POLICY_COOKIE,   /**< passed without the logon ticket's cookie */
    POLICY_TRACE,    /**< passed only together with the sender's traceparent */
    POLICY_LOCATION, /**< passed; the virtual host becomes the root URL */
    POLICY_LENGTH    /**< passed only where no body follows (answers to HEAD, 304) */
};

/** Room for the name of a row: the longest one and zeros, so that eight octets can be read of any.
 */
#define POLICY_NAME_BYTES 32

/** One row of the table. */
struct policy_row {
    char name[POLICY_NAME_BYTES]; /**< lower case, '-' for '_'; first letters ascend */
    size_t name_len;              /**< octets of it */
    bool is_prefix;               /**< names that begin so */
    bool is_hop;                  /**< between two neighbours only, RFC 9110 7.6.1 */
    enum policy_action request;   /**< on the way to Focused Run */
    enum policy_action answer;    /**< on the way back */
    const char *why;              /**< for the reader */
};

/** Find the row of a field. @param name as received @return first row that fits, or NULL: passes.
 * Thread: any. */
const struct policy_row *policy_row_find(struct span name);

/** Row number @p i, for tests. @param i 0.. @return row, or NULL behind the last. Thread: any. */
const struct policy_row *policy_row_at(size_t i);

/** Same name, without case and with '_' equal to '-'? @param a one @param b other @return true if
 * so. Thread: any. */
bool policy_same_name(struct span a, struct span b);

/** Put texts together. @param a memory @param parts texts @param n their number @param out joined
 * @return FRUN_OK; FRUN_E_NOMEM. Thread: owner. */
frun_err policy_join(struct arena *a, const struct span *parts, size_t n,
                     struct span *out) FRUN_MUST_CHECK;

/** Add Via: what came in @p in and our own element, in one field. @param in head received @param
 * name our name @param a memory @param out head @return FRUN_OK; FRUN_E_LIMIT; FRUN_E_NOMEM.
 * Thread: owner. Source: RFC 9110 7.6.3. */
frun_err policy_add_via(const struct head *in, struct span name, struct arena *a,
                        struct head *out) FRUN_MUST_CHECK;

#endif
