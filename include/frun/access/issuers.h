/**
 * The issuers of a configuration, and whose pusher a token of theirs means.
 *
 * Filled while a registry is prepared, and immutable from then on; the issuers themselves, with
 * their keys, go on from one registry to the next when their sections say the same.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_ACCESS_ISSUERS_H
#define FRUN_ACCESS_ISSUERS_H

#include "frun/base/arena.h"
#include "frun/base/err.h"
#include "frun/base/map.h"
#include "frun/base/span.h"
#include "frun/conf/gateway.h"
#include "frun/oauth/foreign.h"
#include "frun/oauth/issuer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct endpoint;
struct pusher;

/** One of them. */
struct issuers_item {
    struct issuer *issuer;          /**< counted */
    const struct conf_issuer *conf; /**< its section */
    struct foreign_rules rules;     /**< what its tokens must say */
};

/** All of them, in order of the configuration. */
struct issuers {
    struct issuers_item *all;     /**< array; NULL: there are none */
    size_t n;                     /**< count */
    struct map *by_name;          /**< private: what tokens call a client -> pushers */
    struct arena *arena;          /**< private: the registry's */
    const struct issuers *before; /**< private: those that these take the place of, or NULL */
};

/** Make what a configuration names. @param s zero but for before @param c configuration, must
 * outlive it @param arena lives as long @param report what is missing is printed here; NULL:
 * nowhere
 * @param s filled; issuers_done() it also on failure @return FRUN_OK; FRUN_E_UNSUPPORTED keys could
 * not be fetched: see fetch_load(); FRUN_E_NOMEM; FRUN_E_LIMIT a secret is too long. Thread: main
 * (reads files). */
frun_err issuers_fill(struct issuers *s, const struct conf_gw *c, struct arena *arena,
                      FILE *report) FRUN_MUST_CHECK;

/** Add a pusher that is enabled and has auth = jwt. @param s filled @param p pusher, must outlive
 * it @return FRUN_OK; FRUN_E_NOMEM. Thread: main. */
frun_err issuers_add(struct issuers *s, const struct pusher *p) FRUN_MUST_CHECK;

/** Free what it holds. @param s set, may be zero. Thread: any. */
void issuers_done(struct issuers *s);

/** Which issuer is it? @param s set @param iss "iss" of a token @return it, or NULL. Thread: any.
 */
const struct issuers_item *issuers_find(const struct issuers *s, struct span iss);

/** Which pusher does a verified token mean? The first in the configuration that may use the
 * endpoint, else the first of all. @param s set @param x its issuer @param f token @param e
 * endpoint
 * @param is_listed out: may it use @p e @return pusher, or NULL: none. Thread: any. */
const struct pusher *issuers_pusher(const struct issuers *s, const struct issuers_item *x,
                                    const struct foreign *f, const struct endpoint *e,
                                    bool *is_listed);

#endif
