/**
 * Lines and fields of CSV with semicolons.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl_csv.h"

#include <string.h>

bool ctl_csv_is_utf8(const char *text, size_t n)
{
    const unsigned char *p = (const unsigned char *)text;
    for (size_t i = 0; i < n;) {
        unsigned char c = p[i];
        size_t more = c < 0x80 ? 0 : (c & 0xe0) == 0xc0 ? 1 : (c & 0xf0) == 0xe0 ? 2 : 3;
        if (c == 0 || (c >= 0x80 && c < 0xc2) || c > 0xf4 || n - i <= more) {
            return false;
        }
        for (size_t k = 1; k <= more; k++) {
            if ((p[i + k] & 0xc0) != 0x80) {
                return false;
            }
        }
        i += more + 1;
    }
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* A field in quotes, from behind the first one; "" stands for one. Its content moves to @p out.
 * NULL: it does not end in its line. */
static char *quoted(char *p, const char *end, char *out)
{
    while (p < end && *p != '\n' && *p != '\r') {
        if (*p != '"') {
            *out++ = *p++;
        } else if (p + 1 < end && p[1] == '"') {
            *out++ = '"';
            p += 2;
        } else {
            *out = '\0';
            return p + 1;
        }
    }
    return NULL;
}

/* One field of the line that ends at @p end; where the next one begins, or NULL at its end. */
static char *cut(char *p, char *end, struct ctl_csv_row *row)
{
    while (p < end && is_blank(*p)) {
        p++;
    }
    char *begin = p;
    char *last;
    if (p < end && *p == '"') {
        p = quoted(p + 1, end, begin);
        last = p ? begin + strlen(begin) : begin;
        while (p && p < end && is_blank(*p)) {
            p++;
        }
        if (!p || (p < end && *p != ';')) {
            row->why = p ? "text stands behind a closing quote" : "a quote is not closed";
            return NULL;
        }
    } else {
        char *semicolon = memchr(p, ';', (size_t)(end - p));
        p = semicolon ? semicolon : end;
        last = p;
        while (last > begin && is_blank(last[-1])) {
            last--;
        }
    }
    bool is_last = p == end;
    *last = '\0';
    if (row->n == CTL_CSV_MAX_FIELDS) {
        row->why = "it has too many fields";
        return NULL;
    }
    row->fields[row->n++] = begin;
    return is_last ? NULL : p + 1;
}

/* Where the line ends, and where the next one begins: LF, CRLF or CR. */
static char *line_end(char *p, char *end, char **next)
{
    char *e = p;
    while (e < end && *e != '\n' && *e != '\r') {
        e++;
    }
    *next = e < end ? e + (e + 1 < end && e[0] == '\r' && e[1] == '\n' ? 2 : 1) : end;
    return e;
}

bool ctl_csv_next(struct ctl_csv *c, struct ctl_csv_row *row)
{
    if (c->line == 0 && c->end - c->at >= 3 && memcmp(c->at, "\xef\xbb\xbf", 3) == 0) {
        c->at += 3;
    }
    while (c->at < c->end) {
        char *next;
        char *end = line_end(c->at, c->end, &next);
        char *p = c->at;
        bool is_empty = true;
        c->at = next;
        c->line++;
        for (char *q = p; q < end && is_empty; q++) {
            is_empty = is_blank(*q) || *q == ';';
        }
        if (is_empty || *p == '#') {
            continue;
        }
        *row = (struct ctl_csv_row){.n = 0};
        while (p) {
            p = cut(p, end, row);
        }
        return true;
    }
    return false;
}
