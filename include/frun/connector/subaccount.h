/**
 * A membership: for each gateway address of a [subaccount], a set of tunnels that is always dialled
 * for.
 *
 * The set begins with one tunnel (or the configured number) and grows when the gateway says how
 * many it would like, never above SUBACCOUNT_MAX_TUNNELS. A tunnel that the gateway drains is
 * replaced at once while the old one finishes. Owned by one worker.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_CONNECTOR_SUBACCOUNT_H
#define FRUN_CONNECTOR_SUBACCOUNT_H

#include "frun/base/err.h"
#include "frun/conf/connector.h"
#include "frun/connector/forward.h"
#include "frun/loop/loop.h"
#include "frun/loop/offload.h"
#include "frun/net/tls.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Tunnels to one gateway at most, whatever it asks for. */
#define SUBACCOUNT_MAX_TUNNELS 64

/** Tunnels that still drain, of one gateway, at most; the oldest is closed then. */
#define SUBACCOUNT_MAX_DRAINING 64

/** A membership. */
struct subaccount;

/** What it is made of; everything pointed at must outlive it. */
struct subaccount_settings {
    struct loop *loop;                      /**< loop */
    struct offload *offload;                /**< helper threads for the resolver */
    const struct conf_connector *connector; /**< [connector] */
    const struct conf_subaccount *conf;     /**< [subaccount NAME] */
    struct tls_ctx *tls;                    /**< context towards its gateways; NULL: plain, for
                                               tests */
    const char *instance;                   /**< instance id of this start, hexadecimal */
    struct forward_env *env;                /**< where requests go */
    void (*on_change)(void *ctx);           /**< counts may have changed, or it is done */
    void *ctx;                              /**< for on_change */
};

/** How a membership stands. */
struct subaccount_count {
    size_t open;          /**< tunnels that take requests */
    size_t wanted;        /**< tunnels there should be */
    size_t draining;      /**< tunnels that finish */
    uint64_t opened;      /**< times a tunnel came to stand */
    uint64_t failed;      /**< times one was lost or could not be made */
    size_t in_flight;     /**< requests in tunnels that take some */
    size_t max_in_flight; /**< ceiling of that */
};

/** Make a membership and begin to dial. @param s settings, copied @param out membership;
 * subaccount_free() it @return FRUN_OK; FRUN_E_NOMEM; FRUN_E_SYNTAX a gateway is not host:port.
 * Thread: owner of the loop. */
frun_err subaccount_new(const struct subaccount_settings *s,
                        struct subaccount **out) FRUN_MUST_CHECK;

/** Go on with other settings that say the same: texts, TLS context and where requests go are taken
 * from them; tunnels stay, those that come have the new times. @param a membership @param s
 * settings with the same gateways and the same number of tunnels, copied. Thread: owner. */
void subaccount_update(struct subaccount *a, const struct subaccount_settings *s);

/** Send requests another way from now on. @param a membership @param env where to. Thread: owner.
 */
void subaccount_set_env(struct subaccount *a, struct forward_env *env);

/** Close every tunnel at once. @param a membership or NULL. Thread: owner. */
void subaccount_free(struct subaccount *a);

/** Dial no more, finish what is in flight; on_change follows. @param a membership. Thread: owner.
 */
void subaccount_drain(struct subaccount *a);

/** Has everything ended after subaccount_drain()? @param a membership @return true if so. Thread:
 * owner. */
bool subaccount_is_done(const struct subaccount *a);

/** A tunnel of a membership, as administrators see it. */
struct subaccount_tunnel {
    const char *gateway;  /**< address dialled, lives with the membership */
    const char *state;    /**< dialer_state_name() */
    size_t in_flight;     /**< requests in it */
    size_t max_in_flight; /**< ceiling of that; 0: not open */
    uint64_t open_since;  /**< loop time, milliseconds; 0: not open */
    const char *since;    /**< the same on the wall clock, "" if not open */
    uint64_t rtt_us;      /**< round trip of its last PING; 0: none yet */
    const char *why;      /**< last failure of this gateway, "" if there never was one */
    const char *why_at;   /**< when that was, wall clock */
};

/** Told each tunnel. @param ctx the caller's @param t tunnel, lives until the return. */
typedef void (*subaccount_tunnel_fn)(void *ctx, const struct subaccount_tunnel *t);

/** Tell every tunnel. @param a membership @param fn told @param ctx for it. Thread: owner. */
void subaccount_look(const struct subaccount *a, subaccount_tunnel_fn fn, void *ctx);

/** Told the certificate of each gateway. @param ctx the caller's @param gateway its address @param
 * until_s its last second, since 1970. */
typedef void (*subaccount_certificate_fn)(void *ctx, const char *gateway, int64_t until_s);

/** Tell the certificates that gateways have shown. @param a membership @param fn told @param ctx
 * for it. Thread: owner. */
void subaccount_certificates(const struct subaccount *a, subaccount_certificate_fn fn, void *ctx);

/** Its section. @param a membership @return configuration. Thread: owner. */
const struct conf_subaccount *subaccount_conf(const struct subaccount *a);

/** How it stands. @param a membership @param out counts, ADDED to what is there. Thread: owner. */
void subaccount_count(const struct subaccount *a, struct subaccount_count *out);

#endif
