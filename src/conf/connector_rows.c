/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/conf/connector.h"

#include "schema_int.h"

#define LIVE        CONF_RELOAD_LIVE
#define RESTART     CONF_RELOAD_RESTART
#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

#define AT(member) offsetof(struct conf_connector, member)

static const struct conf_row connector_rows[] = {
    {"name", CONF_TEXT, AT(name), 1, 64, NULL, true, "name", RESTART,
     "What the log and the gateways call this connector."},
    {"certificate", CONF_PATH, AT(certificate), 0, 0, NULL, true, NULL, LIVE,
     "PEM file: client certificate shown to gateways, then its intermediate certificates."},
    {"private_key", CONF_PATH, AT(private_key), 0, 0, NULL, true, NULL, LIVE,
     "PEM file: key of the certificate."},
    {"tunnels", CONF_WORKERS, AT(tunnels), 1, 64, "auto", false, NULL, LIVE,
     "Tunnels to each gateway; auto: one for each of its workers."},
    {"max_head", CONF_SIZE, AT(max_head), 4096, 1048576, "64K", false, NULL, LIVE,
     "Octets of a request head or answer head."},
    {"max_streams", CONF_UINT, AT(max_streams), 1, 10000, "256", false, NULL, LIVE,
     "Requests in flight in one tunnel."},
    {"stream_window", CONF_SIZE, AT(stream_window), 16384, 16777216, "64K", false, NULL, LIVE,
     "Octets of one request, and of one answer, that may be under way in a tunnel unread."},
    {"window_memory", CONF_SIZE, AT(window_memory), 0, 1073741824, "16M", false, NULL, RESTART,
     "Octets by which windows of requests in tunnels may be enlarged where they travel far; a slow "
     "back-end system may leave so much unread. 0: windows never grow."},
    {"connect_timeout", CONF_TIME, AT(connect_timeout_ms), 100, 120000, "5 s", false, NULL, LIVE,
     "Connecting to a gateway or a back-end system, TLS included."},
    {"response_timeout", CONF_TIME, AT(response_timeout_ms), 100, 3600000, "60 s", false, NULL,
     LIVE, "From the end of a request to the head of the back-end system's answer."},
    {"body_timeout", CONF_TIME, AT(body_timeout_ms), 100, 600000, "30 s", false, NULL, LIVE,
     "Between two reads or writes of a body."},
    {"backend_keepalive", CONF_TIME, AT(backend_keepalive_ms), 0, 600000, "20 s", false, NULL, LIVE,
     "An idle back-end connection is closed after this time; stay below the 30 s of SAP's ICM."},
    {"ping_interval", CONF_TIME, AT(ping_interval_ms), 100, 300000, "15 s", false, NULL, LIVE,
     "A tunnel that is silent for this time is asked by a PING."},
    {"ping_timeout", CONF_TIME, AT(ping_timeout_ms), 100, 120000, "10 s", false, NULL, LIVE,
     "A tunnel that does not answer a PING within this time is given up and dialled anew."},
    {"retry_min", CONF_TIME, AT(retry_min_ms), 50, 600000, "500 ms", false, NULL, LIVE,
     "Shortest wait before dialling again; it doubles with every failure, with jitter."},
    {"retry_max", CONF_TIME, AT(retry_max_ms), 100, 3600000, "60 s", false, NULL, LIVE,
     "Longest wait before dialling again."},
    {"auto_reload_certificates", CONF_BOOL, AT(auto_reload_certificates), 0, 0, "yes", false, NULL,
     LIVE,
     "Certificates, keys, CAs and service keys whose files have changed are used within seconds, "
     "without a reload; a pair that does not fit is told once, and the present one is used on."},
    {"drain_timeout", CONF_TIME, AT(drain_timeout_ms), 0, 3600000, "30 s", false, NULL, LIVE,
     "After SIGTERM requests in flight get this time to end."},
};

#undef AT
#define AT(member) offsetof(struct conf_subaccount, member)

static const struct conf_row subaccount_rows[] = {
    {"gateway", CONF_LIST, AT(gateway), 1, 300, NULL, true, "address", LIVE,
     "Gateways to dial, host:port; comma separated or one a line. All are dialled."},
    {"gateway_ca", CONF_PATH, AT(gateway_ca), 0, 0, NULL, true, NULL, LIVE,
     "PEM file: the CA that signs the gateways' certificates."},
    {"server_name", CONF_TEXT, AT(server_name), 1, 253, NULL, false, "host", LIVE,
     "Name in the gateways' certificates, also sent as TLS server name (SNI); the host of gateway "
     "unless given."},
    {"location_id", CONF_TEXT, AT(location_id), 0, 64, "", false, "name", LIVE,
     "Location ID under which gateways offer this connector; may be empty; case-sensitive."},
    {"proxy", CONF_TEXT, AT(proxy), 1, 300, NULL, false, "proxy", LIVE,
     "HTTP CONNECT proxy on the way out, http://host:port."},
    {"proxy_user", CONF_TEXT, AT(proxy_user), 1, 255, NULL, false, "user", LIVE,
     "User at the proxy, if it asks for one."},
    {"proxy_password", CONF_SECRET, AT(proxy_password), 0, 0, NULL, false, NULL, LIVE,
     "Its password."},
    {"certificate", CONF_PATH, AT(certificate), 0, 0, NULL, false, NULL, LIVE,
     "PEM file: another client certificate for these gateways; the connector's unless given."},
    {"private_key", CONF_PATH, AT(private_key), 0, 0, NULL, false, NULL, LIVE,
     "PEM file: its key."},
};

#undef AT
#define AT(member) offsetof(struct conf_mapping, member)

