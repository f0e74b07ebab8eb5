/**
 * The [sap-connectivity NAME] sections: SAP BTP's connectivity proxy, and a genuine Cloud Connector
 * behind it.
 *
 * The service key itself is read later, by those who use it: it is JSON, and no row can see into
 * it.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_CONF_SAP_H
#define FRUN_CONF_SAP_H

#include "frun/base/secret.h"
#include "frun/conf/doc.h"

#include <stdint.h>

/** How the connectivity proxy is spoken to. */
enum conf_sap_via {
    CONF_SAP_HTTP,  /**< as an HTTP proxy, port 20003 */
    CONF_SAP_SOCKS5 /**< as a SOCKS5 proxy, port 20004: TCP to Focused Run */
};

/** [sap-connectivity NAME] */
struct conf_sap {
    struct conf_place place;             /**< where it stands */
    const char *service_key;             /**< JSON file of the connectivity instance */
    const char *instance;                /**< which of several in it, or NULL */
    const char *identity_key;            /**< JSON file of the identity instance (IAS), or NULL */
    const char *identity_instance;       /**< which of several in it, or NULL */
    const char *instance_guid;           /**< for IAS, if the key does not tell it, or NULL */
    const char *tenant;                  /**< subscriber's tenant (X-zid), or NULL */
    const char *token_url;               /**< instead of the key's, or NULL */
    const char *certificate;             /**< PEM file instead of the key's, or NULL */
    const char *private_key;             /**< PEM file instead of the key's, or NULL */
    const char *token_ca;                /**< PEM file; NULL: the system's */
    const char *token_proxy;             /**< http://host:port, or NULL */
    const char *token_proxy_user;        /**< or NULL */
    struct secret *token_proxy_password; /**< or NULL */
    uint64_t token_connect_timeout_ms;   /**< 5 s */
    uint64_t token_timeout_ms;           /**< 30 s */
    const char *proxy_host;              /**< instead of the key's, or NULL */
    uint64_t proxy_port;                 /**< instead of the key's; 0: the key's */
    int via;                             /**< enum conf_sap_via */
    uint64_t connect_timeout_ms;         /**< to the proxy; 5 s */
    uint64_t keepalive_ms;               /**< idle connection; 5 s */
    uint64_t max_connections;            /**< of an endpoint in a worker; 512 */
    uint64_t retry_min_ms;               /**< first pause without a Cloud Connector; 250 ms */
    uint64_t retry_max_ms;               /**< longest; 30 s */
};

#endif
