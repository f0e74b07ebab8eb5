/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/conf/gateway.h"

#include "schema_int.h"

#define LIVE        CONF_RELOAD_LIVE
#define RESTART     CONF_RELOAD_RESTART
#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

#define AT(member) offsetof(struct conf_gateway, member)

static const struct conf_row gateway_rows[] = {
    {"include", CONF_LIST, AT(include), 1, 1000, NULL, false, NULL, LIVE,
     "Further files, as patterns like endpoints.d/*.ini; names start from the folder of this file. "
     "Read in the order of their names; they may hold every section but the gateway's."},
    {"state_directory", CONF_FOLDER, AT(state_directory), 0, 0, "/var/lib/frunproxy", false, NULL,
     RESTART,
     "Folder of what outlives a restart: which road an endpoint was switched to. Used only if an "
     "endpoint has a standby_route."},
    {"public_url", CONF_TEXT, AT(public_url), 1, 300, NULL, true, "public_url", LIVE,
     "What managed cloud services call: scheme, host and port without a path. A root URL is this "
     "and the customer network."},
    {"listen", CONF_LIST, AT(listen), 1, 300, NULL, true, "listen", LIVE,
     "Addresses of the front door, IP:port or [IPv6]:port; comma separated or one a line."},
    {"proxy_protocol", CONF_CHOICE, AT(proxied.protocol), 0, 0, "off", false, "off|required", LIVE,
     "required: a balancer before the gateway begins each connection with a PROXY head, version 1 "
     "or 2, that tells the client's address; connections without one are refused."},
    {"proxy_trusted", CONF_LIST, AT(proxied.trusted), 2, 64, NULL, false, "cidr", LIVE,
     "Addresses or networks (10.0.0.0/8) of these balancers; connections from elsewhere are "
     "refused. proxy_protocol needs it."},
    {"certificate", CONF_PATH, AT(certificate), 0, 0, NULL, true, NULL, LIVE,
     "PEM file: certificate of the front door, then its intermediate certificates."},
    {"private_key", CONF_PATH, AT(private_key), 0, 0, NULL, true, NULL, LIVE,
     "PEM file: key of the certificate."},
    {"client_ca", CONF_PATH, AT(client_ca), 0, 0, NULL, false, NULL, LIVE,
     "PEM file: CAs whose client certificates prove pushers (auth = certificate). Clients are "
     "asked "
     "for one, and may do without; nobody is asked unless a pusher that is enabled needs it. A "
     "certificate known by certificate_sha256 needs no CA."},
    {"client_crl", CONF_PATH, AT(client_crl), 0, 0, NULL, false, NULL, LIVE,
     "PEM or DER file: revocation lists of these CAs. A certificate that is on its CA's list is "
     "refused, and so is every one whose CA has no list here, or one that has expired."},
    {"session_tickets", CONF_BOOL, AT(session_tickets), 0, 0, "yes", false, NULL, LIVE,
     "Clients that come again resume their TLS session by a ticket, which saves them most of the "
     "handshake. Its keys change every hour, a ticket is good for two."},
    {"session_ticket_key", CONF_SECRET, AT(session_ticket_key), 0, 0, NULL, false, NULL, LIVE,
     "Secret of at least 32 octets, the same for all gateways behind one name, so that they take "
     "each other's tickets; 'openssl rand -base64 48' makes one. Random unless given."},
    {"ocsp_stapling", CONF_CHOICE, AT(ocsp_stapling), 0, 0, "auto", false, "auto|on|off", LIVE,
     "Show clients, in the TLS handshake, the CA's word that the certificate has not been revoked, "
     "this one and those of endpoints. auto: where the certificate demands it (TLS feature "
     "status_request, \"must staple\"); on: wherever the certificate names a responder."},
    {"ocsp_proxy", CONF_TEXT, AT(ocsp_proxy), 1, 300, NULL, false, "proxy", LIVE,
     "HTTP proxy on the way to the CA's OCSP responder, http://host:port."},
    {"http2", CONF_BOOL, AT(http2), 0, 0, "yes", false, NULL, LIVE,
     "Offer HTTP/2 beside HTTP/1.1 in the TLS handshake (ALPN); without TLS there is HTTP/1.1 "
     "alone."},
    {"http2_max_streams", CONF_UINT, AT(http2_max_streams), 1, 1000, "100", false, NULL, LIVE,
     "Requests in flight on one HTTP/2 connection."},
    {"window_memory", CONF_SIZE, AT(window_memory), 0, 1073741824, "16M", false, NULL, RESTART,
     "Octets by which each worker may enlarge windows of HTTP/2 streams, its tunnels' included, "
     "where "
     "bodies travel far; a slow next hop may leave so much unread. 0: windows never grow."},
    {"workers", CONF_WORKERS, AT(workers), 1, 64, "auto", false, NULL, RESTART,
     "Threads that carry requests; auto: one for each CPU."},
    {"cpu_affinity", CONF_TEXT, AT(cpu_affinity), 1, 300, "no", false, "cpus", RESTART,
     "yes: each worker stays on one CPU of those the process may use; a list like 0,2-5: on one of "
     "these. For machines that do little else; no leaves it to the system."},
    {"max_connections", CONF_UINT, AT(max_connections), 10, 1000000, "20000", false, NULL, LIVE,
     "Open front-door connections of all workers; above it new ones wait."},
    {"max_head", CONF_SIZE, AT(max_head), 4096, 1048576, "32K", false, NULL, LIVE,
     "Octets of a request head; above it the answer is 431. Through a tunnel no more than 60000 "
     "fit, "
     "whatever is set here."},
    {"max_target", CONF_SIZE, AT(max_target), 256, 65536, "8K", false, NULL, LIVE,
     "Octets of a request target (path and query); above it the answer is 414."},
    {"max_fields", CONF_UINT, AT(max_fields), 20, 100, "100", false, NULL, LIVE,
     "Header fields of a request; above it the answer is 431."},
    {"max_body", CONF_SIZE, AT(max_body), 1024, 17179869184, "16M", false, NULL, LIVE,
     "Octets of a request body; above it the answer is 413. Bodies are streamed, so a large value "
     "does not cost memory."},
    {"max_waiting", CONF_UINT, AT(max_waiting), 0, 100000, "1000", false, NULL, LIVE,
     "Requests of one worker that may wait for their turn or a tunnel; above it the answer is 429 "
     "or 503 at once. Those of one endpoint that wait for their turn leave a quarter to the "
     "others."},
    {"handshake_timeout", CONF_TIME, AT(handshake_timeout_ms), 100, 120000, "10 s", false, NULL,
     LIVE, "A TLS handshake must be done within this time."},
    {"head_timeout", CONF_TIME, AT(head_timeout_ms), 100, 120000, "10 s", false, NULL, LIVE,
     "First to last octet of a request head."},
    {"body_timeout", CONF_TIME, AT(body_timeout_ms), 100, 600000, "30 s", false, NULL, LIVE,
     "Between two reads of a request body, and between two writes of an answer; also the whole "
     "body of a request for a token."},
    {"keepalive_timeout", CONF_TIME, AT(keepalive_timeout_ms), 100, 3600000, "60 s", false, NULL,
     LIVE, "An idle front-door connection is closed after this time."},
    {"connect_timeout", CONF_TIME, AT(connect_timeout_ms), 100, 120000, "5 s", false, NULL, LIVE,
     "Connecting to Focused Run, TLS included; route direct."},
    {"response_timeout", CONF_TIME, AT(response_timeout_ms), 100, 3600000, "60 s", false, NULL,
     LIVE, "From the end of a request to the head of its answer; then the answer is 504."},
    {"upstream_keepalive", CONF_TIME, AT(upstream_keepalive_ms), 0, 600000, "20 s", false, NULL,
     LIVE,
     "An idle connection to Focused Run is closed after this time; stay below the 30 s of SAP's "
     "ICM."},
    {"hold", CONF_TIME, AT(hold_ms), 0, 60000, "8 s", false, NULL, LIVE,
     "How long a request waits for a tunnel that is away before it gets 503."},
    {"auto_reload_certificates", CONF_BOOL, AT(auto_reload_certificates), 0, 0, "yes", false, NULL,
     LIVE,
     "Certificates, keys, CAs and service keys whose files have changed are used within seconds, "
     "without a reload; a pair that does not fit is told once, and the present one is used on."},
    {"drain_timeout", CONF_TIME, AT(drain_timeout_ms), 0, 3600000, "30 s", false, NULL, LIVE,
     "After SIGTERM requests in flight get this time to end."},
    {"drain_grace", CONF_TIME, AT(drain_grace_ms), 0, 60000, "2 s", false, NULL, LIVE,
     "Part of drain_timeout: so long a connection kept open between two requests is not closed "
     "after "
     "SIGTERM. A request that comes on it is served, and the answer says that it is the last."},
};

