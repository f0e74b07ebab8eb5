/**
 * A service key or VCAP_SERVICES file of SAP BTP: where the connectivity proxy stands, and with
 * what a token for it is fetched.
 *
 * Takes the bare credentials, one binding ({"credentials": ...}) and the shape of VCAP_SERVICES
 * ({"connectivity": [...]}, alone or below "VCAP_SERVICES"); old and new field names, ports as
 * texts or numbers, PEM with "\n" written out. Checks every field it hands over, and says which one
 * is wrong and what to do. Knows nothing of configuration files; main thread only.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_FETCH_SERVICE_KEY_H
#define FRUN_FETCH_SERVICE_KEY_H

#include "frun/base/err.h"
#include "frun/base/secret.h"
#include "frun/base/span.h"

#include <stddef.h>

/** Longest file, octets. */
#define SERVICE_KEY_MAX_BYTES ((size_t)1024 * 1024)

/** Which service the key belongs to. */
enum service_kind {
    SERVICE_CONNECTIVITY, /**< the proxy, and its XSUAA client */
    SERVICE_IDENTITY      /**< a client of Identity Authentication (IAS) */
};

/** What a key says; service_key_done() it. Texts are NULL where the file says nothing. */
struct service_key {
    char *instance;               /**< name of the instance or binding */
    char *instance_guid;          /**< for the resource of an IAS token */
    char *proxy_host;             /**< onpremise_proxy_host */
    unsigned http_port;           /**< onpremise_proxy_http_port, or its old name; 0: none */
    unsigned socks5_port;         /**< onpremise_socks5_proxy_port; 0: none */
    char *token_url;              /**< complete, ".../oauth/token" or ".../oauth2/token" */
    char *client_id;              /**< clientid */
    struct secret *client_secret; /**< NULL: by certificate */
    char *certificate;            /**< PEM chain, real line ends */
    char *private_key;            /**< PEM key, real line ends; wiped */
};

/**
 * Read a key.
 *
 * @param json     file content
 * @param kind     service wanted
 * @param instance name of the instance to take where there are several; NULL: there is only one
 * @param out      filled on success; untouched otherwise
 * @param d        filled on failure: field and remedy; may be NULL
 * @return FRUN_OK; FRUN_E_SYNTAX no JSON, or a field is wrong or missing; FRUN_E_NOT_FOUND no such
 * instance, or several and none named; FRUN_E_LIMIT too long; FRUN_E_NOMEM
 * Thread: main. Source: SAP BTP Connectivity, "Create and Bind a Connectivity Service Instance".
 */
frun_err service_key_parse(struct span json, enum service_kind kind, const char *instance,
                           struct service_key *out, struct diag *d) FRUN_MUST_CHECK;

/** As service_key_parse(), from a file. @param path file @param kind service @param instance name
 * or NULL @param out key @param d filled on failure; may be NULL @return as service_key_parse();
 * FRUN_E_IO cannot be read. Thread: main. */
frun_err service_key_load(const char *path, enum service_kind kind, const char *instance,
                          struct service_key *out, struct diag *d) FRUN_MUST_CHECK;

/** The token end-point of a base URL: "/oauth/token" (or "/oauth2/token" for IAS) is put behind it
 * unless it has a path. @param base https://host[:port][/path] @param kind service @return text for
 * free(), or NULL: memory refused. Thread: any. */
char *service_key_token_url(const char *base, enum service_kind kind);

/** Wipe and free what a key holds. @param k key or NULL. Thread: main. */
void service_key_done(struct service_key *k);

#endif
