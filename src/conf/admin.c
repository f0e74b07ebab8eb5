/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/conf/admin.h"

#include "schema_int.h"

#include <string.h>
#include <sys/un.h>

#define AT(member) offsetof(struct conf_admin, member)

#define ROWS(socket)                                                                               \
    {                                                                                              \
        {"control_socket",                                                                         \
         CONF_TEXT,                                                                                \
         AT(control_socket),                                                                       \
         0,                                                                                        \
         1000,                                                                                     \
         (socket),                                                                                 \
         false,                                                                                    \
         NULL,                                                                                     \
         CONF_RELOAD_RESTART,                                                                      \
         "UNIX socket on which the daemon answers frunctl and serves its JSON API and metrics; "   \
         "made with mode 0660. Empty: none."},                                                     \
        {                                                                                          \
            "group", CONF_TEXT, AT(group), 1, 32, NULL, false, "user", CONF_RELOAD_RESTART,        \
                "Group whose members may use the control socket besides root and the daemon's "    \
                "own "                                                                             \
                "user."                                                                            \
        }                                                                                          \
    }

const struct conf_row conf_admin_gateway_rows[CONF_ADMIN_ROWS] = ROWS(CONF_ADMIN_GATEWAY_SOCKET);

const struct conf_row conf_admin_connector_rows[CONF_ADMIN_ROWS] =
    ROWS(CONF_ADMIN_CONNECTOR_SOCKET);

const struct conf_admin *conf_admin_resolve(struct conf_doc *d)
{
    static const struct sockaddr_un limit;
    struct conf_admin *a = conf_section_or_default(d, "admin");
    if (!a || !a->control_socket || !a->control_socket[0]) {
        return a;
    }
    a->is_socket_given = conf_key_given(d, a, "control_socket");
    a->socket_path = conf_path_of(d, a, a->control_socket);
    if (a->socket_path && strlen(a->socket_path) >= sizeof(limit.sun_path)) {
        conf_issue_add(d, true, a, "control_socket",
                       "%s is too long: the name of a UNIX socket has at most %zu octets",
                       a->socket_path, sizeof(limit.sun_path) - 1);
    }
    return a;
}