#undef AT
#define AT(member) offsetof(struct conf_tunnel, member)

static const struct conf_row tunnel_rows[] = {
    {"listen", CONF_LIST, AT(listen), 1, 300, NULL, false, "listen", LIVE,
     "Addresses for connectors alone, IP:port or [IPv6]:port. Either this, or server_name, or "
     "both."},
    {"proxy_protocol", CONF_CHOICE, AT(proxied.protocol), 0, 0, "off", false, "off|required", LIVE,
     "The same as in [gateway], for the addresses of this section."},
    {"proxy_trusted", CONF_LIST, AT(proxied.trusted), 2, 64, NULL, false, "cidr", LIVE,
     "Balancers before these addresses."},
    {"server_name", CONF_TEXT, AT(server_name), 1, 253, NULL, false, "host", LIVE,
     "TLS server name (SNI) by which connectors reach the gateway's own port, like "
     "tunnel.example.com; another name than that of public_url."},
    {"certificate", CONF_PATH, AT(certificate), 0, 0, NULL, false, NULL, LIVE,
     "PEM file: certificate shown to connectors; the gateway's unless given."},
    {"private_key", CONF_PATH, AT(private_key), 0, 0, NULL, false, NULL, LIVE,
     "PEM file: key of the certificate; the gateway's unless given."},
    {"client_ca", CONF_PATH, AT(client_ca), 0, 0, NULL, true, NULL, LIVE,
     "PEM file: the CA that signs the connectors' certificates."},
    {"client_crl", CONF_PATH, AT(client_crl), 0, 0, NULL, false, NULL, LIVE,
     "PEM or DER file: revocation lists of this CA, as in [gateway]."},
    {"ping_interval", CONF_TIME, AT(ping_interval_ms), 100, 300000, "15 s", false, NULL, LIVE,
     "A tunnel that is silent for this time is asked by a PING."},
    {"ping_timeout", CONF_TIME, AT(ping_timeout_ms), 100, 120000, "10 s", false, NULL, LIVE,
     "A tunnel that does not answer a PING within this time is given up."},
    {"max_streams", CONF_UINT, AT(max_streams), 1, 10000, "256", false, NULL, LIVE,
     "Requests in flight in one tunnel."},
    {"stream_window", CONF_SIZE, AT(stream_window), 16384, 16777216, "64K", false, NULL, LIVE,
     "Octets of one request, and of one answer, that may be under way in a tunnel unread."},
    {"max_tunnels", CONF_UINT, AT(max_tunnels), 1, 10000, "128", false, NULL, LIVE,
     "Tunnels one connector may hold."},
};

