/**
 * A table says which step of the road an error belongs to; what Focused Run itself answers is
 * judged by hand.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/gateway/finding.h"

#include <stdio.h>
#include <string.h>

/* Places on a road. */
enum place {
    PLACE_TOKEN,
    PLACE_NAME,
    PLACE_CONNECTION,
    PLACE_TLS,
    PLACE_TUNNEL,
    PLACE_MAPPING,
    PLACE_RESOURCE,
    PLACE_BACKEND,
    PLACE_LOGON,
    PLACE_PING,
    PLACES
};

static const char *const place_names[PLACES] = {
    [PLACE_TOKEN] = "token",       [PLACE_NAME] = "name",        [PLACE_CONNECTION] = "connection",
    [PLACE_TLS] = "tls",           [PLACE_TUNNEL] = "tunnel",    [PLACE_MAPPING] = "mapping",
    [PLACE_RESOURCE] = "resource", [PLACE_BACKEND] = "back-end", [PLACE_LOGON] = "logon",
    [PLACE_PING] = "ping"};

/* The places a road passes, in this order. */
static const enum place tunnel_places[] = {
    PLACE_TOKEN,      PLACE_TUNNEL, PLACE_MAPPING, PLACE_RESOURCE, PLACE_NAME,
    PLACE_CONNECTION, PLACE_TLS,    PLACE_LOGON,   PLACE_PING,     PLACES};
static const enum place direct_places[] = {
    PLACE_TOKEN, PLACE_NAME, PLACE_CONNECTION, PLACE_TLS, PLACE_LOGON, PLACE_PING, PLACES};
static const enum place sap_places[] = {
    PLACE_TOKEN,    PLACE_NAME,    PLACE_CONNECTION, PLACE_TUNNEL, PLACE_MAPPING,
    PLACE_RESOURCE, PLACE_BACKEND, PLACE_LOGON,      PLACE_PING,   PLACES};

#define ANY    (-1)
#define TUNNEL CONF_ROUTE_TUNNEL
#define SAP    CONF_ROUTE_SAP

