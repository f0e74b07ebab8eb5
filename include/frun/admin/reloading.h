/**
 * What a reload of the configuration found, told to the log and to administrators who asked for it.
 *
 * One object for a daemon: what is wrong, line by line with its place; what changes; what takes
 * effect only with a restart; in the end whether the new configuration is in use. Who asks while a
 * reload is under way is told of the next one.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_ADMIN_RELOADING_H
#define FRUN_ADMIN_RELOADING_H

#include "frun/admin/audit.h"
#include "frun/admin/server.h"
#include "frun/base/err.h"
#include "frun/conf/diff.h"
#include "frun/conf/doc.h"

#include <stdbool.h>
#include <stdio.h>

/** Changes that are logged one by one. */
#define ADMIN_RELOADING_MAX_LINES 100

/** What is known of a reload. */
struct admin_reloading {
    char *text;                                          /**< report, when it is closed */
    size_t text_len;                                     /**< its octets */
    FILE *report;                                        /**< open while things may be wrong */
    struct conf_changes live;                            /**< in force with it */
    struct conf_changes restart;                         /**< in force with the next start */
    struct admin_request *asked[ADMIN_MAX_CONNECTIONS];  /**< who waits for this one */
    size_t n_asked;                                      /**< their number */
    struct admin_request *queued[ADMIN_MAX_CONNECTIONS]; /**< who waits for the next one */
    size_t n_queued;                                     /**< their number */
    struct audit *audit; /**< is told what a reload changed; NULL: none */
};

/** Remember who asks; answered by the end of the reload that begins next. @param x it @param r
 * request; answered with 503 if too many wait. Thread: main. */
void admin_reloading_ask(struct admin_reloading *x, struct admin_request *r);

/** A reload begins. @param x it, zeroed before the first @return where to print what is wrong;
 * NULL: memory was refused. Thread: main. */
FILE *admin_reloading_begin(struct admin_reloading *x);

/** Find out what changes. @param x it @param started document that the daemon was started with
 * @param before document in use @param now document to be used @return FRUN_OK; FRUN_E_NOMEM.
 * Thread: main. */
frun_err admin_reloading_compare(struct admin_reloading *x, const struct conf_doc *started,
                                 const struct conf_doc *before,
                                 const struct conf_doc *now) FRUN_MUST_CHECK;

/** A reload has ended: log it, answer who asked. @param x it @param cause what it was for @param
 * kept why the configuration in use is kept; NULL: the new one is in use @param ms how long it
 * took. Thread: main. */
void admin_reloading_end(struct admin_reloading *x, const char *cause, const char *kept,
                         uint64_t ms);

/** Answer what a reload would change. @param x it, of its own: begun, compared if there was nothing
 * wrong @param r request, gone afterwards @param is_good there was nothing wrong. Thread: main. */
void admin_reloading_preview(struct admin_reloading *x, struct admin_request *r, bool is_good);

/** Free what is held; who waits is answered with 503. @param x it. Thread: main. */
void admin_reloading_done(struct admin_reloading *x);

#endif
