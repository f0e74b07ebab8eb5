/**
 * The rows of [sap-connectivity NAME], and the checks of that road and of an endpoint's logon and
 * health.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/conf/sap.h"

#include "frun/conf/gateway.h"
#include "schema_int.h"

#include <string.h>

#define LIVE       CONF_RELOAD_LIVE
#define AT(member) offsetof(struct conf_sap, member)

const struct conf_row conf_sap_rows[CONF_SAP_ROWS] = {
    {"service_key", CONF_PATH, AT(service_key), 0, 0, NULL, true, NULL, LIVE,
     "JSON file: service key of the connectivity instance, or the content of VCAP_SERVICES. Holds "
     "a secret: credential:NAME or a file that only the service's user can read."},
    {"instance", CONF_TEXT, AT(instance), 1, 200, NULL, false, NULL, LIVE,
     "Name of the instance, if the file has several."},
    {"tenant", CONF_TEXT, AT(tenant), 1, 200, NULL, false, "name", LIVE,
     "Tenant (subaccount) of a subscriber, sent as X-zid with the token request; the key's own "
     "unless given. The proxy chooses the subaccount by it."},
    {"token_url", CONF_TEXT, AT(token_url), 1, 1000, NULL, false, "https_url", LIVE,
     "Token service of a subscriber instead of the key's; /oauth/token is put behind it unless it "
     "has a path."},
    {"certificate", CONF_PATH, AT(certificate), 0, 0, NULL, false, NULL, LIVE,
     "PEM file: client certificate for the token service instead of the one in an X.509 key."},
    {"private_key", CONF_PATH, AT(private_key), 0, 0, NULL, false, NULL, LIVE,
     "PEM file: its key, where the service key has none (X509_PROVIDED)."},
    {"identity_key", CONF_PATH, AT(identity_key), 0, 0, NULL, false, NULL, LIVE,
     "JSON file: service key of the identity instance, if tokens come from Identity Authentication "
     "(IAS) instead of XSUAA. VCAP_SERVICES may hold both."},
    {"identity_instance", CONF_TEXT, AT(identity_instance), 1, 200, NULL, false, NULL, LIVE,
     "Name of the identity instance, if the file has several."},
    {"instance_guid", CONF_TEXT, AT(instance_guid), 1, 100, NULL, false, "name", LIVE,
     "IAS: GUID of the connectivity instance, if service_key does not tell it."},
    {"token_ca", CONF_PATH, AT(token_ca), 0, 0, NULL, false, NULL, LIVE,
     "PEM file of the CA that signs the token service's certificate; the system's unless given."},
    {"token_proxy", CONF_TEXT, AT(token_proxy), 1, 300, NULL, false, "proxy", LIVE,
     "HTTP proxy on the way to the token service, http://host:port."},
    {"token_proxy_user", CONF_TEXT, AT(token_proxy_user), 1, 255, NULL, false, "user", LIVE,
     "User at that proxy, if it asks for one."},
    {"token_proxy_password", CONF_SECRET, AT(token_proxy_password), 0, 0, NULL, false, NULL, LIVE,
     "Its password."},
    {"token_connect_timeout", CONF_TIME, AT(token_connect_timeout_ms), 100, 120000, "5 s", false,
     NULL, LIVE, "Connecting to the token service, TLS included."},
    {"token_timeout", CONF_TIME, AT(token_timeout_ms), 100, 120000, "30 s", false, NULL, LIVE,
     "A whole token request."},
    {"proxy_host", CONF_TEXT, AT(proxy_host), 1, 253, NULL, false, "host", LIVE,
     "Connectivity proxy instead of the key's onpremise_proxy_host; keys of the plan "
     "connectivity_proxy (Kubernetes) have none."},
    {"proxy_port", CONF_UINT, AT(proxy_port), 1, 65535, NULL, false, NULL, LIVE,
     "Its port instead of the key's; as a rule 20003, with via = socks5 20004."},
    {"via", CONF_CHOICE, AT(via), 0, 0, "http", false, "http|socks5", LIVE,
     "How the connectivity proxy is spoken to: http is its HTTP proxy; socks5 its SOCKS5 proxy, to "
     "a TCP mapping of the Cloud Connector. TLS is then the gateway's own if protocol is HTTPS."},
    {"connect_timeout", CONF_TIME, AT(connect_timeout_ms), 100, 120000, "5 s", false, NULL, LIVE,
     "Connecting to the connectivity proxy."},
    {"keepalive", CONF_TIME, AT(keepalive_ms), 0, 30000, "5 s", false, NULL, LIVE,
     "An idle connection to the connectivity proxy is closed after this time: as long as it "
     "stands, so does one from the Cloud Connector to Focused Run."},
    {"max_connections", CONF_UINT, AT(max_connections), 1, 10000, "512", false, NULL, LIVE,
     "Connections of one endpoint in one worker; above it the answer is 503."},
    {"retry_min", CONF_TIME, AT(retry_min_ms), 100, 60000, "250 ms", false, NULL, LIVE,
     "When no Cloud Connector is connected: first pause before it is tried again."},
    {"retry_max", CONF_TIME, AT(retry_max_ms), 100, 600000, "30 s", false, NULL, LIVE,
     "Longest pause; it doubles each time."},
};

void conf_sap_check(struct conf_doc *d, const struct conf_sap *s)
{
    conf_order_check(d, s, "retry_min", "retry_max", s->retry_min_ms > s->retry_max_ms);
    conf_pair_check(d, s, "token_proxy_user", "token_proxy_password");
    if (s->token_proxy_user && !s->token_proxy) {
        conf_issue_add(d, true, s, "token_proxy_user", "needs token_proxy too");
    }
    if (s->certificate && !s->private_key) {
        conf_issue_add(d, true, s, "certificate", "needs private_key too");
    }
    if (!s->identity_key && (s->identity_instance || s->instance_guid)) {
        conf_issue_add(d, true, s, s->identity_instance ? "identity_instance" : "instance_guid",
                       "is for tokens of Identity Authentication: needs identity_key too");
    }
}

void conf_sap_route_check(struct conf_doc *d, const struct conf_endpoint *e, const char *key)
{
    if (!e->sap_name) {
        conf_issue_add(d, true, e, key,
                       "route sap-connectivity needs sap_connectivity = NAME of a "
                       "[sap-connectivity NAME] section, in the system or here");
        return;
    }
    if (!e->sap) {
        conf_issue_add(d, true, e,
                       conf_key_given(d, e, "sap_connectivity") ? "sap_connectivity" : key,
                       "there is no [sap-connectivity %s]", e->sap_name);
    }
    if (e->sap && e->sap->via == CONF_SAP_SOCKS5) {
        if (e->protocol == 0 && !e->backend_ca) {
            conf_issue_add(d, true, e, key,
                           "via = socks5 with protocol HTTPS needs backend_ca: without it no "
                           "certificate is trusted; or set protocol = HTTP if the Cloud "
                           "Connector's mapping is TCP TLS");
        }
        return;
    }
    if (e->virtual_host && strchr(e->virtual_host, '_')) {
        conf_issue_add(d, false, e, conf_key_given(d, e, "virtual_host") ? "virtual_host" : key,
                       "'%s' has '_': SAP's connectivity proxy may answer 400; use '-' here and in "
                       "the Cloud Connector's mapping",
                       e->virtual_host);
    }
}

/* A key of the other way to log on. */
static void check_stray(struct conf_doc *d, const struct conf_endpoint *e, const char *const *keys,
                        size_t n, const char *why)
{
    for (size_t i = 0; i < n; i++) {
        if (conf_key_given(d, e, keys[i])) {
            conf_issue_add(d, true, e, keys[i], "%s", why);
        }
    }
}

