/**
 * Reading the list of frunctl mass-setup: header or fixed order, and what each line says by itself.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/conf/check.h"

#include "ctl.h"
#include "ctl_csv.h"
#include "ctl_mass.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

/* A column: its name is the key of [endpoint] where it is one. */
static const struct {
    const char *name;
    const char *alias;
    const char *check; /* of conf_check(); NULL: what the whole check says */
} columns[CTL_COLS] = {
    [CTL_COL_NETWORK] = {"customer_network", "network", "customer_network"},
    [CTL_COL_FENCE] = {"admin_request_parameter", "fence", "fence"},
    [CTL_COL_USER] = {"user", "technical_user", "user"},
    [CTL_COL_PASSWORD] = {"password", "technical_password", NULL},
    [CTL_COL_PUSHER] = {"pusher", NULL, "name"},
    [CTL_COL_ROUTE] = {"route", NULL, NULL},
    [CTL_COL_LOCATION] = {"location_id", "location", NULL},
    [CTL_COL_SYSTEM] = {"system", NULL, "name"},
    [CTL_COL_HOST] = {"host_name", "host", NULL},
    [CTL_COL_DESCRIPTION] = {"description", NULL, NULL},
    [CTL_COL_PUSHER_USER] = {"pusher_user", NULL, "user"},
    [CTL_COL_PUSHER_PASSWORD] = {"pusher_password", NULL, NULL},
    [CTL_COL_ENDPOINT] = {"endpoint", "name", "name"},
    [CTL_COL_VIRTUAL_HOST] = {"virtual_host", NULL, "authority"},
    [CTL_COL_CARRIER] = {"admin_request_carrier", "carrier", "carrier"},
};

const char *ctl_mass_column(enum ctl_col col)
{
    return columns[col].name;
}

/* "Customer Network" is customer_network. */
static bool is_name(const char *text, const char *name)
{
    size_t i = 0;
    for (; name && text[i] && name[i]; i++) {
        char c = text[i] == ' ' || text[i] == '-' ? '_' : (char)tolower((unsigned char)text[i]);
        if (c != name[i]) {
            return false;
        }
    }
    return name && !text[i] && !name[i];
}

static int column_of(const char *text)
{
    for (int i = 0; i < CTL_COLS; i++) {
        if (is_name(text, columns[i].name) || is_name(text, columns[i].alias)) {
            return i;
        }
    }
    return -1;
}

/* Is the first line a header? Then it says the order of the columns. 0, or an exit status. */
static int take_header(const struct ctl_csv_row *row, int order[CTL_CSV_MAX_FIELDS],
                       bool *is_header)
{
    for (int i = 0; i < CTL_CSV_MAX_FIELDS; i++) {
        order[i] = i <= CTL_COL_DESCRIPTION ? i : -1;
    }
    *is_header = false;
    for (size_t i = 0; i < row->n; i++) {
        *is_header |= column_of(row->fields[i]) == CTL_COL_NETWORK;
    }
    for (int i = 0; *is_header && i < CTL_CSV_MAX_FIELDS; i++) {
        order[i] = -1;
    }
    for (size_t i = 0; *is_header && i < row->n; i++) {
        order[i] = column_of(row->fields[i]);
        for (size_t k = 0; k < i; k++) {
            if (order[k] == order[i] && order[i] >= 0) {
                (void)ctl_fail("the header has the column '%s' twice", row->fields[i]);
                return EX_DATAERR;
            }
        }
        if (order[i] < 0) {
            (void)ctl_fail("the header has an unknown column '%s'; known are customer_network, "
                           "admin_request_parameter, user, password, pusher, pusher_user, "
                           "pusher_password, route, location_id, system, host_name, virtual_host, "
                           "admin_request_carrier, endpoint and description",
                           row->fields[i]);
            return EX_DATAERR;
        }
    }
    return 0;
}

/* The section's name: what the root URL has for the customer network, unless it is given. */
static void name_it(struct ctl_mass_line *l)
{
    const char *from =
        l->fields[CTL_COL_ENDPOINT][0] ? l->fields[CTL_COL_ENDPOINT] : l->fields[CTL_COL_NETWORK];
    (void)snprintf(l->name, sizeof(l->name), "%s", from);
    for (char *p = l->name; *p; p++) {
        *p = *p == ' ' ? '_' : *p;
    }
}

static bool is_carried(const struct ctl_mass_line *l)
{
    return strcmp(l->fields[CTL_COL_CARRIER], "none") != 0;
}

/* What is wrong with one field that is not empty, or NULL. */
static const char *check_field(int col, struct span value)
{
    if (col == CTL_COL_PASSWORD || col == CTL_COL_PUSHER_PASSWORD) {
        return ctl_secret_check(value);
    }
    const char *why = ctl_value_check(value);
    return why || !columns[col].check ? why : conf_check(columns[col].check, value);
}

