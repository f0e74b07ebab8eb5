/**
 * What the files of the exchange share.
 *
 *     exchange.c        its life: stock, access line, own answers, time-outs, both sides' events
 *     exchange_admit.c  the questions before: URI, endpoint, pusher, resource, limits, head
 *     exchange_certificate.c  one of them: whose certificate is it
 *     exchange_errand.c requests of the gateway's own; those that wait when a road changes
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_GATEWAY_EXCHANGE_INT_H
#define FRUN_GATEWAY_EXCHANGE_INT_H

#include "frun/access/auth.h"
#include "frun/access/identity.h"
#include "frun/access/turn.h"
#include "frun/admin/accesslog.h"
#include "frun/base/arena.h"
#include "frun/base/list.h"
#include "frun/gateway/exchange.h"
#include "frun/gateway/hub.h"
#include "frun/gateway/own.h"
#include "frun/gateway/permit.h"
#include "frun/gateway/reply.h"
#include "frun/gateway/worker.h"
#include "frun/http/exchange.h"
#include "frun/http/head.h"
#include "frun/http/policy.h"
#include "frun/http/relay.h"
#include "frun/http/uri.h"
#include "frun/loop/loop.h"

#include <stdbool.h>
#include <stdint.h>

/** Retry-After when nothing better is known, seconds. */
#define EXCHANGE_RETRY_S 5

/** Where an exchange stands. */
enum exchange_state {
    EXCHANGE_STATE_NEW,       /* taken from stock; the head is being read */
    EXCHANGE_STATE_OWN,       /* one of the gateway's own resources reads the body or thinks */
    EXCHANGE_STATE_VERIFYING, /* the credential is being verified */
    EXCHANGE_STATE_QUEUED,    /* a limit is reached; the turn tells when to go on */
    EXCHANGE_STATE_WAITING,   /* no usable tunnel yet; the deadline is the hold time */
    EXCHANGE_STATE_OPEN,      /* a call is open, no head of the answer yet */
    EXCHANGE_STATE_ANSWERING, /* the answer's head has been passed on */
    EXCHANGE_STATE_REPLYING,  /* our own answer is being sent */
    EXCHANGE_STATE_ENDED      /* logged, back in stock after this pass */
};

struct exchange {
    struct list node; /* in worker.spare, worker.orphans, or worker.errands */
    struct list held; /* in worker.held while it waits */
    struct worker *w;
    enum exchange_state state;
    struct arena arena;
    struct head in;  /* as the pusher sent it */
    struct head out; /* as Focused Run gets it; kept for sending again */
    struct served *served;
    struct served nobody;         /* stands in for a sender that has gone */
    struct exchange_tally *tally; /* of the connection it came by, or NULL */
    struct relay relay;
    struct roads *roads;       /* pinned, with the generation it belongs to */
    struct registry *registry; /* the generation's */
    const struct endpoint *e;
    const struct policy *policy; /* the endpoint's, for the name it was called by */
    const struct tls_ctx *shown; /* whose certificate the sender saw; NULL: plain */
    struct identity *identity;   /* the sender's certificate, or NULL */
    struct identity_trust trust; /* by what that is judged */
    const struct pusher *who;
    struct route *route;
    struct hub_way via; /* copies, or NULL: no tunnel */
    struct uri uri;
    struct policy_facts facts;
    char id_made[POLICY_ID_BYTES];
    char trace_made[POLICY_ID_BYTES];
    struct auth_waiter auth_waiter;
    struct hub_waiter hub_waiter;
    struct turn turn;
    struct own_ask own;             /* a request to the gateway itself */
    struct exchange_errand *errand; /* it is one of our own, or NULL */
    struct deadline deadline;
    uint64_t hold_until_ms;
    unsigned repeats;
    bool is_body_open;   /* the served side was told that it may offer the body */
    bool is_orphan;      /* the sender has gone, its complete push goes its way */
    bool is_client_slow; /* the answer waits for the pusher */
    struct span rest;    /* of our own answer's body, not sent yet */
    struct accesslog_entry log;
    uint64_t begun_us;
    uint64_t opened_us;
};