/* An error, where it belongs and what to do. The first row that fits counts. */
static const struct cause {
    const char *by;   /* who said so */
    const char *kind; /* error type or word; NULL: any */
    const char *text; /* part of the note; NULL: any */
    int road;         /* enum conf_route or ANY */
    enum place place;
    enum finding_verdict verdict;
    const char *remedy;
} causes[] = {
    {"gateway", "no_logon_token", NULL, ANY, PLACE_TOKEN, FINDING_DOWN,
     "check token_url, client_id and client_secret of the endpoint (auth = oauth2)"},
    {"gateway", "proxy_auth", NULL, SAP, PLACE_TOKEN, FINDING_DOWN,
     "check the service key of the [sap-connectivity] section: its token service, client and "
     "secret; a new key may be needed"},
    {"gateway", "dns_error", NULL, SAP, PLACE_NAME, FINDING_DOWN,
     "the connectivity proxy is known inside SAP BTP only: run frunproxyd there, or check "
     "proxy_host and DNS"},
    {"gateway", "dns_error", NULL, ANY, PLACE_NAME, FINDING_DOWN,
     "check the name in address and this machine's DNS"},
    {"gateway", "http_response_timeout", "could not be resolved in time", ANY, PLACE_NAME,
     FINDING_DOWN, "check the name and this machine's DNS"},
    {"gateway", "http_response_timeout", "cannot connect to", ANY, PLACE_CONNECTION, FINDING_DOWN,
     "check host, port and the firewalls between"},
    {"gateway", "connection_refused", NULL, SAP, PLACE_CONNECTION, FINDING_DOWN,
     "check that the connectivity proxy runs, and proxy_host and proxy_port"},
    {"gateway", "connection_refused", NULL, ANY, PLACE_CONNECTION, FINDING_DOWN,
     "check that Focused Run (or its Web Dispatcher) runs, then host, port and firewalls"},
    {"gateway", "connection_limit_reached", NULL, ANY, PLACE_CONNECTION, FINDING_DOWN,
     "all connections of the endpoint are in use: Focused Run is slow, or max_connections too low"},
    {"gateway", "tls_protocol_error", NULL, ANY, PLACE_TLS, FINDING_DOWN,
     "compare the certificate with backend_ca and server_name; check that the port speaks TLS"},
    {"gateway", "destination_unavailable", NULL, TUNNEL, PLACE_TUNNEL, FINDING_DOWN,
     "check that frunconnector runs and can reach this gateway, and that its location ID is the "
     "endpoint's to the letter; its log says why it is not connected"},
    {"gateway", "destination_unavailable", "SAP Cloud Connector", SAP, PLACE_TUNNEL, FINDING_DOWN,
     "check that the Cloud Connector is connected to the subaccount of the service key, and its "
     "location ID to the letter"},
    {"gateway", "no_tunnel", NULL, ANY, PLACE_TUNNEL, FINDING_DOWN,
     "check that the Cloud Connector is connected to the subaccount of the service key, and its "
     "location ID to the letter"},
    {"gateway", "destination_unavailable", NULL, ANY, PLACE_CONNECTION, FINDING_DOWN,
     "check the HTTP proxy on the way: address, user and what it allows"},
    {"gateway", "connection_terminated", NULL, TUNNEL, PLACE_TUNNEL, FINDING_DOWN,
     "the tunnel ended under the request: see the log of frunconnector"},
    {"gateway", "http_protocol_error", NULL, ANY, PLACE_PING, FINDING_DOWN,
     "check that port and protocol belong together: HTTPS is asked on an HTTP port, or something "
     "else listens there"},
    {"gateway", NULL, NULL, ANY, PLACE_PING, FINDING_DOWN, "see the gateway's log"},

    {"connector", NULL, "Access denied to system", ANY, PLACE_MAPPING, FINDING_DOWN,
     "add a [system VIRTUAL_HOST:PORT] section for the endpoint's virtual host to "
     "frunconnector.ini"},
    {"connector", NULL, "is suspended", ANY, PLACE_RESOURCE, FINDING_UNVERIFIED,
     "set active = yes in the resource's section of frunconnector.ini"},
    {"connector", NULL, "Access denied to resource", ANY, PLACE_RESOURCE, FINDING_UNVERIFIED,
     "add a [resource NAME] with the path to frunconnector.ini, or name another path in "
     "health_path"},
    {"connector", "dns_error", NULL, ANY, PLACE_NAME, FINDING_DOWN,
     "check internal_host in frunconnector.ini and the DNS of the connector's machine"},
    {"connector", "connection_refused", NULL, ANY, PLACE_CONNECTION, FINDING_DOWN,
     "check that Focused Run (or its Web Dispatcher) runs, then internal_host and internal_port in "
     "frunconnector.ini"},
    {"connector", "destination_unavailable", NULL, ANY, PLACE_CONNECTION, FINDING_DOWN,
     "check internal_host and internal_port in frunconnector.ini and the firewalls behind it"},
    {"connector", "connection_timeout", NULL, ANY, PLACE_CONNECTION, FINDING_DOWN,
     "check internal_host and internal_port in frunconnector.ini and the firewalls behind it"},
    {"connector", "connection_limit_reached", NULL, ANY, PLACE_CONNECTION, FINDING_DOWN,
     "all connections of the mapping are in use: Focused Run is slow, or their number too low"},
    {"connector", "tls_certificate_error", NULL, ANY, PLACE_TLS, FINDING_DOWN,
     "compare Focused Run's certificate with backend_ca and internal_host in frunconnector.ini"},
    {"connector", "tls_protocol_error", NULL, ANY, PLACE_TLS, FINDING_DOWN,
     "check protocol and internal_port in frunconnector.ini"},
    {"connector", "http_protocol_error", NULL, ANY, PLACE_PING, FINDING_DOWN,
     "check protocol and internal_port in frunconnector.ini"},
    {"connector", NULL, NULL, ANY, PLACE_PING, FINDING_DOWN, "see the log of frunconnector"},

    {"sap-connectivity", "no_tunnel", NULL, ANY, PLACE_TUNNEL, FINDING_DOWN,
     "check that the Cloud Connector is connected to the subaccount of the service key, and its "
     "location ID to the letter"},
    {"sap-connectivity", "access_denied_system", NULL, ANY, PLACE_MAPPING, FINDING_DOWN,
     "add the virtual host and port to the Cloud Connector (Cloud To On-Premise)"},
    {"sap-connectivity", "access_denied_resource", NULL, ANY, PLACE_RESOURCE, FINDING_UNVERIFIED,
     "add the path to the resources of the mapping in the Cloud Connector, or name another path in "
     "health_path"},
    {"sap-connectivity", "proxy_auth", NULL, ANY, PLACE_TOKEN, FINDING_DOWN,
     "the connectivity proxy does not take our token: check the service key and its subaccount"},
    {"sap-connectivity", "backend_unreachable", NULL, ANY, PLACE_BACKEND, FINDING_DOWN,
     "check internal host, port and trust of the mapping in the Cloud Connector"},
    {"sap-connectivity", NULL, NULL, ANY, PLACE_CONNECTION, FINDING_DOWN,
     "something other than SAP's connectivity proxy is at proxy_host and proxy_port, or before "
     "them"},
};

