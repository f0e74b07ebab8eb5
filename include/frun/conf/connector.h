/**
 * frunconnector.ini as typed, checked, immutable structures; the other half of conf/gateway.h.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_CONF_CONNECTOR_H
#define FRUN_CONF_CONNECTOR_H

#include "frun/base/err.h"
#include "frun/base/secret.h"
#include "frun/conf/admin.h"
#include "frun/conf/alert.h"
#include "frun/conf/audit.h"
#include "frun/conf/doc.h"
#include "frun/conf/log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/** [connector] */
struct conf_connector {
    struct conf_place place;       /**< where it stands */
    const char *name;              /**< what the log calls this connector */
    const char *certificate;       /**< PEM chain it shows to gateways */
    const char *private_key;       /**< PEM key */
    uint64_t tunnels;              /**< per gateway; 0: as many as the gateway has workers */
    uint64_t max_head;             /**< octets of a request or answer head; 64 KiB */
    uint64_t max_streams;          /**< requests in flight in one tunnel; 256 */
    uint64_t stream_window;        /**< octets of one stream's window; 64 KiB */
    uint64_t window_memory;        /**< octets windows may grow by; 16 MiB */
    uint64_t connect_timeout_ms;   /**< to a gateway or back-end system with TLS; 5 s */
    uint64_t response_timeout_ms;  /**< request sent to head of the answer; 60 s */
    uint64_t body_timeout_ms;      /**< between two reads or writes of a body; 30 s */
    uint64_t backend_keepalive_ms; /**< idle back-end connection; 20 s */
    uint64_t ping_interval_ms;     /**< idle time before a PING; 15 s */
    uint64_t ping_timeout_ms;      /**< PING to dead; 10 s */
    uint64_t retry_min_ms;         /**< back-off begins here; 500 ms */
    uint64_t retry_max_ms;         /**< and ends here; 60 s */
    bool auto_reload_certificates; /**< changed files are used by themselves; yes */
    uint64_t drain_timeout_ms;     /**< SIGTERM to the end at the latest; 30 s */
};

/** [subaccount NAME]: membership at one set of gateways. */
struct conf_subaccount {
    struct conf_place place;       /**< where it stands */
    struct conf_list gateway;      /**< host:port, one or more; all are dialled */
    const char *gateway_ca;        /**< CA of their certificates */
    const char *server_name;       /**< name in their certificates and SNI; NULL: the host */
    const char *location_id;       /**< "" if not given */
    const char *proxy;             /**< http://host:port of a CONNECT proxy, or NULL */
    const char *proxy_user;        /**< or NULL */
    struct secret *proxy_password; /**< or NULL */
    const char *certificate;       /**< the connector's unless given */
    const char *private_key;       /**< the connector's unless given */
};

/** [resource NAME]: an allowed path. */
struct conf_resource {
    struct conf_place place; /**< where it stands */
    const char *system;      /**< virtual host[:port] of a system */
    const char *path;        /**< begins with '/' */
    int policy;              /**< 0 path-only, 1 path-and-all-sub-paths */
    bool active;             /**< suspended resources are as if missing */
};

/** [system VHOST:PORT]: a system mapping. */
struct conf_mapping {
    struct conf_place place;       /**< where it stands; name as written */
    const char *virtual_host;      /**< lower case, without port */
    unsigned virtual_port;         /**< 443 if left out */
    int backend_type;              /**< ABAP System|SAP Gateway|Other SAP System|Non-SAP System */
    int protocol;                  /**< 0 HTTPS, 1 HTTP */
    const char *internal_host;     /**< host name or address */
    uint64_t internal_port;        /**< 1..65535 */
    int principal_type;            /**< 0 None, 1 X.509 Certificate */
    const char *principal_subject; /**< "CN=${name}" */
    const char *principal_ca_certificate; /**< PEM file; NULL: no principals are told */
    const char *principal_ca_key;         /**< its key */
    uint64_t principal_lifetime_ms;       /**< of their certificates; 60 min */
    bool system_certificate_for_logon;    /**< show our certificate as logon: no */
    int basic_credentials;                /**< 0 keep, 1 drop: what becomes of Authorization */
    int host_in_request_header;           /**< 0 virtual, 1 internal */
    const char *backend_ca;         /**< HTTPS: PEM file of the CA; NULL: nothing is trusted */
    const char *server_name;        /**< HTTPS: name in its certificate; NULL: internal_host */
    const char *system_certificate; /**< PEM chain shown to the back end, or NULL */
    const char *system_private_key; /**< its key, or NULL */
    const char *description;        /**< "" if not given */
    const char *sid;                /**< or NULL */
    const struct conf_resource *const *resources; /**< resolved, all of this mapping */
    size_t n_resources;                           /**< count */
};

/** A whole configuration. Immutable, counted. */
struct conf_cn {
    struct conf_doc *doc;                             /**< owner of all texts */
    const struct conf_connector *connector;           /**< [connector] */
    const struct conf_log *log;                       /**< [log], defaults if not given */
    const struct conf_admin *admin;                   /**< [admin], defaults if not given */
    const struct conf_audit *audit;                   /**< [audit], defaults if not given */
    const struct conf_alert *alert;                   /**< [alert], defaults if not given */
    const struct conf_subaccount *const *subaccounts; /**< [subaccount ...] */
    size_t n_subaccounts;                             /**< count */
    const struct conf_mapping *const *mappings;       /**< [system ...] */
    size_t n_mappings;                                /**< count */
    int refs;                                         /**< counted with atomics; private */
};

/** The schema. @param n out: count @return array. Thread: any. */
const struct conf_kind *conf_cn_kinds(size_t *n);

/** Read, check and cross-check frunconnector.ini. @param path file @param report as in
 * conf_gw_load() @param out configuration; conf_cn_unref() it @return FRUN_OK; FRUN_E_SYNTAX errors
 * were reported; FRUN_E_NOMEM. Thread: main. */
frun_err conf_cn_load(const char *path, FILE *report, struct conf_cn **out) FRUN_MUST_CHECK;

/** One more reference. @param c configuration @return @p c. Thread: any. */
struct conf_cn *conf_cn_ref(struct conf_cn *c);

/** Give a reference back and forget it; the last one frees. @param c address of the reference, may
 * hold NULL. Thread: any. */
void conf_cn_unref(struct conf_cn **c);

#endif
