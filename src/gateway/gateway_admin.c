/**
 * What administrators see and say through the control socket.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway_int.h"

#include "frun/admin/json.h"
#include "frun/base/log.h"

#include <jansson.h>
#include <unistd.h>

static const char *state_name(const struct gateway *g)
{
    if (atomic_load(&g->shared.is_draining)) {
        return "draining";
    }
    return atomic_load(&g->shared.is_ready) ? "running" : "starting";
}

static void get_status(void *ctx, struct admin_request *r)
{
    const struct gateway *g = ctx;
    const struct gateway_shared *sh = &g->shared;
    json_t *v = json_pack(
        "{s:s, s:s, s:i, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "daemon", "frunproxyd",
        "version", FRUN_VERSION, "pid", (int)getpid(), "state", state_name(g), "started",
        g->started, "uptime_seconds", (json_int_t)((mono_now_ms() - g->started_ms) / 1000),
        "workers", (json_int_t)sh->n_workers, "endpoints", (json_int_t)g->gen->conf->n_endpoints,
        "pushers", (json_int_t)g->gen->conf->n_pushers, "tunnels",
        (json_int_t)atomic_load(&sh->n_tunnels), "connections",
        (json_int_t)atomic_load(&sh->n_connections));
    admin_json_answer(r, v);
}

static void post_drain(void *ctx, struct admin_request *r)
{
    struct gateway *g = ctx;
    log_info("admin", "%s asks to drain", admin_request_peer(r)->name);
    if (!atomic_load(&g->shared.is_draining)) {
        gateway_stop(g);
    }
    admin_json_answer(r, json_pack("{s:s}", "state", state_name(g)));
}

static void post_reload(void *ctx, struct admin_request *r)
{
    const struct gateway *g = ctx;
    reload_ask(g->reload, r);
}

static void get_diff(void *ctx, struct admin_request *r)
{
    const struct gateway *g = ctx;
    reload_preview(g->reload, r);
}

static const struct admin_route routes[] = {
    {"POST", "/api/v1/reload", true, post_reload},
    {"GET", "/api/v1/config/diff", false, get_diff},

    {"GET", "/api/v1/status", false, get_status},
    {"POST", "/api/v1/drain", true, post_drain},
};

frun_err gateway_admin_open(struct gateway *g, struct diag *d)
{
    mono_wall_text(g->started);
    g->started_ms = mono_now_ms();
    frun_err err = admin_server_new(g->loop, &ADMIN_LIMITS_DEFAULT, &g->admin);
    if (!err) {
        err = admin_server_add(g->admin, routes, sizeof(routes) / sizeof(routes[0]), g);
    }
    if (err) {
        diag_set(d, "%s", err_text(err));
        return err;
    }
    return admin_control_start(g->loop, g->admin, g->gen->conf->admin, &g->control, d);
}

void gateway_admin_close(struct gateway *g)
{
    admin_control_free(g->control);
    admin_server_free(g->admin);
    g->control = NULL;
    g->admin = NULL;
}
