/**
 * The gateway's own answers.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/gateway/reply.h"

#include "frun/http/problem.h"

#include <stdio.h>

static frun_err add(struct head *head, struct span name, struct span value)
{
    return value.n ? head_add(head, name, value) : FRUN_OK;
}

static frun_err build_plain(const struct reply *r, struct arena *a, struct head *head,
                            struct span *body)
{
    struct span seconds = {0};
    *head = (struct head){.status = r->status,
                          .reason = span_of(problem_reason(r->status)),
                          .minor = 1,
                          .body = HEAD_BODY_LENGTH,
                          .is_keep_alive = true};
    *body = r->body;
    frun_err err = r->body.p ? FRUN_OK : arena_printf(a, body, "%s\n", r->detail);
    if (!err && r->retry_after_s) {
        err = arena_printf(a, &seconds, "%u", r->retry_after_s);
    }
    head->body_len_bytes = body->n;
    const struct field fields[] = {
        {SPAN_LIT("Content-Type"), span_of(r->type ? r->type : "text/plain; charset=utf-8")},
        {SPAN_LIT("Cache-Control"), span_of(r->cache ? r->cache : "no-store")},
        {SPAN_LIT("Retry-After"), seconds},
        {SPAN_LIT("Allow"), r->allow},
        {SPAN_LIT("WWW-Authenticate"), r->challenge},
    };
    for (size_t i = 0; !err && i < sizeof(fields) / sizeof(fields[0]); i++) {
        err = add(head, fields[i].name, fields[i].value);
    }
    return err;
}

frun_err reply_build(const struct reply *r, struct span request_id, struct arena *a,
                     struct head *head, struct span *body)
{
    if (r->is_plain) {
        return build_plain(r, a, head, body);
    }
    struct problem p = {.status = r->status,
                        .proxy = "frunproxyd",
                        .error = r->error,
                        .kind = r->kind,
                        .detail = span_of(r->detail),
                        .request_id = request_id,
                        .retry_after_s = r->retry_after_s,
                        .allow = r->allow,
                        .challenge = r->challenge};
    frun_err err = problem_build(&p, a, head, body);
    return err ? err : add(head, SPAN_LIT("WWW-Authenticate"), r->other_challenge);
}

const char *reply_error_type(frun_err err)
{
    switch (err) {
    case FRUN_E_RESOLVE:
        return "dns_error";
    case FRUN_E_CONNECT:
        return "connection_refused";
    case FRUN_E_TLS:
        return "tls_protocol_error";
    case FRUN_E_TIMEOUT:
        return "http_response_timeout";
    case FRUN_E_CLOSED:
    case FRUN_E_EOF:
        return "connection_terminated";
    case FRUN_E_SYNTAX:
        return "http_protocol_error";
    case FRUN_E_LIMIT:
        return "connection_limit_reached";
    case FRUN_E_PROXY:
        return "destination_unavailable";
    default:
        return "proxy_internal_error";
    }
}

const char *reply_cause(frun_err err)
{
    switch (err) {
    case FRUN_E_RESOLVE:
        return "the host name of Focused Run has no address";
    case FRUN_E_CONNECT:
        return "Focused Run cannot be reached";
    case FRUN_E_TLS:
        return "TLS with Focused Run failed; the gateway's log has the cause";
    case FRUN_E_TIMEOUT:
        return "Focused Run did not answer in time";
    case FRUN_E_CLOSED:
    case FRUN_E_EOF:
    case FRUN_E_IO:
        return "the connection to Focused Run was lost";
    case FRUN_E_SYNTAX:
        return "the answer of Focused Run is not proper HTTP";
    case FRUN_E_LIMIT:
        return "the head of Focused Run's answer is too large, or too many connections are open";
    case FRUN_E_PROXY:
        return "the proxy towards Focused Run refused";
    default:
        return "the gateway could not forward the request";
    }
}

/* The failure's own text names internal addresses: it is for the log alone. */
struct reply reply_failure(const struct call_failure *f, char detail[REPLY_DETAIL_BYTES])
{
    const struct call_verdict *v = &f->verdict;
    const char *note = f->text[0] ? f->text : NULL;
    if (v->status) {
        return (struct reply){.status = v->status,
                              .error = v->error,
                              .kind = v->kind,
                              .by = v->by,
                              .detail = v->detail,
                              .note = note,
                              .retry_after_s = v->retry_after_s};
    }
    bool is_unclear = f->err == FRUN_E_CLOSED && !f->is_unprocessed;
    (void)snprintf(detail, REPLY_DETAIL_BYTES, "%s%s", reply_cause(f->err),
                   is_unclear ? "; the request may have been processed, so it was not sent again"
                              : "");
    return (struct reply){.status = f->err == FRUN_E_TIMEOUT ? 504 : 502,
                          .error = reply_error_type(f->err),
                          .detail = detail,
                          .note = note};
}
