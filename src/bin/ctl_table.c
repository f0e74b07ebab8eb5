/**
 * How frunctl prints what a daemon says: as JSON, or as tables for people.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl_control.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* Octets of a number as text. */
#define NUMBER_BYTES 40

/* Columns of a table at most. */
#define MAX_COLUMNS 12

const char *ctl_control_text(const struct json_t *object, const char *key, char *room, size_t size)
{
    const json_t *v = json_object_get(object, key);
    if (json_is_string(v)) {
        return json_string_value(v);
    }
    if (json_is_integer(v)) {
        (void)snprintf(room, size, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
        return room;
    }
    if (json_is_real(v)) {
        (void)snprintf(room, size, "%.3f", json_real_value(v));
        return room;
    }
    if (json_is_boolean(v)) {
        return json_is_true(v) ? "yes" : "no";
    }
    return "-";
}

static void print_row(const json_t *row, const struct ctl_column *columns, const size_t *widths,
                      size_t n)
{
    char room[NUMBER_BYTES];
    for (size_t i = 0; i < n; i++) {
        const char *text =
            row ? ctl_control_text(row, columns[i].key, room, sizeof(room)) : columns[i].head;
        text = *text ? text : "-";
        if (columns[i].is_right) {
            (void)printf("%*s%s", (int)widths[i], text, i + 1 < n ? "  " : "\n");
        } else if (i + 1 < n) {
            (void)printf("%-*s  ", (int)widths[i], text);
        } else {
            (void)puts(text);
        }
    }
}

/* URLs by an endpoint's host names stand below its root URL. */
static void print_more(const json_t *row, const struct ctl_column *last, size_t indent)
{
    const json_t *list =
        strcmp(last->key, "root_url") == 0 ? json_object_get(row, "host_urls") : NULL;
    for (size_t i = 0; i < json_array_size(list); i++) {
        (void)printf("%*s%s\n", (int)indent, "", json_string_value(json_array_get(list, i)));
    }
}

/* Does any row say something of a column? Daemons differ in what they know. */
static bool is_used(const json_t *array, const struct ctl_column *column)
{
    for (size_t k = 0; k < json_array_size(array); k++) {
        if (json_object_get(json_array_get(array, k), column->key)) {
            return true;
        }
    }
    return json_array_size(array) == 0;
}

void ctl_control_table(const struct json_t *array, const struct ctl_column *columns, size_t n)
{
    struct ctl_column used[MAX_COLUMNS];
    size_t widths[MAX_COLUMNS] = {0};
    char room[NUMBER_BYTES];
    size_t n_used = 0;
    size_t indent = 0;
    for (size_t i = 0; i < n && n_used < MAX_COLUMNS; i++) {
        if (is_used(array, &columns[i])) {
            used[n_used++] = columns[i];
        }
    }
    for (size_t i = 0; i < n_used; i++) {
        widths[i] = strlen(used[i].head);
        for (size_t k = 0; k < json_array_size(array); k++) {
            const json_t *row = json_array_get(array, k);
            size_t len = strlen(ctl_control_text(row, used[i].key, room, sizeof(room)));
            widths[i] = len > widths[i] ? len : widths[i];
        }
        indent += i + 1 < n_used ? widths[i] + 2 : 0;
    }
    print_row(NULL, used, widths, n_used);
    for (size_t k = 0; k < json_array_size(array); k++) {
        print_row(json_array_get(array, k), used, widths, n_used);
        if (n_used > 0) {
            print_more(json_array_get(array, k), &used[n_used - 1], indent);
        }
    }
}
