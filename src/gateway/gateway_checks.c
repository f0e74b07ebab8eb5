/**
 * The endpoints' roads for administrators: how they are, a check now, switching.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway_int.h"

#include "frun/admin/json.h"
#include "frun/base/log.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/** Minutes of a time that is left, rounded up. */
#define MINUTES(ms) (((ms) + 59999) / 60000)

/* One question under way. */
struct ask {
    struct gateway *g;
    struct admin_request *r;
    const struct generation *gen; /* to see whether it is still the present one */
    size_t index;                 /* of the endpoint in it */
    bool is_active;               /* the road that requests take was asked for */
    char *name;                   /* of the endpoint */
};

static void ask_free(struct ask *a)
{
    if (a) {
        free(a->name);
        free(a);
    }
}

static const struct endpoint *find(const struct gateway *g, struct span name)
{
    size_t n = 0;
    const struct endpoint *e = registry_endpoints(g->gen->registry, &n);
    for (size_t i = 0; i < n; i++) {
        if (span_eq(e[i].name, name)) {
            return &e[i];
        }
    }
    return NULL;
}

/* The endpoint in the path, and what is to be remembered about the question; NULL: answered. */
static struct ask *begin(struct gateway *g, struct admin_request *r, const struct endpoint **e)
{
    struct span name = admin_request_param(r, 0);
    *e = find(g, name);
    if (!*e) {
        admin_request_fail(r, 404, "there is no endpoint %.*s; 'frunctl endpoint list' shows all",
                           SPAN_FMT(name));
        return NULL;
    }
    struct ask *a = calloc(1, sizeof(*a));
    char *copy = strndup((*e)->name.p, (*e)->name.n);
    if (!a || !copy) {
        free(a);
        free(copy);
        admin_request_fail(r, 503, "out of memory");
        return NULL;
    }
    *a = (struct ask){.g = g, .r = r, .gen = g->gen, .index = (*e)->index, .name = copy};
    return a;
}

static bool is_yes(struct span s)
{
    return span_eq(s, SPAN_LIT("1")) || span_eq(s, SPAN_LIT("yes")) || span_eq(s, SPAN_LIT("true"));
}

/* -- health
 * ----------------------------------------------------------------------------------------------------------
 */

/* Whoever compares answers wants nothing in them that changes by itself. */
static void make_steady(json_t *v)
{
    (void)json_object_del(v, "seconds");
    (void)json_object_del(v, "last_seconds");
    (void)json_object_del(v, "parked_seconds");
}

static json_t *health_json(const struct gateway *g, const struct endpoint *e)
{
    struct health_report h;
    health_read(g->health, e->index, &h);
    json_t *v =
        json_pack("{s:s%, s:s, s:s, s:b, s:I, s:I, s:I}", "endpoint", e->name.p, e->name.n, "road",
                  switchover_name(switchover_now(e)), "health", health_word(h.state), "checked",
                  h.is_checked, "seconds", (json_int_t)(h.since_ms / 1000), "checks",
                  (json_int_t)h.checks, "failures", (json_int_t)h.failures);
    int bad = v ? 0 : -1;
    if (!bad && e->conf->has_standby) {
        bool is_switched = atomic_load(&e->state->is_switched);
        int other = is_switched ? e->conf->route : e->conf->standby_route;
        bad =
            json_object_set_new(v, "standby", json_string(switchover_name((enum conf_route)other)));
    }
    if (!bad && h.checks) {
        bad =
            json_object_set_new(v, "last_seconds", json_integer((json_int_t)(h.last_ms / 1000))) ||
            json_object_set_new(v, "last_ms", json_integer((json_int_t)(h.last_us / 1000)));
    }
    if (!bad && h.cause[0]) {
        bad = json_object_set_new(v, "found", admin_json_text(h.cause)) ||
              json_object_set_new(v, "remedy", admin_json_text(h.remedy));
    }
    if (!bad && h.parked_ms) {
        bad = json_object_set_new(v, "parked_seconds",
                                  json_integer((json_int_t)(h.parked_ms / 1000)));
    }
    if (bad) {
        json_decref(v);
        return NULL;
    }
    return v;
}

