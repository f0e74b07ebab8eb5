/**
 * The monitoring API of SAP Cloud Connector, in its own shapes, so that the tools made for it work
 * here as they are. Field names are SAP's, also where they are odd.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "connector_int.h"

#include "frun/admin/json.h"
#include "frun/conf/check.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/** Version of these shapes. */
#define SHAPES 1

/** A certificate that ends within so many days is expiring: SAP's default. */
#define EXPIRING_DAYS 30

/** Seconds of a day. */
#define DAY_S 86400

static const char *protocol_of(const struct conf_mapping *m)
{
    return m->protocol ? "HTTP" : "HTTPS";
}

/* SAP's ports are texts, because of names like sapgw00. */
static json_t *port_json(const struct conf_mapping *m)
{
    char text[16];
    (void)snprintf(text, sizeof(text), "%u", m->virtual_port);
    return json_string(text);
}

/* -- memberships
 * -----------------------------------------------------------------------------------------------
 */

/* What all answers say of a membership. The region is the gateway's host. */
static json_t *subaccount_head(const struct conf_subaccount *s)
{
    struct span host = {0};
    const char *gateway = s->gateway.n ? s->gateway.items[0] : "";
    if (!conf_check_authority(span_of(gateway), &host, NULL)) {
        host = span_of(gateway);
    }
    return json_pack("{s:s%, s:s, s:s}", "regionHost", host.p, host.n, "subaccount", s->place.name,
                     "locationID", s->location_id ? s->location_id : "");
}

/* Adds members of a membership. */
typedef bool (*add_fn)(struct connector *c, size_t i, json_t *o);

static json_t *each_subaccount(struct connector *c, add_fn add)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < c->n_subaccounts; i++) {
        json_t *o = subaccount_head(subaccount_conf(c->subaccounts[i]));
        if (!o || !add(c, i, o) || json_array_append_new(list, o)) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static void answer_subaccounts(struct connector *c, struct admin_request *r, add_fn add)
{
    json_t *list = each_subaccount(c, add);
    admin_json_answer(r, list ? json_pack("{s:o, s:i}", "subaccounts", list, "version", SHAPES)
                              : NULL);
}

struct oldest {
    uint64_t open_since; /* loop time; 0: none is open */
    bool has_failed;
};

static void on_tunnel(void *ctx, const struct subaccount_tunnel *t)
{
    struct oldest *x = ctx;
    if (t->open_since && (!x->open_since || t->open_since < x->open_since)) {
        x->open_since = t->open_since;
    }
    x->has_failed |= t->why[0] != '\0';
}

static json_t *certificate_json(const struct tls_ctx *t)
{
    struct tls_names names;
    struct tls_validity v = tls_own_validity(t);
    tls_own_names(t, &names);
    return json_pack("{s:I, s:I, s:o, s:o, s:s}", "notBeforeTimeStamp", (json_int_t)v.from * 1000,
                     "notAfterTimeStamp", (json_int_t)v.until * 1000, "subjectDN",
                     admin_json_text(names.subject), "issuer", admin_json_text(names.issuer),
                     "serialNumber", names.serial);
}

static uint64_t wall_ms(void)
{
    return (uint64_t)time(NULL) * 1000;
}

static bool add_tunnel(struct connector *c, size_t i, json_t *o)
{
    const struct conf_subaccount *s = subaccount_conf(c->subaccounts[i]);
    struct subaccount_count n = {0};
    struct oldest x = {0};
    subaccount_count(c->subaccounts[i], &n);
    subaccount_look(c->subaccounts[i], on_tunnel, &x);
    const char *state = n.open ? "Connected" : x.has_failed ? "ConnectFailure" : "Disconnected";
    uint64_t since = x.open_since ? wall_ms() - (loop_now_ms(c->loop) - x.open_since) : 0;
    json_t *tunnel =
        json_pack("{s:s, s:I, s:I, s:[], s:[], s:s}", "state", state, "connectedSinceTimeStamp",
                  (json_int_t)since, "connections", (json_int_t)n.open, "applicationConnections",
                  "serviceChannels", "user", c->gen->conf->connector->name);
    const struct tls_ctx *tls =
        i < c->gen->trust->n_subaccounts ? c->gen->trust->subaccounts[i] : NULL;
    if (tunnel && tls) {
        (void)json_object_set_new(tunnel, "subaccountCertificate", certificate_json(tls));
    }
    return json_object_set_new(o, "displayName", json_string(s->place.name)) == 0 &&
           json_object_set_new(o, "description", json_string("")) == 0 &&
           json_object_set_new(o, "tunnel", tunnel) == 0;
}

static void get_subaccounts(void *ctx, struct admin_request *r)
{
    answer_subaccounts(ctx, r, add_tunnel);
}

/* -- systems
 * ---------------------------------------------------------------------------------------------------
 */

/* Pools are shared by the memberships: each shows all of them. */
static bool add_connections(struct connector *c, size_t i, json_t *o)
{
    const struct conf_cn *conf = c->gen->conf;
    json_t *list = json_array();
    (void)i;
    for (size_t k = 0; k < conf->n_mappings; k++) {
        const struct conf_mapping *m = conf->mappings[k];
        const struct upstream *u = backends_get(c->gen->backends, k);
        char virtual_backend[512];
        char internal_backend[512];
        (void)snprintf(virtual_backend, sizeof(virtual_backend), "%s:%u", m->virtual_host,
                       m->virtual_port);
        (void)snprintf(internal_backend, sizeof(internal_backend), "%s:%llu", m->internal_host,
                       (unsigned long long)m->internal_port);
        (void)json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:I, s:I}", "virtualBackend",
                                                    virtual_backend, "internalBackend",
                                                    internal_backend, "protocol", protocol_of(m),
                                                    "idle", (json_int_t)upstream_idle(u), "active",
                                                    (json_int_t)upstream_active(u)));
    }
    return json_object_set_new(o, "backendConnections", list) == 0;
}

