/**
 * One HTTP request and its answer, waited for: for checks, tokens and tools, never on a worker.
 *
 * A small face of libcurl with its surprises turned off: no signals, no redirects, paths sent as
 * they are, no proxy from the environment, certificates always verified. An answer above its
 * ceiling is refused, not cut. libcurl and the libraries behind it are loaded by the first request,
 * or by fetch_load(): a program that fetches nothing does not pay for them.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_FETCH_FETCH_H
#define FRUN_FETCH_FETCH_H

#include "frun/base/buf.h"
#include "frun/base/err.h"
#include "frun/base/secret.h"
#include "frun/base/span.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Octets of all answer fields together. */
#define FETCH_MAX_HEAD 65536

/** Answer body ceiling unless the request says otherwise, octets. */
#define FETCH_MAX_BODY 1048576

/** What to send; all texts are borrowed for the call. */
struct fetch_request {
    const char *url;                     /**< http:// or https://, path sent as it is */
    const char *method;                  /**< NULL: GET, or POST with a body */
    struct span body;                    /**< octets; absent: none */
    const char *const *fields;           /**< "Name: value" lines, may be NULL */
    size_t n_fields;                     /**< their number */
    const char *user;                    /**< Basic credentials, or NULL */
    const struct secret *password;       /**< goes with user */
    const char *ca_file;                 /**< PEM file, the only CA trusted; NULL: the system's */
    const char *certificate;             /**< PEM chain as text shown to the server, or NULL */
    const char *private_key;             /**< PEM key of it, as text */
    const char *proxy;                   /**< http://host:port, or NULL: straight */
    const char *proxy_user;              /**< Basic credentials at the proxy, or NULL */
    const struct secret *proxy_password; /**< goes with proxy_user */
    uint64_t connect_timeout_ms;         /**< 0: 10 s */
    uint64_t timeout_ms;                 /**< whole exchange; 0: 60 s */
    size_t max_body;                     /**< ceiling of the answer body; 0: FETCH_MAX_BODY */
    bool is_secret; /**< the answer's body is: it lies in one piece, and is wiped when freed */
    const atomic_bool *stop; /**< break off within a second once true; NULL: never */
    void (*on_sent)(void *ctx, uint64_t sent); /**< told now and then, from within fetch_run(), how
                                                  many octets of the body have gone; or NULL */
    void *ctx;                                 /**< for on_sent */
};

/** What came back; fetch_answer_done() it. */
struct fetch_answer {
    int status;       /**< 100..599 of the last head */
    int http_version; /**< 10, 11 or 20 */
    struct buf head;  /**< field lines of the last head, CRLF ended, without status line */
    struct buf body;  /**< octets */
    uint64_t time_us; /**< from the call to the end of the answer */
    bool is_secret;   /**< as in the request */
};

/** Let jansson wipe what it frees (tokens and keys come as JSON); once, before threads and before
 * any JSON. Thread: main. */
void fetch_start(void);

/**
 * Load libcurl now, so that one that is missing is known before the first request.
 *
 * @param d        filled on failure: which file, what is wrong, the remedy; may be NULL
 * @return FRUN_OK also if it was there already; FRUN_E_UNSUPPORTED it cannot be loaded, or lacks
 * what is used of it; FRUN_E_NOMEM
 * Thread: any but a worker (reads files). Source: dlopen(3).
 */
frun_err fetch_load(struct diag *d) FRUN_MUST_CHECK;

/** Give back what libcurl took, if it was loaded. No request runs. Thread: main. */
void fetch_stop(void);

/**
 * Send a request and wait for its answer.
 *
 * @param r        what to send
 * @param out      filled on success, whatever the status is; untouched otherwise
 * @param d        filled on failure with the reason and a remedy; may be NULL
 * @return FRUN_OK an answer came; FRUN_E_SYNTAX bad URL or field; FRUN_E_RESOLVE; FRUN_E_CONNECT;
 * FRUN_E_TLS also when the certificate is not trusted; FRUN_E_PROXY; FRUN_E_TIMEOUT; FRUN_E_LIMIT
 * answer too large; FRUN_E_CLOSED the other side went away; FRUN_E_UNSUPPORTED as fetch_load();
 * FRUN_E_IO; FRUN_E_NOMEM
 * Thread: any but a worker (blocks).
 */
frun_err fetch_run(const struct fetch_request *r, struct fetch_answer *out,
                   struct diag *d) FRUN_MUST_CHECK;

/** Value of the first field of that name. @param a answer @param name without case @return trimmed
 * value inside @p a, absent if there is none. Thread: any. */
struct span fetch_answer_field(const struct fetch_answer *a, struct span name);

/** Free what an answer holds. @param a answer or NULL. Thread: any. */
void fetch_answer_done(struct fetch_answer *a);

#endif
