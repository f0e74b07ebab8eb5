/**
 * frunctl mass-setup: what is there already, and what differs from the list.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/conf/gateway.h"

#include "ctl.h"
#include "ctl_mass.h"

#include <crypt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The route as the key "route" writes it. */
static const char *route_of(int route)
{
    return route == CONF_ROUTE_TUNNEL   ? "tunnel"
           : route == CONF_ROUTE_DIRECT ? "direct"
                                        : "sap-connectivity";
}

/* What an endpoint has for a column, inherited values too; NULL: nothing, or not a text. */
static const char *value_of(const struct conf_endpoint *e, enum ctl_col col)
{
    if (!e) {
        return NULL; /* it is new */
    }
    switch (col) {
    case CTL_COL_NETWORK:
        return e->customer_network;
    case CTL_COL_FENCE:
        return e->admin_request_parameter;
    case CTL_COL_USER:
        return e->user;
    case CTL_COL_ROUTE:
        return route_of(e->route);
    case CTL_COL_LOCATION:
        return e->location_id;
    case CTL_COL_SYSTEM:
        return e->system_name;
    case CTL_COL_HOST:
        return e->host_name.n ? e->host_name.items[0] : NULL;
    case CTL_COL_DESCRIPTION:
        return e->description;
    case CTL_COL_VIRTUAL_HOST:
        return e->virtual_host;
    case CTL_COL_CARRIER:
        return e->admin_request_carrier;
    case CTL_COL_ENDPOINT:
        return e->place.name;
    case CTL_COL_PASSWORD:
    case CTL_COL_PUSHER:
    case CTL_COL_PUSHER_USER:
    case CTL_COL_PUSHER_PASSWORD:
    case CTL_COLS:
        break;
    }
    return NULL;
}

void ctl_mass_refuse(struct ctl_mass_line *l, const char *fmt, ...)
{
    va_list ap;
    if (l->result == CTL_MASS_REFUSED) {
        return;
    }
    l->result = CTL_MASS_REFUSED;
    va_start(ap, fmt);
    (void)vsnprintf(l->why, sizeof(l->why), fmt, ap);
    va_end(ap);
}

static void differs(struct ctl_mass_line *l, const char *fmt, ...) FRUN_PRINTF(2, 3);

/* One more thing that differs. */
static void differs(struct ctl_mass_line *l, const char *fmt, ...)
{
    size_t n = strlen(l->why);
    va_list ap;
    if (l->result != CTL_MASS_KEPT && l->result != CTL_MASS_DIFFERS) {
        return;
    }
    l->result = CTL_MASS_DIFFERS;
    if (n && n + 3 < sizeof(l->why)) {
        n += (size_t)snprintf(l->why + n, sizeof(l->why) - n, ", ");
    }
    va_start(ap, fmt);
    (void)vsnprintf(l->why + n, sizeof(l->why) - n, fmt, ap);
    va_end(ap);
}

bool ctl_mass_key_differs(const struct ctl_mass_line *l, enum ctl_col col)
{
    const char *is = value_of(l->e, col);
    bool is_key = col != CTL_COL_PASSWORD && col != CTL_COL_PUSHER && col != CTL_COL_PUSHER_USER &&
                  col != CTL_COL_PUSHER_PASSWORD && col != CTL_COL_ENDPOINT;
    return is_key && l->fields[col][0] && strcmp(is ? is : "", l->fields[col]) != 0;
}

static void compare_keys(struct ctl_mass_line *l)
{
    for (int i = 0; i < CTL_COLS; i++) {
        const char *is = value_of(l->e, (enum ctl_col)i);
        if (ctl_mass_key_differs(l, (enum ctl_col)i)) {
            differs(l, "%s is '%s' here, '%s' in the list", ctl_mass_column((enum ctl_col)i),
                    is ? is : "", l->fields[i]);
        }
    }
    if (l->fields[CTL_COL_ENDPOINT][0] &&
        strcmp(l->fields[CTL_COL_ENDPOINT], l->e->place.name) != 0) {
        ctl_mass_refuse(l, "the customer network has [endpoint %s] already", l->e->place.name);
    }
    struct span password = span_of(l->fields[CTL_COL_PASSWORD]);
    if (password.n && !secret_equal(secret_span(l->e->password), password)) {
        differs(l, "password");
    }
}

/* Does a password fit its hash? */
static bool fits(const char *password, const char *hash)
{
    struct crypt_data *work = calloc(1, sizeof(*work));
    const char *made = work ? crypt_r(password, hash, work) : NULL;
    bool is_same = made && secret_equal(span_of(made), span_of(hash));
    if (work) {
        secret_wipe(work, sizeof(*work));
    }
    free(work);
    return is_same;
}