static void get_connections(void *ctx, struct admin_request *r)
{
    answer_subaccounts(ctx, r, add_connections);
}

static void get_channels(void *ctx, struct admin_request *r)
{
    struct connector *c = ctx;
    json_t *list = json_array();
    for (size_t i = 0; i < c->n_subaccounts; i++) {
        json_t *o = subaccount_head(subaccount_conf(c->subaccounts[i]));
        (void)json_object_set_new(o, "serviceChannels", json_array());
        (void)json_array_append_new(list, o);
    }
    admin_json_answer(r, json_pack("{s:o, s:i}", "subaccounts", list, "version", SHAPES));
}

static bool set_since(const struct connector *c, json_t *o)
{
    return json_object_set_new(o, "sinceTime", json_integer((json_int_t)c->started_s * 1000)) == 0;
}

/* Calls by duration. SAP's list begins with 10 ms, and what is faster counts there: so the sum is
 * the number of calls. */
static json_t *buckets_json(const struct usage_row *u)
{
    json_t *list = json_array();
    for (size_t i = 0; i < METER_BOUNDS; i++) {
        uint64_t n = u->buckets[i + 1] + (i == 0 ? u->buckets[0] : 0);
        (void)json_array_append_new(list, json_pack("{s:I, s:I}", "numberOfCalls", (json_int_t)n,
                                                    "minimumCallDurationMs",
                                                    (json_int_t)meter_bound_ms(i)));
    }
    return list;
}

static bool add_performance(struct connector *c, size_t i, json_t *o)
{
    const struct conf_cn *conf = c->gen->conf;
    const char *name = subaccount_conf(c->subaccounts[i])->place.name;
    json_t *list = json_array();
    for (size_t k = 0; k < conf->n_mappings; k++) {
        const struct conf_mapping *m = conf->mappings[k];
        const struct usage_row *u = usage_find(c->usage, name, m->place.name, NULL);
        if (u) {
            (void)json_array_append_new(list, json_pack("{s:s, s:o, s:s, s:o}", "virtualHost",
                                                        m->virtual_host, "virtualPort",
                                                        port_json(m), "protocol", protocol_of(m),
                                                        "buckets", buckets_json(u)));
        }
    }
    return json_object_set_new(o, "backendPerformance", list) == 0 && set_since(c, o);
}

static void get_performance(void *ctx, struct admin_request *r)
{
    answer_subaccounts(ctx, r, add_performance);
}

