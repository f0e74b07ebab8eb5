/**
 * One tunnel: dialled, greeted, served, and dialled again for ever.
 *
 *     waiting --time--> dialling --connected--> greeting --101--> open
 *        ^                  |                      |               | \--GOAWAY, dialer_drain()-->
 *        \---- failure -----+------ refusal -------+---- lost -----/              draining
 *                                                                                     |
 *     any state --dialer_drain() with nothing to finish--> ended <--last request done-/
 *
 * Waiting is jittered back-off, forgotten after a healthy minute; what the gateway asks for by
 * Retry-After is kept to. Each change is logged once with what happens next; a failure that repeats
 * unchanged is logged at most every DIALER_NEWS_MS. A draining tunnel is never dialled again: its
 * owner makes a new one. Owned by one worker.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_CONNECTOR_DIALER_H
#define FRUN_CONNECTOR_DIALER_H

#include "frun/base/err.h"
#include "frun/base/mono.h"
#include "frun/h2/session.h"
#include "frun/http/exchange.h"
#include "frun/http/head.h"
#include "frun/loop/loop.h"
#include "frun/loop/offload.h"
#include "frun/net/dial.h"
#include "frun/tunnel/backoff.h"
#include "frun/tunnel/ptth.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Ceiling of the greeting, milliseconds. */
#define DIALER_GREETING_MS 10000

/** Octets of the gateway's answer to the greeting at most. */
#define DIALER_MAX_GREETING_BYTES 16384

/** Longest Retry-After we keep to, seconds. */
#define DIALER_MAX_RETRY_AFTER_S 3600

/** An unchanged failure is logged again after this time, milliseconds. */
#define DIALER_NEWS_MS 300000

/** A tunnel that was told to go away sooner than this after it opened is dialled again with
 * back-off, milliseconds. */
#define DIALER_SHORT_LIFE_MS 5000

/** Where a tunnel is. */
enum dialer_state {
    DIALER_WAITING,  /**< back-off runs; there is no connection */
    DIALER_DIALLING, /**< net/dial is at work */
    DIALER_GREETING, /**< our stream is ready, the greeting is on its way or the answer awaited */
    DIALER_OPEN,     /**< HTTP/2 session stands and takes requests */
    DIALER_DRAINING, /**< HTTP/2 session stands, no new requests, old ones finish */
    DIALER_ENDED     /**< nothing runs and nothing will; to be freed */
};

/** What has been said about a gateway; shared by its tunnels so that they do not all say it. */
struct dialer_news {
    char text[256];                     /**< last failure logged, "" after success */
    uint64_t at_ms;                     /**< when, loop time */
    unsigned unsaid;                    /**< failures not logged since */
    uint64_t opened;                    /**< times a tunnel came to stand */
    uint64_t failed;                    /**< times one was lost or could not be made */
    unsigned serial_no;                 /**< last number given to a tunnel, for its scope */
    char last[256];                     /**< last failure, "" if there never was one */
    char last_at[MONO_WALL_TEXT_BYTES]; /**< when that was, wall clock */
    int64_t until_s; /**< last second of the gateway's certificate, since 1970; 0: not known */
};

/** What a tunnel is made of; everything pointed at must outlive it. */
struct dialer_settings {
    struct loop *loop;         /**< loop */
    struct offload *offload;   /**< helper threads for the resolver */
    struct dial_target target; /**< gateway, TLS context, proxy, time for dialling */
    struct ptth_hello hello;   /**< who we are */
    const char *label;         /**< "NAME at HOST:PORT", for the log */
    struct h2_settings h2;     /**< ceilings of the session */
    uint64_t retry_min_ms;     /**< back-off begins here */
    uint64_t retry_max_ms;     /**< and ends here */
    uint64_t greeting_ms;      /**< ceiling of the greeting, 1.. */
    struct dialer_news *news;  /**< shared by the tunnels of one gateway */
};

/** A tunnel. */
struct dialer;

/** What a tunnel reports. */
struct dialer_events {
    /** It is open; the gateway would like @p tunnels of them from us, 1..64. */
    void (*on_open)(void *ctx, struct dialer *d, unsigned tunnels);
    /** A request's head begins: lend the place where it is built. on_request or on_head_lost
     * follows. False: memory refused. */
    bool (*on_head)(void *ctx, struct h2_place *place);
    /** A request came; s->owner is the place's, where its head is. @p scope for its log lines,
     * lives longer than the request. */
    void (*on_request)(void *ctx, const char *scope, struct served *s);
    /** The head will never be complete, or is not acceptable; @p owner is the place's. */
    void (*on_head_lost)(void *ctx, void *owner);
    /** The gateway drains the tunnel: it takes no more requests; make a replacement. */
    void (*on_drain)(void *ctx, struct dialer *d);
    /** The tunnel was lost or could not be made; it is waiting for its next dial. */
    void (*on_lost)(void *ctx, struct dialer *d);
    /** A draining tunnel has ended; free it. */
    void (*on_ended)(void *ctx, struct dialer *d);
};

/**
 * Make a tunnel and dial at the next occasion.
 *
 * @param s        settings, copied except what they point at
 * @param before   the tunnel it replaces: its failures are not forgotten; NULL: none
 * @param ev       events, must outlive it; none comes from within this function
 * @param ctx      for them
 * @param out      tunnel; dialer_free() it
 * @return FRUN_OK; FRUN_E_NOMEM
 * Thread: owner of the loop.
 */
frun_err dialer_new(const struct dialer_settings *s, const struct dialer *before,
                    const struct dialer_events *ev, void *ctx, struct dialer **out) FRUN_MUST_CHECK;

/** Dial by other settings from now on; what is open stays as it is. @param d tunnel @param s
 * settings, copied except what they point at. Thread: owner. */
void dialer_update(struct dialer *d, const struct dialer_settings *s);

/** Close at once; requests in it are gone; freed after the pass. @param d tunnel or NULL. Thread:
 * owner. */
void dialer_free(struct dialer *d);

/** Never dial again; finish what is in flight. Look at dialer_state() behind it: DIALER_ENDED if
 * nothing was open, else DIALER_DRAINING and on_ended follows; so it does behind DIALER_GREETING,
 * because the gateway may have sent requests that we have not seen yet. @param d tunnel. Thread:
 * owner. */
void dialer_drain(struct dialer *d);

/** Where it is. @param d tunnel @return state. Thread: owner. */
enum dialer_state dialer_state(const struct dialer *d);

/** A state's name. @param s state @return constant text. Thread: any. */
const char *dialer_state_name(enum dialer_state s);

/** Since when it is open. @param d tunnel @return loop time, milliseconds; 0: not open now. Thread:
 * owner. */
uint64_t dialer_open_since_ms(const struct dialer *d);

/** The same on the wall clock. @param d tunnel @return text, "" if it is not open now; lives with
 * it. Thread: owner. */
const char *dialer_open_since(const struct dialer *d);

/** Round-trip time of its last PING. @param d tunnel @return microseconds, 0: none yet. Thread:
 * owner. */
uint64_t dialer_rtt_us(const struct dialer *d);

/** Requests in flight in it. @param d tunnel @return count. Thread: owner. */
size_t dialer_in_flight(const struct dialer *d);

/** Requests that may be in flight in it. @param d tunnel @return count, 0: it is not open. Thread:
 * owner. */
size_t dialer_max_in_flight(const struct dialer *d);

#endif