#undef AT
#define AT(member) offsetof(struct conf_gw_connector, member)

static const struct conf_row connector_rows[] = {
    {"certificate_subject", CONF_TEXT, AT(certificate_subject), 3, 1000, NULL, true, "subject",
     LIVE,
     "Subject of its client certificate as RFC 2253 text, like CN=dc1-a. 'frunctl pki connector' "
     "prints the line."},
    {"location_id", CONF_LIST, AT(location_id), 0, 64, NULL, false, "name", LIVE,
     "Location IDs it may serve, case-sensitive; the empty one ('location_id =') unless given."},
};

#undef AT
#define AT(member) offsetof(struct conf_system, member)

static const struct conf_row system_rows[] = {
    {"system_id", CONF_TEXT, AT(system_id), 3, 3, NULL, true, "sid", LIVE,
     "SAP system ID of Focused Run, like FR1."},
    {"client", CONF_TEXT, AT(client), 3, 3, NULL, true, "client", LIVE,
     "SAP client of Focused Run, like 100."},
    {"role", CONF_CHOICE, AT(role), 0, 0, "production", false,
     "production|quality|development|test|demo|training", LIVE, "What the system is for."},
    {"logon_url", CONF_TEXT, AT(logon_url), 1, 1000, NULL, false, "url", LIVE,
     "Where people log on; for lists and notes only."},
    {"system_number", CONF_TEXT, AT(system_number), 1, 20, NULL, false, "digits", LIVE,
     "SAP system number; for lists and notes only."},
    {"installation_number", CONF_TEXT, AT(installation_number), 1, 20, NULL, false, "digits", LIVE,
     "SAP installation number; for lists and notes only."},
    {"virtual_host", CONF_TEXT, AT(virtual_host), 1, 300, NULL, false, "authority", LIVE,
     "Virtual host[:port] under which the connector knows the system, and the Host that Focused "
     "Run sees; port 443 if left out. Route tunnel needs it."},
    {"location_id", CONF_TEXT, AT(location_id), 0, 64, "", false, "name", LIVE,
     "Location ID of the connectors that reach the system; may be empty; case-sensitive."},
    {"route", CONF_CHOICE, AT(route), 0, 0, "tunnel", false, "tunnel|direct|sap-connectivity", LIVE,
     "The way to Focused Run: tunnel through a connector, direct to address, or sap-connectivity "
     "through SAP BTP and SAP's Cloud Connector."},
    {"standby_route", CONF_CHOICE, AT(standby_route), 0, 0, NULL, false,
     "tunnel|direct|sap-connectivity", LIVE,
     "A second way, for migrations: 'frunctl endpoint switch' moves an endpoint to it and back. "
     "Never taken by itself. Both use virtual_host and location_id."},
    {"health_check", CONF_BOOL, AT(health_check), 0, 0, "yes", false, NULL, LIVE,
     "Each endpoint's road is checked with its own credentials, every health_interval."},
    {"health_interval", CONF_TIME, AT(health_interval_ms), 100, 86400000, "60 s", false, NULL, LIVE,
     "How often an endpoint is checked, with some jitter. After a 401 it is not for half an hour."},
    {"health_path", CONF_TEXT, AT(health_path), 1, 1000, "/sap/bc/ping", false, "path", LIVE,
     "What a check asks for: /sap/bc/ping, or a path below /sap/frun if that is not exposed."},
    {"address", CONF_ADDRESS, AT(address), 1, 300, NULL, false, NULL, LIVE,
     "Route direct: host:port of Focused Run or its Web Dispatcher."},
    {"protocol", CONF_CHOICE, AT(protocol), 0, 0, "HTTPS", false, "HTTPS|HTTP", LIVE,
     "Route direct, and sap-connectivity with via = socks5: HTTPS, or HTTP in a protected network "
     "(socks5: to a mapping TCP TLS, where the Cloud Connector does the TLS)."},
    {"backend_ca", CONF_PATH, AT(backend_ca), 0, 0, NULL, false, NULL, LIVE,
     "HTTPS where protocol counts: PEM file of the CA that signs Focused Run's certificate."},
    {"server_name", CONF_TEXT, AT(server_name), 1, 253, NULL, false, "host", LIVE,
     "HTTPS where protocol counts: name in Focused Run's certificate; the host of address, or with "
     "via = socks5 of virtual_host, unless given."},
    {"proxy", CONF_TEXT, AT(proxy), 1, 300, NULL, false, "proxy", LIVE,
     "Route direct: an HTTP CONNECT proxy, http://host:port."},
    {"proxy_user", CONF_TEXT, AT(proxy_user), 1, 255, NULL, false, "user", LIVE,
     "User at the proxy, if it asks for one."},
    {"proxy_password", CONF_SECRET, AT(proxy_password), 0, 0, NULL, false, NULL, LIVE,
     "Its password."},
    {"sap_connectivity", CONF_TEXT, AT(sap_name), 1, 64, NULL, false, "name", LIVE,
     "Route sap-connectivity: name of its [sap-connectivity NAME] section. location_id and "
     "virtual_host are then those of SAP's Cloud Connector."},
};