/** Say what is to be said ourselves; the exchange may end in it. @param x exchange whose answer has
 * not begun @param r answer. Thread: worker. */
void exchange_reply(struct exchange *x, const struct reply *r);

/** Let the body come while the request still waits for a verdict or a tunnel: what arrives
 * completely is delivered even if the sender leaves meanwhile. A sender that asks for 100 Continue
 * waits on. @param x exchange. Thread: worker. */
void exchange_read_ahead(struct exchange *x);

/** Wait for a usable road: exchange_open_route() is called again when one may have come. The
 * exchange may end in it. @param x exchange whose route says "not now". Thread: worker. */
void exchange_wait(struct exchange *x);

/** The deadline of a waiting exchange: is there still reason to wait? @param x exchange that waits
 * @return true: it waits on; false: its patience is over. Thread: worker. */
bool exchange_waits_on(struct exchange *x);

/** Take on a request: pin what it needs, listen to its served side. @param x exchange with head
 * @param s served side @param peer address text, may be absent. Thread: worker. */
void exchange_take_on(struct exchange *x, struct served *s, struct span peer);

/** Wait for nothing any more: verdict, tunnel, time. @param x exchange. Thread: worker. */
void exchange_stop_waiting(struct exchange *x);

/** End without a complete answer, so that who asked sees it. @param x exchange @param error RFC
 * 9209 error type unless one is known. Thread: worker. */
void exchange_abandon(struct exchange *x, const char *error);

/** Choose the road; who changes it is counted over. @param x exchange @param r road, or NULL: none
 * any more. Thread: worker. */
void exchange_take_route(struct exchange *x, struct route *r);

/** Before it is sent again: the road that counts now, it may have been switched meanwhile. An
 * errand stays on its own. @param x exchange. Thread: worker. */
void exchange_retake_route(struct exchange *x);

/** Note how long the connector had the request. @param x exchange whose upstream time is known
 * @param h the answer's head. Thread: worker. */
void exchange_note_backend(struct exchange *x, const struct head *h);

/** Say what became of it: in the access line and the counters, or to who sent the errand; and leave
 * its road. @param x exchange that has ended. Thread: worker. */
void exchange_tell(struct exchange *x);

/** Make the head that Focused Run gets, and open the call. @param x exchange with endpoint, policy
 * and facts @param r road. Thread: worker. */
void exchange_forward(struct exchange *x, struct route *r);

/** Open the call, again after a failure, and let the bodies flow; or wait for a tunnel. @param x
 * exchange with out and route. Thread: worker. */
void exchange_open_route(struct exchange *x);

/** Ask the questions; the first that is not answered well replies. @param x exchange that has
 * begun. Thread: worker. */
void exchange_admit(struct exchange *x);

/** What the permit asks about. @param x exchange with endpoint and pusher @param p out: filled but
 * for the room for its text. Thread: worker. */
void exchange_permit(const struct exchange *x, struct permit *p);

/** Decide by which CAs the sender's certificate is judged. @param x exchange @param host the name
 * it was sent to, or NULL: the gateway's. Thread: worker. */
void exchange_set_trust(struct exchange *x, const struct endpoint_host *host);

/** Does the sender's certificate prove a pusher? @param x exchange with endpoint @return verdict;
 * AUTH_MISSING: there is none, or none counts here. Thread: worker. */
enum auth_verdict exchange_check_certificate(struct exchange *x);

/** No pusher is known: say so here if certificates are the only way. @param x exchange @param
 * has_others there are challenges that could help @param why out, if certificates count here and
 * one was shown, or nothing else would do: what to say, with a NUL behind it @return true: the
 * exchange has been answered. Thread: worker. */
bool exchange_refuse_certificate(struct exchange *x, bool has_others, struct span *why);

/** The turn has come, or will not. @param t the exchange's @param result outcome. Thread: worker.
 */
void exchange_on_turn(struct turn *t, enum turn_result result);

/** The credential has been verified. @param w the exchange's @param verdict outcome @param who
 * pusher. Thread: worker. */
void exchange_on_verdict(struct auth_waiter *w, enum auth_verdict verdict,
                         const struct pusher *who);

#endif