static const struct conf_mapping *mapping_named(const struct conf_cn *conf, const char *name)
{
    for (size_t i = 0; i < conf->n_mappings; i++) {
        if (strcmp(conf->mappings[i]->place.name, name) == 0) {
            return conf->mappings[i];
        }
    }
    return NULL;
}

static json_t *request_json(const struct connector *c, const struct usage_top *t)
{
    const struct conf_mapping *m = mapping_named(c->gen->conf, t->system);
    char internal[512] = "";
    if (m) {
        (void)snprintf(internal, sizeof(internal), "%s:%llu", m->internal_host,
                       (unsigned long long)m->internal_port);
    }
    /* There is no single sign-on of SAP's kind here: its times are 0. */
    return json_pack("{s:I, s:o, s:s, s:o, s:s, s:o, s:I, s:I, s:s, s:I, s:I, s:i, s:i, s:i, s:i}",
                     "startTime", (json_int_t)t->began_ms, "id", admin_json_text(t->id), "protocol",
                     m ? protocol_of(m) : "HTTPS", "virtualBackend", admin_json_text(t->system),
                     "internalBackend", internal, "resource", admin_json_text(t->path), "sentBytes",
                     (json_int_t)t->bytes_in, "receivedBytes", (json_int_t)t->bytes_out, "user", "",
                     "totalTime", (json_int_t)(t->total_us / 1000), "externalTime",
                     (json_int_t)(t->upstream_us / 1000), "genSsoTime", 0, "openRemoteTime", 0,
                     "validateSsoTime", 0, "latencyTime", 0);
}

static bool add_longest(struct connector *c, size_t i, json_t *o)
{
    const char *name = subaccount_conf(c->subaccounts[i])->place.name;
    struct usage_top top[USAGE_TOP];
    size_t n = usage_longest(c->usage, top);
    json_t *list = json_array();
    for (size_t k = 0; k < n; k++) {
        if (strcmp(top[k].subaccount, name) == 0) {
            (void)json_array_append_new(list, request_json(c, &top[k]));
        }
    }
    return json_object_set_new(o, "requests", list) == 0 && set_since(c, o);
}

static void get_longest(void *ctx, struct admin_request *r)
{
    answer_subaccounts(ctx, r, add_longest);
}

/* Members of a row; mostRecentAccess is absent if there was none. */
static void set_row(json_t *o, const struct usage_row *u)
{
    static const struct usage_row none = {0};
    u = u ? u : &none;
    (void)json_object_set_new(o, "bytesReceived", json_integer((json_int_t)u->bytes_out));
    (void)json_object_set_new(o, "bytesSent", json_integer((json_int_t)u->bytes_in));
    (void)json_object_set_new(o, "calls", json_integer((json_int_t)u->calls));
    if (u->last_ms) {
        (void)json_object_set_new(o, "mostRecentAccess", json_integer((json_int_t)u->last_ms));
    }
}

static json_t *usage_json(const struct connector *c, const char *name, const struct conf_mapping *m)
{
    json_t *resources = json_array();
    json_t *o = json_pack("{s:s, s:o, s:s}", "virtualHost", m->virtual_host, "virtualPort",
                          port_json(m), "protocol", protocol_of(m));
    set_row(o, usage_find(c->usage, name, m->place.name, NULL));
    for (size_t i = 0; i < m->n_resources; i++) {
        const struct conf_resource *x = m->resources[i];
        json_t *one = json_pack("{s:s, s:b}", "resourceName", x->path, "enabled", (int)x->active);
        set_row(one, usage_find(c->usage, name, m->place.name, x->place.name));
        (void)json_array_append_new(resources, one);
    }
    (void)json_object_set_new(o, "resources", resources);
    return o;
}

static bool add_usage(struct connector *c, size_t i, json_t *o)
{
    const struct conf_cn *conf = c->gen->conf;
    const char *name = subaccount_conf(c->subaccounts[i])->place.name;
    json_t *list = json_array();
    for (size_t k = 0; k < conf->n_mappings; k++) {
        (void)json_array_append_new(list, usage_json(c, name, conf->mappings[k]));
    }
    return json_object_set_new(o, "usageStatistics", list) == 0 &&
           json_object_set_new(o, "serviceChannelUsageStatistics", json_array()) == 0 &&
           set_since(c, o);
}