#undef AT
#define AT(member) offsetof(struct conf_endpoint, member)

static const struct conf_row endpoint_rows[] = {
    {"system", CONF_TEXT, AT(system_name), 1, 64, NULL, true, "name", LIVE,
     "Name of its system section."},
    {"customer_network", CONF_TEXT, AT(customer_network), 1, 40, NULL, true, "customer_network",
     LIVE,
     "Customer network as in Focused Run; blanks become '_' in the root URL. One endpoint for each "
     "customer network."},
    {"logical_system", CONF_TEXT, AT(logical_system), 1, 10, NULL, false, "name", LIVE,
     "Logical system; <SID>CLNT<client> unless given."},
    {"admin_request_parameter", CONF_TEXT, AT(admin_request_parameter), 1, 255, NULL, false,
     "fence", LIVE,
     "The customer network's admin request parameter (Network Administration of Focused Run); "
     "added "
     "to each request, and only by this proxy. Required unless the carrier is none."},
    {"admin_request_carrier", CONF_TEXT, AT(admin_request_carrier), 1, 200,
     "header X-Admin-Request-Parameter", false, "carrier", LIVE,
     "How the parameter travels: header NAME, query NAME, both HEADER QUERY, or none."},
    {"user", CONF_TEXT, AT(user), 1, 255, NULL, false, "user", LIVE,
     "Technical user in Focused Run; its Basic credentials replace the pusher's."},
    {"password", CONF_SECRET, AT(password), 0, 0, NULL, false, NULL, LIVE, "Its password."},
    {"description", CONF_TEXT, AT(description), 0, 500, "", false, NULL, LIVE, "For people."},
    {"landscape_sync", CONF_BOOL, AT(landscape_sync), 0, 0, "off", false, NULL, LIVE,
     "Landscape synchronisation; needs Focused Run 3.0 FP03 or later. Kept, without effect yet."},
    {"methods", CONF_LIST, AT(methods), 1, 10, "GET, HEAD, POST, PUT", false, "method", LIVE,
     "Methods a pusher may use; others get 405."},
    {"host_name", CONF_LIST, AT(host_name), 1, 253, NULL, false, "host", LIVE,
     "Host names by which the endpoint is reached without a path before /sap/frun, besides its "
     "root "
     "URL. No other endpoint's, not that of public_url."},
    {"certificate", CONF_PATH, AT(certificate), 0, 0, NULL, false, NULL, LIVE,
     "PEM file: certificate shown to those who ask for host_name; the gateway's unless given."},
    {"private_key", CONF_PATH, AT(private_key), 0, 0, NULL, false, NULL, LIVE,
     "PEM file: key of the certificate."},
    {"client_ca", CONF_PATH, AT(client_ca), 0, 0, NULL, false, NULL, LIVE,
     "PEM file: CAs of its pushers' client certificates, asked for at host_name and nowhere else; "
     "the gateway's unless given."},
    {"client_crl", CONF_PATH, AT(client_crl), 0, 0, NULL, false, NULL, LIVE,
     "PEM or DER file: revocation lists of the CAs of its own client_ca, as in [gateway]."},
    {"paths", CONF_CHOICE, AT(paths), 0, 0, "frun", false, "frun|cloud-alm", LIVE,
     "Paths that are open: frun: Focused Run's own; cloud-alm: also the known ones of SAP Cloud "
     "ALM's inbound API (registration, calm-metrics, calm-logs), mapped below /sap/frun/ngdci."},
    {"map", CONF_LIST, AT(map), 1, 4096, NULL, false, "map", LIVE,
     "FROM TO: a path that begins with FROM (whole segments, the longest FROM wins) goes to "
     "Focused "
     "Run with TO instead. TO is /sap/frun or below it. May be repeated; wins over paths."},
    {"max_in_flight", CONF_UINT, AT(max_in_flight), 0, 100000, "128", false, NULL, LIVE,
     "Requests of all its pushers under way at the same time; above it they wait up to hold, then "
     "get 429. Not more than half of max_streams unless given; 0: no ceiling."},
    {"repeat_requests", CONF_BOOL, AT(repeat_requests), 0, 0, "no", false, NULL, LIVE,
     "A POST may be sent twice after a broken connection: only if Focused Run removes duplicates."},
    {"propagate_principal", CONF_BOOL, AT(propagate_principal), 0, 0, "no", false, NULL, LIVE,
     "Route tunnel: tell the connector who pushes (principal of the pusher), so that it can tell "
     "Focused Run by a certificate: see principal_type in frunconnector.ini."},
    {"virtual_host", CONF_TEXT, AT(virtual_host), 1, 300, NULL, false, "authority", LIVE,
     "Instead of the system's."},
    {"location_id", CONF_TEXT, AT(location_id), 0, 64, NULL, false, "name", LIVE,
     "Instead of the system's."},
    {"route", CONF_CHOICE, AT(route), 0, 0, NULL, false, "tunnel|direct|sap-connectivity", LIVE,
     "Instead of the system's."},
    {"standby_route", CONF_CHOICE, AT(standby_route), 0, 0, NULL, false,
     "tunnel|direct|sap-connectivity", LIVE, "Instead of the system's."},
    {"health_check", CONF_BOOL, AT(health_check), 0, 0, NULL, false, NULL, LIVE,
     "Instead of the system's."},
    {"health_interval", CONF_TIME, AT(health_interval_ms), 100, 86400000, NULL, false, NULL, LIVE,
     "Instead of the system's."},
    {"health_path", CONF_TEXT, AT(health_path), 1, 1000, NULL, false, "path", LIVE,
     "Instead of the system's."},
    {"health_client", CONF_TEXT, AT(health_client), 3, 3, NULL, false, "client", LIVE,
     "SAP client a check logs on to (sap-client); the system's client unless given."},
    {"address", CONF_ADDRESS, AT(address), 1, 300, NULL, false, NULL, LIVE,
     "Instead of the system's."},
    {"protocol", CONF_CHOICE, AT(protocol), 0, 0, NULL, false, "HTTPS|HTTP", LIVE,
     "Instead of the system's."},
    {"backend_ca", CONF_PATH, AT(backend_ca), 0, 0, NULL, false, NULL, LIVE,
     "Instead of the system's."},
    {"server_name", CONF_TEXT, AT(server_name), 1, 253, NULL, false, "host", LIVE,
     "Instead of the system's."},
    {"proxy", CONF_TEXT, AT(proxy), 1, 300, NULL, false, "proxy", LIVE,
     "Instead of the system's, with its user and password."},
    {"proxy_user", CONF_TEXT, AT(proxy_user), 1, 255, NULL, false, "user", LIVE,
     "User at this endpoint's own proxy."},
    {"proxy_password", CONF_SECRET, AT(proxy_password), 0, 0, NULL, false, NULL, LIVE,
     "Its password."},
    {"sap_connectivity", CONF_TEXT, AT(sap_name), 1, 64, NULL, false, "name", LIVE,
     "Instead of the system's."},
    {"auth", CONF_CHOICE, AT(auth), 0, 0, "basic", false, "basic|oauth2|certificate", LIVE,
     "How requests log on to Focused Run: basic with user and password; oauth2 with a token that "
     "is "
     "fetched by client credentials; certificate with client_certificate in the gateway's own TLS "
     "(route direct, or sap-connectivity with via = socks5)."},
    {"token_url", CONF_TEXT, AT(token_url), 1, 1000, NULL, false, "https_url", LIVE,
     "auth = oauth2: the token end-point, complete, like https://host/sap/bc/sec/oauth2/token."},
    {"client_id", CONF_TEXT, AT(client_id), 1, 300, NULL, false, NULL, LIVE,
     "auth = oauth2: the client."},
    {"client_secret", CONF_SECRET, AT(client_secret), 0, 0, NULL, false, NULL, LIVE,
     "auth = oauth2: its secret; or a certificate."},
    {"client_certificate", CONF_PATH, AT(client_certificate), 0, 0, NULL, false, NULL, LIVE,
     "PEM file: auth = oauth2: certificate shown to the token end-point instead of a secret; auth "
     "= "
     "certificate: certificate shown to Focused Run, then its intermediate certificates."},
    {"client_key", CONF_PATH, AT(client_key), 0, 0, NULL, false, NULL, LIVE, "PEM file: its key."},
    {"token_scope", CONF_TEXT, AT(token_scope), 1, 1000, NULL, false, NULL, LIVE,
     "auth = oauth2: scope to ask for; none unless given."},
    {"token_ca", CONF_PATH, AT(token_ca), 0, 0, NULL, false, NULL, LIVE,
     "auth = oauth2: PEM file of the CA that signs the token end-point's certificate; the system's "
     "unless given."},
    {"token_proxy", CONF_TEXT, AT(token_proxy), 1, 300, NULL, false, "proxy", LIVE,
     "auth = oauth2: HTTP proxy on the way to the token end-point, http://host:port."},
};

