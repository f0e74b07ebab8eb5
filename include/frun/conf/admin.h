/**
 * The [admin] section, the same in both files but for its defaults.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_CONF_ADMIN_H
#define FRUN_CONF_ADMIN_H

#include "frun/conf/doc.h"

#include <stdbool.h>

/** Where frunproxyd shows its status page unless told otherwise. */
#define CONF_ADMIN_GATEWAY_LISTEN "127.0.0.1:8460"

/** Where frunconnector does. */
#define CONF_ADMIN_CONNECTOR_LISTEN "127.0.0.1:8461"

/** Where frunproxyd listens for frunctl unless told otherwise. */
#define CONF_ADMIN_GATEWAY_SOCKET "/run/frunproxy/control.sock"

/** Where frunconnector does. */
#define CONF_ADMIN_CONNECTOR_SOCKET "/run/frunconnector/control.sock"

/** [admin] */
struct conf_admin {
    struct conf_place place;    /**< where it stands */
    const char *control_socket; /**< as written; empty: none */
    const char *group;          /**< who may use it besides root and the daemon's user; or NULL */
    const char *socket_path;    /**< control_socket as an absolute name; NULL: none */
    bool is_socket_given;       /**< the file asks for it: it must work */
    const char *listen;         /**< IP:port of page, API and metrics; empty: none */
    bool is_listen_given;       /**< the file asks for it: it must work */
    bool is_loopback;           /**< only this host reaches it */
    struct conf_list host_name; /**< names it is called by besides localhost */
    const char *certificate;    /**< PEM chain; NULL: no TLS */
    const char *private_key;    /**< its key */
    const char *user;           /**< who may log on; NULL: no login */
    const char *password_hash;  /**< crypt(5) */
};

/** [admin] of a file, whatever else is wrong with that file: whoever looks for a daemon's door
 * needs no more of it, and may have no right to its secrets. @param path main file @param kinds
 * schema of its daemon @param n_kinds its length @param doc out: the document, conf_free() it
 * @param out section, lives with @p doc @return FRUN_OK; FRUN_E_NOMEM, nothing is out. Thread:
 * main. */
frun_err conf_admin_load(const char *path, const struct conf_kind *kinds, size_t n_kinds,
                         struct conf_doc **doc, const struct conf_admin **out) FRUN_MUST_CHECK;

#endif