static void get_usage(void *ctx, struct admin_request *r)
{
    answer_subaccounts(ctx, r, add_usage);
}

/* -- certificates
 * ----------------------------------------------------------------------------------------------
 */

enum { EXPIRED, EXPIRING, GOOD, AGES };

static const char *const age_names[AGES] = {"expired", "expiring", "ok"};

static void sort_in(json_t *const lists[AGES], json_t *o, int64_t until_s)
{
    int64_t left_s = until_s - (int64_t)time(NULL);
    int age = left_s < 0 ? EXPIRED : left_s < (int64_t)EXPIRING_DAYS * DAY_S ? EXPIRING : GOOD;
    (void)json_array_append_new(lists[age], o);
}

static void gather_certificates(const struct connector *c, json_t *const lists[AGES])
{
    const struct connector_gen *g = c->gen;
    for (size_t i = 0; i < c->n_subaccounts && i < g->trust->n_subaccounts; i++) {
        const struct tls_ctx *t = g->trust->subaccounts[i];
        int64_t until_s = t ? tls_own_validity(t).until : 0;
        json_t *head = until_s ? subaccount_head(subaccount_conf(c->subaccounts[i])) : NULL;
        if (head) {
            sort_in(lists,
                    json_pack("{s:s, s:I, s:O, s:O}", "type", "subaccount", "validTo",
                              (json_int_t)until_s * 1000, "subaccountName",
                              json_object_get(head, "subaccount"), "subaccountRegion",
                              json_object_get(head, "regionHost")),
                    until_s);
            json_decref(head);
        }
    }
    for (size_t i = 0; i < g->trust->n_mappings; i++) {
        const struct tls_ctx *t = g->trust->mappings[i];
        int64_t until_s = t ? tls_own_validity(t).until : 0;
        struct tls_names names;
        if (until_s) {
            tls_own_names(t, &names);
            sort_in(lists,
                    json_pack("{s:s, s:I, s:o, s:o, s:s}", "type", "System", "validTo",
                              (json_int_t)until_s * 1000, "subjectDN",
                              admin_json_text(names.subject), "issuerDN",
                              admin_json_text(names.issuer), "serialNumber", names.serial),
                    until_s);
        }
    }
    if (admin_door_tls(g->trust->door)) {
        struct tls_names names;
        int64_t until_s = admin_door_until(g->trust->door);
        tls_own_names(admin_door_tls(g->trust->door), &names);
        sort_in(lists,
                json_pack("{s:s, s:I, s:o, s:o, s:s}", "type", "UI", "validTo",
                          (json_int_t)until_s * 1000, "subjectDN", admin_json_text(names.subject),
                          "issuerDN", admin_json_text(names.issuer), "serialNumber", names.serial),
                until_s);
    }
}

/* All of them, or those of one age. */
static void get_certificates(void *ctx, struct admin_request *r)
{
    struct span only = admin_request_param(r, 0);
    json_t *lists[AGES];
    json_t *o = json_object();
    bool is_found = !only.p;
    for (size_t i = 0; i < AGES; i++) {
        lists[i] = json_array();
    }
    gather_certificates(ctx, lists);
    for (size_t i = 0; i < AGES; i++) {
        if (!only.p || span_eq(only, span_of(age_names[i]))) {
            is_found = true;
            (void)json_object_set_new(o, age_names[i], lists[i]);
        } else {
            json_decref(lists[i]);
        }
    }
    if (is_found) {
        (void)json_object_set_new(o, "version", json_integer(SHAPES));
        admin_json_answer(r, o);
    } else {
        json_decref(o);
        admin_request_fail(r, 404, "certificates are expired, expiring or ok");
    }
}

/* -- the rest
 * --------------------------------------------------------------------------------------------------
 */

static void answer_machine(struct admin_request *r, json_t *o)
{
    if (o) {
        (void)json_object_set_new(o, "version", json_integer(SHAPES));
    }
    admin_json_answer(r, o);
}

static void get_memory(void *ctx, struct admin_request *r)
{
    (void)ctx;
    answer_machine(r, connector_scc_memory());
}

static void get_cpu(void *ctx, struct admin_request *r)
{
    answer_machine(r, connector_scc_cpu(ctx));
}

static void get_disk(void *ctx, struct admin_request *r)
{
    (void)ctx;
    answer_machine(r, connector_scc_disk());
}

