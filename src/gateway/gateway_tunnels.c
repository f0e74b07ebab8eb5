/**
 * The connectors and their tunnels, for administrators and monitoring.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway_int.h"

#include "frun/admin/json.h"
#include "frun/base/log.h"
#include "frun/base/map.h"

#include <jansson.h>
#include <stdlib.h>

/* -- what belongs to whom
 * -------------------------------------------------------------------------------------------------
 */

static void add(struct gateway_connector *c, const struct hub_view *t)
{
    c->in_flight += t->in_flight;
    if (t->is_draining) {
        c->draining++;
    } else {
        c->open++;
        c->max_in_flight += t->max_in_flight;
    }
}

frun_err gateway_connectors_new(const struct generation *gen, const struct survey_part *parts,
                                size_t n, struct gateway_connectors *out)
{
    struct gateway_connectors c = {.n = gen->n_seats};
    c.all = calloc(c.n + 1, sizeof(*c.all));
    frun_err err = c.all ? map_new(false, &c.by_name) : FRUN_E_NOMEM;
    for (size_t i = 0; !err && i < c.n; i++) {
        c.all[i].seat = gen->seats[i];
        c.all[i].conf = gen->conf->connectors[i];
        err = map_put(c.by_name, span_of(seat_name(gen->seats[i])), &c.all[i]);
    }
    if (err) {
        gateway_connectors_done(&c);
        return err;
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < parts[i].n_tunnels; k++) {
            const struct hub_view *t = &parts[i].tunnels[k];
            struct gateway_connector *one = map_get(c.by_name, span_of(t->connector_name));
            if (one) { /* else it has left the configuration, and its tunnels drain */
                add(one, t);
            }
        }
    }
    *out = c;
    return FRUN_OK;
}

void gateway_connectors_done(struct gateway_connectors *c)
{
    map_free(c->by_name);
    free(c->all);
    *c = (struct gateway_connectors){0};
}

/* Whoever compares answers wants nothing in them that changes by itself. */
static bool is_steady(struct admin_request *r)
{
    return span_eq(admin_request_query(r, "steady"), SPAN_LIT("1"));
}

/* -- tunnels
 * ----------------------------------------------------------------------------------------------------
 */

static const char *state_of(const struct hub_view *t)
{
    return t->is_draining ? "draining" : t->is_suspect ? "suspect" : "open";
}

static void set_last(json_t **o, const struct seat_news *news)
{
    admin_json_set(o, "last_error", admin_json_text(news->last));
    admin_json_set(o, "last_error_time", json_string(news->last_at));
}

static json_t *tunnel_json(const struct hub_view *t, size_t worker, bool is_steady_wanted)
{
    json_t *o = json_pack("{s:o, s:s, s:s, s:s, s:s, s:I, s:s, s:I, s:I, s:s, s:o}", "connector",
                          admin_json_text(t->connector_name), "location_id", t->member.location_id,
                          "address", t->member.address, "instance", t->member.instance, "version",
                          t->member.version, "worker", (json_int_t)worker, "state", state_of(t),
                          "in_flight", (json_int_t)t->in_flight, "max_in_flight",
                          (json_int_t)t->max_in_flight, "since", t->since, "rtt_ms",
                          admin_json_ms(t->rtt_us));
    admin_json_set(&o, "name", admin_json_text(t->name));
    if (!is_steady_wanted) {
        admin_json_set(&o, "age_seconds", json_real((double)t->age_ms / 1000.0));
    }
    return o;
}

static void tell_tunnels(const struct gateway_inquiry *q, const struct survey_part *parts, size_t n)
{
    struct gateway_connectors c;
    bool is_steady_wanted = is_steady(q->r);
    json_t *list = json_array();
    if (gateway_connectors_new(q->g->gen, NULL, 0, &c) != FRUN_OK) {
        json_decref(list);
        admin_json_answer(q->r, NULL);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < parts[i].n_tunnels; k++) {
            const struct hub_view *t = &parts[i].tunnels[k];
            const struct gateway_connector *one = map_get(c.by_name, span_of(t->connector_name));
            json_t *o = tunnel_json(t, i, is_steady_wanted);
            if (one) {
                struct seat_news news;
                seat_read(one->seat, &news);
                set_last(&o, &news);
            }
            admin_json_append(&list, o);
        }
    }
    gateway_connectors_done(&c);
    admin_json_answer(q->r, json_pack("{s:o}", "tunnels", list));
}

void gateway_get_tunnels(void *ctx, struct admin_request *r)
{
    gateway_inquire(ctx, r, SURVEY_TUNNELS, NULL, tell_tunnels);
}

/* -- connectors
 * -------------------------------------------------------------------------------------------------
 */

/* Why is it not here? */
static json_t *absence(const struct seat_news *news)
{
    return news->last[0] ? admin_json_text(news->last)
                         : json_string("it has not dialled in since this gateway knows it");
}

static json_t *connector_json(const struct gateway_connector *c)
{
    struct seat_news news;
    json_t *locations = json_array();
    for (size_t i = 0; i < c->conf->location_id.n; i++) {
        admin_json_append(&locations, json_string(c->conf->location_id.items[i]));
    }
    json_t *o =
        json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:o, s:s}", "name", c->conf->place.name, "state",
                  c->open ? "connected" : "away", "tunnels", (json_int_t)c->open, "draining",
                  (json_int_t)c->draining, "in_flight", (json_int_t)c->in_flight, "max_in_flight",
                  (json_int_t)c->max_in_flight, "location_ids", locations, "certificate_subject",
                  c->conf->certificate_subject ? c->conf->certificate_subject : "");
    seat_read(c->seat, &news);
    set_last(&o, &news);
    if (!c->open) {
        admin_json_set(&o, "away_since", json_string(news.since));
        admin_json_set(&o, "away_because", absence(&news));
    }
    return o;
}

static void tell_connectors(const struct gateway_inquiry *q, const struct survey_part *parts,
                            size_t n)
{
    struct gateway_connectors c;
    json_t *list = json_array();
    if (gateway_connectors_new(q->g->gen, parts, n, &c) != FRUN_OK) {
        json_decref(list);
        admin_json_answer(q->r, NULL);
        return;
    }
    for (size_t i = 0; i < c.n; i++) {
        admin_json_append(&list, connector_json(&c.all[i]));
    }
    gateway_connectors_done(&c);
    admin_json_answer(q->r, json_pack("{s:o}", "connectors", list));
}

void gateway_get_connectors(void *ctx, struct admin_request *r)
{
    gateway_inquire(ctx, r, SURVEY_TUNNELS, NULL, tell_connectors);
}

static void tell_drained(const struct gateway_inquiry *q, const struct survey_part *parts, size_t n)
{
    json_int_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += (json_int_t)parts[i].n_tunnels;
    }
    admin_json_answer(q->r, json_pack("{s:I}", "tunnels_draining", sum));
}

void gateway_drain_connector(void *ctx, struct admin_request *r)
{
    struct gateway *g = ctx;
    struct span name = admin_request_param(r, 0);
    for (size_t i = 0; i < g->gen->conf->n_connectors; i++) {
        if (span_eq(name, span_of(g->gen->conf->connectors[i]->place.name))) {
            log_info("admin", "%s drains the tunnels of connector %.*s",
                     admin_request_peer(r)->name, SPAN_FMT(name));
            gateway_inquire(g, r, SURVEY_DRAIN, g->gen->conf->connectors[i]->place.name,
                            tell_drained);
            return;
        }
    }
    admin_request_fail(r, 404, "there is no connector \"%.*s\"", SPAN_FMT(name));
}