static const struct conf_row mapping_rows[] = {
    {"backend_type", CONF_CHOICE, AT(backend_type), 0, 0, "ABAP System", false,
     "ABAP System|SAP Gateway|Other SAP System|Non-SAP System", LIVE,
     "What the back-end system is; for lists and notes only."},
    {"protocol", CONF_CHOICE, AT(protocol), 0, 0, "HTTPS", false, "HTTPS|HTTP", LIVE,
     "How the back-end system is called."},
    {"internal_host", CONF_TEXT, AT(internal_host), 1, 253, NULL, true, "host", LIVE,
     "Host name or address of the back-end system in this network."},
    {"internal_port", CONF_UINT, AT(internal_port), 1, 65535, NULL, true, NULL, LIVE, "Its port."},
    {"principal_type", CONF_CHOICE, AT(principal_type), 0, 0, "None", false,
     "None|X.509 Certificate", LIVE,
     "Principal type. With X.509 Certificate, and a principal_ca_certificate, the system is told "
     "who pushes by a short-lived certificate, where the gateway says it (propagate_principal)."},
    {"principal_ca_certificate", CONF_PATH, AT(principal_ca_certificate), 0, 0, NULL, false, NULL,
     LIVE,
     "PEM file: the CA that signs the certificates of principals. Needs HTTPS and "
     "system_certificate: they are told only to a system that asks for it."},
    {"principal_ca_key", CONF_PATH, AT(principal_ca_key), 0, 0, NULL, false, NULL, LIVE,
     "PEM file: its key, RSA from 2048 bits or EC from P-256."},
    {"principal_subject", CONF_TEXT, AT(principal_subject), 1, 500, "CN=${name}", false, "dn", LIVE,
     "Subject of these certificates, RFC 4514 text; ${name} stands for the principal."},
    {"principal_lifetime", CONF_TIME, AT(principal_lifetime_ms), 60000, 86400000, "60 m", false,
     NULL, LIVE, "How long they are good; renewed in the last quarter of it."},
    {"system_certificate_for_logon", CONF_BOOL, AT(system_certificate_for_logon), 0, 0, "no", false,
     NULL, LIVE,
     "Log on to the back-end system by system_certificate; otherwise an empty SSL_CLIENT_CERT "
     "field "
     "is sent, so that nobody can forge one."},
    {"basic_credentials", CONF_CHOICE, AT(basic_credentials), 0, 0, "keep", false, "keep|drop",
     LIVE,
     "Credentials that the gateway sends (Authorization): kept, or dropped because the certificate "
     "logs on; Focused Run might prefer the one or the other."},
    {"host_in_request_header", CONF_CHOICE, AT(host_in_request_header), 0, 0, "virtual", false,
     "virtual|internal", LIVE,
     "Host that the back-end system sees; with internal the virtual one travels in "
     "X-Forwarded-Host."},
    {"backend_ca", CONF_PATH, AT(backend_ca), 0, 0, NULL, false, NULL, LIVE,
     "PEM file: the CA that signs the back-end system's certificate. HTTPS needs it: nothing else "
     "is trusted."},
    {"server_name", CONF_TEXT, AT(server_name), 1, 253, NULL, false, "host", LIVE,
     "Name in the back-end system's certificate; internal_host unless given."},
    {"system_certificate", CONF_PATH, AT(system_certificate), 0, 0, NULL, false, NULL, LIVE,
     "PEM file: certificate this connector shows to the back-end system."},
    {"system_private_key", CONF_PATH, AT(system_private_key), 0, 0, NULL, false, NULL, LIVE,
     "PEM file: its key."},
    {"description", CONF_TEXT, AT(description), 0, 500, "", false, NULL, LIVE, "For people."},
    {"sid", CONF_TEXT, AT(sid), 3, 3, NULL, false, "sid", LIVE,
     "SAP system ID; for lists and notes only."},
};

#undef AT
#define AT(member) offsetof(struct conf_resource, member)

static const struct conf_row resource_rows[] = {
    {"system", CONF_TEXT, AT(system), 1, 300, NULL, true, "authority", LIVE,
     "Virtual host[:port] of its system section."},
    {"path", CONF_TEXT, AT(path), 1, 2000, NULL, true, "path", LIVE,
     "URL path that may be called, like /sap/frun; '/' is the root. Case-sensitive, matched on "
     "whole "
     "segments."},
    {"policy", CONF_CHOICE, AT(policy), 0, 0, "path-only", false,
     "path-only|path-and-all-sub-paths", LIVE, "The path alone, or all below it too."},
    {"active", CONF_BOOL, AT(active), 0, 0, "yes", false, NULL, LIVE,
     "no: as if the section were not there."},
};

const struct conf_kind *conf_cn_kinds(size_t *n)
{
    static const struct conf_kind kinds[] = {
        {"connector", NULL, false, true, sizeof(struct conf_connector), connector_rows,
         COUNT(connector_rows), "This connector."},
        CONF_ADMIN_KIND(conf_admin_connector_rows),
        CONF_ALERT_KIND,
        CONF_AUDIT_KIND(conf_audit_connector_rows),
        CONF_LOG_KIND,
        {"subaccount", "name", true, true, sizeof(struct conf_subaccount), subaccount_rows,
         COUNT(subaccount_rows), "Gateways that this connector dials."},
        {"system", "authority", true, false, sizeof(struct conf_mapping), mapping_rows,
         COUNT(mapping_rows),
         "A back-end system under the virtual host[:port] by which gateways ask for it; port 443 "
         "if "
         "left out. What is not listed is denied."},
        {"resource", "name", true, false, sizeof(struct conf_resource), resource_rows,
         COUNT(resource_rows),
         "A path of a system that may be called. What is not listed is denied."},
    };
    *n = COUNT(kinds);
    return kinds;
}
