/**
 * The [admin] section, the same in both files but for its defaults.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_CONF_ADMIN_H
#define FRUN_CONF_ADMIN_H

#include "frun/conf/doc.h"

#include <stdbool.h>

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
};

#endif