static void check_certificate_logon(struct conf_doc *d, const struct conf_endpoint *e)
{
    bool is_socks = e->sap && e->sap->via == CONF_SAP_SOCKS5;
    if (!e->client_certificate) {
        conf_issue_add(d, true, e, "auth", "certificate needs client_certificate and client_key");
    }
    if (e->system && (e->protocol != 0 || (e->route != CONF_ROUTE_DIRECT && !is_socks))) {
        conf_issue_add(d, true, e, "auth",
                       "certificate needs the gateway's own TLS with Focused Run: protocol = HTTPS "
                       "with route direct, or with sap-connectivity and via = socks5; behind a "
                       "tunnel set system_certificate_for_logon in frunconnector.ini");
    }
}

void conf_logon_check(struct conf_doc *d, const struct conf_endpoint *e)
{
    static const char *const token[] = {"token_url",   "client_id", "client_secret",
                                        "token_scope", "token_ca",  "token_proxy"};
    static const char *const pair[] = {"client_certificate", "client_key"};
    static const char *const basic[] = {"user", "password"};
    conf_pair_check(d, e, "user", "password");
    conf_pair_check(d, e, "client_certificate", "client_key");
    if (e->auth != CONF_LOGON_OAUTH2) {
        check_stray(d, e, token, sizeof(token) / sizeof(token[0]), "needs auth = oauth2 too");
    }
    if (e->auth == CONF_LOGON_BASIC) {
        check_stray(d, e, pair, 2, "needs auth = oauth2 or certificate too");
        return;
    }
    check_stray(d, e, basic, sizeof(basic) / sizeof(basic[0]),
                "is for auth = basic; remove it, or the other auth");
    if (e->auth == CONF_LOGON_CERTIFICATE) {
        check_certificate_logon(d, e);
        return;
    }
    if (!e->token_url || !e->client_id) {
        conf_issue_add(d, true, e, "auth", "oauth2 needs token_url and client_id");
    }
    if (!e->client_secret == !e->client_certificate) {
        conf_issue_add(d, true, e, "auth",
                       "oauth2 needs either client_secret, or client_certificate with client_key");
    }
}

void conf_health_check(struct conf_doc *d, const struct conf_endpoint *e)
{
    static const char frun[] = "/sap/frun";
    const char *path = e->health_path;
    bool is_own = conf_key_given(d, e, "health_path");
    size_t n = sizeof(frun) - 1;
    if (path && strcmp(path, "/sap/bc/ping") != 0 &&
        (strncmp(path, frun, n) != 0 || (path[n] && path[n] != '/'))) {
        conf_issue_add(d, true, e, is_own ? "health_path" : "system",
                       "a check can ask for /sap/bc/ping, /sap/frun and what is below it; '%s' is "
                       "not open",
                       e->health_path);
    }
}

void conf_principal_check(struct conf_doc *d, const struct conf_endpoint *e)
{
    if (e->propagate_principal && e->route != CONF_ROUTE_TUNNEL) {
        conf_issue_add(d, true, e, "propagate_principal",
                       "needs route tunnel: only a connector turns it into a certificate");
    } else if (e->propagate_principal && e->has_standby && e->standby_route != CONF_ROUTE_TUNNEL) {
        conf_issue_add(d, true, e, "propagate_principal",
                       "no other standby_route than tunnel: on it everybody would be the "
                       "technical user");
    }
}