static void get_health(void *ctx, struct admin_request *r)
{
    const struct gateway *g = ctx;
    size_t n = 0;
    const struct endpoint *e = registry_endpoints(g->gen->registry, &n);
    bool is_steady = span_eq(admin_request_query(r, "steady"), SPAN_LIT("1"));
    json_t *all = json_array();
    for (size_t i = 0; all && i < n; i++) {
        json_t *v = health_json(g, &e[i]);
        if (is_steady) {
            make_steady(v);
        }
        if (json_array_append_new(all, v)) {
            json_decref(all);
            all = NULL;
        }
    }
    admin_json_answer(r, all);
}

/* -- checks
 * ----------------------------------------------------------------------------------------------------------
 */

static bool is_present(const struct ask *a)
{
    return a->gen == a->g->gen;
}

static void on_checked(void *ctx, const struct probe_result *p)
{
    struct ask *a = ctx;
    /* Of a road that no request takes the credentials alone count: they are the same. */
    if (is_present(a) && (a->is_active || p->verdict == FINDING_REFUSED)) {
        health_note(a->g->health, a->index, p);
    }
    admin_json_answer(a->r, probe_json(a->name, p));
    ask_free(a);
}

/* Nobody logs on as a user that was refused a while ago, unless told to. */
static bool is_held_back(const struct ask *a, const struct endpoint *e, struct probe_result *out)
{
    uint64_t left_ms = 0;
    if (health_may_log_on(a->g->health, a->index, &left_ms)) {
        return false;
    }
    *out = (struct probe_result){.verdict = FINDING_REFUSED, .road = switchover_now(e)};
    steps_add(&out->steps, "logon", STEPS_FAIL,
              "not tried: 401 was the answer to user %s less than %d min ago",
              e->conf->user ? e->conf->user : "", HEALTH_PARK_MS / 60000);
    steps_remedy(&out->steps,
                 "correct user or password; it is tried again in %llu min, or now with --force "
                 "(each failed logon brings the user nearer to its lock)",
                 (unsigned long long)MINUTES(left_ms));
    return true;
}

static void post_check(void *ctx, struct admin_request *r)
{
    struct gateway *g = ctx;
    const struct endpoint *e = NULL;
    struct probe_result held;
    bool is_forced = is_yes(admin_request_query(r, "force"));
    bool is_standby = is_yes(admin_request_query(r, "standby"));
    struct ask *a = begin(g, r, &e);
    if (!a) {
        return;
    }
    if (is_standby && !e->conf->has_standby) {
        admin_request_fail(r, 409, "endpoint %s has no standby_route", a->name);
        ask_free(a);
        return;
    }
    if (!is_forced && is_held_back(a, e, &held)) {
        admin_json_answer(r, probe_json(a->name, &held));
        ask_free(a);
        return;
    }
    bool is_switched = atomic_load(&e->state->is_switched);
    enum probe_road other = is_switched ? PROBE_ROAD_FIRST : PROBE_ROAD_STANDBY;
    a->is_active = !is_standby;
    if (probe_start(&g->shared, g->gen, e, is_standby ? other : PROBE_ROAD_ACTIVE, on_checked, a)) {
        admin_request_fail(r, 503, "out of memory");
        ask_free(a);
    }
}

/* -- switching
 * -------------------------------------------------------------------------------------------------------
 */

