/**
 * The [log] section, the same in both files.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_CONF_LOG_H
#define FRUN_CONF_LOG_H

#include "frun/base/log.h"
#include "frun/conf/doc.h"

/** How access lines look. */
enum conf_access {
    CONF_ACCESS_JSON,     /**< one JSON object a line */
    CONF_ACCESS_COMBINED, /**< Apache's combined format with our fields behind */
    CONF_ACCESS_OFF       /**< none */
};

/** [log] */
struct conf_log {
    struct conf_place place;      /**< where it stands */
    int level;                    /**< enum log_level; "info" */
    int access;                   /**< enum conf_access; "json" */
    const char *target;           /**< "stderr", "journal" or "file:PATH" as written */
    struct log_settings settings; /**< level, target and path, resolved by the cross-check */
};

#endif
