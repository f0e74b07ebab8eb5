/**
 * The rows of [issuer NAME], and the checks of pushers that show its tokens.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/conf/issuer.h"

#include "frun/conf/gateway.h"
#include "schema_int.h"

#include <string.h>

#define LIVE       CONF_RELOAD_LIVE
#define AT(member) offsetof(struct conf_issuer, member)

const struct conf_row conf_issuer_rows[CONF_ISSUER_ROWS] = {
    {"issuer", CONF_TEXT, AT(issuer), 1, 1000, NULL, true, "issuer", LIVE,
     "What its tokens have in \"iss\", to the letter: a final '/' counts."},
    {"jwks_url", CONF_TEXT, AT(jwks_url), 1, 1000, NULL, false, "https_url", LIVE,
     "Where its public keys are (JWK set); XSUAA: its URL with /token_keys. Unless given they are "
     "found through the issuer with /.well-known/openid-configuration behind it."},
    {"audience", CONF_LIST, AT(audience), 1, 1000, NULL, true, NULL, LIVE,
     "Who tokens must be for: one of these must stand in \"aud\"."},
    {"scope", CONF_LIST, AT(scope), 1, 1000, NULL, true, NULL, LIVE,
     "Scopes that a token must have, all of them, as they stand in it; XSUAA: with the xsappname "
     "and a dot before."},
    {"scope_claim", CONF_LIST, AT(scope_claim), 1, 100, "scope, scp", false, NULL, LIVE,
     "Claims that hold the scopes, as a list or as one text with blanks between."},
    {"algorithms", CONF_LIST, AT(algorithms), 1, 10, "RS256, ES256", false, "signature", LIVE,
     "Signatures that are accepted: RS256, RS384, RS512, PS256, ES256, ES384. RSA keys below 2048 "
     "bits never are."},
    {"clock_skew", CONF_TIME, AT(clock_skew_ms), 0, 300000, "60 s", false, NULL, LIVE,
     "How far the issuer's clock and ours may be apart."},
    {"max_token_lifetime", CONF_TIME, AT(max_token_lifetime_ms), 1000, 2592000000, NULL, false,
     NULL, LIVE, "Tokens with a longer life are refused; any life unless given."},
    {"refresh", CONF_TIME, AT(refresh_ms), 1000, 86400000, "1 h", false, NULL, LIVE,
     "How often the keys are fetched again; sooner if the issuer says so (Cache-Control: max-age), "
     "but not below 5 minutes."},
    {"refresh_min", CONF_TIME, AT(refresh_min_ms), 1000, 3600000, "30 s", false, NULL, LIVE,
     "A token with an unknown key causes a fetch at once, but not more than one in this time in "
     "the long run (three may come early, two of them from one address), so that made-up tokens "
     "cannot make us a burden to the issuer. Also the shortest pause after a fetch that failed."},
    {"stale", CONF_TIME, AT(stale_ms), 1000, 2592000000, "24 h", false, NULL, LIVE,
     "While they cannot be refreshed, the keys are used for this time; then its tokens get 503."},
    {"ca", CONF_PATH, AT(ca), 0, 0, NULL, false, NULL, LIVE,
     "PEM file of the CA that signs the issuer's certificate; the system's unless given."},
    {"proxy", CONF_TEXT, AT(proxy), 1, 300, NULL, false, "proxy", LIVE,
     "HTTP proxy on the way to the issuer, http://host:port."},
    {"proxy_user", CONF_TEXT, AT(proxy_user), 1, 255, NULL, false, "user", LIVE,
     "User at the proxy, if it asks for one."},
    {"proxy_password", CONF_SECRET, AT(proxy_password), 0, 0, NULL, false, NULL, LIVE,
     "Its password."},
    {"connect_timeout", CONF_TIME, AT(connect_timeout_ms), 100, 120000, "5 s", false, NULL, LIVE,
     "Connecting to the issuer, TLS included."},
    {"timeout", CONF_TIME, AT(timeout_ms), 100, 120000, "15 s", false, NULL, LIVE,
     "A whole request for keys."},
};

/* One section for each "iss", and one it can be told by. */
void conf_issuers_check(struct conf_doc *d, struct conf_issuer *const *all, size_t n,
                        const struct conf_gateway *g)
{
    for (size_t i = 0; i < n; i++) {
        const struct conf_issuer *s = all[i];
        if (i >= CONF_MAX_ISSUERS) {
            conf_issue_add(d, true, s, NULL, "there are more than %d [issuer] sections",
                           CONF_MAX_ISSUERS);
            return;
        }
        conf_pair_check(d, s, "proxy_user", "proxy_password");
        conf_order_check(d, s, "refresh_min", "refresh", s->refresh_min_ms > s->refresh_ms);
        if (s->proxy_user && !s->proxy) {
            conf_issue_add(d, true, s, "proxy_user", "needs proxy too");
        }
        if (s->issuer && !s->jwks_url && strncmp(s->issuer, "https://", 8) != 0) {
            conf_issue_add(d, true, s, "issuer",
                           "needs jwks_url too: keys are found only through an issuer that begins "
                           "with https://");
        }
        if (s->issuer && g && g->public_url && strcmp(s->issuer, g->public_url) == 0) {
            conf_issue_add(d, true, s, "issuer",
                           "is public_url: its tokens are ours, auth = oauth2 takes them");
        }
        for (size_t k = 0; k < i && s->issuer && all[k]->issuer; k++) {
            if (strcmp(s->issuer, all[k]->issuer) == 0) {
                conf_issue_add(d, true, s, "issuer", "is that of [issuer %s] too",
                               all[k]->place.name);
            }
        }
    }
}