static void compare_pusher(struct ctl_mass *m, struct ctl_mass_line *l)
{
    const char *name = l->fields[CTL_COL_PUSHER];
    const struct conf_pusher *p = name[0] ? ctl_find_pusher(m->wish.gw, name) : NULL;
    const char *user = l->fields[CTL_COL_PUSHER_USER];
    const char *password = l->fields[CTL_COL_PUSHER_PASSWORD];
    bool is_allowed = false;
    if (!name[0]) {
        return;
    }
    if (!p) {
        l->needs_pusher = true;
        differs(l, "pusher %s is not there", name);
        return;
    }
    for (size_t i = 0; l->e && i < p->endpoint.n; i++) {
        is_allowed |= p->endpoints[i] == l->e;
    }
    if (!is_allowed && !l->e) {
        ctl_mass_refuse(l,
                        "pusher %s is there already, for other endpoints; 'frunctl' never "
                        "gives a pusher more than it had: edit its section",
                        name);
    } else if (!is_allowed) {
        ctl_mass_refuse(l, "pusher %s may not use this endpoint; edit its section", name);
    }
    if (user[0] && strcmp(p->user ? p->user : "", user) != 0) {
        differs(l, "pusher_user is '%s' here, '%s' in the list", p->user ? p->user : "", user);
    }
    if (password[0] && (!p->password.hash || !fits(password, p->password.hash))) {
        differs(l, "pusher_password");
    }
}

/* What the rest of the configuration has to say to a line. */
static void compare_others(const struct ctl_mass *m, struct ctl_mass_line *l)
{
    const struct conf_gw *gw = m->wish.gw;
    const char *system = l->fields[CTL_COL_SYSTEM];
    bool is_known = false;
    for (size_t i = 0; i < gw->n_systems; i++) {
        is_known |= strcmp(gw->systems[i]->place.name, system) == 0;
    }
    if (system[0] && !is_known) {
        ctl_mass_refuse(l, "there is no [system %s]", system);
    } else if (!system[0] && !l->e && gw->n_systems != 1) {
        ctl_mass_refuse(l, "system is missing: there are %zu", gw->n_systems);
    }
    for (size_t i = 0; i < gw->n_endpoints; i++) {
        const struct conf_endpoint *o = gw->endpoints[i];
        const char *fence = l->fields[CTL_COL_FENCE];
        if (o != l->e && fence[0] && o->admin_request_parameter &&
            strcmp(o->admin_request_parameter, fence) == 0) {
            ctl_mass_refuse(l,
                            "[endpoint %s] has the admin request parameter %s already: data of "
                            "two customer networks would be mixed",
                            o->place.name, fence);
        }
        if (o != l->e && strcmp(o->place.name, l->name) == 0) {
            ctl_mass_refuse(l, "[endpoint %s] is there already, for customer network %s", l->name,
                            o->customer_network);
        }
    }
}

/* A file of that name may be somebody's who has not written the section yet. */
static void compare_secret(const struct ctl_mass *m, struct ctl_mass_line *l)
{
    char where[PATH_MAX + 80];
    struct secret *there = NULL;
    struct span password = span_of(l->fields[CTL_COL_PASSWORD]);
    if (l->e || m->wish.is_update || !password.n || !m->wish.folder[0]) {
        return;
    }
    (void)snprintf(where, sizeof(where), "file:%s/%s", m->wish.folder, l->name);
    if (secret_fetch(where, NULL, &there, NULL, NULL) == FRUN_OK &&
        !secret_equal(secret_span(there), password)) {
        ctl_mass_refuse(l, "%s holds another password already; --update replaces it", where + 5);
    }
    secret_free(there);
}

void ctl_mass_compare(struct ctl_mass *m)
{
    for (size_t i = 0; i < m->n; i++) {
        struct ctl_mass_line *l = &m->lines[i];
        char root[72];
        if (l->result == CTL_MASS_REFUSED) {
            continue;
        }
        (void)snprintf(root, sizeof(root), "/%s", l->fields[CTL_COL_NETWORK]);
        for (char *p = root; *p; p++) {
            *p = *p == ' ' ? '_' : *p;
        }
        for (size_t k = 0; k < m->wish.gw->n_endpoints && !l->e; k++) {
            const struct conf_endpoint *e = m->wish.gw->endpoints[k];
            l->e = strcmp(e->root_path, root) == 0 ? e : NULL;
        }
        if (l->e) {
            l->result = CTL_MASS_KEPT;
            (void)snprintf(l->name, sizeof(l->name), "%s", l->e->place.name);
        }
        compare_others(m, l);
        if (l->result == CTL_MASS_KEPT) {
            compare_keys(l);
        }
        compare_pusher(m, l);
        compare_secret(m, l);
        if (l->result == CTL_MASS_DIFFERS && m->wish.is_update) {
            l->result = CTL_MASS_CHANGED;
        }
    }
}
