/**
 * What the two schemas share: the kind of [log], and small cross-checks.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_CONF_SCHEMA_INT_H
#define FRUN_CONF_SCHEMA_INT_H

#include "frun/conf/admin.h"
#include "frun/conf/alert.h"
#include "frun/conf/audit.h"
#include "frun/conf/doc.h"
#include "frun/conf/gateway.h"
#include "frun/conf/issuer.h"
#include "frun/conf/log.h"
#include "frun/conf/sap.h"

/** Keys of [log]. */
#define CONF_LOG_ROWS 7

/** The rows of [log]. */
extern const struct conf_row conf_log_rows[CONF_LOG_ROWS];

/** The schema of [log], an element of a table of kinds. */
#define CONF_LOG_KIND                                                                              \
    {                                                                                              \
        "log", NULL, false, false, sizeof(struct conf_log), conf_log_rows, CONF_LOG_ROWS,          \
            "What is logged, and where to."                                                        \
    }

/** Keys of [admin]. */
#define CONF_ADMIN_ROWS 8

/** The rows of [admin] in frunproxy.ini. */
extern const struct conf_row conf_admin_gateway_rows[CONF_ADMIN_ROWS];

/** The same in frunconnector.ini. */
extern const struct conf_row conf_admin_connector_rows[CONF_ADMIN_ROWS];

/** The schema of [admin], an element of a table of kinds. @param rows one of the two above */
#define CONF_ADMIN_KIND(rows)                                                                      \
    {                                                                                              \
        "admin", NULL, false, false, sizeof(struct conf_admin), (rows), CONF_ADMIN_ROWS,           \
            "How administrators and monitoring look into the running daemon."                      \
    }

/** Keys of [alert]. */
#define CONF_ALERT_ROWS 7

/** The rows of [alert]. */
extern const struct conf_row conf_alert_rows[CONF_ALERT_ROWS];

/** The schema of [alert], an element of a table of kinds. */
#define CONF_ALERT_KIND                                                                            \
    {                                                                                              \
        "alert", NULL, false, false, sizeof(struct conf_alert), conf_alert_rows, CONF_ALERT_ROWS,  \
            "What somebody should know of, and who is told."                                       \
    }

/** The section [alert]. @param d document @return section, or NULL: starved. */
const struct conf_alert *conf_alert_resolve(struct conf_doc *d);

/** Keys of [audit]. */
#define CONF_AUDIT_ROWS 5

/** The rows of [audit] in frunproxy.ini. */
extern const struct conf_row conf_audit_gateway_rows[CONF_AUDIT_ROWS];

/** The same in frunconnector.ini. */
extern const struct conf_row conf_audit_connector_rows[CONF_AUDIT_ROWS];

/** The schema of [audit], an element of a table of kinds. @param rows one of the two above */
#define CONF_AUDIT_KIND(rows)                                                                      \
    {                                                                                              \
        "audit", NULL, false, false, sizeof(struct conf_audit), (rows), CONF_AUDIT_ROWS,           \
            "The audit log: who changed what, who was let in and who was turned away, in a "       \
            "chain that shows every change made to it."                                            \
    }

/** Fill conf_audit.path. @param d document @return section, or NULL: starved. */
const struct conf_audit *conf_audit_resolve(struct conf_doc *d);

/** Fill what conf_admin resolves, and check that the listener is safe. @param d document @return
 * section, or NULL: starved. */
const struct conf_admin *conf_admin_resolve(struct conf_doc *d);

/** Fill conf_log.settings. @param d document @return section, or NULL: starved. */
const struct conf_log *conf_log_resolve(struct conf_doc *d);

/** Sections of a kind while they may still be filled in. @param d document @param word kind @param
 * n out: count @return array of pointers to the kind's structure. */
void *conf_sections_open(struct conf_doc *d, const char *word, size_t *n);

/** The end of a load, when all cross-checks have been made: resolve [log], [admin] and
 * [audit], print what was found.
 * @param d document @param is_starved a cross-check was refused memory @param report issues are
 * printed here; NULL: nowhere @param log out: [log] @param admin out: [admin]
 * @param audit out: [audit] @return FRUN_OK;
 * FRUN_E_SYNTAX there were errors; FRUN_E_NOMEM. */
frun_err conf_conclude(struct conf_doc *d, bool is_starved, FILE *report,
                       const struct conf_log **log, const struct conf_admin **admin,
                       const struct conf_audit **audit) FRUN_MUST_CHECK;

struct conf_endpoint;

struct conf_gateway;
struct conf_pusher;

/** Is a pusher known by certificates? @param p pusher @return true if so. */
bool conf_certs_given(const struct conf_pusher *p);