#undef AT
#define AT(member) offsetof(struct conf_pusher, member)

static const struct conf_row pusher_rows[] = {
    {"endpoint", CONF_LIST, AT(endpoint), 1, 64, NULL, true, "name", LIVE,
     "Names of the endpoints it may use."},
    {"enabled", CONF_BOOL, AT(is_enabled), 0, 0, "yes", false, NULL, LIVE,
     "no: it is refused everywhere, and its tokens with it; the section stays for later."},
    {"auth", CONF_LIST, AT(auth), 1, 20, "basic", false, "auth", LIVE,
     "How it proves itself, one way or several: basic (user and password), oauth2 (a token got "
     "with a service key; needs [oauth]), certificate (a TLS client certificate), jwt (a token of "
     "an identity provider; needs [issuer NAME])."},
    {"user", CONF_TEXT, AT(user), 1, 255, NULL, false, "user", LIVE,
     "User name it sends with auth = basic; unique among the pushers of an endpoint."},
    {"password_hash", CONF_TEXT, AT(password.hash), 1, 300, NULL, false, "hash", LIVE,
     "crypt(5) hash of its password ($y$, $6$, $5$, $2b$); 'frunctl passwd' makes one."},
    {"principal", CONF_TEXT, AT(principal), 1, 64, NULL, false, NULL, LIVE,
     "Who it is toward Focused Run, where an endpoint says propagate_principal, whatever way it "
     "proved itself by; its user, else its client_id, else the section's name unless given."},
    {"max_requests_per_second", CONF_UINT, AT(max_requests_per_second), 0, 1000000, "0", false,
     NULL, LIVE,
     "Requests a second, sustained; what comes faster waits for its turn up to hold, then gets "
     "429. 0: no ceiling."},
    {"burst", CONF_UINT, AT(burst), 1, 10000000, NULL, false, NULL, LIVE,
     "Requests that may come at once although max_requests_per_second is exceeded; ten seconds' "
     "worth unless given."},
    {"max_in_flight", CONF_UINT, AT(max_in_flight), 0, 100000, "64", false, NULL, LIVE,
     "Its requests under way at the same time; above it they wait up to hold, then get 429. Not "
     "more than a quarter of max_streams unless given; 0: no ceiling."},
    {"max_body", CONF_SIZE, AT(max_body), 1024, 17179869184, NULL, false, NULL, LIVE,
     "Octets of its request bodies; the gateway's unless given, and not above it."},
    {"old_password_hash", CONF_TEXT, AT(password.old_hash), 1, 300, NULL, false, "hash", LIVE,
     "Hash of the password before; accepted until old_password_until."},
    {"old_password_until", CONF_TEXT, AT(password.until), 1, 20, NULL, false, "time", LIVE,
     "End of the old password in UTC, like 2026-11-22T10:00:00Z."},
    {"client_id", CONF_TEXT, AT(client_id), 1, 255, NULL, false, "client_id", LIVE,
     "Client ID it gets tokens with; sb- and the section's name unless given. Unique."},
    {"client_secret_hash", CONF_TEXT, AT(secret.hash), 1, 300, NULL, false, "hash", LIVE,
     "crypt(5) hash of its client secret; 'frunctl pusher service-key' makes both."},
    {"old_client_secret_hash", CONF_TEXT, AT(secret.old_hash), 1, 300, NULL, false, "hash", LIVE,
     "Hash of the client secret before; it and its tokens are accepted until old_secret_until. "
     "'frunctl pusher rotate' sets it."},
    {"old_secret_until", CONF_TEXT, AT(secret.until), 1, 20, NULL, false, "time", LIVE,
     "End of the old client secret in UTC, like 2026-11-22T10:00:00Z."},
    {"token_lifetime", CONF_TIME, AT(token_lifetime_ms), 1000, 604800000, NULL, false, NULL, LIVE,
     "Life of its tokens, instead of that in [oauth]."},
    {"certificate_subject", CONF_LINES, AT(certificate_subject), 3, 1000, NULL, false, "dn", LIVE,
     "Whole subject of its client certificate as RFC 4514 text, like CN=s4-acme,O=ACME,C=DE; "
     "letters count without case. May be repeated, once a line, so that old and new are good at "
     "once. Needs client_ca."},
    {"certificate_san", CONF_LINES, AT(certificate_san), 5, 1000, NULL, false, "san", LIVE,
     "A subjectAltName of its client certificate: dns:NAME, email:ADDRESS or uri:URI. May be "
     "repeated. Needs client_ca."},
    {"certificate_issuer", CONF_TEXT, AT(certificate_issuer), 3, 1000, NULL, false, "dn", LIVE,
     "certificate_subject and certificate_san count only with this issuer: for a client_ca with "
     "several CAs."},
    {"certificate_sha256", CONF_LIST, AT(certificate_sha256), 64, 95, NULL, false, "sha256", LIVE,
     "SHA-256 of its client certificate, 64 hexadecimal digits with or without ':'. Good whoever "
     "has signed it. May be repeated."},
    {"old_certificate_sha256", CONF_LIST, AT(old_certificate_sha256), 64, 95, NULL, false, "sha256",
     LIVE,
     "Certificates that are accepted until old_certificate_until. 'frunctl pusher rotate' sets "
     "it."},
    {"old_certificate_until", CONF_TEXT, AT(old_certificate_until), 1, 20, NULL, false, "time",
     LIVE, "End of the old certificates in UTC, like 2026-11-22T10:00:00Z."},
    {"issuer", CONF_TEXT, AT(issuer_name), 1, 64, NULL, false, "name", LIVE,
     "auth = jwt: name of the [issuer NAME] section whose tokens it shows."},
    {"token_client", CONF_LIST, AT(token_client), 1, 255, NULL, false, NULL, LIVE,
     "auth = jwt: client IDs its tokens are issued for, one of them, to the letter (claims azp, "
     "client_id, cid, appid; they must agree). This or token_subject is needed."},
    {"token_subject", CONF_LIST, AT(token_subject), 1, 255, NULL, false, NULL, LIVE,
     "auth = jwt: subjects of its tokens, one of them, to the letter (claim sub). With "
     "token_client "
     "both must fit."},
    {"claim", CONF_LIST, AT(claim), 3, 1000, NULL, false, "claim", LIVE,
     "auth = jwt: NAME=VALUE that its tokens must have besides, all of them, like "
     "zid=11111111-2222-3333-4444-555555555555 for one tenant of an XSUAA. May be repeated; "
     "a.b is member b of claim a."},
};

