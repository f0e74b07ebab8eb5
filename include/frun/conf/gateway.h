/**
 * frunproxy.ini as typed, checked, immutable structures: one snapshot, reference-counted, pinned by
 * whoever reads it.
 *
 * Everything a text refers to has been resolved (an endpoint points at its system), inherited
 * values are filled in, files and secrets have been read; certificates are loaded later by those
 * who use them.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_CONF_GATEWAY_H
#define FRUN_CONF_GATEWAY_H

#include "frun/base/cidr.h"
#include "frun/base/err.h"
#include "frun/base/secret.h"
#include "frun/conf/admin.h"
#include "frun/conf/alert.h"
#include "frun/conf/audit.h"
#include "frun/conf/doc.h"
#include "frun/conf/issuer.h"
#include "frun/conf/log.h"
#include "frun/conf/sap.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/** Which road an endpoint's requests take. */
enum conf_route {
    CONF_ROUTE_TUNNEL, /**< our connector */
    CONF_ROUTE_DIRECT, /**< straight to the address */
    CONF_ROUTE_SAP     /**< SAP's connectivity proxy and Cloud Connector */
};

/** How an endpoint logs on to Focused Run. */
enum conf_logon {
    CONF_LOGON_BASIC,      /**< user and password, or nothing */
    CONF_LOGON_OAUTH2,     /**< a token by client credentials */
    CONF_LOGON_CERTIFICATE /**< client_certificate in our own TLS with Focused Run */
};

/** Which certificates of the front door are shown with an OCSP response. */
enum conf_stapling {
    CONF_STAPLING_AUTO, /**< those that demand it */
    CONF_STAPLING_ON,   /**< all */
    CONF_STAPLING_OFF   /**< none */
};

/** Are clients asked for a certificate? Resolved from the pushers. */
struct conf_asking {
    bool is_asking; /**< somebody who is enabled is known by one */
    bool hides_ca;  /**< somebody by its fingerprint, so that CAs say nothing */
};

/** Is a PROXY head awaited before anything else? */
enum conf_proxy {
    CONF_PROXY_OFF,     /**< no */
    CONF_PROXY_REQUIRED /**< always; who sends none is refused */
};

/** Connections that a balancer brings. */
struct conf_proxied {
    int protocol;             /**< enum conf_proxy; off */
    struct conf_list trusted; /**< networks of balancers, as written */
    const struct cidr *nets;  /**< the same, resolved */
    size_t n_nets;            /**< their number */
};

