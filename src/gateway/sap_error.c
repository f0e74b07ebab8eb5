/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/gateway/sap_error.h"

#include "frun/net/dial.h"

#define BY "sap-connectivity"

/* Texts stand in plain bodies and in pages, quotes and case vary: a part of them is looked for. */
static const struct pattern {
    unsigned status;
    enum sap_error_kind kind;
    const char *text; /* NULL: the status alone tells */
} patterns[] = {
    {400, SAP_ERROR_AFFINITY, "was set with a different value"},
    {403, SAP_ERROR_ACCESS_DENIED_SYSTEM, "access denied to system "},
    {403, SAP_ERROR_ACCESS_DENIED_RESOURCE, "access denied to resource "},
    {405, SAP_ERROR_HTTPS_NOT_ALLOWED, "https proxying is not supported"},
    {407, SAP_ERROR_PROXY_AUTH, NULL},
    {502, SAP_ERROR_BACKEND_UNREACHABLE, "unable to open connection to backend system"},
    {503, SAP_ERROR_NO_TUNNEL, "there is no sap cloud connector"},
    {503, SAP_ERROR_NO_TUNNEL, "no tunnels subscribed for tunnelid"},
};

#define PATTERNS (sizeof(patterns) / sizeof(patterns[0]))

static const struct call_verdict verdicts[] = {
    [SAP_ERROR_NONE] = {0},
    [SAP_ERROR_NO_TUNNEL] =
        {503, BY, "destination_unavailable", "no_tunnel",
         "no SAP Cloud Connector is connected for this subaccount and location ID; check that it "
         "runs, its location ID to the letter, and the subaccount of the service key",
         5, true},
    [SAP_ERROR_ACCESS_DENIED_SYSTEM] =
        {403, BY, "http_request_denied", "access_denied_system",
         "the SAP Cloud Connector has no mapping for the endpoint's virtual host and port; add it "
         "there under Cloud To On-Premise",
         0, false},
    [SAP_ERROR_ACCESS_DENIED_RESOURCE] =
        {403, BY, "http_request_denied", "access_denied_resource",
         "the SAP Cloud Connector does not allow this path; add /sap/frun with all sub-paths, and "
         "/sap/bc/ping, to the resources of the mapping",
         0, false},
    [SAP_ERROR_PROXY_AUTH] =
        {502, BY, "proxy_configuration_error", "proxy_auth",
         "SAP's connectivity proxy does not accept our access token; the gateway's log says more",
         0, false},
    [SAP_ERROR_BACKEND_UNREACHABLE] =
        {502, BY, "connection_refused", "backend_unreachable",
         "the SAP Cloud Connector cannot connect to Focused Run; check internal host, port and "
         "trust there",
         0, false},
    [SAP_ERROR_AFFINITY] = {502, BY, "proxy_internal_error", "affinity",
                            "SAP's connectivity proxy took the connection for another tunnel's", 0,
                            false},
    [SAP_ERROR_HTTPS_NOT_ALLOWED] = {502, BY, "proxy_configuration_error", "https_not_allowed",
                                     "SAP's connectivity proxy refused the form of the request; "
                                     "check proxy_host and proxy_port",
                                     0, false},
    [SAP_ERROR_NO_SOCKS] = {502, BY, "proxy_configuration_error", "no_socks5",
                            "SAP's connectivity proxy does not speak SOCKS5 as expected; check "
                            "proxy_host and proxy_port, 20004 as a rule",
                            0, false},
};

static char fold(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool contains(struct span s, const char *text)
{
    for (size_t i = 0; i < s.n; i++) {
        size_t n = 0;
        while (text[n] && i + n < s.n && fold(s.p[i + n]) == text[n]) {
            n++;
        }
        if (!text[n]) {
            return true;
        }
    }
    return false;
}

bool sap_error_is_suspect(unsigned status)
{
    for (size_t i = 0; i < PATTERNS; i++) {
        if (patterns[i].status == status) {
            return true;
        }
    }
    return false;
}

enum sap_error_kind sap_error_find(unsigned status, struct span body)
{
    for (size_t i = 0; i < PATTERNS; i++) {
        const struct pattern *p = &patterns[i];
        if (p->status == status && (!p->text || contains(body, p->text))) {
            return p->kind;
        }
    }
    return SAP_ERROR_NONE;
}

enum sap_error_kind sap_error_of_refusal(unsigned refusal)
{
    switch ((enum dial_refusal)refusal) {
    case DIAL_REFUSAL_FORM:
        return SAP_ERROR_NO_SOCKS;
    case DIAL_REFUSAL_LOGON:
        return SAP_ERROR_PROXY_AUTH;
    case DIAL_REFUSAL_SYSTEM:
        return SAP_ERROR_ACCESS_DENIED_SYSTEM;
    case DIAL_REFUSAL_TUNNEL:
        return SAP_ERROR_NO_TUNNEL;
    case DIAL_REFUSAL_BACKEND:
        return SAP_ERROR_BACKEND_UNREACHABLE;
    case DIAL_REFUSAL_NONE:
        break;
    }
    return SAP_ERROR_NONE;
}

const struct call_verdict *sap_error_verdict(enum sap_error_kind kind)
{
    return &verdicts[kind];
}