/** Remember who is to be asked for a certificate because of a pusher. @param g [gateway], or NULL
 * @param e endpoint it may use @param p pusher. */
void conf_certs_ask(struct conf_gateway *g, struct conf_endpoint *e, const struct conf_pusher *p);

/** Keys about certificates of a pusher, once its endpoints are known. @param d document @param g
 * [gateway], or NULL @param p pusher. */
void conf_certs_check(struct conf_doc *d, const struct conf_gateway *g, struct conf_pusher *p);

/** What is left over when all pushers have been checked. @param d document @param g [gateway], or
 * NULL @param endpoints all @param n their number. */
void conf_certs_conclude(struct conf_doc *d, const struct conf_gateway *g,
                         struct conf_endpoint *const *endpoints, size_t n);

/** Balancers of a section: networks are read, keys that do not fit each other told. @param d
 * document @param section structure @param p its keys @return false: starved. */
bool conf_proxied_resolve(struct conf_doc *d, const void *section, struct conf_proxied *p);

/** Fill in what an endpoint maps. @param d document @param e endpoint @return false: starved. */
bool conf_map_resolve(struct conf_doc *d, struct conf_endpoint *e);
/** Keys of [sap-connectivity]. */
#define CONF_SAP_ROWS 23

/** The rows of [sap-connectivity]. */
extern const struct conf_row conf_sap_rows[CONF_SAP_ROWS];

/** The schema of [sap-connectivity], an element of a table of kinds. */
#define CONF_SAP_KIND                                                                              \
    {                                                                                              \
        "sap-connectivity", "name", true, false, sizeof(struct conf_sap), conf_sap_rows,           \
            CONF_SAP_ROWS,                                                                         \
            "SAP BTP's connectivity proxy; systems and endpoints with route sap-connectivity "     \
            "refer to it by its name."                                                             \
    }

/** Keys of a [sap-connectivity] that do not fit each other. @param d document @param s section. */
void conf_sap_check(struct conf_doc *d, const struct conf_sap *s);

/** What route sap-connectivity needs. @param d document @param e endpoint with all it inherits
 * @param key key that chose the route. */
void conf_sap_route_check(struct conf_doc *d, const struct conf_endpoint *e, const char *key);

/** How an endpoint logs on: keys that are missing, and keys of another way. @param d document
 * @param e endpoint. */
void conf_logon_check(struct conf_doc *d, const struct conf_endpoint *e);

/* What its checks ask for. */
void conf_health_check(struct conf_doc *d, const struct conf_endpoint *e);

/* Who pushes is told on every road, or on none. */
void conf_principal_check(struct conf_doc *d, const struct conf_endpoint *e);

/** Keys of [issuer]. */
#define CONF_ISSUER_ROWS 17

/** The rows of [issuer]. */
extern const struct conf_row conf_issuer_rows[CONF_ISSUER_ROWS];

/** The schema of [issuer], an element of a table of kinds. */
#define CONF_ISSUER_KIND                                                                           \
    {                                                                                              \
        "issuer", "name", true, false, sizeof(struct conf_issuer), conf_issuer_rows,               \
            CONF_ISSUER_ROWS,                                                                      \
            "An identity provider (XSUAA, IAS, any OIDC issuer) whose tokens pushers with "        \
            "auth = jwt show."                                                                     \
    }

struct conf_gateway;
struct conf_pusher;

/** Keys of [issuer] sections that do not fit each other. @param d document @param all sections
 * @param n count @param g [gateway], may be NULL. */
void conf_issuers_check(struct conf_doc *d, struct conf_issuer *const *all, size_t n,
                        const struct conf_gateway *g);

/** Fill in a pusher's issuer and claims, or say what is missing. @param d document @param p pusher
 * whose ways are known @param all issuers @param n count @return false: starved. */
bool conf_issuer_resolve(struct conf_doc *d, struct conf_pusher *p, struct conf_issuer *const *all,
                         size_t n);

/** File name as seen from the file of a section. @param d document @param section structure @param
 * name as written @return absolute name, or NULL: starved. */
const char *conf_path_of(struct conf_doc *d, const void *section, const char *name);

/** Two keys that make sense together only. @param d document @param section structure @param a key
 * @param b the other. */
void conf_pair_check(struct conf_doc *d, const void *section, const char *a, const char *b);

/** A minimum above its maximum is an error. @param d document @param section structure @param low
 * key of the minimum @param high key of the maximum @param is_wrong it is so. */
void conf_order_check(struct conf_doc *d, const void *section, const char *low, const char *high,
                      bool is_wrong);

#endif