/** [gateway] */
struct conf_gateway {
    struct conf_place place;           /**< where it stands */
    struct conf_list include;          /**< patterns of further files; followed by conf_load() */
    const char *state_directory;       /**< folder of what outlives a restart */
    const char *public_url;            /**< "https://push.example.com", no path, no final '/' */
    struct conf_list listen;           /**< addresses of the front door, at least one */
    struct conf_proxied proxied;       /**< whose connections come at listen */
    const char *certificate;           /**< PEM chain */
    const char *private_key;           /**< PEM key */
    const char *client_ca;             /**< PEM: CAs of pushers' certificates, or NULL */
    const char *client_crl;            /**< PEM or DER: their revocation lists, or NULL */
    struct conf_asking asking;         /**< at public_url and names without client_ca */
    bool session_tickets;              /**< clients may resume TLS sessions; yes */
    struct secret *session_ticket_key; /**< what their keys follow from; NULL: random ones */
    int ocsp_stapling;                 /**< enum conf_stapling; auto */
    const char *ocsp_proxy;            /**< "http://host:port" to OCSP responders, or NULL */
    bool http2;                        /**< HTTP/2 is offered (ALPN) */
    uint64_t window_memory;            /**< octets HTTP/2 windows may grow by; 16 MiB */
    uint64_t http2_max_streams;        /**< requests in flight on one HTTP/2 connection; 100 */
    uint64_t workers;                  /**< threads; 0: one per CPU */
    const char *cpu_affinity;          /**< "no", "yes", or CPUs the workers are pinned to; no */
    uint64_t max_connections;          /**< open front-door connections of all workers; 20000 */
    uint64_t max_head;                 /**< octets of a request head; 32 KiB */
    uint64_t max_target;               /**< octets of a request target; 8 KiB */
    uint64_t max_fields;               /**< fields of a request; 100 */
    uint64_t max_body;                 /**< octets of a request body; 16 MiB */
    uint64_t max_waiting;              /**< requests of one worker that wait for a tunnel; 1000 */
    uint64_t handshake_timeout_ms;     /**< TLS handshake; 10 s */
    uint64_t head_timeout_ms;          /**< first to last octet of a head; 10 s */
    uint64_t body_timeout_ms; /**< between two reads of a body, and two writes of an answer; 30 s */
    uint64_t keepalive_timeout_ms;  /**< idle front-door connection; 60 s */
    uint64_t connect_timeout_ms;    /**< upstream connect with TLS; 5 s */
    uint64_t response_timeout_ms;   /**< whole request sent to head of the answer; 60 s */
    uint64_t upstream_keepalive_ms; /**< idle upstream connection; 20 s */
    uint64_t hold_ms;               /**< a request waits for a tunnel; 8 s */
    bool auto_reload_certificates;  /**< changed files are used by themselves; yes */
    uint64_t drain_timeout_ms;      /**< SIGTERM to the end at the latest; 30 s */
    uint64_t drain_grace_ms;        /**< of it, idle connections may ask once more; 2 s */
};

/** [tunnel] */
struct conf_tunnel {
    struct conf_place place;     /**< where it stands */
    struct conf_list listen;     /**< addresses of its own; empty: only by server_name */
    struct conf_proxied proxied; /**< whose connections come at listen */
    const char *server_name;     /**< SNI name on the gateway's own port, or NULL */
    const char *certificate;     /**< PEM chain; the gateway's if left out */
    const char *private_key;     /**< PEM key */
    const char *client_ca;       /**< CA of the connectors' certificates */
    const char *client_crl;      /**< its revocation lists, or NULL */
    uint64_t ping_interval_ms;   /**< idle time before a PING; 15 s */
    uint64_t ping_timeout_ms;    /**< PING to dead; 10 s */
    uint64_t max_streams;        /**< requests in flight in one tunnel; 256 */
    uint64_t stream_window;      /**< octets of one stream's window, per direction; 64 KiB */
    uint64_t max_tunnels;        /**< tunnels of one connector; 128 */
};

/** [connector NAME]: who may dial in. */
struct conf_gw_connector {
    struct conf_place place; /**< where it stands; name: what the log calls it */
    const char
        *certificate_subject;     /**< subject of its certificate, RFC 2253 text like "CN=dc1-a" */
    struct conf_list location_id; /**< location IDs it may serve; empty list: the empty ID only */
};

/** [system NAME] */
struct conf_system {
    struct conf_place place;         /**< where it stands; name: what endpoints refer to */
    const char *system_id;           /**< SID, 3 characters */
    const char *client;              /**< "100" */
    int role;                        /**< production|quality|development|test|demo|training */
    const char *logon_url;           /**< for people; NULL if not given */
    const char *system_number;       /**< SAP system number; NULL if not given */
    const char *installation_number; /**< NULL if not given */
    const char *virtual_host;        /**< host[:port]; NULL if not given */
    const char *location_id;         /**< "" if not given */
    int route;                       /**< enum conf_route */
    int standby_route;               /**< enum conf_route; only if given */
    bool health_check;               /**< its endpoints are checked; yes */
    uint64_t health_interval_ms;     /**< how often; 60 s */
    const char *health_path;         /**< what is asked for; /sap/bc/ping */
    const char *address;             /**< direct: host:port */
    int protocol;                    /**< direct: 0 HTTPS, 1 HTTP */
    const char *backend_ca;  /**< direct, HTTPS: PEM file of the CA; NULL: nothing is trusted */
    const char *server_name; /**< direct, HTTPS: name in its certificate; NULL: the address' host */
    const char *proxy;       /**< direct: http://host:port of a CONNECT proxy, or NULL */
    const char *proxy_user;  /**< or NULL */
    struct secret *proxy_password; /**< or NULL */
    const char *sap_name;          /**< sap-connectivity: as written, or NULL */
};

