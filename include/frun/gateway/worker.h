/**
 * One worker: a loop on a thread of its own with everything a request needs; workers share only
 * what is immutable or counted atomically.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_GATEWAY_WORKER_H
#define FRUN_GATEWAY_WORKER_H

#include "frun/access/auth.h"
#include "frun/access/registry.h"
#include "frun/admin/audit.h"
#include "frun/admin/recent.h"
#include "frun/base/buf.h"
#include "frun/base/err.h"
#include "frun/base/list.h"
#include "frun/fetch/token.h"
#include "frun/gateway/count.h"
#include "frun/gateway/generation.h"
#include "frun/gateway/hub.h"
#include "frun/gateway/refused.h"
#include "frun/gateway/roads.h"
#include "frun/h2/session.h"
#include "frun/loop/loop.h"
#include "frun/loop/offload.h"
#include "frun/loop/service.h"
#include "frun/net/listener.h"
#include "frun/net/tls.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/** Most workers. */
#define WORKER_MAX 64

/** Most listening addresses, front door and tunnel together. */
#define WORKER_MAX_LISTEN 32

struct worker;

/** What all workers share. */
struct gateway_shared {
    struct offload *hashers;     /**< threads for password hashes */
    struct offload *resolvers;   /**< threads for names */
    struct token_office *tokens; /**< threads for access tokens; NULL: none is needed */
    struct worker **workers;     /**< all of them, fixed before any runs */
    size_t n_workers;            /**< their number */
    struct loop *main_loop;      /**< main's */
    loop_job_fn on_stopped;      /**< posted to main_loop when a worker has drained */
    void *on_stopped_arg;        /**< for it */
    struct meter *meter;         /**< requests counted; NULL: nobody counts */
    struct audit *audit;         /**< audit log; NULL: none */
    char apart[64]; /**< what follows changes with every connection; the fields above are
                       read with every request, in a cache line of their own */
    atomic_uint_fast64_t token_fetches[3]; /**< by enum token_event, any thread */
    atomic_bool is_ready;                  /**< started completely */
    atomic_bool is_draining;               /**< SIGTERM came */
    atomic_size_t n_tunnels;               /**< open tunnels of all workers */
    atomic_size_t n_connections;           /**< front-door connections and orphans of all workers */
};

/** A listening socket of one worker. */
struct worker_door {
    struct listener *listener; /**< NULL: not listening yet, or not any more */
    int fd;                    /**< to listen on, -1 once taken */
    unsigned id;               /**< what main calls the address it belongs to */
    bool is_tunnel;            /**< tunnel's door, else front door */
    bool is_given;             /**< a socket unit's, which outlives us by itself */
};

/** Where a change stands. */
enum worker_change_state {
    WORKER_CHANGE_NEW,      /**< not looked at yet */
    WORKER_CHANGE_PREPARED, /**< can be put into force without fail */
    WORKER_CHANGE_FAILED,   /**< cannot; nothing is left of it */
    WORKER_CHANGE_DONE      /**< in force, or given up */
};

/** A change of configuration on its way through one worker; main's, which gives it to the worker
 * for each step and looks at state only meanwhile. */
struct worker_change {
    struct worker *w;                          /**< whose */
    struct generation *gen;                    /**< what is to be used; counted */
    struct worker_door add[WORKER_MAX_LISTEN]; /**< sockets to listen on */
    size_t n_add;                              /**< their number */
    unsigned remove[WORKER_MAX_LISTEN];        /**< ids of those to end */
    size_t n_remove;                           /**< their number */
    struct roads *roads;                       /**< prepared; the worker's */
    frun_err err;                              /**< why it failed */
    bool is_asked;                             /**< main's: it has been told to prepare */
    atomic_int state;                          /**< enum worker_change_state */
    loop_job_fn on_step; /**< posted to main after a step, if there is memory */
    void *arg;           /**< for it */
};

