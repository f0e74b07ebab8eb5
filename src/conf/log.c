/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/conf/log.h"

#include "schema_int.h"

#include <string.h>

#define AT(member) offsetof(struct conf_log, member)

#define FACILITIES                                                                                 \
    "daemon|user|auth|authpriv|local0|local1|local2|local3|local4|local5|local6|local7"

/* Their numbers, and those of severities. Source: RFC 5424 6.2.1. */
static const unsigned facilities[] = {3, 1, 4, 10, 16, 17, 18, 19, 20, 21, 22, 23};
static const unsigned severities[] = {6, 5, 7};

const struct conf_row conf_log_rows[CONF_LOG_ROWS] = {
    {"level", CONF_CHOICE, AT(level), 0, 0, "info", false, "error|warning|info|debug",
     CONF_RELOAD_LIVE, "How chatty the log is."},
    {"target", CONF_TEXT, AT(target), 1, 1000, "stderr", false, "target", CONF_RELOAD_LIVE,
     "Where log lines go, and access lines unless access_target is given: stderr; journal, with "
     "fields (journal:/SOCKET for another one than the system's); file:PATH; syslog by RFC 5424: "
     "/dev/log, syslog:/SOCKET, or syslog:host:port for UDP."},
    {"facility", CONF_CHOICE, AT(facility), 0, 0, "daemon", false, FACILITIES, CONF_RELOAD_LIVE,
     "Facility of log lines in syslog and journal."},
    {"access", CONF_CHOICE, AT(access), 0, 0, "json", false, "json|combined|off", CONF_RELOAD_LIVE,
     "Form of the access lines, one for each request; combined is Apache's format, which has fewer "
     "facts. journal and syslog have all facts as fields beside either."},
    {"access_target", CONF_TEXT, AT(access_target), 1, 1000, NULL, false, "target",
     CONF_RELOAD_LIVE, "Where access lines go, as target; unless given where log lines go."},
    {"access_facility", CONF_CHOICE, AT(access_facility), 0, 0, "daemon", false, FACILITIES,
     CONF_RELOAD_LIVE, "Facility of access lines in syslog and journal."},
    {"access_severity", CONF_CHOICE, AT(access_severity), 0, 0, "info", false, "info|notice|debug",
     CONF_RELOAD_LIVE, "Severity of access lines in syslog and journal."},
};

static void resolve_target(struct conf_doc *d, const struct conf_log *log, const char *text,
                           struct log_where *out)
{
    const char *colon = strchr(text, ':');
    out->target = LOG_TARGET_STDERR;
    out->name = colon ? colon + 1 : NULL;
    if (strncmp(text, "journal", strlen("journal")) == 0) {
        out->target = LOG_TARGET_JOURNAL;
    } else if (strncmp(text, "syslog", strlen("syslog")) == 0) {
        out->target = LOG_TARGET_SYSLOG;
    } else if (strncmp(text, "file:", strlen("file:")) == 0) {
        out->target = LOG_TARGET_FILE;
        out->name = conf_path_of(d, log, text + strlen("file:"));
    }
}

const struct conf_log *conf_log_resolve(struct conf_doc *d)
{
    struct conf_log *log = conf_section_or_default(d, "log");
    if (!log || !log->target) {
        return log;
    }
    struct log_settings *s = &log->settings;
    s->level = (enum log_level)log->level;
    s->events.facility = facilities[log->facility];
    s->access.facility = facilities[log->access_facility];
    s->access_severity = severities[log->access_severity];
    resolve_target(d, log, log->target, &s->events);
    if (log->access_target && log->access != CONF_ACCESS_OFF &&
        strcmp(log->access_target, log->target) != 0) {
        s->is_access_apart = true;
        resolve_target(d, log, log->access_target, &s->access);
    }
    return log;
}

static const char *file_of(const struct log_where *w)
{
    return w->target == LOG_TARGET_FILE ? w->name : NULL;
}

const char *conf_log_file(const struct conf_log *log)
{
    return file_of(&log->settings.events);
}

const char *conf_log_access_file(const struct conf_log *log)
{
    return log->settings.is_access_apart ? file_of(&log->settings.access) : NULL;
}

const char *conf_log_culprit(const struct conf_log *log)
{
    struct log_settings first = log->settings;
    first.is_access_apart = false;
    return log_check(&first, NULL) == FRUN_OK ? "access_target" : "target";
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
