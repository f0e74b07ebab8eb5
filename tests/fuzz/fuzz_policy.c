/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/http/policy.h"

#include "../../src/http/policy_int.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct policy acme = {
    .virtual_host = {"fr1_frun", 8},
    .authorization = {"Basic x", 7},
    .fence_value = {"fence", 5},
    .fence_header = {"X-Fence", 7},
    .fence_query = {"fence", 5},
    .public_scheme = {"https", 5},
    .public_host = {"push.example.com", 16},
    .root_path = {"/ACME_PROD", 10},
    .via_name = {"frunproxyd", 10},
};

static void must(bool is_so)
{
    if (!is_so) {
        abort();
    }
}

static void once(const struct head *h, const char *name, const char *value)
{
    size_t n = 0;

    for (size_t i = 0; i < h->n_fields; i++) {
        if (policy_same_name(h->fields[i].name, span_of(name))) {
            n++;
            must(!value || span_eq(h->fields[i].value, span_of(value)));
        }
    }
    must(n == 1);
}

/* No field of that name, or with that beginning. */
static void never(const struct head *h, const char *text, bool is_prefix)
{
    struct span b = span_of(text);

    for (size_t i = 0; i < h->n_fields; i++) {
        struct span name = h->fields[i].name;

        must(name.n < b.n || (!is_prefix && name.n > b.n) ||
             !policy_same_name(span_head(name, b.n), b));
    }
}

static void request(const struct head *in, struct arena *a)
{
    static struct head out;
    static const char *const beginnings[] = {"proxy-",
                                             "sap-connectivity-",
                                             "sap-cp-connectivity-",
                                             "ssl-client-cert",
                                             "ssl-cipher-",
                                             "x-sap-webdisp-",
                                             "frun-"};
    static const char *const names[] = {"x-zid",   "mysapsso2",         "sap-r3auth", "sap-user",
                                        "expect",  "sap-password",      "te",         "fence",
                                        "upgrade", "transfer-encoding", "host",       "keep-alive"};
    char id[POLICY_ID_BYTES];
    char trace[POLICY_ID_BYTES];
    struct uri u = {0};
    const char *why;
    struct policy_facts f = {.client_address = SPAN_LIT("::1"), .host = in->authority};

    if (uri_parse(in->target, in->authority, &u, &why)) {
        return;
    }
    f.path = u.path;
    f.query = u.query;
    f.request_id = policy_request_id(in, id);
    f.traceparent = policy_traceparent(in, trace);
    if (policy_request(&acme, &f, in, a, &out)) {
        return;
    }
    for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++) {
        never(&out, beginnings[i], true);
    }
    f.principal = SPAN_LIT("YQ==");
    if (policy_request(&acme, &f, in, a, &out) == FRUN_OK) {
        once(&out, POLICY_PRINCIPAL_FIELD, "YQ==");
    }
    f.principal = (struct span){0};
    if (policy_request(&acme, &f, in, a, &out)) {
        return;
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        never(&out, names[i], false);
    }
    once(&out, "authorization", "Basic x");
    once(&out, "x-fence", "fence");
    once(&out, "clientprotocol", "https");
    once(&out, "x-forwarded-for", "::1");
    once(&out, "forwarded", NULL);
    once(&out, "x-request-id", NULL);
    once(&out, "traceparent", NULL);
    once(&out, "via", NULL);
    /* What we send is what we would accept. */
    for (size_t i = 0; i < out.n_fields; i++) {
        must(head_is_token(out.fields[i].name) && head_is_value(out.fields[i].value));
    }
    must(!uri_parse(out.target, out.authority, &u, &why) && span_eq(u.path, f.path));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct head in;
    static struct head out;
    const struct head_limits limits = HEAD_LIMITS_DEFAULT;
    struct head_fault fault;
    struct arena a;

    arena_init(&a, 1048576);
    if (!head_parse_request(span_make(data, size), &limits, &in, &fault)) {
        request(&in, &a);
    }
    if (!head_parse_answer(span_make(data, size), &limits, SPAN_LIT("GET"), &in, &fault) &&
        !policy_answer(&acme, SPAN_LIT("id"), &in, &a, &out)) {
        never(&out, "frun-", true);
        never(&out, "connection", false);
        once(&out, "x-request-id", "id");
        once(&out, "via", NULL);
    }
    arena_done(&a);
    return 0;
}
