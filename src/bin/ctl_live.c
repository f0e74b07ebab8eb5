/**
 * frunctl's commands that look into a running daemon: status, endpoints, connectors, tunnels,
 * requests, certificates, alerts, drain.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl.h"
#include "ctl_control.h"
#include "ctl_out.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

/* Octets of a request's path. */
#define TARGET_BYTES 512

/* Octets of a number as text. */
#define NUMBER_BYTES 64

static void print_value(const char *key, const json_t *v, int indent)
{
    char room[NUMBER_BYTES];
    size_t i;
    const json_t *one;
    if (json_is_array(v)) {
        (void)printf("%*s%-*s ", indent, "", 24 - indent, key);
        json_array_foreach(v, i, one)
        {
            (void)printf("%s %s", i ? "," : "",
                         json_string_value(one) ? json_string_value(one) : "-");
        }
        (void)puts("");
        return;
    }
    json_t *o = json_pack("{s:O}", key, v);
    (void)printf("%*s%-*s  %s\n", indent, "", 24 - indent, key,
                 ctl_control_text(o, key, room, sizeof(room)));
    json_decref(o);
}

/* Names and values of an object, one a line; objects in it stand below their names.
 * Four levels at most. NOLINTNEXTLINE(misc-no-recursion) */
static void print_object(json_t *value, int indent)
{
    const char *key;
    json_t *v;
    json_object_foreach(value, key, v)
    {
        if (json_is_object(v) && indent < 8) {
            (void)printf("%*s%s\n", indent, "", key);
            print_object(v, indent + 2);
        } else {
            print_value(key, v, indent);
        }
    }
}

/* What a command asks and how it prints the answer. */
struct question {
    const char *method;
    const char *target;               /* "%s" stands for the name */
    const char *name;                 /* what the command needs, for its usage; NULL: nothing */
    const char *list;                 /* array in the answer; NULL: print the object */
    const struct ctl_column *columns; /* of the array */
    size_t n_columns;
};

static int ask_by(struct ctl_control *c, const struct question *q)
{
    char name[TARGET_BYTES / 2];
    char target[TARGET_BYTES];
    json_t *v = NULL;
    if (q->name && c->n_words == 0) {
        return ctl_misuse("%s is missing", q->name);
    }
    if (!ctl_control_encode(q->name ? c->words[0] : "", name, sizeof(name))) {
        return ctl_misuse("the name is too long");
    }
    (void)snprintf(target, sizeof(target), "%s%s%s", q->target, name,
                   q->name && strcmp(q->method, "POST") == 0 ? "/drain" : "");
    int status = ctl_control_ask(c, q->method, target, NULL, &v);
    if (!status && c->is_json) {
        ctl_json_print(v);
    } else if (!status && q->list) {
        ctl_control_table(json_object_get(v, q->list), q->columns, q->n_columns);
    } else if (!status) {
        print_object(v, 0);
    }
    json_decref(v);
    return status;
}

static int ask(int argc, char **argv, const struct question *q)
{
    struct ctl_control c;
    int status = ctl_control_parse(argc, argv, q->name ? 1 : 0, &c);
    return status ? status : ask_by(&c, q);
}

int ctl_status(int argc, char **argv)
{
    return ask(argc, argv, &(struct question){"GET", "/api/v1/status", NULL, NULL, NULL, 0});
}

int ctl_drain(int argc, char **argv)
{
    return ask(argc, argv, &(struct question){"POST", "/api/v1/drain", NULL, NULL, NULL, 0});
}

int ctl_endpoint_live(struct ctl_control *c)
{
    static const struct ctl_column columns[] = {
        {"NAME", "name", false},        {"SYSTEM", "system", false},
        {"ROAD", "road", false},        {"HEALTH", "health", false},
        {"REQUESTS", "requests", true}, {"4XX", "client_errors", true},
        {"5XX", "server_errors", true}, {"P50 MS", "p50_ms", true},
        {"P95 MS", "p95_ms", true},     {"ROOT URL", "root_url", false},
    };
    return ask_by(c, &(struct question){"GET", "/api/v1/endpoints", NULL, "endpoints", columns,
                                        sizeof(columns) / sizeof(columns[0])});
}

int ctl_endpoint_show(int argc, char **argv)
{
    return ask(
        argc, argv,
        &(struct question){"GET", "/api/v1/endpoints/", "the endpoint's NAME", NULL, NULL, 0});
}

