/**
 * Tokens of issuers on one worker: whom they mean, and who waits until the keys for them are here.
 *
 * A token that names an unknown key asks for fresh keys once and is held for a moment, because an
 * issuer that has just changed its keys is no reason to send a pusher away for hours. Who is not
 * worth waiting for is answered at once. What is wrong is told to the administrator in full, each
 * kind of fault of each issuer at most once in GUESTS_QUIET_MS. Worker thread only.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_ACCESS_GUESTS_H
#define FRUN_ACCESS_GUESTS_H

#include "frun/access/issuers.h"
#include "frun/access/registry.h"
#include "frun/base/err.h"
#include "frun/base/list.h"
#include "frun/base/span.h"
#include "frun/loop/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** How long a token waits for keys at most, milliseconds. */
#define GUESTS_HOLD_MS 5000

/** How long the same fault is not told again, milliseconds. */
#define GUESTS_QUIET_MS 10000

/** Tokens of one worker that may wait. */
#define GUESTS_MAX_WAITING 1024

/** State of one worker. */
struct guests;

/** A token that waits; embedded in its owner. */
struct guest {
    struct list node;            /**< private; list_init() it before use */
    struct registry *registry;   /**< private: pinned by the owner */
    const struct endpoint *e;    /**< private */
    struct span text;            /**< private: the owner's memory */
    struct guests *all;          /**< private */
    uint64_t until_ms;           /**< private */
    unsigned fetch;              /**< private: the one that decides */
    uint64_t source;             /**< where it came from, see guests_source() */
    void (*fn)(struct guest *g); /**< look again: guests_check(), which may tell to wait on */
};

/** What a token is worth. */
struct guests_verdict {
    const struct pusher *who; /**< whose it is */
    bool is_listed;           /**< it may use the endpoint */
    uint64_t until_s;         /**< how long it is good at most, seconds since 1970 */
    const char *why;          /**< on failure: what is wrong, constant text */
    bool may_change;          /**< on failure: the next look may find other keys */
};

/** Make one. @param l the worker's loop @param out guests; guests_free() it @return FRUN_OK;
 * FRUN_E_NOMEM. Thread: worker. */
frun_err guests_new(struct loop *l, struct guests **out) FRUN_MUST_CHECK;

/** Free it; who waits is not told. @param g guests or NULL. Thread: worker. */
void guests_free(struct guests *g);

/** What counts as one source of tokens: an IPv4 address, a /64 of IPv6. @param address IP address
 * as text, or absent @return number for struct guest; 0: none of both. Thread: any. */
uint64_t guests_source(struct span address);

/** See whether the keys of any issuer have changed. @param g guests @param s issuers of the
 * registry in use @return true: they have, what was verified with them does not count any more.
 * Thread: worker. */
bool guests_look(struct guests *g, const struct issuers *s);

/** Is it a token of one of the issuers? @param s issuers @param text token as sent @return true if
 * so; false also if it is no token at all. Thread: worker. */
bool guests_is_ours(const struct issuers *s, struct span text);

/** Judge a token. @param g guests @param r registry the request pinned @param e endpoint @param
 * text as sent @param who who may have to wait; until_ms 0 at its first look @param out verdict
 * @return FRUN_OK; FRUN_E_DENIED it is not good, out->why tells; FRUN_E_AGAIN keys are on their
 * way, guests_wait() for them; FRUN_E_NOT_FOUND the issuer's keys are not here: 503; FRUN_E_CLOSED
 * nor will they come, because a reload has dropped it or has changed its section; FRUN_E_NOMEM.
 * Thread: worker. Source: RFC 6750 3.1. */
frun_err guests_check(struct guests *g, struct registry *r, const struct endpoint *e,
                      struct span text, struct guest *who,
                      struct guests_verdict *out) FRUN_MUST_CHECK;

/** Wait after FRUN_E_AGAIN; its patience begins with the first wait. @param g guests @param x not
 * waiting, fn set; until_ms 0 at its first wait @param r registry @param e endpoint @param text
 * token, must live as long as it waits @return true: fn will be called; false: too many wait, or it
 * has waited long enough. Thread: worker. */
bool guests_wait(struct guests *g, struct guest *x, struct registry *r, const struct endpoint *e,
                 struct span text);

/** Do not wait any more; harmless if not waiting. @param x guest. Thread: worker. */
void guests_forget(struct guest *x);

/** A fetch of keys has ended: whoever waits looks again. @param g guests. Thread: worker. */
void guests_wake(struct guests *g);

#endif
