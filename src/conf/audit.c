/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/conf/audit.h"

#include "frun/base/arena.h"
#include "schema_int.h"

/* Octets of a key: less could be found by trying. */
#define MIN_KEY 32

#define AT(member) offsetof(struct conf_audit, member)

#define ROWS(path)                                                                                 \
    {                                                                                              \
        {"level",                                                                                  \
         CONF_CHOICE,                                                                              \
         AT(level),                                                                                \
         0,                                                                                        \
         0,                                                                                        \
         "security",                                                                               \
         false,                                                                                    \
         "off|security|all",                                                                       \
         CONF_RELOAD_LIVE,                                                                         \
         "security: changes of the configuration, commands of administrators, logins, refused "    \
         "requests and connectors, starts and stops. all: requests that were allowed, too, "       \
         "counted by minute."},                                                                    \
            {"file",                                                                               \
             CONF_TEXT,                                                                            \
             AT(file),                                                                             \
             1,                                                                                    \
             1000,                                                                                 \
             (path),                                                                               \
             false,                                                                                \
             NULL,                                                                                 \
             CONF_RELOAD_RESTART,                                                                  \
             "File of the audit log, a chain in which every change shows ('frunctl audit "         \
             "verify'); beside it FILE.head and full files, FILE.NUMBER. A gateway with a "        \
             "state_directory of its own keeps it there unless this is given."},                   \
            {"key",                                                                                \
             CONF_SECRET,                                                                          \
             AT(key),                                                                              \
             0,                                                                                    \
             0,                                                                                    \
             NULL,                                                                                 \
             false,                                                                                \
             NULL,                                                                                 \
             CONF_RELOAD_RESTART,                                                                  \
             "Secret of at least 32 octets for the chain's hashes; 'openssl rand -base64 48' "     \
             "makes one. Without it whoever may write the file can write all of it anew."},        \
            {"max_size",                                                                           \
             CONF_SIZE,                                                                            \
             AT(max_size),                                                                         \
             65536,                                                                                \
             1073741824,                                                                           \
             "16M",                                                                                \
             false,                                                                                \
             NULL,                                                                                 \
             CONF_RELOAD_RESTART,                                                                  \
             "A file that would become longer is closed, and the next one "                        \
             "goes on."},                                                                          \
        {                                                                                          \
            "keep", CONF_UINT, AT(keep), 0, 100000, "100", false, NULL, CONF_RELOAD_RESTART,       \
                "Full files that are kept; the oldest is removed. 0: all."                         \
        }                                                                                          \
    }

const struct conf_row conf_audit_gateway_rows[CONF_AUDIT_ROWS] = ROWS(CONF_AUDIT_GATEWAY_FILE);

const struct conf_row conf_audit_connector_rows[CONF_AUDIT_ROWS] = ROWS(CONF_AUDIT_CONNECTOR_FILE);

/* What outlives a restart stands together, wherever a gateway keeps it. */
static const char *beside_state(struct conf_doc *d, const char *fallback)
{
    struct span path = {0};
    size_t n = 0;
    struct conf_gateway **g = conf_sections_open(d, "gateway", &n);
    if (n == 0 || !g[0]->state_directory || !conf_key_given(d, g[0], "state_directory")) {
        return fallback;
    }
    return arena_printf(conf_arena(d), &path, "%s/audit.log", g[0]->state_directory) == FRUN_OK
               ? path.p
               : NULL;
}

const struct conf_audit *conf_audit_resolve(struct conf_doc *d)
{
    struct conf_audit *a = conf_section_or_default(d, "audit");
    if (!a || !a->file) {
        return a;
    }
    a->is_file_given = conf_key_given(d, a, "file");
    a->path = a->is_file_given ? conf_path_of(d, a, a->file) : beside_state(d, a->file);
    if (a->key && secret_span(a->key).n < MIN_KEY) {
        conf_issue_add(d, true, a, "key",
                       "is shorter than %d octets; 'openssl rand -base64 48' makes a good one",
                       MIN_KEY);
    }
    return a->path ? a : NULL;
}
