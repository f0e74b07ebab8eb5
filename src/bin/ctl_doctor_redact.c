/**
 * frunctl doctor --bundle: configurations and texts without what is secret in them.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/conf/connector.h"
#include "frun/conf/gateway.h"

#include "ctl_doctor.h"

#include <string.h>

/* Shorter secrets are not searched for in texts: they would be found everywhere. */
#define SCRUB_MIN_BYTES 4

static const struct conf_row *row_of(bool is_connector, struct span kind, struct span key)
{
    size_t n = 0;
    const struct conf_kind *kinds = is_connector ? conf_cn_kinds(&n) : conf_gw_kinds(&n);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; span_eq(kind, span_of(kinds[i].word)) && k < kinds[i].n_rows; k++) {
            if (span_eq(key, span_of(kinds[i].rows[k].key))) {
                return &kinds[i].rows[k];
            }
        }
    }
    return NULL;
}

/* Where a secret is may be told, never what it is. */
static bool is_reference(struct span value)
{
    return span_starts(value, SPAN_LIT("file:")) || span_starts(value, SPAN_LIT("credential:")) ||
           span_starts(value, SPAN_LIT("env:"));
}

/* What is no key of the table, is a secret, a hash, or the fence, is not shown. */
static bool may_show(const struct conf_row *row, struct span value)
{
    if (!row || strcmp(row->key, "admin_request_parameter") == 0 || strstr(row->key, "hash")) {
        return false;
    }
    if (row->type == CONF_SECRET) {
        return is_reference(value);
    }
    return span_find(value, '@') == value.n || !strstr(row->key, "proxy");
}

/* The first word of a section's line. */
static struct span kind_of(struct span line)
{
    struct span kind = span_skip(line, 1);
    size_t end = 0;
    while (end < kind.n && kind.p[end] != ' ' && kind.p[end] != ']') {
        end++;
    }
    return span_head(kind, end);
}

static struct span without_comment(struct span value)
{
    for (size_t i = 1; i < value.n; i++) {
        if (value.p[i] == ';' && (value.p[i - 1] == ' ' || value.p[i - 1] == '\t')) {
            return span_trim(span_head(value, i));
        }
    }
    return value;
}

bool doctor_redact(struct span text, bool is_connector, struct buf *out)
{
    struct span line;
    struct span kind = {NULL, 0};
    frun_err err = FRUN_OK;
    while (!err && text.n && span_split(&text, '\n', &line)) {
        while (line.n && line.p[line.n - 1] == '\r') {
            line.n--;
        }
        line = span_trim(line);
        size_t eq = span_find(line, '=');
        if (line.n && line.p[0] == '[') {
            kind = kind_of(line);
            err = buf_printf(out, "%.*s\n", SPAN_FMT(span_head(line, span_find(line, ']') + 1)));
        } else if (line.n && line.p[0] != ';' && line.p[0] != '#' && eq < line.n) {
            struct span key = span_trim(span_head(line, eq));
            struct span value = without_comment(span_trim(span_skip(line, eq + 1)));
            bool is_shown = may_show(row_of(is_connector, kind, key), value);
            err = buf_printf(out, "%.*s = %.*s\n", SPAN_FMT(key),
                             SPAN_FMT(is_shown ? value : SPAN_LIT("***")));
        } else {
            err = buf_printf(out, "%s\n", line.n ? "; (not shown)" : "");
        }
    }
    return !err;
}

static void blot(char *text, size_t n, struct span secret)
{
    if (secret.n < SCRUB_MIN_BYTES) {
        return;
    }
    for (char *at = text; (at = memmem(at, n - (size_t)(at - text), secret.p, secret.n)) != NULL;
         at += secret.n) {
        memset(at, '*', secret.n);
    }
}

void doctor_scrub(const struct doctor *d, char *text, size_t n)
{
    for (size_t i = 0; d->gw && i < d->gw->n_endpoints; i++) {
        const struct conf_endpoint *e = d->gw->endpoints[i];
        blot(text, n, secret_span(e->password));
        blot(text, n, secret_span(e->client_secret));
        blot(text, n, secret_span(e->proxy_password));
        if (e->admin_request_parameter) {
            blot(text, n, span_of(e->admin_request_parameter));
        }
    }
    for (size_t i = 0; d->gw && i < d->gw->n_pushers; i++) {
        const struct conf_pusher *p = d->gw->pushers[i];
        blot(text, n, span_of(p->password.hash ? p->password.hash : ""));
        blot(text, n, span_of(p->secret.hash ? p->secret.hash : ""));
    }
    if (d->gw) {
        blot(text, n, secret_span(d->gw->gateway->session_ticket_key));
    }
    for (size_t i = 0; d->cn && i < d->cn->n_subaccounts; i++) {
        blot(text, n, secret_span(d->cn->subaccounts[i]->proxy_password));
    }
}
