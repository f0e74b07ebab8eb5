/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/http/policy.h"

#include "policy_int.h"

#define PORT_HTTPS 443U

/* Is it the virtual host? A missing port and the scheme's default are taken for the virtual port:
 * the name is ours alone, and ABAP builds URLs with and without it. */
static bool is_virtual_host(const struct policy *p, struct span authority, unsigned default_port)
{
    struct span ours;
    struct span host;
    unsigned our_port;
    unsigned port;

    if (!uri_is_authority(p->virtual_host, &ours, &our_port) ||
        !uri_is_authority(authority, &host, &port) || !span_eq_nocase(ours, host)) {
        return false;
    }
    return port == 0 || port == (our_port ? our_port : PORT_HTTPS) || port == default_port;
}

/* What follows the virtual host in an absolute URL; absent if it is another's. */
static struct span cut_virtual_host(const struct policy *p, struct span url)
{
    unsigned port = 0;
    size_t n = 0;

    if (span_starts_nocase(url, SPAN_LIT("https://"))) {
        port = PORT_HTTPS;
        url = span_skip(url, 8);
    } else if (span_starts_nocase(url, SPAN_LIT("http://"))) {
        port = 80;
        url = span_skip(url, 7);
    } else if (span_starts(url, SPAN_LIT("//"))) {
        port = PORT_HTTPS;
        url = span_skip(url, 2);
    } else {
        return (struct span){0};
    }
    while (n < url.n && url.p[n] != '/' && url.p[n] != '?' && url.p[n] != '#') {
        n++;
    }
    return is_virtual_host(p, span_head(url, n), port) ? span_skip(url, n) : (struct span){0};
}

static frun_err rewrite_location(const struct policy *p, struct span url, struct arena *a,
                                 struct span *out)
{
    bool is_path = url.n > 0 && url.p[0] == '/' && (url.n == 1 || url.p[1] != '/');
    struct span rest = is_path ? url : cut_virtual_host(p, url);

    if (!rest.p) {
        *out = url;
        return FRUN_OK;
    }
    if (rest.n && rest.p[0] == '/') {
        frun_err err = pathmap_back(&p->map, rest, a, &rest);

        if (err) {
            return err;
        }
    }
    if (is_path) {
        const struct span parts[] = {p->root_path, rest};

        return policy_join(a, parts, 2, out);
    }
    const struct span parts[] = {p->public_scheme,
                                 SPAN_LIT("://"),
                                 p->public_host,
                                 p->root_path,
                                 rest.n && rest.p[0] == '/' ? SPAN_LIT("") : SPAN_LIT("/"),
                                 rest};

    return policy_join(a, parts, 6, out);
}

static frun_err pass_fields(const struct policy *p, const struct head *in, struct arena *a,
                            struct head *out)
{
    bool has_named = policy_names_fields(in);
    frun_err err = FRUN_OK;

    for (size_t i = 0; i < in->n_fields && !err; i++) {
        const struct field *field = &in->fields[i];
        const struct policy_row *row = policy_row_find(field->name);
        enum policy_action action = row ? row->answer : POLICY_PASS;
        struct span value = field->value;

        if (action == POLICY_DROP || action == POLICY_REPLACE ||
            (action == POLICY_LENGTH && in->body != HEAD_BODY_NONE) ||
            (has_named && policy_is_hop_field(in, field->name))) {
            continue;
        }
        if (action == POLICY_LOCATION) {
            err = rewrite_location(p, field->value, a, &value);
        }
        err = err ? err : head_add(out, field->name, value);
    }
    return err;
}

frun_err policy_answer(const struct policy *p, struct span request_id, const struct head *in,
                       struct arena *a, struct head *out)
{
    frun_err err;

    out->method = out->target = out->authority = (struct span){0};
    out->status = in->status;
    out->reason = in->reason;
    out->minor = 1;
    out->body = in->body;
    out->body_len_bytes = in->body_len_bytes;
    /* Whether the pusher's connection goes on is not the back end's to say. */
    out->is_keep_alive = true;
    out->wants_continue = out->is_upgrade = false;
    out->n_fields = 0;
    err = pass_fields(p, in, a, out);
    if (!err && request_id.p) {
        err = head_add(out, SPAN_LIT("X-Request-ID"), request_id);
    }
    return err ? err : policy_add_via(in, p->via_name, a, out);
}
