/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/conf/alert.h"

#include "schema_int.h"

#define AT(member) offsetof(struct conf_alert, member)

const struct conf_row conf_alert_rows[CONF_ALERT_ROWS] = {
    {"command", CONF_PATH, AT(command), 0, 0, NULL, false, NULL, CONF_RELOAD_LIVE,
     "Program that is run when an alert begins, gets worse or is over: without a shell and without "
     "arguments, the alert as JSON on its standard input. It gets 30 s."},
    {"tunnel_for", CONF_TIME, AT(tunnel_for_ms), 1000, 86400000, "1 m", false, NULL,
     CONF_RELOAD_LIVE, "A connector without a tunnel for this time is an alert."},
    {"endpoint_for", CONF_TIME, AT(endpoint_for_ms), 1000, 86400000, "2 m", false, NULL,
     CONF_RELOAD_LIVE, "An endpoint that its checks have found down for this time is an alert."},
    {"certificate_days", CONF_UINT, AT(certificate_days), 0, 3650, "30", false, NULL,
     CONF_RELOAD_LIVE,
     "A certificate that ends within so many days is an alert; told again when 14, 7 and 1 are "
     "left. 0: never."},
    {"disk_free", CONF_SIZE, AT(disk_free), 0, 1099511627776, "256M", false, NULL, CONF_RELOAD_LIVE,
     "Less free space than this in a folder the daemon writes to is an alert. 0: never."},
    {"limit_percent", CONF_UINT, AT(limit_percent), 0, 100, "80", false, NULL, CONF_RELOAD_LIVE,
     "A queue or a limit that is used to so many percent of its ceiling for limit_for is an alert, "
     "and so are requests that wait all that time because max_in_flight or "
     "max_requests_per_second is reached. 0: never."},
    {"limit_for", CONF_TIME, AT(limit_for_ms), 1000, 86400000, "1 m", false, NULL, CONF_RELOAD_LIVE,
     "So long a limit must be near its ceiling to be an alert."},
};

const struct conf_alert *conf_alert_resolve(struct conf_doc *d)
{
    return conf_section_or_default(d, "alert");
}
