/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/http/policy.h"

#include "policy_int.h"
#include "uri_int.h"

/* Query parameters by which a request can log on to ABAP. */
static const char *const logon_keys[] = {"sap-user", "sap-password", "mysapsso2"};

static bool is_logon_cookie(struct span key, void *ctx)
{
    (void)ctx;
    return uri_key_is(key, SPAN_LIT("MYSAPSSO2"));
}

typedef bool (*same_fn)(struct span a, struct span b);

/* The fence's names count in either carrier, and so do those of other endpoints: the site's Web
 * Dispatcher may read any of them. */
static bool is_fence_name(const struct policy *p, struct span name, same_fn is_same)
{
    if ((p->fence_header.n > 0 && is_same(name, p->fence_header)) ||
        (p->fence_query.n > 0 && is_same(name, p->fence_query))) {
        return true;
    }
    for (size_t i = 0; i < p->n_foreign_fences; i++) {
        if (is_same(name, p->foreign_fences[i])) {
            return true;
        }
    }
    return false;
}

static bool is_dropped_key(struct span key, void *ctx)
{
    const struct policy *p = ctx;

    for (size_t i = 0; i < sizeof(logon_keys) / sizeof(logon_keys[0]); i++) {
        if (uri_key_is(key, span_of(logon_keys[i]))) {
            return true;
        }
    }
    return is_fence_name(p, key, uri_key_is);
}

static frun_err build_target(const struct policy *p, const struct policy_facts *f, struct arena *a,
                             struct span *out)
{
    struct policy keys = *p;
    struct span query;
    struct span name;
    struct span value;
    frun_err err = uri_query_drop(f->query, is_dropped_key, &keys, a, &query);

    if (err) {
        return err;
    }
    if (p->fence_query.n > 0 && p->fence_value.p) {
        err = uri_encode(p->fence_query, a, &name);
        err = err ? err : uri_encode(p->fence_value, a, &value);
        if (!err) {
            const struct span parts[] = {
                f->path, SPAN_LIT("?"), query, query.n ? SPAN_LIT("&") : SPAN_LIT(""),
                name,    SPAN_LIT("="), value};

            err = policy_join(a, parts, 7, out);
        }
        return err;
    }
    if (!query.p) {
        *out = f->path;
        return FRUN_OK;
    }
    const struct span parts[] = {f->path, SPAN_LIT("?"), query};

    return policy_join(a, parts, 3, out);
}

static frun_err pass_cookie(const struct field *f, struct arena *a, struct head *out)
{
    /* Old readers also part cookies at commas. */
    const struct uri_list l = {f->value, ";,", is_logon_cookie, NULL};
    struct span rest;
    frun_err err = uri_list_drop(&l, a, &rest);

    if (err) {
        return err;
    }
    rest = rest.p ? span_trim(rest) : rest;
    return rest.n || f->value.n == 0 ? head_add(out, f->name, rest) : FRUN_OK;
}

/* Did the pusher's traceparent become the request's? */
static bool is_trace_kept(const struct policy_facts *f, const struct head *in)
{
    for (size_t i = 0; i < in->n_fields; i++) {
        if (policy_same_name(in->fields[i].name, SPAN_LIT("traceparent"))) {
            return span_eq(in->fields[i].value, f->traceparent);
        }
    }
    return false;
}

static frun_err pass_fields(const struct policy *p, const struct policy_facts *f,
                            const struct head *in, struct arena *a, struct head *out)
{
    bool has_named = policy_names_fields(in);
    bool keeps_trace = is_trace_kept(f, in);
    frun_err err = FRUN_OK;

    for (size_t i = 0; i < in->n_fields && !err; i++) {
        const struct field *field = &in->fields[i];
        const struct policy_row *row = policy_row_find(field->name);
        enum policy_action action = row ? row->request : POLICY_PASS;

        if (action == POLICY_DROP || action == POLICY_REPLACE ||
            (action == POLICY_TRACE && !keeps_trace) ||
            is_fence_name(p, field->name, policy_same_name) ||
            (has_named && policy_is_hop_field(in, field->name))) {
            continue;
        }
        err = action == POLICY_COOKIE ? pass_cookie(field, a, out)
                                      : head_add(out, field->name, field->value);
    }
    return err;
}

/* Each once, and only if there is something to say. */
static frun_err add(struct head *out, struct span name, struct span value)
{
    return value.p ? head_add(out, name, value) : FRUN_OK;
}

static frun_err add_forwarded(const struct policy *p, const struct policy_facts *f,
                              struct span host, struct arena *a, struct head *out)
{
    bool is_ipv6 = span_find(f->client_address, ':') < f->client_address.n;
    bool is_known = f->client_address.n > 0;
    const struct span parts[] = {
        SPAN_LIT("for="),
        is_ipv6 ? SPAN_LIT("\"[") : SPAN_LIT(""),
        is_known ? f->client_address : SPAN_LIT("unknown"),
        is_ipv6 ? SPAN_LIT("]\"") : SPAN_LIT(""),
        SPAN_LIT(";host=\""),
        host,
        SPAN_LIT("\";proto="),
        p->public_scheme,
    };
    struct span value;
    frun_err err = policy_join(a, parts, sizeof(parts) / sizeof(parts[0]), &value);

    return err ? err : head_add(out, SPAN_LIT("Forwarded"), value);
}

static frun_err add_ours(const struct policy *p, const struct policy_facts *f,
                         const struct head *in, struct arena *a, struct head *out)
{
    struct span host = f->host.n ? f->host : p->public_host;
    frun_err err = add(out, SPAN_LIT("Authorization"), p->authorization);

    if (!err && p->fence_header.n > 0) {
        err = add(out, p->fence_header, p->fence_value);
    }
    if (!err && f->client_address.n > 0) {
        err = add(out, SPAN_LIT("X-Forwarded-For"), f->client_address);
    }
    err = err ? err : add(out, SPAN_LIT("X-Forwarded-Proto"), p->public_scheme);
    err = err ? err : add(out, SPAN_LIT("X-Forwarded-Host"), host);
    err = err ? err : add_forwarded(p, f, host, a, out);
    err = err ? err : add(out, SPAN_LIT("clientprotocol"), p->public_scheme);
    err = err ? err : add(out, SPAN_LIT(POLICY_PRINCIPAL_FIELD), f->principal);
    err = err ? err : add(out, SPAN_LIT("X-Request-ID"), f->request_id);
    err = err ? err : add(out, SPAN_LIT("traceparent"), f->traceparent);
    return err ? err : policy_add_via(in, p->via_name, a, out);
}

frun_err policy_request(const struct policy *p, const struct policy_facts *f, const struct head *in,
                        struct arena *a, struct head *out)
{
    frun_err err;

    out->method = in->method;
    out->authority = p->virtual_host;
    out->reason = (struct span){0};
    out->status = 0;
    out->minor = 1;
    out->body = in->body;
    out->body_len_bytes = in->body_len_bytes;
    out->is_keep_alive = true;
    out->wants_continue = out->is_upgrade = out->is_http2 = false;
    out->n_fields = 0;
    err = build_target(p, f, a, &out->target);
    err = err ? err : pass_fields(p, f, in, a, out);
    return err ? err : add_ours(p, f, in, a, out);
}
