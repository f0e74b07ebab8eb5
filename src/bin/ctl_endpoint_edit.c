/**
 * frunctl endpoint add, remove: sections of customer networks, written after the whole is good.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/conf/gateway.h"

#include "ctl.h"
#include "ctl_wish.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* Largest section that is made, octets. */
#define SECTION_MAX_BYTES 65536

/* The technical user's password, into a file of its own. */
static int add_password(struct ctl_wish *w, struct buf *section)
{
    char path[PATH_MAX];
    char reference[PATH_MAX];
    struct secret *password = NULL;
    if (ctl_wish_value(w, "password")) {
        return ctl_misuse("a password is never an argument; it is asked for, or read from "
                          "--password-file FILE");
    }
    if (!ctl_wish_value(w, "user")) {
        return w->password_file ? ctl_misuse("--password-file goes with user=USER") : 0;
    }
    int status = ctl_wish_secret(w, w->name, path, reference);
    status = status ? status : ctl_wish_password(w, "Password of the technical user", &password);
    if (!status && buf_printf(section, "password = %s\n", reference)) {
        status = ctl_fail("out of memory");
    }
    if (!status) {
        status = ctl_change_secret(&w->change, path, secret_span(password), w->is_update);
    }
    secret_free(password);
    return status;
}

/* What the command line leaves open: the only system, and the name as the customer network's. */
static int add_defaults(const struct ctl_wish *w, struct buf *section)
{
    frun_err err = FRUN_OK;
    if (!ctl_wish_value(w, "system")) {
        if (w->gw->n_systems != 1) {
            return ctl_misuse("system=NAME is missing: there are %zu", w->gw->n_systems);
        }
        err = buf_printf(section, "system = %s\n", w->gw->systems[0]->place.name);
    }
    if (!err && !ctl_wish_value(w, "customer_network")) {
        err = buf_printf(section, "customer_network = %s\n", w->name);
    }
    return err ? ctl_fail("%s", err_text(err)) : 0;
}

/* Focused Run tells customer networks apart by it alone. */
static int check_fence(const struct ctl_wish *w)
{
    const char *fence = ctl_wish_value(w, "admin_request_parameter");
    for (size_t i = 0; fence && !w->is_update && i < w->gw->n_endpoints; i++) {
        const struct conf_endpoint *e = w->gw->endpoints[i];
        if (e->admin_request_parameter && strcmp(e->admin_request_parameter, fence) == 0) {
            return ctl_fail("[endpoint %s] has the admin request parameter %s already: data of "
                            "two customer networks would be mixed; --force if it is meant so",
                            e->place.name, fence);
        }
    }
    return 0;
}

static int add(struct ctl_wish *w)
{
    struct buf section;
    char file[PATH_MAX];
    char what[256];
    if (ctl_find_endpoint(w->gw, w->name)) {
        return ctl_fail("there is an [endpoint %s] already, in %s", w->name,
                        ctl_find_endpoint(w->gw, w->name)->place.file);
    }
    int status = check_fence(w);
    buf_init(&section, SECTION_MAX_BYTES);
    if (!status && ctl_wish_section(w, "endpoint", &section)) {
        status = ctl_fail("out of memory");
    }
    status = status ? status : add_defaults(w, &section);
    status = status ? status : add_password(w, &section);
    if (!status) {
        ctl_wish_file(w, w->name, file);
        status = ctl_change_append(&w->change, file, buf_span(&section));
    }
    buf_done(&section);
    if (status) {
        return status;
    }
    (void)snprintf(what, sizeof(what), "%s [endpoint %s]", w->change.is_dry ? "would add" : "added",
                   w->name);
    return ctl_change_finish(&w->change, what, json_pack("{s:s}", "endpoint", w->name));
}

int ctl_endpoint_add(int argc, char **argv)
{
    struct ctl_wish w = {.name = NULL};
    int status = ctl_wish_parse(argc, argv, "psCf", true, &w);
    status = status ? status : ctl_wish_load(&w);
    status = status ? status : add(&w);
    ctl_wish_done(&w);
    return status;
}

