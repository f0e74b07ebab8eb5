/**
 * Access tokens by OAuth 2.0 client credentials, fetched on helper threads and shared by all
 * workers.
 *
 * One token object for each client and tenant. It fetches when asked, by one flight at a time,
 * renews at 80 % of a token's life, goes on serving what it has while that is valid and a renewal
 * fails, and backs off. A worker never blocks: it gets the present token (counted, immutable) or is
 * told later, through its desk. Secrets and tokens are wiped; no text of this module contains one.
 *
 *     none --take--> fetching --> valid --80 %--> valid and fetching --> valid
 *                        \--> failed (back-off) --take after it--> fetching
 *
 * Locks: one in each token, one in the office for the list of desks; neither is held while another
 * module's code runs, nor both at once.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_FETCH_TOKEN_H
#define FRUN_FETCH_TOKEN_H

#include "frun/base/err.h"
#include "frun/base/list.h"
#include "frun/base/secret.h"
#include "frun/base/span.h"
#include "frun/fetch/fetch.h"
#include "frun/loop/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Longest token, octets: above it no header line could carry it anyway. */
#define TOKEN_MAX_BYTES 16384

/** A token that is younger and was never accepted is not dropped: its age is not what is wrong. */
#define TOKEN_FRESH_MS 10000

/** Where tokens come from, and for whom; everything is copied. */
struct token_source {
    const char *name;                    /**< for texts: "sap-connectivity BTP" */
    const char *url;                     /**< token end-point */
    const char *client_id;               /**< client */
    const struct secret *client_secret;  /**< in the form; NULL: by certificate */
    const char *certificate;             /**< PEM chain shown to the end-point, or NULL */
    const char *private_key;             /**< PEM key of it */
    const char *tenant;                  /**< X-zid, and zid the token must carry; NULL: client's */
    const char *resource;                /**< "resource" of an IAS token, or NULL */
    const char *scope;                   /**< or NULL */
    const char *ca_file;                 /**< PEM file, the only CA trusted; NULL: the system's */
    const char *proxy;                   /**< http://host:port, or NULL */
    const char *proxy_user;              /**< or NULL */
    const struct secret *proxy_password; /**< with it */
    uint64_t connect_timeout_ms;         /**< 1.. */
    uint64_t timeout_ms;                 /**< whole call, 1.. */
};

/** What became of a fetch, for the log. */
enum token_event {
    TOKEN_FETCHED, /**< there is a new token */
    TOKEN_KEPT,    /**< not renewed; the present one is still valid */
    TOKEN_LOST     /**< none could be had, and none is there */
};

/** One piece of news; texts live until the return. */
struct token_news {
    const char *name;       /**< source's */
    enum token_event event; /**< what happened */
    bool is_change;         /**< something else happened last time */
    const char *text;       /**< TOKEN_KEPT, TOKEN_LOST: what is wrong and the remedy */
    uint64_t valid_ms;      /**< TOKEN_FETCHED, TOKEN_KEPT: for so long */
    uint64_t retry_ms;      /**< TOKEN_KEPT, TOKEN_LOST: next try */
};

/** Send a request and wait: fetch_run(), or a test's. */
typedef frun_err (*token_fetch_fn)(const struct fetch_request *r, struct fetch_answer *out,
                                   struct diag *d);

/** What an office is told. */
struct token_office_settings {
    token_fetch_fn fetch;                                   /**< NULL: fetch_run() */
    void (*news)(void *ctx, const struct token_news *news); /**< on a helper thread; may be NULL */
    void *ctx;                                              /**< for news */
    uint64_t (*now_ms)(void);                               /**< NULL: mono_now_ms() */
};

/** Helper threads, and the desks that are told. Shared. */
struct token_office;
/** One worker's place at the office. */
struct token_desk;
/** The token of one client and tenant. Shared, counted. */
struct token;
/** One token as it came. Immutable, counted. */
struct token_value;

/** Told once when token_take() is worth another try; embedded in its owner. */
struct token_waiter {
    struct list node;                   /**< private; list_init() it before use */
    struct token *token;                /**< private */
    void (*fn)(struct token_waiter *w); /**< try again now; on the desk's loop */
};