/* Milliseconds since 1970 of "2026-11-21T06:36:00.123Z". */
static json_int_t ms_of(const char *since)
{
    char text[32];
    uint64_t seconds = 0;
    (void)snprintf(text, sizeof(text), "%.19sZ", since ? since : "");
    return conf_check_time(span_of(text), &seconds) ? (json_int_t)seconds * 1000 : 0;
}

static const char *text_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

/* Ours in SAP's words: the type is what is wrong, the entity what with. */
static void on_alerts(void *ctx, unsigned status, struct span body)
{
    json_t *all = status == 200 ? json_loadb(body.p, body.n, 0, NULL) : NULL;
    json_t *list = json_array();
    size_t i;
    json_t *a;
    json_array_foreach(json_object_get(all, "alerts"), i, a)
    {
        (void)json_array_append_new(
            list, json_pack("{s:I, s:s, s:s, s:s, s:s, s:s}", "timestamp",
                            ms_of(text_of(a, "since")), "status", text_of(a, "state"), "type",
                            text_of(a, "alert"), "origin", "frunconnector", "message",
                            text_of(a, "text"), "entity", text_of(a, "name")));
    }
    json_decref(all);
    admin_json_answer(ctx, json_pack("{s:o, s:i}", "alerts", list, "version", SHAPES));
}

static void get_alerts(void *ctx, struct admin_request *r)
{
    const struct connector *c = ctx;
    if (admin_server_ask(c->admin, "/api/v1/alerts", on_alerts, r) != FRUN_OK) {
        admin_request_fail(r, 500, "out of memory");
    }
}

static void answer_text(struct admin_request *r, unsigned status, const char *text)
{
    struct buf body;
    buf_init(&body, 64);
    if (buf_put(&body, span_of(text)) == FRUN_OK) {
        admin_request_answer(r, status, "text/plain; charset=utf-8", &body);
    } else {
        admin_request_fail(r, 500, "out of memory");
    }
    buf_done(&body);
}

/* Every connector is a master here: several of one location ID work side by side. One that drains
 * is none any more, so that a load balancer looks elsewhere. */
static void get_exposed(void *ctx, struct admin_request *r)
{
    const struct connector *c = ctx;
    struct span action = admin_request_query(r, "action");
    if (span_eq(action, SPAN_LIT("ping"))) {
        answer_text(r, 200, "pong");
    } else if (span_eq(action, SPAN_LIT("hasMasterRole"))) {
        answer_text(r, 200, c->is_draining ? "false" : "true");
    } else if (span_eq(action, SPAN_LIT("ensureMasterRole"))) {
        answer_text(r, c->is_draining ? 409 : 200, c->is_draining ? "false" : "true");
    } else {
        admin_request_fail(r, 400, "action is ping, hasMasterRole or ensureMasterRole");
    }
}

static void get_version(void *ctx, struct admin_request *r)
{
    (void)ctx;
    admin_json_answer(r, json_pack("{s:s}", "version", FRUN_VERSION));
}

static const struct admin_route routes[] = {
    {"GET", "/exposed", false, get_exposed},
    {"GET", "/api/v1/connector/version", false, get_version},
    {"GET", "/api/monitoring/subaccounts", false, get_subaccounts},
    {"GET", "/api/monitoring/connections/backends", false, get_connections},
    {"GET", "/api/monitoring/connections/serviceChannels", false, get_channels},
    {"GET", "/api/monitoring/performance/backends", false, get_performance},
    {"GET", "/api/monitoring/performance/topTimeConsumers", false, get_longest},
    {"GET", "/api/monitoring/usage", false, get_usage},
    {"GET", "/api/monitoring/certificates", false, get_certificates},
    {"GET", "/api/monitoring/certificates/{age}", false, get_certificates},
    {"GET", "/api/monitoring/memory", false, get_memory},
    {"GET", "/api/monitoring/cpu", false, get_cpu},
    {"GET", "/api/monitoring/disk", false, get_disk},
    {"GET", "/api/monitoring/alerts", false, get_alerts},
};

frun_err connector_scc_open(struct connector *c)
{
    return admin_server_add(c->admin, routes, sizeof(routes) / sizeof(routes[0]), c);
}