#undef AT
#define AT(member) offsetof(struct conf_oauth, member)

static const struct conf_row oauth_rows[] = {
    {"key_directory", CONF_FOLDER, AT(key_directory), 0, 0, NULL, true, NULL, LIVE,
     "Folder of the signing keys, one PEM file each. Made with its first key if the daemon may "
     "write there; gateways behind one name share it (or copies of it)."},
    {"token_lifetime", CONF_TIME, AT(token_lifetime_ms), 1000, 604800000, "12 h", false, NULL, LIVE,
     "How long a token is good. It dies earlier with its pusher or its secret."},
    {"rotate_after", CONF_TIME, AT(rotate_after_ms), 0, 315360000000, "2160 h", false, NULL, LIVE,
     "A new signing key is made when the newest is so old, and old ones are removed once their "
     "tokens have expired; 0: whoever looks after the folder does both."},
    {"reread", CONF_TIME, AT(reread_ms), 1000, 600000, "30 s", false, NULL, LIVE,
     "How often the folder is read again. A new key signs after twice this time, when the other "
     "gateways know it."},
    {"cert_url", CONF_TEXT, AT(cert_url), 1, 300, NULL, false, "public_url", LIVE,
     "What service keys with a certificate call for tokens (certurl): another name of this "
     "gateway; "
     "public_url unless given."},
    {"bind_tokens", CONF_BOOL, AT(bind_tokens), 0, 0, "no", false, NULL, LIVE,
     "A token that was got with a certificate is good only on connections with that certificate "
     "(RFC 8705). SAP's clients push without one."},
    {"legacy_token_get", CONF_BOOL, AT(legacy_token_get), 0, 0, "no", false, NULL, LIVE,
     "Answer GET /oauth/token too, with client and secret in the query: for old clients only, "
     "because proxies on the way may log a query."},
};

