/**
 * The tunnels of one worker: which location IDs can be reached, by which tunnel, and who waits for
 * one.
 *
 * All tunnels of a location are active; the one with the least requests in flight is taken. When a
 * connector comes back as a new instance, tunnels of its former instances are suspect: probed at
 * once and used only if nothing else is there.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_GATEWAY_HUB_H
#define FRUN_GATEWAY_HUB_H

#include "frun/base/err.h"
#include "frun/base/list.h"
#include "frun/base/mono.h"
#include "frun/base/span.h"
#include "frun/gateway/seat.h"
#include "frun/h2/session.h"
#include "frun/http/exchange.h"
#include "frun/loop/loop.h"
#include "frun/net/stream.h"
#include "frun/tunnel/ptth.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** How long a suspect tunnel may take to answer a PING, milliseconds. */
#define HUB_PROBE_MS 3000

/** Octets of a certificate's subject at most. */
#define HUB_SUBJECT_BYTES 512

/** The hub of one worker. */
struct hub;

/** Told once when a location may have become reachable, or had better be asked again; embedded in
 * the exchange. */
struct hub_waiter {
    struct list node;                 /**< private; list_init() it before use */
    void (*fn)(struct hub_waiter *w); /**< try again now */
};

/** A connector's new tunnel, after all checks. */
struct hub_member {
    struct seat *seat;               /**< its connector; the hub takes a reference of its own */
    char subject[HUB_SUBJECT_BYTES]; /**< of the certificate it came by */
    char location_id[PTTH_MAX_LOCATION + 1]; /**< which location it serves */
    char instance[PTTH_INSTANCE_BYTES];      /**< which start of the connector */
    char version[32];                        /**< its software, for the log */
    char address[ADDR_TEXT_BYTES];           /**< where it came from, for the log */
    int64_t until_s; /**< last second of its certificate, since 1970; 0: not known */
};

/** Told when a tunnel ended. @param ctx the caller's @param m its member data, lives until the
 * return @param why for a person. */
typedef void (*hub_gone_fn)(void *ctx, const struct hub_member *m, const char *why);

/** Make a hub. @param l the worker's loop @param set for each tunnel's session (is_client is set
 * here) @param gone told of each tunnel's end @param ctx for it @param out hub; hub_free() it
 * @return FRUN_OK; FRUN_E_NOMEM. Thread: worker. */
frun_err hub_new(struct loop *l, const struct h2_settings *set, hub_gone_fn gone, void *ctx,
                 struct hub **out) FRUN_MUST_CHECK;

/** Close all tunnels at once and free; waiters are not told. @param h hub or NULL. Thread: worker.
 */
void hub_free(struct hub *h);

/** Begin a tunnel on a stream whose 101 has been put. @param h hub @param s stream, taken and set
 * to NULL on success @param first octets read behind the request head @param m who it is, copied
 * @return FRUN_OK; FRUN_E_NOMEM. Thread: worker. */
frun_err hub_join(struct hub *h, struct stream **s, struct span first,
                  const struct hub_member *m) FRUN_MUST_CHECK;

/** Probe every tunnel of a connector: it has just dialled anew, so an old one may be half-open.
 * @param h hub @param seat its seat. Thread: worker. */
void hub_probe(struct hub *h, const struct seat *seat);

/** Settings of the tunnels that come from now on. @param h hub @param set as for hub_new(). Thread:
 * worker. */
void hub_set(struct hub *h, const struct h2_settings *set);

/** Drain the tunnels that are not wanted any more: no new calls; each closes when its last call has
 * ended. @param h hub @param is_wanted asked for each open tunnel @param ctx for it. Thread:
 * worker.
 */
void hub_review(struct hub *h, bool (*is_wanted)(void *ctx, const struct hub_member *m), void *ctx);

/** The tunnels of one location ID; counted. */
struct hub_location;

/** Find the place of a location ID, known or not yet. @param h hub @param id location ID @param out
 * place; hub_leave() it before the hub is freed @return FRUN_OK; FRUN_E_LIMIT longer than
 * PTTH_MAX_LOCATION; FRUN_E_NOMEM. Thread: worker. */
frun_err hub_locate(struct hub *h, struct span id, struct hub_location **out) FRUN_MUST_CHECK;

/** Name a location no more; it goes when no tunnel has it either. @param loc place or NULL. Thread:
 * worker. */
void hub_leave(struct hub_location *loc);

/** By what a call goes; lives until the tunnel ends. */
struct hub_way {
    const char *connector; /**< its name */
    const char *tunnel;    /**< "connector/start#number": no other tunnel has had it */
};

/** Open a call through a tunnel of @p loc. @param loc place @param req head @param ev events @param
 * owner for them @param out call @param via out: what was taken @return FRUN_OK; FRUN_E_AGAIN no
 * usable tunnel now: wait; FRUN_E_UNSUPPORTED the connector takes no head of this size;
 * FRUN_E_NOMEM. Thread: worker. */
frun_err hub_call(struct hub_location *loc, const struct head *req, const struct call_events *ev,
                  void *owner, struct call **out, const struct hub_way **via) FRUN_MUST_CHECK;

/** Wait for a tunnel of @p loc: fn is called when one comes or has room again, oldest waiter first.
 * @param loc place @param w waiter. Thread: worker. */
void hub_wait(struct hub_location *loc, struct hub_waiter *w);

/** Do not wait any more; harmless if not waiting. @param w waiter. Thread: worker. */
void hub_forget(struct hub_waiter *w);

/** Is there an open tunnel for @p loc, whatever its load? @param loc place @return true if so.
 * Thread: worker. */
bool hub_has(const struct hub_location *loc);

/** Has the connector of @p loc said that it is going, and does it still finish requests, maybe of
 * other workers, or is it back there already? Then it is restarted, and worth waiting for. @param
 * loc place @return true if so. Thread: worker. */
bool hub_is_expected(const struct hub_location *loc);

/** Tunnels open now. @param h hub @return count. Thread: worker. */
size_t hub_count(const struct hub *h);

/** Places that somebody names now. @param h hub @return count. Thread: worker. */
size_t hub_places(const struct hub *h);

/** Octets of the name of a tunnel with its final NUL; a longer one is cut. */
#define HUB_NAME_BYTES 96

/** A tunnel as administrators see it. */
struct hub_view {
    struct hub_member member;         /**< who it is; the name's text is in connector_name */
    char connector_name[64];          /**< name of the connector, cut if longer */
    char name[HUB_NAME_BYTES];        /**< its own, as in struct hub_way */
    size_t in_flight;                 /**< requests in it */
    size_t max_in_flight;             /**< ceiling of that */
    uint64_t age_ms;                  /**< since it stands */
    char since[MONO_WALL_TEXT_BYTES]; /**< when it came to stand, wall clock */
    uint64_t rtt_us;                  /**< round trip of its last PING, 0: none yet */
    bool is_draining;                 /**< takes no new requests */
    bool is_suspect;                  /**< of an earlier start of its connector */
};

/** Look at the tunnels. @param h hub @param out filled @param max room, in tunnels @return how
 * many. Thread: worker. */
size_t hub_look(const struct hub *h, struct hub_view *out, size_t max);

/** Drain the tunnels of one connector; it dials anew. @param h hub @param connector its name
 * @return how many. Thread: worker. */
size_t hub_drain_connector(struct hub *h, const char *connector);

/** Drain all tunnels: no new calls; each closes when its last call has ended. @param h hub. Thread:
 * worker. */
void hub_drain(struct hub *h);

#endif
