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
    CONF_ACCESS_COMBINED, /**< Apache's combined format */
    CONF_ACCESS_OFF       /**< none */
};

/** [log] */
struct conf_log {
    struct conf_place place;      /**< where it stands */
    int level;                    /**< enum log_level; "info" */
    int access;                   /**< enum conf_access; "json" */
    int access_severity;          /**< index into what the row says */
    int facility;                 /**< the same */
    int access_facility;          /**< the same */
    const char *target;           /**< "stderr", "journal", "file:PATH"... as written */
    const char *access_target;    /**< the same; NULL: as target */
    struct log_settings settings; /**< all of it, resolved by the cross-check */
};

/** The file that log lines go to. @param log section @return name that lives as long as it; NULL:
 * they go elsewhere. Thread: any. */
const char *conf_log_file(const struct conf_log *log);

/** The file of their own that access lines go to. @param log section @return name that lives as
 * long as it; NULL: none. Thread: any. */
const char *conf_log_access_file(const struct conf_log *log);

/** Which key is to blame when the log cannot be opened? @param log section @return "target" or
 * "access_target". Thread: any. */
const char *conf_log_culprit(const struct conf_log *log);

#endif