static char fold(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool contains(struct span s, const char *text)
{
    size_t n = strlen(text);
    for (size_t i = 0; i + n <= s.n; i++) {
        size_t k = 0;
        while (k < n && fold(s.p[i + k]) == fold(text[k])) {
            k++;
        }
        if (k == n) {
            return true;
        }
    }
    return false;
}

/* The connector says its word in the note, which is its Proxy-Status field. */
static struct span kind_of(const struct finding_facts *f)
{
    if (!f->by || strcmp(f->by, "connector") != 0) {
        return span_of(f->error);
    }
    static const char mark[] = "error=";
    for (size_t i = 0; i + sizeof(mark) - 1 <= f->note.n; i++) {
        struct span rest = span_skip(f->note, i);
        if (span_starts(rest, span_make(mark, sizeof(mark) - 1))) {
            rest = span_skip(rest, sizeof(mark) - 1);
            return span_head(rest, span_find(rest, ';'));
        }
    }
    return (struct span){NULL, 0};
}

/* What the connector says for people is the "detail" of its problem+json; the log's note is short.
 */
static struct span words_of(const struct finding_facts *f)
{
    static const char mark[] = "\"detail\":\"";
    if (!f->by || strcmp(f->by, "connector") != 0) {
        return f->note;
    }
    for (size_t i = 0; i + sizeof(mark) - 1 <= f->body.n; i++) {
        struct span rest = span_skip(f->body, i);
        if (span_starts(rest, span_make(mark, sizeof(mark) - 1))) {
            rest = span_skip(rest, sizeof(mark) - 1);
            return span_head(rest, span_find(rest, '"'));
        }
    }
    return f->note;
}

static const struct cause *find_cause(const struct finding_facts *f)
{
    struct span kind = kind_of(f);
    struct span words = words_of(f);
    for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++) {
        const struct cause *c = &causes[i];
        if (f->by && strcmp(f->by, c->by) == 0 && (c->road == ANY || c->road == (int)f->road) &&
            (!c->kind || span_eq(kind, span_of(c->kind))) &&
            (!c->text || contains(words, c->text))) {
            return c;
        }
    }
    return NULL;
}

/* -- what Focused Run says
 * ---------------------------------------------------------------------------------------- */

/* Where it ended, and why. */
struct end {
    enum place place;
    enum finding_verdict verdict;
    char found[STEPS_TEXT_BYTES];
    const char *remedy;
};

/* A page for people that asks who they are: a single sign-on stands before the service. */
static bool is_logon_page(const struct finding_facts *f)
{
    return span_starts_nocase(f->content_type, SPAN_LIT("text/html")) &&
           (contains(f->body, "<form") || contains(f->body, "type=\"password\"") ||
            contains(f->body, "samlrequest"));
}

static void judge_denial(const struct finding_facts *f, struct end *end)
{
    *end = (struct end){.place = PLACE_PING, .verdict = FINDING_UNVERIFIED};
    (void)snprintf(end->found, sizeof(end->found), "Focused Run answered %u to %.*s", f->status,
                   SPAN_FMT(f->path));
    end->remedy =
        f->status == 404
            ? "activate the service /sap/bc/ping in Focused Run (transaction SICF), or "
              "let the Web Dispatcher pass it; pushes may work all the same"
            : "let the Web Dispatcher pass /sap/bc/ping (permission table), and check the "
              "service's settings in Focused Run (SICF); pushes may work all the same";
}