/* -- remove */

static int drop(struct ctl_wish *w, const char *kind, const struct conf_place *place)
{
    char title[CTL_TITLE_BYTES];
    (void)snprintf(title, sizeof(title), "%s %s", kind, place->name);
    const struct ctl_place at = {place->file, place->line, title};
    return ctl_change_drop(&w->change, &at);
}

/* A pusher that may use this endpoint loses it, and goes if it was the only one. */
static int free_pusher(struct ctl_wish *w, const struct conf_pusher *p)
{
    char title[CTL_TITLE_BYTES];
    struct buf list;
    if (!w->has_pushers) {
        return ctl_fail("[pusher %s] may use the endpoint; --pushers takes it away from all, and "
                        "removes those that have no other",
                        p->place.name);
    }
    if (p->endpoint.n == 1) {
        return drop(w, "pusher", &p->place);
    }
    buf_init(&list, SECTION_MAX_BYTES);
    frun_err err = FRUN_OK;
    for (size_t i = 0; !err && i < p->endpoint.n; i++) {
        if (strcmp(p->endpoint.items[i], w->name) != 0) {
            err = buf_printf(&list, "%s%s", buf_len(&list) ? ", " : "", p->endpoint.items[i]);
        }
    }
    err = err ? err : buf_put(&list, span_make("", 1));
    (void)snprintf(title, sizeof(title), "pusher %s", p->place.name);
    const struct ctl_place at = {p->place.file, p->place.line, title};
    const struct ctl_edit edit = {"endpoint", err ? "" : buf_span(&list).p};
    int status = err ? ctl_fail("%s", err_text(err)) : ctl_change_set(&w->change, &at, &edit, 1);
    buf_done(&list);
    return status;
}

static int remove_endpoint(struct ctl_wish *w)
{
    char what[256];
    const struct conf_endpoint *e = ctl_find_endpoint(w->gw, w->name);
    if (!e) {
        return ctl_fail("there is no [endpoint %s]; 'frunctl endpoint list' shows all", w->name);
    }
    int status = 0;
    for (size_t i = 0; !status && i < w->gw->n_pushers; i++) {
        const struct conf_pusher *p = w->gw->pushers[i];
        for (size_t k = 0; !status && k < p->endpoint.n; k++) {
            status = p->endpoints[k] == e ? free_pusher(w, p) : 0;
        }
    }
    status = status ? status : drop(w, "endpoint", &e->place);
    if (status) {
        return status;
    }
    (void)snprintf(what, sizeof(what), "%s [endpoint %s]; its secrets stay where they are",
                   w->change.is_dry ? "would remove" : "removed", w->name);
    return ctl_change_finish(&w->change, what, json_pack("{s:s}", "endpoint", w->name));
}

int ctl_endpoint_remove(int argc, char **argv)
{
    struct ctl_wish w = {.name = NULL};
    int status = ctl_wish_parse(argc, argv, "sP", false, &w);
    status = status ? status : ctl_wish_load(&w);
    status = status ? status : remove_endpoint(&w);
    ctl_wish_done(&w);
    return status;
}

int ctl_pusher_remove(int argc, char **argv)
{
    struct ctl_wish w = {.name = NULL};
    char what[256];
    int status = ctl_wish_parse(argc, argv, "s", false, &w);
    status = status ? status : ctl_wish_load(&w);
    const struct conf_pusher *p = status ? NULL : ctl_find_pusher(w.gw, w.name);
    if (!status && !p) {
        status = ctl_fail("there is no [pusher %s]; 'frunctl pusher list' shows all", w.name);
    }
    if (p) {
        status = drop(&w, "pusher", &p->place);
    }
    if (!status) {
        (void)snprintf(what, sizeof(what), "%s [pusher %s]",
                       w.change.is_dry ? "would remove" : "removed", w.name);
        status = ctl_change_finish(&w.change, what, json_pack("{s:s}", "pusher", w.name));
    }
    ctl_wish_done(&w);
    return status;
}
