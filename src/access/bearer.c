/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/access/bearer.h"

#include "frun/base/mono.h"
#include "frun/base/text.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static struct jwt_realm realm_of(const struct registry *r)
{
    return (struct jwt_realm){registry_conf(r)->gateway->public_url, BEARER_SCOPE};
}

static bool is_generation(const char *have, const char *want)
{
    return have[0] && strcmp(have, want) == 0;
}

static void make_thumbprint(const unsigned char *sha256, char out[JWT_THUMBPRINT_BYTES])
{
    char text[TEXT_BASE64_BYTES(CERT_SHA256_BYTES)];
    (void)text_base64url(span_make(sha256, CERT_SHA256_BYTES), text);
    memcpy(out, text, JWT_THUMBPRINT_BYTES); /* without padding there are fewer than in text */
}

static bool is_bound_to(const char *bound_to, const unsigned char *shown)
{
    char mine[JWT_THUMBPRINT_BYTES];
    if (!shown) {
        return false;
    }
    make_thumbprint(shown, mine);
    return strcmp(mine, bound_to) == 0;
}

/* What the token was issued for, if that still counts: the end of it, UINT64_MAX: none; 0: it
 * counts no more. */
static uint64_t end_of_proof(const struct pusher *who, const char *generation, bool *is_old)
{
    uint64_t end_s = 0;
    *is_old = false;
    if (is_generation(who->generation, generation)) {
        return UINT64_MAX;
    }
    if (is_generation(who->old_generation, generation)) {
        *is_old = true;
        end_s = who->conf->secret.until_s;
    }
    for (size_t i = 0; i < who->rules.n; i++) {
        const struct rule *r = &who->rules.list[i];
        if (!is_generation(r->generation, generation)) {
            continue;
        }
        if (!r->is_old) {
            *is_old = false;
            return UINT64_MAX;
        }
        *is_old = true;
        end_s = who->conf->old_certificate_until_s;
    }
    return end_s;
}

frun_err bearer_check(const struct keys *k, const struct registry *r, struct span text,
                      const unsigned char *shown, struct bearer_verdict *out)
{
    uint64_t now_s = (uint64_t)time(NULL);
    struct jwt_realm realm = realm_of(r);
    struct jwt_claims c;
    frun_err err = jwt_verify(k, text, &realm, now_s, &c, &out->why);
    if (err) {
        return err == FRUN_E_NOMEM ? err : FRUN_E_DENIED;
    }
    out->who = registry_client(r, span_of(c.client_id));
    if (!out->who) {
        out->why = "the pusher it was issued to is not allowed here any more";
        return FRUN_E_DENIED;
    }
    uint64_t end_s = end_of_proof(out->who, c.generation, &out->is_old);
    if (end_s <= now_s) {
        out->why = "the secret or certificate it was issued for is not valid any more";
        return FRUN_E_DENIED;
    }
    if (c.bound_to[0] && !is_bound_to(c.bound_to, shown)) {
        out->why = "it is good only with the client certificate that it was issued for";
        return FRUN_E_DENIED;
    }
    out->until_s = end_s < c.expires_s ? end_s : c.expires_s;
    return FRUN_OK;
}

frun_err bearer_issue(const struct keys *k, const struct registry *r, const struct pusher *who,
                      const struct bearer_proof *proof, struct bearer_issued *out)
{
    unsigned char random[(BEARER_ID_BYTES - 1) / 2];
    uint64_t now_s = (uint64_t)time(NULL);
    uint64_t end_s = now_s + who->conf->token_lifetime_ms / 1000;
    struct jwt_realm realm = realm_of(r);
    struct jwt_claims c = {.issued_s = now_s};
    size_t n = 0;
    if (proof->until_s && proof->until_s < end_s) {
        end_s = proof->until_s;
    }
    if (end_s <= now_s) {
        return FRUN_E_DENIED;
    }
    c.expires_s = end_s;
    (void)snprintf(c.client_id, sizeof(c.client_id), "%s", who->conf->client_id);
    (void)snprintf(c.generation, sizeof(c.generation), "%s", proof->generation);
    if (proof->sha256) {
        make_thumbprint(proof->sha256, c.bound_to);
    }
    mono_entropy(random, sizeof(random));
    text_hex(span_make(random, sizeof(random)), out->id);
    out->lifetime_s = end_s - now_s;
    return jwt_sign(k, &realm, &c, out->id, out->text, &n);
}