/** A worker. Fields are the worker thread's unless said otherwise. */
struct worker {
    struct gateway_shared *shared;                /**< see there */
    struct roads *roads;                          /**< pinned; what follows is theirs */
    const struct generation *gen;                 /**< in use */
    const struct conf_gw *conf;                   /**< the generation's */
    struct list all_roads;                        /**< also those that only finish */
    struct worker_change *change;                 /**< prepared, or NULL */
    unsigned index;                               /**< 0.. */
    struct loop *loop;                            /**< its own */
    struct loop_thread *thread;                   /**< main's */
    struct auth *auth;                            /**< its own */
    struct hub *hub;                              /**< its own */
    struct h2_budget windows;                     /**< what its HTTP/2 windows may grow by */
    struct token_desk *desk;                      /**< its own, or NULL: no token is needed */
    struct origins *origins;                      /**< pools of direct routes */
    struct worker_door listen[WORKER_MAX_LISTEN]; /**< listening sockets */
    size_t n_listen;                              /**< their number */
    struct list fronts;                           /**< front-door connections */
    size_t n_fronts;                              /**< their number */
    struct list orphans;                          /**< exchanges whose senders have gone */
    size_t n_orphans;                             /**< their number */
    struct list errands;                          /**< exchanges of the gateway's own */
    struct list held;                             /**< exchanges that wait for a usable road */
    struct list doors;                            /**< connections at the tunnel's door */
    size_t n_doors;                               /**< their number */
    struct list spare;                            /**< exchanges kept for the next requests */
    size_t n_spare;                               /**< their number */
    size_t n_spare_least;                         /**< smallest number since the last trim */
    struct buf scratch;              /**< heads are written here; empty between calls */
    struct deadline beat;            /**< sets turned_ms and trims spare once a second */
    atomic_uint_fast64_t turned_ms;  /**< when the loop last turned; read by main's watchdog */
    struct deadline accept_deadline; /**< looks again whether connections may be accepted */
    size_t n_waiting;                /**< requests that wait for a tunnel or for their turn */
    bool is_stopped;                 /**< said so to main */
    bool is_saying_goodbye;          /**< the tunnels have been told to close */
    bool is_draining;                /**< no new connections; stops when the last front has gone */
    struct deadline drain_deadline;  /**< forces the end of draining */
    uint64_t drain_ends_ms;          /**< when it does, while is_draining */
    struct refused refused;          /**< lines about connections that the porch turned away */
    struct refused strangers;        /**< the same for the door of the tunnel */
    struct refused unproved;         /**< the same for certificates that that door refuses */
    struct count count;              /**< read by main too */
    struct admin_recent recent;      /**< its last requests */
};

/** Make a worker with its loop; nothing runs yet. @param shared see there @param index 0.. @param
 * out worker; worker_free() it @return FRUN_OK; FRUN_E_NOMEM; FRUN_E_IO; FRUN_E_TLS. Thread: main.
 */
frun_err worker_new(struct gateway_shared *shared, unsigned index,
                    struct worker **out) FRUN_MUST_CHECK;

/** Use a generation from the start. @param w worker that has not started @param g generation, one
 * reference is taken @return FRUN_OK; FRUN_E_NOMEM; FRUN_E_SYNTAX a route's address. Thread: main.
 */
frun_err worker_begin(struct worker *w, struct generation *g) FRUN_MUST_CHECK;

/** Give a listening socket to a worker that has not started. @param w worker @param d its socket,
 * taken, and what main calls it @return FRUN_OK; FRUN_E_LIMIT. Thread: main. */
frun_err worker_listen(struct worker *w, const struct worker_door *d) FRUN_MUST_CHECK;

/** Prepare a change: a loop job. What can fail does it here, nothing changes yet. @param change
 * struct worker_change, NEW; then PREPARED or FAILED. Thread: worker. */
void worker_prepare(void *change);

/** Put a change into force: a loop job. New requests use it; those under way finish by what they
 * started with; tunnels it does not have are drained. @param change PREPARED; then DONE. Thread:
 * worker. */
void worker_commit(void *change);

/** Give a change up: a loop job. @param change PREPARED; then DONE. Thread: worker. */
void worker_abort(void *change);

/** Open listeners and start the thread. @param w worker @return FRUN_OK; FRUN_E_NOMEM; FRUN_E_IO.
 * Thread: main. */
frun_err worker_start(struct worker *w) FRUN_MUST_CHECK;

/** Drain: no new connections, present requests finish, then main is told; forced after
 * drain_timeout. Tunnels are taken until the last request has ended: it may wait for one. The loop
 * still turns until worker_stop(). @param w started worker. Thread: main.
 */
void worker_drain(struct worker *w);

/** Stop at once. @param w started worker. Thread: main. */
void worker_stop(struct worker *w);

/** Wait for its thread. @param w worker. Thread: main. */
void worker_join(struct worker *w);

/** Free a worker whose thread has ended or never ran. @param w worker or NULL. Thread: main. */
void worker_free(struct worker *w);

/** A front-door connection, an orphan or a door has gone: go on accepting, or end draining. @param
 * w worker. Thread: worker. */
void worker_on_gone(struct worker *w);

/** Is a tunnel of use to it? While it drains one is, as long as requests may need it. @param w
 * worker
 * @return true if so. Thread: worker. */
bool worker_takes_tunnels(const struct worker *w);

/** Why is the daemon not able to serve? @param w worker @return constant text, or NULL: it is.
 * Thread: worker. */
const char *worker_unhealthy(const struct worker *w);

#endif
