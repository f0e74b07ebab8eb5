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

frun_err bearer_check(const struct keys *k, const struct registry *r, struct span text,
                      struct bearer_verdict *out)
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
    uint64_t old_until_s = out->who->conf->secret.until_s;
    out->until_s = c.expires_s;
    out->is_old = !is_generation(out->who->generation, c.generation);
    if (!out->is_old) {
        return FRUN_OK;
    }
    if (!is_generation(out->who->old_generation, c.generation) || old_until_s <= now_s) {
        out->why = "the secret it was issued for is not valid any more";
        return FRUN_E_DENIED;
    }
    out->until_s = old_until_s < c.expires_s ? old_until_s : c.expires_s;
    return FRUN_OK;
}

frun_err bearer_issue(const struct keys *k, const struct registry *r, const struct pusher *who,
                      bool is_old, struct bearer_issued *out)
{
    unsigned char random[(BEARER_ID_BYTES - 1) / 2];
    uint64_t now_s = (uint64_t)time(NULL);
    uint64_t end_s = now_s + who->conf->token_lifetime_ms / 1000;
    struct jwt_realm realm = realm_of(r);
    struct jwt_claims c = {.issued_s = now_s};
    size_t n = 0;
    if (is_old && who->conf->secret.until_s < end_s) {
        end_s = who->conf->secret.until_s;
    }
    if (end_s <= now_s) {
        return FRUN_E_DENIED;
    }
    c.expires_s = end_s;
    (void)snprintf(c.client_id, sizeof(c.client_id), "%s", who->conf->client_id);
    memcpy(c.generation, is_old ? who->old_generation : who->generation, sizeof(c.generation));
    mono_entropy(random, sizeof(random));
    text_hex(span_make(random, sizeof(random)), out->id);
    out->lifetime_s = end_s - now_s;
    return jwt_sign(k, &realm, &c, out->id, out->text, &n);
}
