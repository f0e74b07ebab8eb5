/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/connector/rewrite.h"

#include "frun/base/text.h"
#include "frun/http/policy.h"
#include "frun/tunnel/ptth.h"

#include <string.h>

/** A name that ends or starts at this connector and never travels on. */
struct dropped_name {
    const char *name; /**< lower case, '-' for '_'; a final '-' means "and all that begins so" */
    size_t n;         /**< its length */
};

#define DROPPED(s)                                                                                 \
    {                                                                                              \
        (s), sizeof(s) - 1                                                                         \
    }

static const struct dropped_name dropped_names[] = {
    DROPPED("frun-"),          /* internal to the tunnel */
    DROPPED("ssl-client-"),    /* would let a gateway log on as anybody */
    DROPPED("ssl-cipher-"),    /* facts of a TLS connection that the back end does not have */
    DROPPED("host"),           /* written from the authority */
    DROPPED("expect"),         /* answered on this side of the tunnel */
    DROPPED("content-length"), /* framing is made anew */
};

/** A head whose fields name no others. */
static const struct head no_fields;

enum { PORT_HTTP = 80, PORT_HTTPS = 443 };

/* ABAP and CGI fold '_' and '-' and case; so must whoever filters for them. */
static char folded(char c)
{
    if (c == '_') {
        return '-';
    }
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool name_matches(struct span name, const struct dropped_name *want)
{
    bool is_prefix = want->name[want->n - 1] == '-';
    if (name.n < want->n || (!is_prefix && name.n != want->n)) {
        return false;
    }
    for (size_t i = 0; i < want->n; i++) {
        if (folded(name.p[i]) != want->name[i]) {
            return false;
        }
    }
    return true;
}

static bool is_dropped(struct span name)
{
    char first = name.n ? folded(name.p[0]) : '\0';
    for (size_t i = 0; i < sizeof(dropped_names) / sizeof(dropped_names[0]); i++) {
        if (dropped_names[i].name[0] == first && name_matches(name, &dropped_names[i])) {
            return true;
        }
    }
    return false;
}

static bool is_bracketed_host(const char *host)
{
    return strchr(host, ':') && host[0] != '[';
}

/* "host" or "host:port", the scheme's default port left out. */
static frun_err host_text(struct arena *a, const char *host, unsigned port, unsigned usual,
                          struct span *out)
{
    const char *left = is_bracketed_host(host) ? "[" : "";
    const char *right = left[0] ? "]" : "";
    if (port == usual) {
        return arena_printf(a, out, "%s%s%s", left, host, right);
    }
    return arena_printf(a, out, "%s%s%s:%u", left, host, right, port);
}

static unsigned usual_port(const struct conf_mapping *m)
{
    return m->protocol == 0 ? PORT_HTTPS : PORT_HTTP;
}

static struct span virtual_text(struct span authority)
{
    struct span host = {0};
    unsigned port = 0;
    if (uri_is_authority(authority, &host, &port) && port == PORT_HTTPS) {
        size_t n = authority.n;
        while (n > 0 && authority.p[n - 1] != ':') {
            n--;
        }
        authority = span_head(authority, n ? n - 1 : authority.n);
    }
    return authority;
}

static frun_err make_target(const struct uri *u, struct arena *a, struct span *out)
{
    if (!u->query.p) {
        *out = u->path;
        return FRUN_OK;
    }
    char *p = arena_alloc(a, u->path.n + 1 + u->query.n);
    if (!p) {
        return FRUN_E_NOMEM;
    }
    memcpy(p, u->path.p, u->path.n);
    p[u->path.n] = '?';
    if (u->query.n) {
        memcpy(p + u->path.n + 1, u->query.p, u->query.n);
    }
    *out = span_make(p, u->path.n + 1 + u->query.n);
    return FRUN_OK;
}

/* The head that policy_is_hop_field() is to look through: most name no fields, least of all what
 * comes by HTTP/2. */
static const struct head *naming_head(const struct head *in)
{
    return policy_names_fields(in) ? in : &no_fields;
}

static bool tells_principal(const struct conf_mapping *m, const struct head *in)
{
    return m->principal_type == 1 && m->principal_ca_certificate &&
           head_find(in, SPAN_LIT(POLICY_PRINCIPAL_FIELD));
}

frun_err rewrite_principal(const struct conf_mapping *m, const struct head *in, struct arena *a,
                           struct span *name)
{
    struct span value = {0};
    *name = value;
    if (!tells_principal(m, in)) {
        return FRUN_OK;
    }
    for (size_t i = 0; i < in->n_fields; i++) {
        if (span_eq_nocase(in->fields[i].name, SPAN_LIT(POLICY_PRINCIPAL_FIELD))) {
            if (value.p) {
                return FRUN_E_SYNTAX;
            }
            value = in->fields[i].value;
        }
    }
    size_t n = 0;
    char *plain = arena_alloc(a, value.n + 1);
    if (!plain) {
        return FRUN_E_NOMEM;
    }
    if (value.n == 0 || text_base64_decode(value, plain, &n) || n == 0) {
        return FRUN_E_SYNTAX;
    }
    *name = span_make(plain, n);
    return FRUN_OK;
}

/* A field of the request that this mapping does not want to reach its system. */
static bool is_unwanted(const struct conf_mapping *m, bool has_principal, struct span name)
{
    static const struct dropped_name forwarded_host = DROPPED("x-forwarded-host");
    static const struct dropped_name logon = DROPPED("authorization");
    return (m->host_in_request_header == 1 && name_matches(name, &forwarded_host)) ||
           ((m->basic_credentials == 1 || has_principal) && name_matches(name, &logon));
}

static frun_err pass_fields(const struct conf_mapping *m, const struct head *in, struct head *out)
{
    const struct head *naming = naming_head(in);
    bool has_principal = tells_principal(m, in);
    for (size_t i = 0; i < in->n_fields; i++) {
        const struct field *f = &in->fields[i];
        if (is_dropped(f->name) || policy_is_hop_field(naming, f->name) ||
            is_unwanted(m, has_principal, f->name)) {
            continue;
        }
        frun_err err = head_add(out, f->name, f->value);
        if (err) {
            return err;
        }
    }
    return FRUN_OK;
}

frun_err rewrite_request(const struct conf_mapping *m, const struct head *in, const struct uri *u,
                         struct arena *a, struct head *out)
{
    bool is_internal = m->host_in_request_header == 1;
    struct span virtual_host = virtual_text(in->authority);
    out->n_fields = 0;
    out->authority = (struct span){0};
    out->status = 0;
    out->reason = (struct span){0};
    out->minor = 1;
    out->body = in->body;
    out->body_len_bytes = in->body_len_bytes;
    out->is_keep_alive = true;
    out->wants_continue = false;
    out->is_upgrade = false;
    out->method = in->method;
    if (make_target(u, a, &out->target)) {
        return FRUN_E_NOMEM;
    }
    out->authority = virtual_host;
    if (is_internal && host_text(a, m->internal_host, (unsigned)m->internal_port, usual_port(m),
                                 &out->authority)) {
        return FRUN_E_NOMEM;
    }
    frun_err err = pass_fields(m, in, out);
    if (!err && is_internal) {
        err = head_add(out, SPAN_LIT("X-Forwarded-Host"), virtual_host);
    }
    if (!err && !m->system_certificate_for_logon && !tells_principal(m, in)) {
        /* Without it an ABAP system would take our certificate in the handshake for a logon. */
        err = head_add(out, SPAN_LIT("SSL_CLIENT_CERT"), SPAN_LIT(""));
    }
    return err;
}

bool rewrite_is_repeatable(const struct head *in)
{
    static const char *const idempotent[] = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS"};
    for (size_t i = 0; i < sizeof(idempotent) / sizeof(idempotent[0]); i++) {
        if (span_eq(in->method, span_of(idempotent[i]))) {
            return true;
        }
    }
    const struct field *f = head_find(in, SPAN_LIT(PTTH_REPEATABLE_FIELD));
    return f && span_eq(f->value, SPAN_LIT("1"));
}

static bool is_internal_of(const struct conf_mapping *m, struct span host, unsigned port)
{
    struct span want = span_of(m->internal_host);
    if (want.n >= 2 && want.p[0] == '[') {
        want = span_make(want.p + 1, want.n - 2);
    }
    if (host.n >= 2 && host.p[0] == '[') {
        host = span_make(host.p + 1, host.n - 2);
    }
    return m->internal_port == port && span_eq_nocase(want, host);
}

/* The mapping that answered first, then the first one in the file that fits. */
static const struct conf_mapping *mapping_of(const struct conf_cn *conf,
                                             const struct conf_mapping *m, struct span host,
                                             unsigned port)
{
    if (is_internal_of(m, host, port)) {
        return m;
    }
    for (size_t i = 0; i < conf->n_mappings; i++) {
        if (is_internal_of(conf->mappings[i], host, port)) {
            return conf->mappings[i];
        }
    }
    return NULL;
}

static frun_err rewrite_location(const struct conf_cn *conf, const struct conf_mapping *m,
                                 struct span value, struct arena *a, struct span *out)
{
    unsigned usual = PORT_HTTPS;
    struct span rest;
    *out = value;
    if (span_starts_nocase(value, SPAN_LIT("https://"))) {
        rest = span_skip(value, sizeof("https://") - 1);
    } else if (span_starts_nocase(value, SPAN_LIT("http://"))) {
        rest = span_skip(value, sizeof("http://") - 1);
        usual = PORT_HTTP;
    } else {
        return FRUN_OK;
    }
    size_t n = 0;
    while (n < rest.n && !strchr("/?#", rest.p[n])) {
        n++;
    }
    struct span host = {0};
    unsigned port = 0;
    if (!uri_is_authority(span_head(rest, n), &host, &port)) {
        return FRUN_OK;
    }
    const struct conf_mapping *hit = mapping_of(conf, m, host, port ? port : usual);
    if (!hit) {
        return FRUN_OK;
    }
    struct span virtual_host = {0};
    frun_err err = host_text(a, hit->virtual_host, hit->virtual_port, PORT_HTTPS, &virtual_host);
    if (err) {
        return err;
    }
    rest = span_skip(rest, n);
    return arena_printf(a, out, "https://%.*s%.*s", SPAN_FMT(virtual_host), SPAN_FMT(rest));
}

frun_err rewrite_answer(const struct conf_cn *conf, const struct conf_mapping *m,
                        const struct head *in, struct arena *a, struct head *out)
{
    out->method = out->target = out->authority = (struct span){0};
    out->status = in->status;
    out->reason = in->reason;
    out->minor = 1;
    out->body = in->body;
    out->body_len_bytes = in->body_len_bytes;
    out->is_keep_alive = true;
    out->wants_continue = false;
    out->is_upgrade = false;
    out->n_fields = 0;
    static const struct dropped_name internal = DROPPED("frun-");
    const struct head *naming = naming_head(in);
    for (size_t i = 0; i < in->n_fields; i++) {
        struct field f = in->fields[i];
        frun_err err = FRUN_OK;
        if (name_matches(f.name, &internal) || policy_is_hop_field(naming, f.name)) {
            continue;
        }
        if (span_eq_nocase(f.name, SPAN_LIT("Location"))) {
            err = rewrite_location(conf, m, in->fields[i].value, a, &f.value);
        }
        if (!err) {
            err = head_add(out, f.name, f.value);
        }
        if (err) {
            return err;
        }
    }
    return head_add(out, SPAN_LIT(PTTH_ORIGIN_FIELD), SPAN_LIT(REWRITE_ORIGIN_BACKEND));
}
