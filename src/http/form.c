/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/http/form.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

frun_err form_decode(struct span text, char *room, struct span *out)
{
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i] == '+' ? ' ' : text.p[i];
        if (c == '%') {
            int high = i + 2 < text.n ? hex_digit(text.p[i + 1]) : -1;
            int low = i + 2 < text.n ? hex_digit(text.p[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return FRUN_E_SYNTAX;
            }
            c = (char)(unsigned char)((unsigned)high << 4 | (unsigned)low);
            i += 2;
        }
        if ((unsigned char)c < 0x20 || c == 0x7f) {
            return FRUN_E_SYNTAX;
        }
        room[n++] = c;
    }
    *out = span_make(room, n);
    return FRUN_OK;
}

frun_err form_parse(struct span text, char *room, struct form *out)
{
    struct span part;
    while (span_split(&text, '&', &part)) {
        if (part.n == 0) {
            continue;
        }
        if (out->n >= FORM_MAX_FIELDS) {
            return FRUN_E_LIMIT;
        }
        struct form_field *f = &out->fields[out->n];
        size_t eq = span_find(part, '=');
        frun_err err = form_decode(span_head(part, eq), room, &f->name);
        if (!err) {
            room += f->name.n;
            err = form_decode(span_skip(part, eq < part.n ? eq + 1 : eq), room, &f->value);
        }
        if (err) {
            return err;
        }
        room += f->value.n;
        out->n++;
    }
    return FRUN_OK;
}

frun_err form_get(const struct form *f, struct span name, struct span *value)
{
    struct span found = {NULL, 0};
    for (size_t i = 0; i < f->n; i++) {
        if (!span_eq(f->fields[i].name, name)) {
            continue;
        }
        if (found.p) {
            return FRUN_E_EXISTS;
        }
        found = f->fields[i].value;
    }
    *value = found;
    return FRUN_OK;
}