static void judge_success(const struct finding_facts *f, struct end *end)
{
    if (is_logon_page(f)) {
        *end = (struct end){.place = PLACE_LOGON,
                            .verdict = FINDING_UNVERIFIED,
                            .remedy = "a sign-on for people stands before the service: let the "
                                      "technical user log on with user and password there"};
        (void)snprintf(end->found, sizeof(end->found), "%u with an HTML logon page", f->status);
        return;
    }
    *end = (struct end){.place = PLACES, .verdict = FINDING_UP};
}

static void judge_answer(const struct finding_facts *f, struct end *end)
{
    if (f->status >= 200 && f->status < 300) {
        judge_success(f, end);
    } else if (f->status >= 300 && f->status < 400) {
        *end = (struct end){.place = PLACE_LOGON,
                            .verdict = FINDING_UNVERIFIED,
                            .remedy = "a single sign-on or another server stands before the "
                                      "service: let the technical user log on with user and "
                                      "password there"};
        (void)snprintf(end->found, sizeof(end->found), "%u, redirected to %.*s", f->status,
                       SPAN_FMT(span_head(f->location, f->location.n < 200 ? f->location.n : 200)));
    } else if (f->status == 401) {
        *end = (struct end){.place = PLACE_LOGON,
                            .verdict = FINDING_REFUSED,
                            .remedy = "correct user or password of the endpoint; nothing is tried "
                                      "again by itself for a while, because each failed logon "
                                      "brings the user nearer to its lock"};
        (void)snprintf(end->found, sizeof(end->found),
                       "401: Focused Run refuses the credentials%s%s",
                       f->conf->user ? " of user " : "", f->conf->user ? f->conf->user : "");
    } else if (f->status == 403 || f->status == 404) {
        judge_denial(f, end);
    } else {
        bool is_down = f->status >= 500;
        *end = (struct end){.place = PLACE_PING,
                            .verdict = is_down ? FINDING_DOWN : FINDING_UNVERIFIED,
                            .remedy = is_down ? "look into Focused Run and its Web Dispatcher: the "
                                                "road there works"
                                              : "look whether a Web Dispatcher or another server "
                                                "answers in Focused Run's place"};
        (void)snprintf(end->found, sizeof(end->found), "Focused Run answered %u", f->status);
    }
}

static void find_end(const struct finding_facts *f, struct end *end)
{
    const struct cause *c = find_cause(f);
    if (f->is_late) {
        *end = (struct end){.place = PLACE_PING,
                            .verdict = FINDING_DOWN,
                            .remedy = "Focused Run is very slow or hangs: look there"};
        (void)snprintf(end->found, sizeof(end->found), "no complete answer within %llu s",
                       (unsigned long long)((f->total_us + 500000) / 1000000));
    } else if (c) {
        *end = (struct end){.place = c->place, .verdict = c->verdict, .remedy = c->remedy};
        (void)snprintf(end->found, sizeof(end->found), "%.*s", SPAN_FMT(words_of(f)));
    } else if (f->by && f->status) {
        judge_answer(f, end);
    } else {
        *end = (struct end){
            .place = PLACE_PING, .verdict = FINDING_DOWN, .remedy = "see the gateway's log"};
        (void)snprintf(end->found, sizeof(end->found), "the answer broke off");
    }
}

/* -- the list
 * ----------------------------------------------------------------------------------------------------
 */

static const enum place *places_of(enum conf_route road)
{
    switch (road) {
    case CONF_ROUTE_TUNNEL:
        return tunnel_places;
    case CONF_ROUTE_DIRECT:
        return direct_places;
    case CONF_ROUTE_SAP:
        return sap_places;
    }
    return direct_places;
}

static bool passes(const struct finding_facts *f, enum place p)
{
    if (p == PLACE_TOKEN) {
        return f->road == CONF_ROUTE_SAP || f->conf->auth == CONF_LOGON_OAUTH2;
    }
    return p != PLACE_TLS || f->road != CONF_ROUTE_DIRECT || f->conf->protocol == 0;
}

static void add_tunnel(const struct finding_facts *f, const char *name, struct steps *out)
{
    const char *location = f->conf->location_id ? f->conf->location_id : "";
    if (f->road == CONF_ROUTE_SAP) {
        steps_add(out, name, STEPS_OK, "a Cloud Connector with location ID \"%s\" is connected",
                  location);
    } else {
        steps_add(out, name, STEPS_OK, "connector %s, location ID \"%s\"",
                  f->connector ? f->connector : "?", location);
    }
}