static void on_switched(void *ctx, const struct switchover_outcome *o)
{
    struct ask *a = ctx;
    if (o->is_outdated) {
        admin_request_fail(a->r, 409,
                           "endpoint %s stays where it is: a reload has changed its roads while "
                           "the other one was checked; look, and ask again",
                           a->name);
        ask_free(a);
        return;
    }
    if (is_present(a) && o->is_done) {
        health_forget(a->g->health, a->index);
    } else if (is_present(a) && o->probe->verdict == FINDING_REFUSED) {
        health_note(a->g->health, a->index, o->probe);
    }
    json_t *v =
        json_pack("{s:s, s:b, s:s, s:s, s:b, s:I, s:I, s:f, s:s, s:o}", "endpoint", a->name,
                  "switched", o->is_done, "from", switchover_name(o->from), "to",
                  switchover_name(o->to), "kept", o->is_kept, "in_flight", (json_int_t)o->in_flight,
                  "moved", (json_int_t)o->moved, "took_ms", (double)o->took_us / 1000.0, "verdict",
                  finding_word(o->probe->verdict), "steps", probe_steps_json(&o->probe->steps));
    admin_json_answer(a->r, v);
    ask_free(a);
}

static void refuse_switch(struct ask *a, frun_err err)
{
    switch (err) {
    case FRUN_E_UNSUPPORTED:
        admin_request_fail(a->r, 409,
                           "endpoint %s has no other road: give it a standby_route (tunnel, direct "
                           "or sap-connectivity) in the configuration",
                           a->name);
        break;
    case FRUN_E_EXISTS:
        admin_request_fail(a->r, 409, "another switch is under way; try again");
        break;
    default:
        admin_request_fail(a->r, 503, "%s", err_text(err));
        break;
    }
    ask_free(a);
}

static void answer_there_already(struct ask *a, const struct endpoint *e)
{
    const char *road = switchover_name(switchover_now(e));
    json_t *v = json_pack("{s:s, s:b, s:s, s:s}", "endpoint", a->name, "switched", 0, "from", road,
                          "to", road);
    admin_json_answer(a->r, v);
    ask_free(a);
}

static void do_switch(struct ask *a, const struct endpoint *e, bool is_forced, const char *to)
{
    struct gateway *g = a->g;
    bool is_switched = atomic_load(&e->state->is_switched);
    enum conf_route other =
        (enum conf_route)(is_switched ? e->conf->route : e->conf->standby_route);
    uint64_t left_ms = 0;
    if (to && strcmp(to, switchover_name(switchover_now(e))) == 0) {
        answer_there_already(a, e);
        return;
    }
    if (to && (!e->conf->has_standby || strcmp(to, switchover_name(other)) != 0)) {
        admin_request_fail(a->r, 409,
                           "endpoint %s has no road %s; route and standby_route name them", a->name,
                           to);
        ask_free(a);
        return;
    }
    if (!is_forced && !health_may_log_on(g->health, a->index, &left_ms)) {
        admin_request_fail(a->r, 409,
                           "endpoint %s stays where it is: its credentials were refused (401) and "
                           "are not tried again for %llu min; correct them, or use --force",
                           a->name, (unsigned long long)MINUTES(left_ms));
        ask_free(a);
        return;
    }
    log_info("admin", "%s asks to switch endpoint %s from %s%s", admin_request_peer(a->r)->name,
             a->name, switchover_name(switchover_now(e)), is_forced ? " by force" : "");
    frun_err err = switchover_switch(g->switchover, g->gen, e, is_forced, on_switched, a);
    if (err) {
        refuse_switch(a, err);
    }
}

static void post_switch(void *ctx, struct admin_request *r)
{
    const struct endpoint *e = NULL;
    json_t *body = admin_json_body(r);
    if (!body) {
        return;
    }
    struct ask *a = begin(ctx, r, &e);
    if (a) {
        do_switch(a, e, json_is_true(json_object_get(body, "force")),
                  json_string_value(json_object_get(body, "to")));
    }
    json_decref(body);
}

static const struct admin_route routes[] = {
    {"GET", "/api/v1/health", false, get_health},
    {"POST", "/api/v1/endpoints/{name}/check", true, post_check},
    {"POST", "/api/v1/endpoints/{name}/switch", true, post_switch},
};

frun_err gateway_checks_open(struct gateway *g)
{
    return admin_server_add(g->admin, routes, sizeof(routes) / sizeof(routes[0]), g);
}
