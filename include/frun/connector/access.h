/**
 * Access control of the connector: which virtual host and which path of it may be reached, judged
 * for every single request.
 *
 * Default deny: a system without a mapping and a path without an active resource are refused. The
 * gateway's own checks are not trusted. Pure: no I/O, no memory.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_CONNECTOR_ACCESS_H
#define FRUN_CONNECTOR_ACCESS_H

#include "frun/base/span.h"
#include "frun/conf/connector.h"

#include <stddef.h>

/** Port of an authority that names none. */
#define ACCESS_DEFAULT_PORT 443

/** Octets of the longest text by access_text(), with the final NUL. */
#define ACCESS_TEXT_BYTES 640

/** What was decided. */
enum access_verdict {
    ACCESS_ALLOWED,        /**< mapping and resource are set */
    ACCESS_DENIED_SYSTEM,  /**< no mapping has that virtual host and port, or it is malformed */
    ACCESS_DENIED_RESOURCE /**< mapping is set, no active resource of it covers the path */
};

/** A decision and its grounds; pointers borrow from the configuration, spans from the request. */
struct access_result {
    enum access_verdict verdict;           /**< the decision */
    struct span host;                      /**< virtual host asked for; absent if malformed */
    unsigned port;                         /**< virtual port asked for */
    struct span path;                      /**< path asked for */
    const struct conf_mapping *mapping;    /**< system mapping, NULL if denied-system */
    size_t index;                          /**< of the mapping in the configuration */
    const struct conf_resource *resource;  /**< what allowed it, NULL if denied */
    const struct conf_resource *suspended; /**< denied: a resource that would cover the path if it
                                              were active, else NULL */
};

/**
 * Judge one request.
 *
 * The host is compared without case, a missing port is 443. "path-only" wants the same octets,
 * "path-and-all-sub-paths" the same or more on a segment boundary: "/sap/frunX" is not below
 * "/sap/frun".
 *
 * @param conf      configuration
 * @param authority Host or :authority as received
 * @param path      canonical path (uri_parse())
 * @param out       decision
 * @return the verdict, the same as in @p out
 * Thread: any. Source: SAP Cloud Connector, "Configure Access Control (HTTP)".
 */
enum access_verdict access_judge(const struct conf_cn *conf, struct span authority,
                                 struct span path, struct access_result *out);

/** Say a decision in words, with the remedy if it is a denial. @param r decision @param out
 * ACCESS_TEXT_BYTES octets, NUL-terminated ASCII. Thread: any. */
void access_text(const struct access_result *r, char out[ACCESS_TEXT_BYTES]);

#endif
