/**
 * The control socket: a UNIX socket whose peers the kernel vouches for.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_ADMIN_CONTROL_H
#define FRUN_ADMIN_CONTROL_H

#include "frun/admin/server.h"
#include "frun/base/err.h"
#include "frun/conf/admin.h"
#include "frun/loop/loop.h"

/** A control socket. */
struct admin_control;

/** Listen on a control socket and hand its connections to @p s. The file gets mode 0660 and the
 * group; one that a program left behind is replaced, but neither what is no socket nor one that
 * somebody listens on. Root, our own user and members of the group may do everything, others
 * nothing. @param l loop @param s server @param path absolute name @param group name of a group, or
 * NULL @param out socket; admin_control_free() it @param d filled on failure @return FRUN_OK;
 * FRUN_E_EXISTS something else is there; FRUN_E_NOT_FOUND no such group; FRUN_E_IO; FRUN_E_LIMIT
 * the name is too long; FRUN_E_NOMEM. Thread: owner of @p l. Source: unix(7). */
frun_err admin_control_open(struct loop *l, struct admin_server *s, const char *path,
                            const char *group, struct admin_control **out,
                            struct diag *d) FRUN_MUST_CHECK;

/** Open the socket that a configuration asks for. One that it does not ask for, but that is made
 * unless it says otherwise, may fail: that is logged, and @p out stays NULL. @param l loop @param s
 * server @param conf [admin] @param out socket, or NULL @param d filled on failure @return FRUN_OK;
 * the codes of admin_control_open(), FRUN_E_EXISTS and others. Thread: owner of @p l. */
frun_err admin_control_start(struct loop *l, struct admin_server *s, const struct conf_admin *conf,
                             struct admin_control **out, struct diag *d) FRUN_MUST_CHECK;

/** Stop listening and remove the file if it is still ours. @param c socket or NULL. Thread: owner.
 */
void admin_control_free(struct admin_control *c);

#endif
