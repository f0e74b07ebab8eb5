/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/access/identity.h"

#include <stdlib.h>
#include <time.h>

/* A pusher that the certificate fits. */
struct match {
    const struct pusher *who;
    const struct rule *rule;
};

struct identity {
    unsigned refs;
    struct cert *cert;
    int64_t judged_s;          /* when its CAs last did, seconds since 1970 */
    uint64_t serial;           /* of the registry that the matches point into; 0: none yet */
    const struct tls_ctx *tls; /* whose CAs have judged; compared, never looked into */
    struct match *matches;     /* in the order of the configuration */
    size_t n;
};

frun_err identity_new(const struct stream *s, struct identity **out)
{
    struct cert *cert = NULL;
    frun_err err = cert_of_peer(s, &cert);
    struct identity *i = err ? NULL : calloc(1, sizeof(*i));
    if (!err && !i) {
        cert_free(cert);
        err = FRUN_E_NOMEM;
    }
    if (!err) {
        i->refs = 1;
        i->cert = cert;
        *out = i;
    }
    return err;
}

struct identity *identity_ref(struct identity *i)
{
    if (i) {
        i->refs++;
    }
    return i;
}

void identity_unref(struct identity **i)
{
    struct identity *old = *i;
    *i = NULL;
    if (old && --old->refs == 0) {
        cert_free(old->cert);
        free(old->matches);
        free(old);
    }
}

const struct cert *identity_cert(const struct identity *i)
{
    return i->cert;
}

/* The first rule that fits; one that is good for a while only, if no other does. */
static const struct rule *find_rule(const struct identity *i, const struct pusher *p,
                                    const char *ca)
{
    bool is_named = cert_is_trusted(i->cert) && ca && p->conf->client_ca &&
                    span_eq(span_of(ca), span_of(p->conf->client_ca)) &&
                    (!p->rules.issuer || cert_rule_fits(p->rules.issuer, i->cert));
    const struct rule *found = NULL;
    if (cert_is_revoked(i->cert)) {
        return NULL; /* whatever it is known by */
    }
    for (size_t k = 0; k < p->rules.n && (!found || found->is_old); k++) {
        const struct rule *r = &p->rules.list[k];
        if ((is_named || !r->needs_trust) && cert_rule_fits(r->is, i->cert)) {
            found = r;
        }
    }
    return found;
}

/* Once for each connection and registry. */
static frun_err match_all(struct identity *i, const struct identity_trust *t)
{
    size_t n_all = 0;
    const struct pusher *const *all = registry_certified(t->registry, &n_all);
    struct match *matches = NULL;
    size_t n = 0;
    i->judged_s = (int64_t)time(NULL);
    cert_verify(i->cert, t->tls);
    for (size_t k = 0; k < n_all; k++) {
        const struct rule *rule = find_rule(i, all[k], t->ca);
        if (!rule) {
            continue;
        }
        if ((n & (n - 1)) == 0) { /* room doubles at powers of two */
            struct match *more = realloc(matches, (n ? 2 * n : 1) * sizeof(*matches));
            if (!more) {
                free(matches);
                return FRUN_E_NOMEM;
            }
            matches = more;
        }
        matches[n++] = (struct match){all[k], rule};
    }
    free(i->matches);
    i->matches = matches;
    i->n = n;
    i->serial = registry_serial(t->registry);
    i->tls = t->tls;
    return FRUN_OK;
}

static frun_err look(struct identity *i, const struct identity_trust *t)
{
    int64_t now_s = (int64_t)time(NULL);
    bool is_same = i->serial == registry_serial(t->registry) && i->tls == t->tls &&
                   !tls_crl_has_ended(t->tls, i->judged_s, now_s);
    return is_same ? FRUN_OK : match_all(i, t);
}

/* Is it still good? Connections live longer than certificates. */
static bool is_good(const struct identity *i, const struct match *m, uint64_t now_s,
                    struct identity_verdict *out)
{
    struct tls_validity v =
        m->rule->needs_trust ? cert_validity(i->cert) : cert_own_validity(i->cert);
    if ((int64_t)now_s < v.from) {
        out->why = "it is not valid yet; compare the clocks";
        return false;
    }
    if ((int64_t)now_s > v.until) {
        out->why = "it, or a certificate that signs it, has expired";
        return false;
    }
    out->until_s = (uint64_t)v.until;
    if (m->rule->is_old) {
        uint64_t end_s = m->who->conf->old_certificate_until_s;
        if (end_s <= now_s) {
            out->why = "old_certificate_until has passed; show the new certificate";
            return false;
        }
        out->until_s = end_s < out->until_s ? end_s : out->until_s;
    }
    return true;
}

/* What is to be said when no pusher is known by it. */
static const char *why_nobody(const struct identity *i)
{
    const char *why = cert_why(i->cert);
    return why ? why
               : "no pusher that is enabled is known by it; compare its subject with "
                 "certificate_subject, or its fingerprint with certificate_sha256";
}

enum auth_verdict identity_push(struct identity *i, const struct identity_trust *t,
                                const struct endpoint *e, struct identity_verdict *out)
{
    uint64_t now_s = (uint64_t)time(NULL);
    enum auth_verdict verdict = AUTH_REFUSED;
    *out = (struct identity_verdict){.who = NULL};
    if (look(i, t)) {
        return AUTH_BUSY;
    }
    out->why = why_nobody(i);
    for (size_t k = 0; k < i->n; k++) {
        const struct match *m = &i->matches[k];
        if (!(m->who->conf->ways & CONF_AUTH_CERTIFICATE) || !is_good(i, m, now_s, out)) {
            continue;
        }
        bool is_listed = registry_may(m->who, e);
        if (is_listed || verdict == AUTH_REFUSED) {
            out->who = m->who;
            out->rule = m->rule;
            verdict = AUTH_FOREIGN;
        }
        if (is_listed) {
            return AUTH_GRANTED;
        }
    }
    return verdict;
}

enum auth_verdict identity_client(struct identity *i, const struct identity_trust *t,
                                  struct span client_id, struct identity_verdict *out)
{
    uint64_t now_s = (uint64_t)time(NULL);
    *out = (struct identity_verdict){.who = NULL};
    if (look(i, t)) {
        return AUTH_BUSY;
    }
    const struct pusher *client = registry_client(t->registry, client_id);
    out->why = why_nobody(i);
    for (size_t k = 0; k < i->n; k++) {
        const struct match *m = &i->matches[k];
        if (m->who == client && is_good(i, m, now_s, out)) {
            out->who = m->who;
            out->rule = m->rule;
            return AUTH_GRANTED;
        }
    }
    return AUTH_REFUSED;
}
