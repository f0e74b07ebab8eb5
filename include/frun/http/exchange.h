/**
 * The two sides of one HTTP request, whatever carries it: "served" is how we see a request that
 * came to us, "call" how we see a request that we sent on.
 *
 * Both are small tables of operations with a table of events going the other way. A served request
 * comes from an HTTP/1.1 front-door connection or from an HTTP/2 stream; a call goes through a
 * pooled HTTP/1.1 connection or an HTTP/2 stream of a tunnel. Whoever joins the two (http/relay.h)
 * sees nothing else.
 *
 * Flow: body octets are OFFERED and the other side takes what it has room for. What is not taken
 * stays with the offering side, which stops reading from its peer, and is offered again after
 * resume(). So each direction holds at most what one side's output buffer holds
 * (EXCHANGE_BUFFER_BYTES), and the windows do the rest. Where a body travels far, the window of an
 * HTTP/2 stream may grow above that, paid from a budget of its worker (h2/session.h).
 *
 * Rules for both: operations never call events of the same object from within themselves, with one
 * exception named there; events may call operations. After an end event (on_end, on_fail, on_gone)
 * or cancel()/abandon() the handle is gone: no further operation, no further event. All on one
 * worker.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_HTTP_EXCHANGE_H
#define FRUN_HTTP_EXCHANGE_H

#include "frun/base/err.h"
#include "frun/base/span.h"
#include "frun/http/head.h"

#include <stdbool.h>
#include <stddef.h>

/** Ceiling of what one direction of one exchange holds back for a slow next hop. */
#define EXCHANGE_BUFFER_BYTES 65536

struct call;
struct served;

/** What the carrier of a call knows better than a result code can say; all texts are constant. */
struct call_verdict {
    unsigned status;    /**< answer that fits; 0: nothing is known, the code decides */
    const char *by;     /**< who said so, "sap-connectivity" */
    const char *error;  /**< RFC 9209 error type */
    const char *kind;   /**< one word for log and Proxy-Status, "no_tunnel" */
    const char *detail; /**< for the requester: what is wrong and what to do, no internal names */
    unsigned retry_after_s; /**< 0: none */
    bool is_away; /**< the other side is away for a while: wait for it as for a tunnel; goes with
                     is_unprocessed */
};

/** Why a call failed. */
struct call_failure {
    frun_err err; /**< FRUN_E_CONNECT, _RESOLVE, _PROXY, _TLS, _TIMEOUT, _CLOSED, _SYNTAX, _LIMIT,
                     _NOMEM, _IO */
    bool is_unprocessed; /**< provably nothing of it was processed: any request may be sent again */
    bool is_stale; /**< a kept connection ended before any octet of the answer: may be sent again if
                      idempotent */
    unsigned refusal; /**< enum dial_refusal: what a SOCKS5 proxy on the way said; 0: nothing */
    char text[256];   /**< for a person: which address, what happened */
    struct call_verdict verdict; /**< zero unless the carrier knows more */
};

/** What a call reports to its owner. */
struct call_events {
    /** The final answer's head; @p h lives until the return. 1xx answers are swallowed. */
    void (*on_head)(void *owner, const struct head *h);
    /** Body octets are offered; returns how many were taken. Only after on_head. */
    size_t (*on_body)(void *owner, struct span data);
    /** send() has room again after it took less than offered. */
    void (*on_room)(void *owner);
    /** The answer is complete and the request was completely sent or is no longer wanted; the call
     * is gone. */
    void (*on_end)(void *owner);
    /** The call failed; it is gone. If on_head came before, the answer is cut off. */
    void (*on_fail)(void *owner, const struct call_failure *f);
};

/** What the owner may do to a call. */
struct call_ops {
    /** Offer body octets; @p is_last: the body ends behind them (n may be 0). Returns how many were
     * taken; the end counts only once all were. */
    size_t (*send)(struct call *c, struct span data, bool is_last);
    /** on_body may be offered again; it is, from the loop, or from within this operation. */
    void (*resume)(struct call *c);
    /** Forget the call: whatever carries it is reset or closed. */
    void (*cancel)(struct call *c);
};

/** A request that we sent on; embedded in what carries it. */
struct call {
    const struct call_ops *ops;   /**< set by the carrier */
    const struct call_events *ev; /**< set by the owner through the carrier's opening function */
    void *owner;                  /**< for the events */
};

/** What a served request reports to its owner. */
struct served_events {
    /** Body octets are offered; returns how many were taken. */
    size_t (*on_body)(void *owner, struct span data);
    /** The request's body is complete. */
    void (*on_body_end)(void *owner);
    /** send_body() has room again after it took less than offered. */
    void (*on_room)(void *owner);
    /** The peer went away or broke the framing; the served request is gone. @p why lives until the
     * return. If no head had been sent, FRUN_E_SYNTAX and FRUN_E_TIMEOUT say that the carrier has
     * answered with 400 or 408 itself. */
    void (*on_gone)(void *owner, frun_err err, const char *why);
};

/** What the owner may do to a served request. */
struct served_ops {
    /** Bodies may be offered now (none is before); sends "100 Continue" if the peer waits for it.
     */
    void (*accept_body)(struct served *s);
    /** Send the answer's head. Framing follows h->body. FRUN_OK; FRUN_E_NOMEM, FRUN_E_LIMIT:
     * nothing was sent. */
    frun_err (*send_head)(struct served *s, const struct head *h);
    /** Offer answer octets; @p is_last: the body ends behind them. Returns how many were taken;
     * once the end was taken, or the answer has no body and @p is_last was given, the served
     * request is gone (on_gone does not follow). A body that had not been read completely is
     * drained within reason, or the connection closes. */
    size_t (*send_body)(struct served *s, struct span data, bool is_last);
    /** on_body may be offered again; it is, from the loop, or from within this operation. */
    void (*resume)(struct served *s);
    /** Give up: the answer is cut off so that the peer sees it is not complete (connection closed,
     * stream reset). */
    void (*abandon)(struct served *s);
};

/** A request that came to us; embedded in what carries it. */
struct served {
    const struct served_ops *ops;   /**< set by the carrier */
    const struct served_events *ev; /**< set by the owner */
    void *owner;                    /**< for the events; NULL until somebody took it on */
};

#endif
