/**
 * Rewriting the beginning of paths: what a pusher's set-up fixes is turned into what Focused Run
 * has, and back.
 *
 * Works on canonical paths and whole segments; of several rules the one with the longest FROM wins.
 * A path is mapped once, never again by its result. FROM and TO are canonical, so the result is
 * too, and it is the result that is authorised and forwarded. Pure.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_HTTP_PATHMAP_H
#define FRUN_HTTP_PATHMAP_H

#include "frun/base/arena.h"
#include "frun/base/err.h"
#include "frun/base/span.h"

#include <stddef.h>

/** One rule. */
struct pathmap_rule {
    struct span from; /**< path of the pusher, without final '/', or "/" for all */
    struct span to;   /**< path towards Focused Run, without final '/' */
};

/** The rules of an endpoint, borrowed. */
struct pathmap {
    const struct pathmap_rule *rules; /**< in order of the configuration */
    size_t n;                         /**< their number */
};

/** Map a request's path. @param m rules @param path canonical, begins with '/' @param a memory
 * @param out mapped path, or @p path itself if no rule fits @return FRUN_OK; FRUN_E_NOMEM. Thread:
 * any. */
frun_err pathmap_forward(const struct pathmap *m, struct span path, struct arena *a,
                         struct span *out) FRUN_MUST_CHECK;

/** Map a path of an answer (Location) back: to one that pathmap_forward() turns into @p path again.
 * @param m rules @param path begins with '/'; a query or fragment behind it stays @param a memory
 * @param out mapped path, or @p path itself if there is none @return FRUN_OK; FRUN_E_NOMEM. Thread:
 * any. */
frun_err pathmap_back(const struct pathmap *m, struct span path, struct arena *a,
                      struct span *out) FRUN_MUST_CHECK;

#endif
