/**
 * The sender's certificate: by what it is judged, whether it proves a pusher, and what is said when
 * nothing does.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange_int.h"

void exchange_set_trust(struct exchange *x, const struct endpoint_host *host)
{
    const struct conf_gateway *g = registry_conf(x->registry)->gateway;
    x->trust = (struct identity_trust){
        .registry = x->registry,
        .tls = host && host->e->front_tls ? host->e->front_tls : x->roads->gen->front_tls,
        .ca = host && host->e->conf->client_ca ? host->e->conf->client_ca : g->client_ca,
    };
}

/* The endpoint's CAs are asked for at its own names, and this is another. */
static bool is_elsewhere(const struct exchange *x)
{
    return x->e->conf->client_ca && x->trust.ca != x->e->conf->client_ca;
}

enum auth_verdict exchange_check_certificate(struct exchange *x)
{
    struct identity_verdict v;
    if (!x->identity || !(x->e->ways & CONF_AUTH_CERTIFICATE)) {
        return AUTH_MISSING;
    }
    enum auth_verdict verdict = identity_push(x->identity, &x->trust, x->e, &v);
    x->who = v.who;
    x->auth_waiter.way = CONF_AUTH_CERTIFICATE;
    x->auth_waiter.is_old = v.rule && v.rule->is_old;
    x->auth_waiter.why = v.why;
    return verdict;
}

/* Why the certificate proves nothing, or that there is none. */
static struct span explain(struct exchange *x)
{
    char subject[CERT_SUBJECT_BYTES];
    struct span text = {0};
    if (is_elsewhere(x)) {
        frun_err err = arena_printf(
            &x->arena, &text, "client certificates for this endpoint are taken at %s, not here",
            x->e->conf->host_urls[0]);
        return err ? SPAN_LIT("client certificates are not taken at this name") : text;
    }
    if (!x->identity) {
        return SPAN_LIT("a client certificate is needed, and none was shown");
    }
    if (x->auth_waiter.way == CONF_AUTH_CERTIFICATE && x->auth_waiter.why) {
        cert_subject(identity_cert(x->identity), subject);
        frun_err err =
            arena_printf(&x->arena, &text, "the client certificate %s is not accepted: %s", subject,
                         x->auth_waiter.why);
        return err ? span_of(x->auth_waiter.why) : text;
    }
    return SPAN_LIT("the client certificate is not accepted");
}

bool exchange_refuse_certificate(struct exchange *x, bool has_others, struct span *why)
{
    bool is_tried = x->auth_waiter.way == CONF_AUTH_CERTIFICATE;
    if (!(x->e->ways & CONF_AUTH_CERTIFICATE) || (has_others && !is_tried)) {
        return false;
    }
    *why = explain(x);
    if (!has_others) {
        /* No challenge could help, so it is not 401. */
        exchange_reply(
            x, &(struct reply){.status = 403, .error = "http_request_denied", .detail = why->p});
    }
    return !has_others;
}