/** Open the office and start its threads. @param s settings, copied @param out office;
 * token_office_free() it @return FRUN_OK; FRUN_E_NOMEM; FRUN_E_IO threads refused. Thread: main. */
frun_err token_office_new(const struct token_office_settings *s,
                          struct token_office **out) FRUN_MUST_CHECK;

/** Break off what is under way and end the threads; desks may be freed before or after, loops only
 * after. @param o office or NULL. Thread: main. */
void token_office_free(struct token_office *o);

struct offload_view;

/** How its helper threads are doing. @param o office; NULL: there is none, all is zero @param out
 * filled. Thread: main. */
void token_office_look(const struct token_office *o, struct offload_view *out);

/** Make a desk. @param o office @param l the worker's loop @param out desk; token_desk_free() it
 * before the loop @return FRUN_OK; FRUN_E_NOMEM. Thread: owner of @p l, or main before it runs. */
frun_err token_desk_new(struct token_office *o, struct loop *l,
                        struct token_desk **out) FRUN_MUST_CHECK;

/** Free a desk; who waits is not told. @param d desk or NULL. Thread: owner of its loop. */
void token_desk_free(struct token_desk *d);

/** Make a token object; nothing is fetched yet. @param s source, copied @param out token;
 * token_unref() it @return FRUN_OK; FRUN_E_NOMEM; FRUN_E_LIMIT a secret is too long. Thread: any.
 */
frun_err token_new(const struct token_source *s, struct token **out) FRUN_MUST_CHECK;

/** Would this source be served by that object: same client, tenant, resource and scope at the same
 * end-point with the same secret, reached by the same proxy within the same times? @param t token
 * @param s source @return true if so. Thread: any.
 */
bool token_is_of(const struct token *t, const struct token_source *s);

/** One more reference. @param t token @return @p t. Thread: any. */
struct token *token_ref(struct token *t);

/** Give a reference back and forget it; the last one wipes. @param t address of the reference, may
 * hold NULL. Thread: any. */
void token_unref(struct token **t);

/**
 * Get the present token; begin to fetch one if it is time.
 *
 * @param t        token
 * @param d        the worker's desk
 * @param out      value; token_value_unref() it
 * @param why      filled unless FRUN_OK: what is the matter, for the log; may be NULL
 * @return FRUN_OK; FRUN_E_AGAIN none now, token_wait() tells when to ask again; FRUN_E_DENIED the
 * end-point refused us, and waiting does not help
 * Thread: owner of the desk's loop.
 */
frun_err token_take(struct token *t, struct token_desk *d, struct token_value **out,
                    struct diag *why) FRUN_MUST_CHECK;

/** Be told when token_take() may work: a fetch has ended, or the back-off. @param t token, must
 * outlive the wait @param d desk @param w waiter, not waiting. Thread: owner of the desk's loop. */
void token_wait(struct token *t, struct token_desk *d, struct token_waiter *w);

/** Do not wait any more; harmless if not waiting. @param w waiter. Thread: as token_wait(). */
void token_forget(struct token_waiter *w);

/** The other side did not accept this token: fetch another one at the next take. @param t token
 * @param d desk @param v the value that was refused @return true: sending again is worth it; false:
 * it was fresh and never accepted, a new one would fare no better. Thread: as token_take(). */
bool token_drop(struct token *t, struct token_desk *d, struct token_value *v);

/** Is a valid token there, or nothing known against getting one? If not, and the pause after the
 * failure is over, a fetch begins: whoever asks before sending anything gets another answer then.
 * @param t token @param d desk @return true if so. Thread: as token_take(). */
bool token_is_usable(struct token *t, const struct token_desk *d);

/** "Bearer ...", as a field value. @param v value @return text, lives with @p v. Thread: any. */
struct span token_value_text(const struct token_value *v);

/** Somebody accepted it. @param v value. Thread: any. */
void token_value_prove(struct token_value *v);

/** Give a reference back and forget it; the last one wipes. @param v address of the reference, may
 * hold NULL. Thread: any. */
void token_value_unref(struct token_value **v);

#endif
