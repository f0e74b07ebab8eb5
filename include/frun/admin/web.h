/**
 * The status page's listener: the admin server for browsers and monitoring, over TCP.
 *
 * An address of this host alone needs no TLS and no login, but then nothing can be changed through
 * it, and only requests for the host's own names are answered: a foreign site that lets its name
 * point here (DNS rebinding) gets nothing. Other addresses have TLS and a login; the configuration
 * is refused without. What changes something wants the login, a field that no form can send
 * (ADMIN_WEB_FIELD) and an origin of our own.
 *
 * What a configuration says is read into a door (files, TLS), also to check it; admin_web_use()
 * then changes the running listener over without closing a connection.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_ADMIN_WEB_H
#define FRUN_ADMIN_WEB_H

#include "frun/admin/server.h"
#include "frun/base/err.h"
#include "frun/conf/admin.h"
#include "frun/loop/loop.h"

#include <stdint.h>
#include <stdio.h>

/** Field that a POST or DELETE must carry, with any value. */
#define ADMIN_WEB_FIELD "X-Frun-Admin"

/** What a configuration says about the listener: counted, immutable. */
struct admin_door;

/** Read it. @param doc document of @p conf, for messages @param conf [admin] @param report errors
 * are printed here as "file:line: section.key: why"; NULL: nowhere @param out door, one reference
 * @return FRUN_OK; FRUN_E_TLS, FRUN_E_IO certificate or key cannot be used; FRUN_E_NOMEM. Thread:
 * main (reads files). */
frun_err admin_door_new(const struct conf_doc *doc, const struct conf_admin *conf, FILE *report,
                        struct admin_door **out) FRUN_MUST_CHECK;

/** One more reference. @param d door @return @p d. Thread: any. */
struct admin_door *admin_door_ref(struct admin_door *d);

/** Give a reference back and forget it. @param d address of the reference, may hold NULL. Thread:
 * any. */
void admin_door_unref(struct admin_door **d);

/** When its certificate ends. @param d door @return seconds since 1970; 0: it has none. Thread:
 * main. */
int64_t admin_door_until(const struct admin_door *d);

/** Its TLS context. @param d door @return context, lives with it; NULL: plain. Thread: main. */
const struct tls_ctx *admin_door_tls(const struct admin_door *d);

/** A listener. */
struct admin_web;

/** Serve the page's files and listen. An address that nobody asked for may fail: that is logged,
 * and @p out stays NULL. @param l loop @param s server @param conf [admin] @param door what it says
 * @param out listener, or NULL @param d filled on failure @return FRUN_OK; FRUN_E_IO the address
 * cannot be used; FRUN_E_NOMEM. Thread: owner of @p l. */
frun_err admin_web_start(struct loop *l, struct admin_server *s, const struct conf_admin *conf,
                         struct admin_door *door, struct admin_web **out,
                         struct diag *d) FRUN_MUST_CHECK;

/** Change over to what another configuration says; the address stays. @param w listener or NULL
 * @param door from now on; a reference is taken @return FRUN_OK; FRUN_E_NOMEM, FRUN_E_IO: the old
 * one stays. Thread: owner. */
frun_err admin_web_use(struct admin_web *w, struct admin_door *door) FRUN_MUST_CHECK;

/** Stop listening; before admin_server_free(), whose connections it still serves. @param w listener
 * or NULL. Thread: owner. */
void admin_web_stop(struct admin_web *w);

/** Free; after admin_server_free(). @param w stopped listener or NULL. Thread: owner. */
void admin_web_free(struct admin_web *w);

#endif