const struct conf_kind *conf_gw_kinds(size_t *n)
{
    static const struct conf_kind kinds[] = {
        {"gateway", NULL, false, true, sizeof(struct conf_gateway), gateway_rows,
         COUNT(gateway_rows), "The front door that managed cloud services call."},
        {"tunnel", NULL, false, false, sizeof(struct conf_tunnel), tunnel_rows, COUNT(tunnel_rows),
         "Where connectors dial in. Needed as soon as an endpoint takes route tunnel."},
        CONF_ADMIN_KIND(conf_admin_gateway_rows),
        CONF_ALERT_KIND,
        CONF_AUDIT_KIND(conf_audit_gateway_rows),
        CONF_LOG_KIND,
        {"connector", "name", true, false, sizeof(struct conf_gw_connector), connector_rows,
         COUNT(connector_rows), "A connector that may dial in; the name is for the log."},
        CONF_SAP_KIND,
        {"system", "name", true, true, sizeof(struct conf_system), system_rows, COUNT(system_rows),
         "A Focused Run system; endpoints refer to it by its name."},
        {"endpoint", "name", true, true, sizeof(struct conf_endpoint), endpoint_rows,
         COUNT(endpoint_rows),
         "One customer network of a system: what a managed cloud service is given as root URL."},
        {"pusher", "name", true, false, sizeof(struct conf_pusher), pusher_rows, COUNT(pusher_rows),
         "A client: the credentials of a managed cloud service toward us."},
        CONF_ISSUER_KIND,
        {"oauth", NULL, false, false, sizeof(struct conf_oauth), oauth_rows, COUNT(oauth_rows),
         "The gateway's own token service, for pushers with auth = oauth2."},
    };
    *n = COUNT(kinds);
    return kinds;
}
