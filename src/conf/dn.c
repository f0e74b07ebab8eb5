/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/conf/dn.h"

/* Where reading stands. */
struct reader {
    struct span rest;
    struct dn *dn;
    const char *why;
};

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int hex_of(char c)
{
    return is_digit(c)            ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static frun_err fail(struct reader *r, const char *why)
{
    r->why = why;
    return FRUN_E_SYNTAX;
}

static void skip_blanks(struct reader *r)
{
    while (r->rest.n && (r->rest.p[0] == ' ' || r->rest.p[0] == '\t')) {
        r->rest = span_skip(r->rest, 1);
    }
}

/* Two hexadecimal digits; -1: there are none. */
static int hex_octet(struct span s)
{
    int high = s.n >= 2 ? hex_of(s.p[0]) : -1;
    int low = s.n >= 2 ? hex_of(s.p[1]) : -1;
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static frun_err put(struct reader *r, char c)
{
    if (r->dn->n_room == sizeof(r->dn->room)) {
        r->why = "the name is too long";
        return FRUN_E_LIMIT;
    }
    r->dn->room[r->dn->n_room++] = c;
    return FRUN_OK;
}

/* A letter and letters, digits or '-'; or numbers and dots. */
static frun_err read_type(struct reader *r, struct span *out)
{
    size_t n = span_find(r->rest, '=');
    struct span type = span_trim(span_head(r->rest, n));
    bool is_word = type.n && is_letter(type.p[0]);
    bool is_good = n < r->rest.n && type.n && (is_word || is_digit(type.p[0]));
    for (size_t i = 0; is_good && i < type.n; i++) {
        is_good = is_digit(type.p[i]) ||
                  (is_word ? is_letter(type.p[i]) || type.p[i] == '-' : type.p[i] == '.');
    }
    if (!is_good) {
        return fail(r, "each part must be TYPE=value, like CN=s4-acme");
    }
    *out = type;
    r->rest = span_skip(r->rest, n + 1);
    return FRUN_OK;
}

/* Behind a backslash: two hexadecimal digits, or the character itself. */
static frun_err read_escape(struct reader *r)
{
    int octet = hex_octet(r->rest);
    if (octet == 0) {
        return fail(r, "a NUL has no place in a name");
    }
    if (octet > 0) {
        r->rest = span_skip(r->rest, 2);
        return put(r, (char)octet);
    }
    if (!r->rest.n || is_letter(r->rest.p[0]) || is_digit(r->rest.p[0])) {
        return fail(r, "'\\' must stand before a special character or two hexadecimal digits");
    }
    char c = r->rest.p[0];
    r->rest = span_skip(r->rest, 1);
    return put(r, c);
}

static frun_err read_der(struct reader *r)
{
    frun_err err = FRUN_OK;
    r->rest = span_skip(r->rest, 1);
    for (int octet; !err && (octet = hex_octet(r->rest)) >= 0;) {
        r->rest = span_skip(r->rest, 2);
        err = put(r, (char)octet);
    }
    return err;
}

static frun_err read_quoted(struct reader *r)
{
    frun_err err = FRUN_OK;
    r->rest = span_skip(r->rest, 1);
    while (!err && r->rest.n && r->rest.p[0] != '"') {
        char c = r->rest.p[0];
        r->rest = span_skip(r->rest, 1);
        err = c == '\\' ? read_escape(r) : put(r, c);
    }
    if (!err && !r->rest.n) {
        return fail(r, "a quotation mark is missing");
    }
    r->rest = err ? r->rest : span_skip(r->rest, 1);
    return err;
}

static bool is_separator(char c)
{
    return c == ',' || c == '+' || c == ';';
}

/* Blanks at the end belong to the value only when they are escaped. */
static frun_err read_plain(struct reader *r)
{
    frun_err err = FRUN_OK;
    size_t end = r->dn->n_room;
    while (!err && r->rest.n && !is_separator(r->rest.p[0])) {
        char c = r->rest.p[0];
        if (c == '"' || c == '<' || c == '>') {
            return fail(r, "'\"', '<' and '>' within a value need a '\\' before them");
        }
        r->rest = span_skip(r->rest, 1);
        err = c == '\\' ? read_escape(r) : put(r, c);
        end = c == ' ' || c == '\t' ? end : r->dn->n_room;
    }
    r->dn->n_room = end;
    return err;
}

static frun_err read_value(struct reader *r, struct dn_part *part)
{
    size_t from = r->dn->n_room;
    skip_blanks(r);
    char first = '\0';
    if (r->rest.n) {
        first = r->rest.p[0];
    }
    part->is_der = first == '#';
    frun_err err = part->is_der ? read_der(r) : first == '"' ? read_quoted(r) : read_plain(r);
    skip_blanks(r);
    part->value = span_make(r->dn->room + from, r->dn->n_room - from);
    if (!err && !part->value.n) {
        return fail(r, "a value is empty");
    }
    if (!err && r->rest.n && !is_separator(r->rest.p[0])) {
        return fail(r, "behind a value ',' or '+' is wanted");
    }
    return err;
}

frun_err dn_parse(struct span text, struct dn *out, const char **why)
{
    struct reader r = {.rest = span_trim(text), .dn = out};
    frun_err err = FRUN_OK;
    bool is_joined = false;
    out->n = out->n_room = 0;
    do {
        if (out->n == DN_MAX_PARTS) {
            *why = "the name has too many parts";
            return FRUN_E_LIMIT;
        }
        struct dn_part *part = &out->parts[out->n++];
        part->is_joined = is_joined;
        err = read_type(&r, &part->type);
        err = err ? err : read_value(&r, part);
        if (err || !r.rest.n) {
            break;
        }
        is_joined = r.rest.p[0] == '+';
        r.rest = span_skip(r.rest, 1);
    } while (true);
    if (err) {
        *why = r.why;
    }
    return err;
}
