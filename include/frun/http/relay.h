/**
 * The pump between a served request and a call: bodies both ways, back-pressure both ways, and what
 * is kept for sending again.
 *
 * It moves octets and decides nothing: heads, errors and retries belong to its owner (gateway
 * exchange, connector forward). The first EXCHANGE_BUFFER_BYTES of the request body are kept until
 * the answer's head arrives, so that a request that was not processed can be sent again on another
 * connection; a longer body cannot (relay_can_repeat() tells).
 *
 *     served --on_body--> relay --send--> call          call --on_body--> relay --send_body-->
 * served
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_HTTP_RELAY_H
#define FRUN_HTTP_RELAY_H

#include "frun/base/buf.h"
#include "frun/base/err.h"
#include "frun/base/span.h"
#include "frun/http/exchange.h"

#include <stdbool.h>
#include <stdint.h>

/** The pump's state; embedded in its owner. Fields may be read, not written. */
struct relay {
    struct served *in;       /**< where the request came from; NULL once gone */
    struct call *out;        /**< where it went; NULL before relay_attach() and once gone */
    struct buf kept;         /**< beginning of the request body, kept for sending again */
    size_t resent_bytes;     /**< of kept, already given to the present call */
    uint64_t request_bytes;  /**< body octets taken from the pusher */
    uint64_t answer_bytes;   /**< body octets given to the pusher */
    uint64_t max_body_bytes; /**< ceiling of request_bytes */
    bool is_whole_kept;      /**< kept holds everything taken so far */
    bool is_request_done;    /**< the request body is complete */
    bool is_end_sent;        /**< its end was taken by the call */
    bool is_answered;        /**< relay_answer() has been called: nothing is kept any more */
    bool is_too_long;        /**< max_body_bytes was passed; the owner answers 413 */
    bool is_answer_done;     /**< the answer is complete at the call's side */
    bool is_request_held;    /**< less of the request was taken than offered: served waits */
    bool is_answer_held;     /**< less of the answer was taken than offered: the call waits */
};

/** Begin. @param r pump @param in the served request @param max_body_bytes ceiling of the request
 * body. Thread: worker. */
void relay_begin(struct relay *r, struct served *in, uint64_t max_body_bytes);

/** Lower the ceiling, once it is known whose request it is. @param r pump
 * @param max_body_bytes ceiling, not below request_bytes. Thread: worker. */
void relay_limit(struct relay *r, uint64_t max_body_bytes);

/** Connect (again) with a call: what is kept is sent first, then reading goes on. Octets that come
 * before the first call are kept, as many as fit. @param r pump @param out call just opened.
 * Thread: worker. */
void relay_attach(struct relay *r, struct call *out);

/** The call failed or was cancelled and is gone; what is kept waits for the next relay_attach().
 * @param r pump. Thread: worker. */
void relay_detach(struct relay *r);

/** May the request be sent again from its first octet? @param r pump @return true if everything
 * read so far is kept and nothing was answered. Thread: worker. */
bool relay_can_repeat(const struct relay *r);

/** The answer's head went out: give up what was kept, except what the present call has not taken
 * yet. @param r pump. Thread: worker. */
void relay_answer(struct relay *r);

/** Event of the served side: body offered. @param r pump @param data octets @return octets taken; 0
 * when too long (see is_too_long). Thread: worker. */
size_t relay_on_request_body(struct relay *r, struct span data);

/** Event of the served side: body complete. @param r pump. Thread: worker. */
void relay_on_request_end(struct relay *r);

/** Event of the served side: room for the answer. The call may end from within this; then
 * relay_on_answer_end() has told it. @param r pump. Thread: worker. */
void relay_on_answer_room(struct relay *r);

/** Event of the call side: room for the request. @param r pump. Thread: worker. */
void relay_on_request_room(struct relay *r);

/** Event of the call side: answer body offered. @param r pump @param data octets @return octets
 * taken. Thread: worker. */
size_t relay_on_answer_body(struct relay *r, struct span data);

/** Event of the call side: answer complete; the call is gone. A request that has not ended is not
 * read any further here: served drains it. @param r pump @return true when the answer's end was
 * taken and served is gone too. Thread: worker. */
bool relay_on_answer_end(struct relay *r);

/** Forget both sides (they are the owner's business) and free what is kept. @param r pump. Thread:
 * worker. */
void relay_done(struct relay *r);

#endif