/* What one line says by itself. */
static void check_line(struct ctl_mass *m, struct ctl_mass_line *l)
{
    if (m->system && !l->fields[CTL_COL_SYSTEM][0]) {
        l->fields[CTL_COL_SYSTEM] = m->system;
    }
    for (int i = 0; i < CTL_COLS; i++) {
        struct span value = span_of(l->fields[i]);
        const char *why = value.n ? check_field(i, value) : NULL;
        if (why) {
            ctl_mass_refuse(l, "%s: %s", columns[i].name, why);
        }
    }
    if (!l->fields[CTL_COL_NETWORK][0]) {
        ctl_mass_refuse(l, "customer_network is missing");
    }
    if (!l->fields[CTL_COL_FENCE][0] && is_carried(l)) {
        ctl_mass_refuse(l, "admin_request_parameter is missing");
    }
    if (!l->fields[CTL_COL_PUSHER][0] &&
        (l->fields[CTL_COL_PUSHER_USER][0] || l->fields[CTL_COL_PUSHER_PASSWORD][0])) {
        ctl_mass_refuse(l, "pusher is missing: its user or password is given");
    }
    if (l->fields[CTL_COL_PASSWORD][0] && !l->fields[CTL_COL_USER][0]) {
        ctl_mass_refuse(l, "user is missing: a password is given");
    }
    name_it(l);
}

/* What only one line may say. */
static void check_twice(struct ctl_mass *m, struct ctl_mass_line *l)
{
    static const enum ctl_col unique[] = {CTL_COL_FENCE, CTL_COL_PUSHER, CTL_COL_HOST};
    for (const struct ctl_mass_line *o = m->lines; o < l && l->result != CTL_MASS_REFUSED; o++) {
        if (strcmp(o->name, l->name) == 0) {
            ctl_mass_refuse(l, "customer network %s stands in line %u too", l->name, o->no);
        }
        for (size_t i = 0; i < sizeof(unique) / sizeof(unique[0]); i++) {
            const char *value = l->fields[unique[i]];
            if (value[0] && strcmp(value, o->fields[unique[i]]) == 0) {
                ctl_mass_refuse(
                    l, "%s %s stands in line %u too%s", columns[unique[i]].name, value, o->no,
                    unique[i] == CTL_COL_FENCE ? ": data of two customer networks would be mixed"
                                               : "");
            }
        }
    }
}

static struct ctl_mass_line *add_line(struct ctl_mass *m, unsigned no)
{
    if (m->n % 64 == 0) {
        struct ctl_mass_line *more = reallocarray(m->lines, m->n + 64, sizeof(*more));
        if (!more) {
            return NULL;
        }
        m->lines = more;
    }
    struct ctl_mass_line *l = &m->lines[m->n++];
    *l = (struct ctl_mass_line){.no = no};
    for (int i = 0; i < CTL_COLS; i++) {
        l->fields[i] = "";
    }
    return l;
}

static int take_row(struct ctl_mass *m, unsigned no, const struct ctl_csv_row *row,
                    const int order[CTL_CSV_MAX_FIELDS])
{
    struct ctl_mass_line *l = m->n < CTL_MASS_MAX_LINES ? add_line(m, no) : NULL;
    if (!l) {
        return ctl_fail("%s", m->n < CTL_MASS_MAX_LINES ? "out of memory" : "too many lines");
    }
    for (size_t i = 0; i < row->n; i++) {
        if (order[i] >= 0) {
            l->fields[order[i]] = row->fields[i];
        } else if (row->fields[i][0]) {
            ctl_mass_refuse(l, "it has more fields than columns");
        }
    }
    if (row->why) {
        ctl_mass_refuse(l, "%s", row->why);
    }
    check_line(m, l);
    return 0;
}

int ctl_mass_read(struct ctl_mass *m)
{
    struct ctl_csv_row row;
    int order[CTL_CSV_MAX_FIELDS];
    bool is_header = true;
    m->text = ctl_payload_file(m->list, &m->n_text);
    char *room = m->text ? realloc(m->text, m->n_text + 1) : NULL;
    if (!room) {
        return EXIT_FAILURE;
    }
    m->text = room;
    if (!ctl_csv_is_utf8(m->text, m->n_text)) {
        (void)ctl_fail("%s is not UTF-8; save it as \"CSV UTF-8\", separated by ';'", m->list);
        return EX_DATAERR;
    }
    struct ctl_csv csv = {m->text, m->text + m->n_text, 0};
    int status = 0;
    for (bool is_first = true; !status && ctl_csv_next(&csv, &row); is_first = false) {
        if (is_first) {
            status = take_header(&row, order, &is_header);
        }
        if (!status && !(is_first && is_header)) {
            status = take_row(m, csv.line, &row, order);
        }
    }
    for (size_t i = 0; !status && i < m->n; i++) {
        check_twice(m, &m->lines[i]);
    }
    if (!status && m->n == 0) {
        (void)ctl_fail("%s has no lines", m->list);
        status = EX_DATAERR;
    }
    return status;
}
