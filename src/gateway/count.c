/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/gateway/count.h"

#include "frun/gateway/switchover.h"
#include "frun/gateway/worker.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *const route_names[METER_VARIANTS] = {"tunnel", "direct", "sap-connectivity",
                                                        "none"};

/** The variant of requests that belong to no endpoint. */
#define NO_ROUTE 3u

const char *count_route_name(unsigned variant)
{
    return route_names[variant < METER_VARIANTS ? variant : NO_ROUTE];
}

/* The road it took; before it took one, the one that its endpoint's requests take now. */
static unsigned variant_of(const struct endpoint *e, const char *route)
{
    switch (route && e ? route[0] : '\0') {
    case 't':
        return CONF_ROUTE_TUNNEL;
    case 'd':
        return CONF_ROUTE_DIRECT;
    case 's':
        return CONF_ROUTE_SAP;
    default:
        return e ? (unsigned)switchover_now(e) : NO_ROUTE;
    }
}

static enum meter_origin origin_of(const char *by)
{
    switch (by ? by[0] : '\0') {
    case 'f':
        return METER_ORIGIN_BACKEND;
    case 'c':
        return METER_ORIGIN_CONNECTOR;
    case 's':
        return METER_ORIGIN_SAP;
    case '\0':
        return METER_ORIGIN_NONE;
    default:
        return METER_ORIGIN_OWN;
    }
}

/* What SAP's programs said is in the access line's error, word for word. */
static enum meter_denial sap_denial(const char *error)
{
    for (enum meter_denial i = METER_DENIAL_NO_TUNNEL; error && i < METER_DENIALS; i++) {
        if (strcmp(meter_denial_word(i), error) == 0) {
            return i;
        }
    }
    return METER_DENIAL_FAILED;
}

static enum meter_denial denial_of(const struct accesslog_entry *log, enum meter_origin origin)
{
    if (log->status < 400) {
        return METER_DENIAL_NONE;
    }
    switch (origin) {
    case METER_ORIGIN_SAP:
        return sap_denial(log->error);
    case METER_ORIGIN_CONNECTOR:
        return log->status == 403 ? METER_DENIAL_ACCESS_DENIED
                                  : meter_denial_of(log->status, METER_ORIGIN_OWN);
    case METER_ORIGIN_OWN:
        /* The health page says 503 too, and refuses nobody by that. */
        return log->error ? meter_denial_of(log->status, origin) : METER_DENIAL_NONE;
    case METER_ORIGIN_BACKEND:
    case METER_ORIGIN_NONE:
    case METER_ORIGINS:
        break;
    }
    return METER_DENIAL_NONE;
}

static void remember(struct admin_recent *r, const struct accesslog_entry *log)
{
    struct admin_recent_entry *e = admin_recent_add(r);
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME_COARSE, &now);
    e->ended_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    admin_recent_text(e->id, sizeof(e->id), log->request_id);
    admin_recent_text(e->endpoint, sizeof(e->endpoint), log->endpoint);
    admin_recent_text(e->pusher, sizeof(e->pusher), log->pusher);
    admin_recent_text(e->connector, sizeof(e->connector), span_of(log->connector));
    admin_recent_text(e->tunnel, sizeof(e->tunnel), span_of(log->tunnel));
    admin_recent_text(e->method, sizeof(e->method), log->method);
    admin_recent_text(e->path, sizeof(e->path), log->path);
    e->route = log->route;
    e->by = log->by;
    admin_recent_text(e->error, sizeof(e->error), span_of(log->error));
    e->status = log->status;
    e->total_us = log->total_us;
    e->wait_us = log->wait_us;
    e->upstream_us = log->upstream_us;
    e->backend_us = log->backend_us;
    e->bytes_in = log->bytes_in;
    e->bytes_out = log->bytes_out;
}

static bool is_denial(const struct accesslog_entry *log)
{
    return log->by && log->by[0] == 'g' &&
           (log->status == 401 || log->status == 403 || log->status == 421 || log->status == 429);
}

/* Where the connector or Focused Run refuse, their audit logs have it. */
static void audit_request(struct audit *a, const struct accesslog_entry *log)
{
    char detail[192];
    bool is_denied = is_denial(log);
    if (!audit_wants(a, !is_denied) || (!is_denied && (log->status < 200 || log->status > 399))) {
        return;
    }
    int n = snprintf(detail, sizeof(detail), "%u%s%.*s", log->status, log->note.n ? ": " : "",
                     SPAN_FMT(log->note));
    size_t len = n < 0 ? 0 : (size_t)n < sizeof(detail) ? (size_t)n : sizeof(detail) - 1;
    audit_tell(a, &(struct audit_event){.name = is_denied ? "access.denied" : "access.allowed",
                                        .outcome = is_denied ? "denied" : "ok",
                                        .who = log->pusher,
                                        .from = log->client,
                                        .object = log->endpoint,
                                        .detail = span_make(detail, len),
                                        .is_routine = !is_denied,
                                        .is_frequent = true});
}

void count_request(struct worker *w, const struct endpoint *e, const struct accesslog_entry *log)
{
    enum meter_origin origin = origin_of(log->by);
    const struct meter_event event = {.status = log->status,
                                      .origin = origin,
                                      .denial = denial_of(log, origin),
                                      .total_us = log->total_us,
                                      .upstream_us = log->upstream_us,
                                      .bytes_in = log->bytes_in,
                                      .bytes_out = log->bytes_out,
                                      .repeats = log->repeats};
    if (w->shared->meter) {
        meter_request(w->shared->meter, w->index, e ? e->serial : METER_NOBODY,
                      variant_of(e, log->route), log->endpoint, &event);
    }
    remember(&w->recent, log);
    audit_request(w->shared->audit, log);
}