/** Carrier of the admin request parameter, parsed from admin_request_carrier. */
struct conf_carrier {
    const char *header; /**< field name, or NULL */
    const char *query;  /**< query parameter name, or NULL */
};

/** Which paths a pusher may call besides Focused Run's own. */
enum conf_paths {
    CONF_PATHS_FRUN,     /**< those of map alone */
    CONF_PATHS_CLOUD_ALM /**< the known ones of SAP Cloud ALM's inbound API too */
};

/** A rule of path mapping. */
struct conf_map {
    const char *from; /**< path below the root URL, "/" or without final '/' */
    const char *to;   /**< path towards Focused Run */
};

/** [endpoint NAME] */
struct conf_endpoint {
    struct conf_place place;          /**< where it stands */
    const char *system_name;          /**< as written */
    const struct conf_system *system; /**< resolved */
    const char *customer_network;     /**< as written */
    const char *root_path;      /**< "/ACME_PROD": '/' and the customer network with '_' for ' ' */
    const char *root_url;       /**< public_url plus root_path */
    const char *logical_system; /**< <SID>CLNT<client> unless given */
    const char *admin_request_parameter; /**< fence value; NULL with carrier none */
    const char *admin_request_carrier;   /**< as written */
    struct conf_carrier carrier;         /**< parsed */
    const char *user;                    /**< technical user, NULL: no credentials are sent */
    struct secret *password;             /**< its password */
    const char *description;             /**< "" if not given */
    bool landscape_sync;                 /**< kept for the later work */
    struct conf_list methods;            /**< GET, HEAD, POST, PUT unless given */
    struct conf_list host_name;          /**< host names of its own */
    const char **host_urls;              /**< host_name.n URLs made of them */
    const char *certificate;             /**< PEM chain shown by those names, NULL: the gateway's */
    const char *private_key;             /**< PEM key of it */
    const char *client_ca;               /**< PEM: CAs at its own names, NULL: the gateway's */
    const char *client_crl;              /**< their revocation lists, or NULL */
    struct conf_asking asking;           /**< at its own names, if their context is its own */
    struct conf_list map;                /**< "FROM TO", as written */
    int paths;                           /**< enum conf_paths */
    const struct conf_map *maps;         /**< both resolved */
    size_t n_maps;                       /**< count */
    uint64_t max_in_flight;              /**< requests at the same time; 0: no ceiling; 128 */
    bool propagate_principal;            /**< the connector is told who pushes; no */
    bool repeat_requests;        /**< POST may be sent twice: Focused Run removes duplicates; no */
    const char *virtual_host;    /**< host[:port], its own or the system's */
    const char *location_id;     /**< its own or the system's */
    int route;                   /**< enum conf_route; its own or the system's */
    bool has_standby;            /**< there is a second road to switch to by hand */
    int standby_route;           /**< enum conf_route, if has_standby; its own or the system's */
    bool health_check;           /**< its own or the system's */
    uint64_t health_interval_ms; /**< its own or the system's */
    const char *health_path;     /**< its own or the system's */
    const char *health_client;   /**< sap-client of the check: its own or the system's client */
    const char *address;         /**< direct: its own or the system's */
    int protocol;                /**< direct: its own or the system's */
    const char *backend_ca;      /**< direct: its own or the system's */
    const char *server_name;     /**< direct: its own or the system's */
    const char *proxy;           /**< direct: its own or the system's */
    const char *proxy_user;      /**< direct: its own or the system's */
    struct secret *proxy_password;  /**< direct: its own or the system's (borrowed then) */
    const char *sap_name;           /**< sap-connectivity: its own or the system's, or NULL */
    const struct conf_sap *sap;     /**< resolved; NULL on other routes */
    int auth;                       /**< enum conf_logon */
    const char *token_url;          /**< oauth2: complete token end-point */
    const char *client_id;          /**< oauth2 */
    struct secret *client_secret;   /**< oauth2, or NULL: by certificate */
    const char *client_certificate; /**< oauth2, certificate: PEM file, or NULL */
    const char *client_key;         /**< oauth2, certificate: PEM file, or NULL */
    const char *token_scope;        /**< oauth2: scope asked for, or NULL */
    const char *token_ca;           /**< oauth2: PEM file; NULL: the system's */
    const char *token_proxy;        /**< oauth2: http://host:port, or NULL */
};