/* Other systems and clients answer under the same address as readily. */
static void add_logon(const struct finding_facts *f, const char *name, struct steps *out)
{
    const char *user = f->conf->auth == CONF_LOGON_OAUTH2        ? f->conf->client_id
                       : f->conf->auth == CONF_LOGON_CERTIFICATE ? "our client certificate"
                                                                 : f->conf->user;
    char want[16] = "";
    struct span logical = span_of(f->conf->logical_system);
    if (logical.n == 10 && memcmp(logical.p + 3, "CLNT", 4) == 0) {
        (void)snprintf(want, sizeof(want), "%.3s_%.3s", logical.p, logical.p + 7);
    }
    if (f->session.n && want[0] && !span_eq(f->session, span_of(want))) {
        steps_add(out, name, STEPS_WARN, "%s was accepted by system and client %.*s, not by %s",
                  user ? user : "nobody", SPAN_FMT(f->session), want);
        steps_remedy(out, "check address or mapping, system_id, client and health_client");
    } else if (f->session.n) {
        steps_add(out, name, STEPS_OK, "%s, system and client %.*s", user ? user : "no user",
                  SPAN_FMT(f->session));
    } else {
        steps_add(out, name, STEPS_OK, "%s", user ? user : "no user is configured");
    }
}

static void add_good(const struct finding_facts *f, enum place p, struct steps *out)
{
    const char *name = place_names[p];
    const struct conf_endpoint *c = f->conf;
    bool is_far = f->road == CONF_ROUTE_TUNNEL;
    switch (p) {
    case PLACE_TUNNEL:
        add_tunnel(f, name, out);
        return;
    case PLACE_LOGON:
        add_logon(f, name, out);
        return;
    case PLACE_PING:
        steps_add(out, name, STEPS_OK, "%u from %.*s in %llu ms", f->status, SPAN_FMT(f->path),
                  (unsigned long long)(f->total_us / 1000));
        return;
    case PLACE_MAPPING:
        steps_add(out, name, STEPS_OK, "%s", c->virtual_host ? c->virtual_host : "");
        return;
    case PLACE_RESOURCE:
        steps_add(out, name, STEPS_OK, "%.*s", SPAN_FMT(f->path));
        return;
    case PLACE_NAME:
    case PLACE_CONNECTION:
        steps_add(out, name, STEPS_OK, "%s",
                  is_far                         ? "by the connector"
                  : f->road == CONF_ROUTE_DIRECT ? c->address
                                                 : "connectivity proxy");
        return;
    case PLACE_TLS:
        steps_add(out, name, STEPS_OK, "%s", is_far ? "by the connector" : "certificate accepted");
        return;
    case PLACE_TOKEN:
        steps_add(out, name, STEPS_OK, "there is one");
        return;
    case PLACE_BACKEND:
        steps_add(out, name, STEPS_OK, "the Cloud Connector reaches it");
        return;
    case PLACES:
        return;
    }
}

enum finding_verdict finding_judge(const struct finding_facts *f, struct steps *out)
{
    struct end end;
    bool is_past = false;
    out->n = 0;
    find_end(f, &end);
    for (const enum place *p = places_of(f->road); *p != PLACES; p++) {
        if (*p == end.place) {
            bool is_soft = end.verdict == FINDING_UNVERIFIED;
            steps_add(out, place_names[*p], is_soft ? STEPS_WARN : STEPS_FAIL, "%s", end.found);
            steps_remedy(out, "%s", end.remedy);
            is_past = true;
        } else if (is_past && passes(f, *p)) {
            steps_add(out, place_names[*p], STEPS_SKIPPED, "%s", "");
        } else if (!is_past && passes(f, *p)) {
            add_good(f, *p, out);
        }
    }
    if (!is_past && end.place != PLACES) { /* a table that does not fit the road loses nothing */
        steps_add(out, place_names[end.place], STEPS_FAIL, "%s", end.found);
        steps_remedy(out, "%s", end.remedy);
    }
    return end.verdict;
}

const char *finding_word(enum finding_verdict v)
{
    static const char *const words[] = {[FINDING_UP] = "up",
                                        [FINDING_DOWN] = "down",
                                        [FINDING_UNVERIFIED] = "unverified",
                                        [FINDING_REFUSED] = "refused",
                                        [FINDING_UNKNOWN] = "unknown"};
    return words[v];
}
