/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/conf/admin.h"

#include "frun/conf/check.h"
#include "schema_int.h"

#include <string.h>
#include <sys/un.h>

#define AT(member) offsetof(struct conf_admin, member)

/* Both files know the same keys; formatted by hand, because the formatter takes macros apart. */
/* clang-format off */
#define ROWS(socket, address)                                                                      \
    {                                                                                              \
        {"control_socket", CONF_TEXT, AT(control_socket), 0, 1000, (socket), false, NULL,          \
         CONF_RELOAD_RESTART,                                                                      \
         "UNIX socket on which the daemon answers frunctl and serves its JSON API and metrics; "   \
         "made with mode 0660. Empty: none."},                                                     \
        {"group", CONF_TEXT, AT(group), 1, 32, NULL, false, "user", CONF_RELOAD_RESTART,           \
         "Group whose members may use the control socket besides root and the daemon's own "       \
         "user."},                                                                                 \
        {"listen", CONF_TEXT, AT(listen), 0, 300, (address), false, NULL, CONF_RELOAD_RESTART,     \
         "IP:port or [IPv6]:port of the status page, the JSON API and the metrics. An address "    \
         "that other hosts reach needs certificate, private_key, user and password_hash. Empty: "  \
         "none."},                                                                                 \
        {"host_name", CONF_LIST, AT(host_name), 1, 253, NULL, false, "host", CONF_RELOAD_LIVE,     \
         "Names under which browsers call the page without TLS, besides localhost and the "        \
         "address; others are refused, so that no foreign site can reach it by a name of its "     \
         "own."},                                                                                  \
        {"certificate", CONF_PATH, AT(certificate), 0, 0, NULL, false, NULL, CONF_RELOAD_LIVE,     \
         "PEM file: certificate of the page, then its intermediate certificates."},                \
        {"private_key", CONF_PATH, AT(private_key), 0, 0, NULL, false, NULL, CONF_RELOAD_LIVE,     \
         "PEM file: its key."},                                                                    \
        {"user", CONF_TEXT, AT(user), 1, 255, NULL, false, "user", CONF_RELOAD_LIVE,               \
         "User who logs on to the page (HTTP Basic). Without a login the page is there for this "  \
         "host alone, and nothing can be changed through it."},                                    \
        {"password_hash", CONF_TEXT, AT(password_hash), 1, 300, NULL, false, "hash",               \
         CONF_RELOAD_LIVE,                                                                         \
         "crypt(5) hash of the password ($y$, $6$, $5$, $2b$); 'frunctl passwd' makes one."},      \
    }
/* clang-format on */

const struct conf_row conf_admin_gateway_rows[CONF_ADMIN_ROWS] =
    ROWS(CONF_ADMIN_GATEWAY_SOCKET, CONF_ADMIN_GATEWAY_LISTEN);

const struct conf_row conf_admin_connector_rows[CONF_ADMIN_ROWS] =
    ROWS(CONF_ADMIN_CONNECTOR_SOCKET, CONF_ADMIN_CONNECTOR_LISTEN);

/* Is it 127.0.0.0/8 or ::1? Its form has been checked. */
static bool is_loopback(const char *listen)
{
    return strncmp(listen, "127.", 4) == 0 || strncmp(listen, "[::1]:", 6) == 0;
}

static void check_listen(struct conf_doc *d, struct conf_admin *a)
{
    const char *why = conf_check("listen", span_of(a->listen));
    a->is_listen_given = conf_key_given(d, a, "listen");
    a->is_loopback = is_loopback(a->listen);
    if (why) {
        conf_issue_add(d, true, a, "listen", "%s", why);
    } else if (!a->is_loopback && (!a->certificate || !a->user)) {
        conf_issue_add(d, true, a, "listen",
                       "other hosts reach %s: that needs %s%s%s, or an address of this host alone "
                       "like 127.0.0.1",
                       a->listen, a->certificate ? "" : "certificate and private_key",
                       a->certificate || a->user ? "" : ", ",
                       a->user ? "" : "user and password_hash");
    }
}

static void check_control(struct conf_doc *d, struct conf_admin *a)
{
    static const struct sockaddr_un limit;
    a->is_socket_given = conf_key_given(d, a, "control_socket");
    a->socket_path = conf_path_of(d, a, a->control_socket);
    if (a->socket_path && strlen(a->socket_path) >= sizeof(limit.sun_path)) {
        conf_issue_add(d, true, a, "control_socket",
                       "%s is too long: the name of a UNIX socket has at most %zu octets",
                       a->socket_path, sizeof(limit.sun_path) - 1);
    }
}

const struct conf_admin *conf_admin_resolve(struct conf_doc *d)
{
    struct conf_admin *a = conf_section_or_default(d, "admin");
    if (!a) {
        return NULL;
    }
    conf_pair_check(d, a, "certificate", "private_key");
    conf_pair_check(d, a, "user", "password_hash");
    if (a->listen && a->listen[0]) {
        check_listen(d, a);
    }
    if (a->control_socket && a->control_socket[0]) {
        check_control(d, a);
    }
    return a;
}

frun_err conf_admin_load(const char *path, const struct conf_kind *kinds, size_t n_kinds,
                         struct conf_doc **doc, const struct conf_admin **out)
{
    struct conf_doc *d = NULL;
    if (conf_load(path, kinds, n_kinds, &d) == FRUN_E_NOMEM) {
        return FRUN_E_NOMEM;
    }
    const struct conf_admin *a = conf_admin_resolve(d);
    if (!a) {
        conf_free(d);
        return FRUN_E_NOMEM;
    }
    *doc = d;
    *out = a;
    return FRUN_OK;
}
