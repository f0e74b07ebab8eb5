/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/conf/log.h"

#include "schema_int.h"

#include <string.h>

#define AT(member) offsetof(struct conf_log, member)

const struct conf_row conf_log_rows[CONF_LOG_ROWS] = {
    {"level", CONF_CHOICE, AT(level), 0, 0, "info", false, "error|warning|info|debug",
     CONF_RELOAD_LIVE, "How chatty the log is."},
    {"access", CONF_CHOICE, AT(access), 0, 0, "json", false, "json|combined|off", CONF_RELOAD_LIVE,
     "Form of the access lines, one for each request; combined is Apache's format with our fields "
     "behind."},
    {"target", CONF_TEXT, AT(target), 1, 1000, "stderr", false, "target", CONF_RELOAD_LIVE,
     "Where log and access lines go: stderr, journal or file:PATH."},
};

const struct conf_log *conf_log_resolve(struct conf_doc *d)
{
    struct conf_log *log = conf_section_or_default(d, "log");
    if (!log || !log->target) {
        return log;
    }
    log->settings.level = (enum log_level)log->level;
    log->settings.target = LOG_TARGET_STDERR;
    if (strcmp(log->target, "journal") == 0) {
        log->settings.target = LOG_TARGET_JOURNAL;
    } else if (strncmp(log->target, "file:", 5) == 0) {
        log->settings.target = LOG_TARGET_FILE;
        log->settings.path = conf_path_of(d, log, log->target + 5);
    }
    return log;
}

void *conf_sections_open(struct conf_doc *d, const char *word, size_t *n)
{
    void *const *all = conf_sections(d, word, n);
    void *writable;
    memcpy(&writable, &all, sizeof(writable));
    return writable;
}

frun_err conf_conclude(struct conf_doc *d, bool is_starved, FILE *report,
                       const struct conf_log **log, const struct conf_admin **admin,
                       const struct conf_audit **audit)
{
    const struct conf_log *resolved = conf_log_resolve(d);
    const struct conf_admin *ways_in = conf_admin_resolve(d);
    const struct conf_audit *kept = conf_audit_resolve(d);
    if (is_starved || conf_is_starved(d) || !resolved || !ways_in || !kept) {
        return FRUN_E_NOMEM;
    }
    if (conf_issues_print(d, report)) {
        return FRUN_E_SYNTAX;
    }
    *log = resolved;
    *admin = ways_in;
    *audit = kept;
    return FRUN_OK;
}