/* -- pushers */

static void resolve_claims(struct conf_doc *d, struct conf_pusher *p)
{
    struct conf_claim *claims = arena_alloc(conf_arena(d), (p->claim.n + 1) * sizeof(*claims));
    for (size_t i = 0; claims && i < p->claim.n; i++) {
        struct span whole = span_of(p->claim.items[i]);
        size_t eq = span_find(whole, '='); /* it is there: the row's check has seen to it */
        struct span value = eq < whole.n ? span_skip(whole, eq + 1) : whole;
        claims[i] =
            (struct conf_claim){conf_text(d, "%.*s", SPAN_FMT(span_trim(span_head(whole, eq)))),
                                conf_text(d, "%.*s", SPAN_FMT(span_trim(value)))};
    }
    p->claims = claims;
}

bool conf_issuer_resolve(struct conf_doc *d, struct conf_pusher *p, struct conf_issuer *const *all,
                         size_t n)
{
    static const char *const keys[] = {"issuer", "token_client", "token_subject", "claim"};
    if (!(p->ways & CONF_AUTH_JWT)) {
        for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
            if (conf_key_given(d, p, keys[i])) {
                conf_issue_add(d, false, p, keys[i], "is not used: auth does not name jwt");
            }
        }
        return true;
    }
    resolve_claims(d, p);
    if (!p->issuer_name) {
        conf_issue_add(d, true, p, "auth",
                       "jwt needs issuer = NAME of an [issuer NAME] section here");
    }
    for (size_t i = 0; p->issuer_name && i < n; i++) {
        if (strcmp(p->issuer_name, all[i]->place.name) == 0) {
            p->issuer = all[i];
            p->issuer_index = i;
        }
    }
    if (p->issuer_name && !p->issuer) {
        conf_issue_add(d, true, p, "issuer", "there is no [issuer %s]", p->issuer_name);
    }
    if (!p->token_client.n && !p->token_subject.n) {
        conf_issue_add(d, true, p, "auth",
                       "jwt needs token_client or token_subject here: without either, every token "
                       "of the issuer would be this pusher's");
    }
    return p->claims != NULL;
}
