/**
 * Lines for systemd's journal, with fields, in its own protocol.
 *
 * Not by sd_journal_sendv(): that blocks while the journal is stuck, and says that all is well when
 * there is none.
 * Source: systemd.io/JOURNAL_NATIVE_PROTOCOL, systemd.journal-fields(7).
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "log_int.h"

#include "frun/base/text.h"

#include <string.h>

/* Where journald listens. */
#define SYSTEM_SOCKET "/run/systemd/journal/socket"

/* Of one datagram: a line, its fields with their longer names, and ours. */
#define MAX_BYTES (LOG_ACCESS_BYTES + 2 * LOG_FIELDS_BYTES)

/* A datagram under way; a field that does not fit is left out. */
struct fields {
    char *p;
    size_t n;
    size_t room;
};

static void put(struct fields *f, struct span s)
{
    if (s.n > 0) {
        memcpy(f->p + f->n, s.p, s.n);
        f->n += s.n;
    }
}

/* Values have no line end: one would begin another field. */
static void put_line(struct fields *f, struct span name, struct span value)
{
    if (f->n + name.n + value.n + 2 > f->room) {
        return;
    }
    put(f, name);
    put(f, SPAN_LIT("="));
    size_t at = f->n;
    put(f, value);
    for (; at < f->n; at++) {
        f->p[at] = f->p[at] == '\n' ? ' ' : f->p[at];
    }
    put(f, SPAN_LIT("\n"));
}

static void put_number(struct fields *f, struct span name, unsigned v)
{
    char digits[TEXT_NUMBER_BYTES];
    put_line(f, name, span_make(digits, text_number(v, digits)));
}

/* "endpoint" becomes "FRUN_ENDPOINT". */
static void put_own(struct fields *f, struct span name, struct span value)
{
    char upper[64] = "FRUN_";
    size_t n = sizeof("FRUN_") - 1;
    for (size_t i = 0; i < name.n && n < sizeof(upper); i++, n++) {
        char c = name.p[i];
        upper[n] = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
    }
    put_line(f, span_make(upper, n), value);
}

/* The table gives the type. NOLINTNEXTLINE(readability-non-const-parameter) */
static size_t journal_write(const struct log_datagram *g, const struct log_record *r, char *out,
                            size_t room)
{
    struct fields f = {.p = out, .room = room};
    struct span rest = r->fields;
    struct span name;
    struct span value;

    put_line(&f, SPAN_LIT("MESSAGE"), r->text);
    put_number(&f, SPAN_LIT("PRIORITY"), r->severity);
    put_number(&f, SPAN_LIT("SYSLOG_FACILITY"), log_facility(g, r));
    put_line(&f, SPAN_LIT("SYSLOG_IDENTIFIER"), span_of(program_invocation_short_name));
    put_line(&f, SPAN_LIT("FRUN_LOG"), r->is_access ? SPAN_LIT("access") : SPAN_LIT("event"));
    if (r->scope.n > 0) {
        put_own(&f, SPAN_LIT("scope"), r->scope);
    }
    while (log_field_next(&rest, &name, &value)) {
        put_own(&f, name, value);
    }
    return f.n;
}

frun_err log_journal_open(const struct log_where *w, struct log_sender **out, struct diag *d)
{
    struct log_where at = *w;
    struct log_datagram *g = NULL;

    (void)d;
    at.name = w->name ? w->name : SYSTEM_SOCKET;
    frun_err err = log_datagram_new(&at, &g);
    if (!err) {
        g->path = g->base.where.name;
        g->write = journal_write;
        g->max_bytes = MAX_BYTES;
        *out = &g->base;
    }
    return err;
}
