/**
 * What administrators see and say through the control socket.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "connector_int.h"

#include "frun/admin/json.h"
#include "frun/base/log.h"

#include <jansson.h>
#include <unistd.h>

static const char *state_name(const struct connector *c)
{
    return c->is_draining ? "draining" : "running";
}

static void get_status(void *ctx, struct admin_request *r)
{
    const struct connector *c = ctx;
    struct subaccount_count n = {0};
    for (size_t i = 0; i < c->n_subaccounts; i++) {
        subaccount_count(c->subaccounts[i], &n);
    }
    json_t *v = json_pack(
        "{s:s, s:s, s:s, s:s, s:i, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "daemon",
        "frunconnector", "version", FRUN_VERSION, "name", c->conf->connector->name, "instance",
        c->instance, "pid", (int)getpid(), "state", state_name(c), "started", c->started,
        "uptime_seconds", (json_int_t)((mono_now_ms() - c->started_ms) / 1000), "subaccounts",
        (json_int_t)c->conf->n_subaccounts, "systems", (json_int_t)c->conf->n_mappings, "tunnels",
        (json_int_t)n.open, "tunnels_wanted", (json_int_t)n.wanted, "in_flight",
        (json_int_t)c->env.in_flight);
    admin_json_answer(r, v);
}

static void on_drain(struct deadline *d)
{
    struct connector *c = list_entry(d, struct connector, drain_asked);
    if (!c->is_draining) {
        connector_stop(c);
    }
}

/* Nothing may be in flight, and then the loop stops at once: the answer goes out first. */
static void post_drain(void *ctx, struct admin_request *r)
{
    struct connector *c = ctx;
    log_info("admin", "%s asks to drain", admin_request_peer(r)->name);
    deadline_set(c->loop, &c->drain_asked, 1);
    admin_json_answer(r, json_pack("{s:s}", "state", "draining"));
}

static const struct admin_route routes[] = {
    {"GET", "/api/v1/status", false, get_status},
    {"POST", "/api/v1/drain", true, post_drain},
};

frun_err connector_admin_open(struct connector *c, struct diag *d)
{
    mono_wall_text(c->started);
    c->started_ms = mono_now_ms();
    deadline_init(&c->drain_asked, on_drain);
    frun_err err = admin_server_new(c->loop, &ADMIN_LIMITS_DEFAULT, &c->admin);
    if (!err) {
        err = admin_server_add(c->admin, routes, sizeof(routes) / sizeof(routes[0]), c);
    }
    if (err) {
        diag_set(d, "%s", err_text(err));
        return err;
    }
    return admin_control_start(c->loop, c->admin, c->conf->admin, &c->control, d);
}

void connector_admin_close(struct connector *c)
{
    deadline_clear(&c->drain_asked);
    admin_control_free(c->control);
    admin_server_free(c->admin);
    c->control = NULL;
    c->admin = NULL;
}
