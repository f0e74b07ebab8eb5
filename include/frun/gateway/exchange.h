/**
 * One push, from its head to its access line: who may, where to, with what head, what came back,
 * and what to say when it cannot be.
 *
 *     start --> (verifying) --> (queued by limits) --> (waiting for a tunnel) --> open -->
 * answering --> end
 *                    \________________\___________________\--> replying (our own answer) --> end
 *
 * When the sender goes away after its push (any method but GET and HEAD) has arrived completely and
 * before an answer has begun, the push goes its way all the same: the exchange lives on without a
 * served side, drops the answer and writes its access line. Such an orphan takes a place among the
 * connections.
 *
 * A check is such a request too, the gateway's own: it begins where a pusher has been let in, takes
 * the same head, road and time-outs, and tells who sent it instead of writing an access line.
 *
 * Independent of the HTTP version: it sees a served request and a route's call. One worker's.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_GATEWAY_EXCHANGE_H
#define FRUN_GATEWAY_EXCHANGE_H

#include "frun/admin/accesslog.h"
#include "frun/base/arena.h"
#include "frun/base/err.h"
#include "frun/base/span.h"
#include "frun/gateway/worker.h"
#include "frun/http/exchange.h"
#include "frun/http/head.h"

#include <stdbool.h>
#include <stddef.h>

/** Ceiling of one request's memory without body buffers and heads, octets. */
#define EXCHANGE_ARENA_BYTES 262144

/** Times that a head of max_head fits beside that: as it came, its cookies joined and sorted out,
 * what is written of the answer's, and what blocks waste. */
#define EXCHANGE_HEADS 4

/** Times a request is sent again at most. */
#define EXCHANGE_MAX_REPEATS 2

/** An exchange. */
struct exchange;

struct identity;

/** How many exchanges a connection keeps busy, also those that it has left behind: what a client
 * cancels counts until the work behind it has ended. Heap object; calloc() it. */
struct exchange_tally {
    size_t n;     /**< exchanges that have not ended */
    bool is_left; /**< the connection is gone: the last exchange frees it */
};

/** The connection is gone. @param t its tally, freed now or by its last exchange; or NULL. Thread:
 * worker. */
void exchange_tally_leave(struct exchange_tally *t);

/** Take an exchange from the worker's stock. @param w worker @return exchange; exchange_start(),
 * exchange_refuse() or exchange_free() it; NULL: memory refused. Thread: worker. */
struct exchange *exchange_new(struct worker *w);

/** Give back an exchange that was not started. @param x exchange or NULL. Thread: worker. */
void exchange_free(struct exchange *x);

/** Memory that lives as long as the exchange: the carrier copies the head there. @param x exchange
 * @return arena. Thread: worker. */
struct arena *exchange_arena(struct exchange *x);

/** Room for the request's head; its spans must live in the arena. @param x exchange @return head to
 * fill. Thread: worker. */
struct head *exchange_head(struct exchange *x);

/** Begin: the head is complete. Events of @p s go to the exchange from now on; it ends and frees
 * itself. @param x exchange with head @param s the served request @param peer address text of the
 * client, copied @param shown context whose certificate the client saw, NULL: plain @param identity
 * the client's own certificate, a reference is taken; NULL: none. Thread: worker. */
void exchange_start(struct exchange *x, struct served *s, struct span peer,
                    const struct tls_ctx *shown, struct identity *identity);

/** Begin and end with an error answer, for heads that could not be parsed. @param x exchange @param
 * s the served request; the carrier closes behind the answer @param peer address text @param fault
 * why. Thread: worker. */
void exchange_refuse(struct exchange *x, struct served *s, struct span peer,
                     const struct head_fault *fault);

/** Write the access line of a request whose head broke off, and end. @param x exchange @param peer
 * address text @param why constant text. Thread: worker. */
void exchange_lose(struct exchange *x, struct span peer, const char *why);

/** A request of the gateway's own; embedded in what asks. */
struct exchange_errand {
    const struct endpoint *e; /**< whose head it gets; of the worker's registry */
    struct route *route;      /**< the road it takes */
    struct span path;         /**< towards Focused Run; must live until done */
    struct span query;        /**< or absent; must live until done */
    uint64_t hold_ms;         /**< how long it waits for a usable road, at most `hold` */
    /** It has ended, whatever became of it: last call. @p log lives until the return. */
    void (*done)(struct exchange_errand *er, const struct accesslog_entry *log);
};

/** Send a GET of our own: like a pusher's from its new head on, but without a pusher, its limits
 * and an access line. @param x exchange, new @param s takes the answer; its body is never longer
 * than what send_body() takes @param er what and where, must live until done. Thread: worker. */
void exchange_run(struct exchange *x, struct served *s, struct exchange_errand *er);

/** Give up all errands. @param w worker. Thread: worker. */
void exchange_kill_errands(struct worker *w);

/** Those who wait for an endpoint's former road try the present one. @param w worker @param e
 * endpoint whose road has changed @return how many did. Thread: worker. */
size_t exchange_move_held(struct worker *w, const struct endpoint *e);

/** Count it for a connection until it ends. @param x exchange that will be started, refused or lost
 * @param t the connection's tally. Thread: worker. */
void exchange_count_for(struct exchange *x, struct exchange_tally *t);

/** Give up the pushes whose senders have gone. @param w worker. Thread: worker. */
void exchange_kill_orphans(struct worker *w);

/** Free the kept exchanges that nobody needed since the last call: after a burst their memory goes
 * back, while it lasts they stay. @param w worker. Thread: worker. */
void exchange_trim_spare(struct worker *w);

/** Free the exchanges kept for the next requests. @param w worker whose loop has been freed.
 * Thread: main. */
void exchange_drop_spare(struct worker *w);

#endif
