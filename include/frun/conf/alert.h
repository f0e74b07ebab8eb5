/**
 * The [alert] section, the same in both files.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_CONF_ALERT_H
#define FRUN_CONF_ALERT_H

#include "frun/conf/doc.h"

#include <stdint.h>

/** [alert] */
struct conf_alert {
    struct conf_place place;   /**< where it stands */
    const char *command;       /**< program that is told, or NULL */
    uint64_t tunnel_for_ms;    /**< a tunnel is missing for so long; 1 min */
    uint64_t endpoint_for_ms;  /**< an endpoint is down for so long; 2 min */
    uint64_t certificate_days; /**< days before its end; 30; 0: never */
    uint64_t disk_free;        /**< octets that must be free; 256 MiB; 0: any */
    uint64_t limit_percent;    /**< of a ceiling is near it; 80; 0: never */
    uint64_t limit_for_ms; /**< a ceiling is near, or requests wait for it, for so long; 1 min */
};

#endif
