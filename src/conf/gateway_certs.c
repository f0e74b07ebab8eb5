/**
 * Pushers known by certificates: which CAs count for whom, and who is asked for a certificate.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "schema_int.h"

#include "frun/conf/check.h"

#include <string.h>
#include <time.h>

static bool has_names(const struct conf_pusher *p)
{
    return p->certificate_subject.n || p->certificate_san.n;
}

bool conf_certs_given(const struct conf_pusher *p)
{
    return has_names(p) || p->certificate_sha256.n || p->old_certificate_sha256.n;
}

static bool is_same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static const char *ca_of(const struct conf_gateway *g, const struct conf_endpoint *e)
{
    return e->client_ca ? e->client_ca : g->client_ca;
}

/* Names mean something under one CA only: who may sign for one of the pusher's endpoints must not
 * thereby speak for another. */
static void check_ca(struct conf_doc *d, const struct conf_gateway *g, struct conf_pusher *p)
{
    const struct conf_endpoint *first = NULL;
    const char *key = p->certificate_subject.n ? "certificate_subject" : "certificate_san";
    for (size_t i = 0; i < p->endpoint.n; i++) {
        const struct conf_endpoint *e = p->endpoints[i];
        if (!e) {
            continue;
        }
        if (first && !is_same(ca_of(g, first), ca_of(g, e)) && has_names(p)) {
            conf_issue_add(d, true, p, key,
                           "endpoints %s and %s have different client_ca; make two pushers of it, "
                           "or name the certificate by certificate_sha256",
                           first->place.name, e->place.name);
            return;
        }
        first = first ? first : e;
    }
    p->client_ca = first ? ca_of(g, first) : NULL;
    if (first && !p->client_ca && has_names(p)) {
        conf_issue_add(
            d, true, p, key,
            "needs client_ca in [gateway] or its endpoint: without a CA anybody can make "
            "a certificate with any name; or use certificate_sha256");
    }
}

static void check_old(struct conf_doc *d, struct conf_pusher *p)
{
    conf_pair_check(d, p, "old_certificate_sha256", "old_certificate_until");
    if (p->old_certificate_until &&
        conf_check_time(span_of(p->old_certificate_until), &p->old_certificate_until_s) &&
        p->old_certificate_until_s <= (uint64_t)time(NULL)) {
        conf_issue_add(d, false, p, "old_certificate_until",
                       "has passed; old_certificate_sha256 can be removed");
    }
}

static void check_use(struct conf_doc *d, const struct conf_pusher *p)
{
    static const char *const keys[] = {"certificate_subject", "certificate_san",
                                       "certificate_sha256", "old_certificate_sha256"};
    bool is_known = conf_key_given(d, p, keys[0]) || conf_key_given(d, p, keys[1]) ||
                    conf_key_given(d, p, keys[2]);
    if (p->ways & CONF_AUTH_CERTIFICATE && !is_known) {
        conf_issue_add(d, true, p, "auth",
                       "certificate needs certificate_sha256, certificate_subject or "
                       "certificate_san");
    }
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (!(p->ways & (CONF_AUTH_CERTIFICATE | CONF_AUTH_OAUTH2)) &&
            conf_key_given(d, p, keys[i])) {
            conf_issue_add(d, false, p, keys[i],
                           "is not used: auth names neither certificate nor oauth2");
        }
    }
    if (p->certificate_issuer && !has_names(p)) {
        conf_issue_add(d, true, p, "certificate_issuer",
                       "needs certificate_subject or certificate_san too");
    }
}

/* Everybody who opens a connection by such a name is asked. */
static void ask(struct conf_asking *a, const struct conf_pusher *p)
{
    a->is_asking = true;
    a->hides_ca |= p->certificate_sha256.n || p->old_certificate_sha256.n;
}

void conf_certs_ask(struct conf_gateway *g, struct conf_endpoint *e, const struct conf_pusher *p)
{
    if (g && p->is_enabled && conf_certs_given(p) &&
        p->ways & (CONF_AUTH_CERTIFICATE | CONF_AUTH_OAUTH2)) {
        ask(&e->asking, p);
        ask(e->client_ca ? &e->asking : &g->asking, p);
    }
}

void conf_certs_check(struct conf_doc *d, const struct conf_gateway *g, struct conf_pusher *p)
{
    check_use(d, p);
    check_old(d, p);
    if (g && conf_certs_given(p)) {
        check_ca(d, g, p);
    }
}

void conf_certs_conclude(struct conf_doc *d, const struct conf_gateway *g,
                         struct conf_endpoint *const *endpoints, size_t n)
{
    static const char why[] = "has no effect: no pusher that is enabled is known by a certificate";
    static const char no_ca[] = "needs client_ca beside it, whose revocation lists it holds";
    if (g && g->client_ca && !g->asking.is_asking) {
        conf_issue_add(d, false, g, "client_ca", why);
    }
    if (g && g->client_crl && !g->client_ca) {
        conf_issue_add(d, true, g, "client_crl", no_ca);
    }
    for (size_t i = 0; i < n; i++) {
        const struct conf_endpoint *e = endpoints[i];
        if (e->client_ca && !e->host_name.n) {
            conf_issue_add(d, true, e, "client_ca",
                           "needs host_name too: it counts at its own names alone");
        } else if (e->client_ca && !e->asking.is_asking) {
            conf_issue_add(d, false, e, "client_ca", why);
        }
        if (e->client_crl && !e->client_ca) {
            conf_issue_add(d, true, e, "client_crl", no_ca);
        }
    }
}
