/**
 * An identity provider whose tokens are accepted: where its keys come from, and the keys of now.
 *
 * One object for each provider, counted and shared by all threads and by configurations that follow
 * each other. Keys are an immutable set. A worker keeps a view of its own and compares one number
 * to see whether it is still the present one, so that no lock lies on the way of a request; only
 * when the keys have changed it takes the new set, under a lock that is held for the copy of a
 * pointer. When a token names an unknown key, any number of workers may want fresh keys: the keeper
 * is told once, and not more often than once in refresh_min in the long run: a few times it may be
 * at once, so that a change of keys right after a fetch is not waited for. The keeper, on the main
 * thread, decides when to fetch; fetching blocks and belongs on a helper thread.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_OAUTH_ISSUER_H
#define FRUN_OAUTH_ISSUER_H

#include "frun/base/err.h"
#include "frun/base/secret.h"
#include "frun/conf/issuer.h"
#include "frun/loop/loop.h"
#include "frun/oauth/jwks.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Octets of a URL with the final NUL. */
#define ISSUER_URL_BYTES 1100

/** Fetches that may be wanted before refresh_min after the last one is over; one comes back each
 * refresh_min. Strangers can use them up by making up names of keys, but not more. */
#define ISSUER_EXTRA_FETCHES 3

/** So many of them a source gets within refresh_min of which nothing good is known: one alone does
 * not use them up. */
#define ISSUER_STRANGER_FETCHES 2

/** Fetches beyond those, for sources of which a good token has come: strangers leave them. */
#define ISSUER_KNOWN_FETCHES 2

/** Sources that are known at once; who has shown a good token last stays. */
#define ISSUER_MAX_KNOWN 64

/** An issuer. */
struct issuer;

/** One thread's sight of an issuer's keys; zero it before the first use. */
struct issuer_view {
    struct issuer *of;   /**< counted; NULL: never looked */
    struct jwks *keys;   /**< counted; NULL: there are none */
    unsigned generation; /**< private */
};

/** What a fetch brought; issuer_catch_done() it. */
struct issuer_catch {
    struct jwks *keys;           /**< counted */
    char url[ISSUER_URL_BYTES];  /**< where they came from */
    struct jwks_skipped skipped; /**< keys that were left out */
    bool has_max_age;            /**< the answer says how long it is good */
    uint64_t max_age_s;          /**< so long, seconds */
};

/** Make one without keys. @param c section; what is needed of it is copied @param out issuer;
 * issuer_unref() it @return FRUN_OK; FRUN_E_NOMEM; FRUN_E_LIMIT a secret is too long. Thread: main.
 */
frun_err issuer_new(const struct conf_issuer *c, struct issuer **out) FRUN_MUST_CHECK;

/** Would this section's keys be fetched in the same way from the same place? @param i issuer @param
 * c section @return true if so. Thread: any. */
bool issuer_is_of(const struct issuer *i, const struct conf_issuer *c);

/** One more reference. @param i issuer @return @p i. Thread: any. */
struct issuer *issuer_ref(struct issuer *i);

/** Give a reference back and forget it. @param i address of the reference, may hold NULL. Thread:
 * any. */
void issuer_unref(struct issuer **i);

/** What it was made of: what decides about fetching, nothing else is filled in. @param i issuer
 * @return section, lives with @p i. Thread: any. */
const struct conf_issuer *issuer_conf(const struct issuer *i);

/* -- workers */

/** Bring a view up to date. @param i issuer @param v view, of this issuer or another @return true:
 * it has changed, what was verified with the keys before does not count any more. Thread: owner of
 * @p v. */
bool issuer_look(struct issuer *i, struct issuer_view *v);

/** Give back what a view holds. @param v view. Thread: its owner. */
void issuer_view_done(struct issuer_view *v);

/** The keys are not enough: ask for fresh ones. @param i issuer @param source where the token came
 * from, any number @param now_ms mono_now_ms() @return true: they are being fetched, or will be at
 * once, and the keeper will tell; false: not now, there were too many fetches lately, or nobody
 * tends it. Thread: any. */
bool issuer_want(struct issuer *i, uint64_t source, uint64_t now_ms);

/** A good token has come. @param i issuer @param source as in issuer_want(). Thread: any. */
void issuer_know(struct issuer *i, uint64_t source);

/** Has the keeper left it? Its keys stay what they are then. @param i issuer @return true if so.
 * Thread: any. */
bool issuer_is_left(const struct issuer *i);

/** The first fetch that begins after now, and so shows what the issuer shows now. @param i issuer
 * @return its number. Thread: any. */
unsigned issuer_next(const struct issuer *i);

/** Has a fetch ended, well or not? Its keys are seen by the next issuer_look() then. @param i
 * issuer @param number from issuer_next() @return true if so. Thread: any. */
bool issuer_has_ended(const struct issuer *i, unsigned number);

/* -- the keeper */

/** Say who is told that fresh keys are wanted. @param i issuer that no worker uses yet, or that had
 * the same loop and function before @param l the keeper's loop @param fn posted there with @p i, of
 * which it gets one reference @param keeper what issuer_keeper() returns there; NULL: nobody tends
 * it any more. Thread: keeper. */
void issuer_tend(struct issuer *i, struct loop *l, loop_job_fn fn, void *keeper);

/** Who tends it? @param i issuer @return as in issuer_tend(), or NULL. Thread: keeper. */
void *issuer_keeper(const struct issuer *i);

/** A fetch begins. @param i issuer. Thread: keeper. */
void issuer_began(struct issuer *i);

/** A fetch has ended, or none is made; wants are taken again. @param i issuer @param not_before_ms
 * time before which a want is an extra one, as mono_now_ms(). Thread: keeper. */
void issuer_ended(struct issuer *i, uint64_t not_before_ms);

/** Have the keys of now replaced. @param i issuer @param k set, a reference is taken; NULL: none
 * @return true: they are others than before. Thread: keeper. */
bool issuer_put(struct issuer *i, struct jwks *k);

/** How many keys has it? @param i issuer @return their number; 0: none. Thread: any. */
size_t issuer_count(struct issuer *i);

/* -- fetching */

/** Fetch its keys: description (unless jwks_url is given) and key set. @param c section, or
 * issuer_conf() @param stop break off within a second once true; may be NULL @param out filled on
 * success @param d filled on failure with reason and remedy @return FRUN_OK; as fetch_run();
 * FRUN_E_DENIED the description is another issuer's; FRUN_E_NOT_FOUND no key can be used. Thread:
 * any but a worker (blocks). Source: OpenID Connect Discovery 1.0, 3 and 4; RFC 7517 5. */
frun_err issuer_fetch(const struct conf_issuer *c, const atomic_bool *stop,
                      struct issuer_catch *out, struct diag *d) FRUN_MUST_CHECK;

/** Free what a fetch brought. @param c catch. Thread: any. */
void issuer_catch_done(struct issuer_catch *c);

#endif
