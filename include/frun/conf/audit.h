/**
 * The [audit] section, the same in both files but for its defaults.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_CONF_AUDIT_H
#define FRUN_CONF_AUDIT_H

#include "frun/base/secret.h"
#include "frun/conf/doc.h"

#include <stdbool.h>
#include <stdint.h>

/** Where frunproxyd keeps its audit log unless told otherwise. */
#define CONF_AUDIT_GATEWAY_FILE "/var/lib/frunproxy/audit.log"

/** Where frunconnector does. */
#define CONF_AUDIT_CONNECTOR_FILE "/var/lib/frunconnector/audit.log"

/** What is written. Source: SAP Cloud Connector, audit log levels. */
enum conf_audit_level {
    CONF_AUDIT_OFF,      /**< nothing */
    CONF_AUDIT_SECURITY, /**< denials, logins, changes of configuration */
    CONF_AUDIT_ALL       /**< what was allowed, too */
};

/** [audit] */
struct conf_audit {
    struct conf_place place; /**< where it stands */
    int level;               /**< enum conf_audit_level; "security" */
    const char *file;        /**< as written */
    struct secret *key;      /**< of the hashes; NULL: none */
    uint64_t max_size;       /**< octets of one file; 16 MiB */
    uint64_t keep;           /**< full files that are kept; 0: all; 100 */
    const char *path;        /**< file as an absolute name */
    bool is_file_given;      /**< the configuration asks for it: it must work */
};

#endif