int ctl_connector_list(int argc, char **argv)
{
    static const struct ctl_column columns[] = {
        {"NAME", "name", false},
        {"STATE", "state", false},
        {"TUNNELS", "tunnels", true},
        {"DRAINING", "draining", true},
        {"IN FLIGHT", "in_flight", true},
        {"AWAY SINCE", "away_since", false},
        {"BECAUSE", "away_because", false},
        {"SUBJECT", "certificate_subject", false},
    };
    return ask(argc, argv,
               &(struct question){"GET", "/api/v1/connectors", NULL, "connectors", columns,
                                  sizeof(columns) / sizeof(columns[0])});
}

int ctl_connector_drain(int argc, char **argv)
{
    return ask(
        argc, argv,
        &(struct question){"POST", "/api/v1/connectors/", "the connector's NAME", NULL, NULL, 0});
}

int ctl_tunnel_list(int argc, char **argv)
{
    static const struct ctl_column columns[] = {
        {"SUBACCOUNT", "subaccount", false},
        {"GATEWAY", "gateway", false},
        {"CONNECTOR", "connector", false},
        {"LOCATION", "location_id", false},
        {"PEER", "address", false},
        {"STATE", "state", false},
        {"IN FLIGHT", "in_flight", true},
        {"AGE S", "age_seconds", true},
        {"RTT MS", "rtt_ms", true},
        {"VERSION", "version", false},
        {"LAST ERROR AT", "last_error_time", false},
        {"LAST ERROR", "last_error", false},
    };
    return ask(argc, argv,
               &(struct question){"GET", "/api/v1/tunnels", NULL, "tunnels", columns,
                                  sizeof(columns) / sizeof(columns[0])});
}

int ctl_subaccount_list(int argc, char **argv)
{
    static const struct ctl_column columns[] = {
        {"NAME", "name", false},
        {"STATE", "state", false},
        {"LOCATION", "location_id", false},
        {"TUNNELS", "tunnels", true},
        {"WANTED", "tunnels_wanted", true},
        {"DRAINING", "draining", true},
        {"OPENED", "opened", true},
        {"FAILED", "failed", true},
    };
    return ask(argc, argv,
               &(struct question){"GET", "/api/v1/subaccounts", NULL, "subaccounts", columns,
                                  sizeof(columns) / sizeof(columns[0])});
}

int ctl_system_list(int argc, char **argv)
{
    static const struct ctl_column columns[] = {
        {"NAME", "name", false},         {"HOST", "internal_host", false},
        {"PORT", "internal_port", true}, {"PROTOCOL", "protocol", false},
        {"REQUESTS", "requests", true},  {"5XX", "server_errors", true},
        {"P50 MS", "p50_ms", true},      {"P95 MS", "p95_ms", true},
        {"CLIENT", "client", false},     {"ROLE", "role", false},
        {"ROUTE", "route", false},       {"VIRTUAL HOST", "virtual_host", false},
    };
    return ask(argc, argv,
               &(struct question){"GET", "/api/v1/systems", NULL, "systems", columns,
                                  sizeof(columns) / sizeof(columns[0])});
}

int ctl_requests(int argc, char **argv)
{
    static const struct ctl_column columns[] = {
        {"TIME", "time", false},
        {"ENDPOINT", "endpoint", false},
        {"PUSHER", "pusher", false},
        {"STATUS", "status", true},
        {"BY", "by", false},
        {"MS", "ms", true},
        {"WAIT MS", "wait_ms", true},
        {"UPSTREAM MS", "upstream_ms", true},
        {"BACKEND MS", "backend_ms", true},
        {"IN", "bytes_in", true},
        {"ERROR", "error", false},
        {"PATH", "path", false},
    };
    return ask(argc, argv,
               &(struct question){"GET", "/api/v1/requests", NULL, "requests", columns,
                                  sizeof(columns) / sizeof(columns[0])});
}

int ctl_alert_list(int argc, char **argv)
{
    static const struct ctl_column columns[] = {
        {"STATE", "state", false}, {"LEVEL", "level", true},    {"SINCE", "since", false},
        {"UNTIL", "until", false}, {"ALERT", "alert", false},   {"NAME", "name", false},
        {"TEXT", "text", false},   {"REMEDY", "remedy", false},
    };
    return ask(argc, argv,
               &(struct question){"GET", "/api/v1/alerts", NULL, "alerts", columns,
                                  sizeof(columns) / sizeof(columns[0])});
}

int ctl_certificate_list(int argc, char **argv)
{
    static const struct ctl_column columns[] = {
        {"WHAT", "what", false},          {"NAME", "name", false},   {"UNTIL", "until", false},
        {"DAYS LEFT", "days_left", true}, {"STATE", "state", false},
    };
    return ask(argc, argv,
               &(struct question){"GET", "/api/v1/certificates", NULL, "certificates", columns,
                                  sizeof(columns) / sizeof(columns[0])});
}