/** Ways a pusher proves who it is; several at once are a sum. */
enum conf_auth {
    CONF_AUTH_BASIC = 1,  /**< user and password_hash */
    CONF_AUTH_OAUTH2 = 2, /**< a token of our own, got with client_id and secret or certificate */
    CONF_AUTH_CERTIFICATE = 4, /**< a TLS client certificate */
    CONF_AUTH_JWT = 8          /**< a token of an issuer */
};

/** [oauth]: the gateway's own token service. */
struct conf_oauth {
    struct conf_place place;    /**< where it stands */
    const char *key_directory;  /**< folder of the signing keys */
    uint64_t token_lifetime_ms; /**< life of a token; 12 h */
    uint64_t rotate_after_ms;   /**< a signing key is replaced when it is so old; 90 d, 0: never */
    uint64_t reread_ms;         /**< how often the folder is read again; 30 s */
    const char *cert_url;       /**< where tokens are got with a certificate; public_url */
    bool bind_tokens;           /**< such tokens need that certificate; no */
    bool legacy_token_get;      /**< GET with the secret in the query is answered; no */
};

/** A hash and its predecessor, which is good for a while after a change. */
struct conf_proof {
    const char *hash;     /**< crypt(5): $y$, $6$, $5$, $2b$; others refused; NULL: none */
    const char *old_hash; /**< or NULL */
    const char *until;    /**< end of the old one as written, or NULL */
    uint64_t until_s;     /**< parsed, seconds since 1970; 0: none */
};

/** [pusher NAME] */
struct conf_pusher {
    struct conf_place place;                 /**< where it stands */
    struct conf_list endpoint;               /**< names of the endpoints it may use */
    const struct conf_endpoint **endpoints;  /**< resolved, endpoint.n of them */
    bool is_enabled;                         /**< else it is refused everywhere; yes */
    struct conf_list auth;                   /**< as written */
    unsigned ways;                           /**< sum of enum conf_auth */
    const char *user;                        /**< basic: no ':' */
    struct conf_proof password;              /**< basic: of its password */
    const char *client_id;                   /**< oauth2: sb-NAME unless given */
    const char *principal;                   /**< user, client_id or section name unless given */
    struct conf_proof secret;                /**< oauth2: of its client secret */
    uint64_t token_lifetime_ms;              /**< oauth2: its own or that of [oauth] */
    struct conf_list certificate_subject;    /**< each the whole of one, RFC 4514 text */
    struct conf_list certificate_san;        /**< "dns:...", "email:..." or "uri:..." */
    const char *certificate_issuer;          /**< of those two; NULL: any that is trusted */
    struct conf_list certificate_sha256;     /**< hexadecimal */
    struct conf_list old_certificate_sha256; /**< accepted until the time below */
    const char *old_certificate_until;       /**< as written, or NULL */
    uint64_t old_certificate_until_s;        /**< parsed, seconds since 1970; 0: none */
    const char *client_ca;                   /**< CAs that count for it; NULL: none */
    const char *issuer_name;                 /**< jwt: as written */
    const struct conf_issuer *issuer;        /**< jwt: resolved */
    size_t issuer_index;                     /**< jwt: its place among the issuers */
    struct conf_list token_client;           /**< jwt: client IDs of its tokens */
    struct conf_list token_subject;          /**< jwt: subjects of its tokens */
    struct conf_list claim;                  /**< jwt: "NAME=VALUE", as written */
    const struct conf_claim *claims;         /**< jwt: resolved, claim.n of them */
    uint64_t max_requests_per_second;        /**< sustained; 0: no ceiling */
    uint64_t burst;         /**< requests that may come at once above it; ten seconds' worth */
    uint64_t max_in_flight; /**< requests at the same time; 0: no ceiling; 64 */
    uint64_t max_body;      /**< octets of a request body; 0: the gateway's */
};

