/**
 * What the modules of this room share of uri.c.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_HTTP_URI_INT_H
#define FRUN_HTTP_URI_INT_H

#include "frun/http/uri.h"

/** A list of "key=value" parts, and which of them to drop. */
struct uri_list {
    struct span list;      /**< the list, may be absent */
    const char *seps;      /**< the two octets that part it */
    uri_key_fn is_dropped; /**< asked for each raw key */
    void *ctx;             /**< for is_dropped */
};

/**
 * As uri_query_drop(), for any such list.
 *
 * @param l        the list
 * @param a        memory
 * @param out      the rest; the list itself if nothing is dropped, absent if nothing is left
 * @return FRUN_OK; FRUN_E_NOMEM
 * Thread: owner.
 */
frun_err uri_list_drop(const struct uri_list *l, struct arena *a, struct span *out) FRUN_MUST_CHECK;

#endif