/** A whole configuration. Immutable, counted; freed with its last reference. */
struct conf_gw {
    struct conf_doc *doc;               /**< owner of all texts */
    const struct conf_gateway *gateway; /**< [gateway] */
    const struct conf_tunnel *tunnel;   /**< [tunnel], NULL if no endpoint needs one */
    const struct conf_log *log;         /**< [log], defaults if not given */
    const struct conf_admin *admin;     /**< [admin], defaults if not given */
    const struct conf_audit *audit;     /**< [audit], defaults if not given */
    const struct conf_alert *alert;     /**< [alert], defaults if not given */
    const struct conf_oauth *oauth;     /**< [oauth], NULL if there is none */
    const struct conf_gw_connector *const *connectors; /**< [connector ...] */
    size_t n_connectors;                               /**< count */
    const struct conf_system *const *systems;          /**< [system ...] */
    size_t n_systems;                                  /**< count */
    const struct conf_sap *const *saps;                /**< [sap-connectivity ...] */
    size_t n_saps;                                     /**< count */
    const struct conf_issuer *const *issuers;          /**< [issuer ...] */
    size_t n_issuers;                                  /**< count */
    const struct conf_endpoint *const *endpoints;      /**< [endpoint ...] */
    size_t n_endpoints;                                /**< count */
    const struct conf_pusher *const *pushers;          /**< [pusher ...] */
    size_t n_pushers;                                  /**< count */
    int refs;                                          /**< counted with atomics; private */
};

/** The schema: kinds with their rows. @param n out: count @return array. Thread: any. */
const struct conf_kind *conf_gw_kinds(size_t *n);

/**
 * Read, check and cross-check frunproxy.ini.
 *
 * @param path     file
 * @param report   errors and warnings are printed here, "file:line: section.key: why"; NULL:
 * nowhere
 * @param out      configuration with one reference; conf_gw_unref() it
 * @return FRUN_OK (there may have been warnings); FRUN_E_SYNTAX errors were reported; FRUN_E_NOMEM
 * Thread: main (reads files).
 */
frun_err conf_gw_load(const char *path, FILE *report, struct conf_gw **out) FRUN_MUST_CHECK;

/** As conf_gw_load(), with some files as they would be after a change. @param path file @param
 * drafts files, see conf_load_drafts() @param report as above @param out as above @return FRUN_OK;
 * FRUN_E_SYNTAX; FRUN_E_NOMEM. Thread: main (reads files). */
frun_err conf_gw_load_drafts(const char *path, const struct conf_drafts *drafts, FILE *report,
                             struct conf_gw **out) FRUN_MUST_CHECK;

/** One more reference. @param c configuration @return @p c. Thread: any. */
struct conf_gw *conf_gw_ref(struct conf_gw *c);

/** Give a reference back and forget it; the last one frees. @param c address of the reference, may
 * hold NULL. Thread: any. */
void conf_gw_unref(struct conf_gw **c);

#endif
