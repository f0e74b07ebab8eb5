/**
 * Fetching an issuer's keys: its description, then its key set.
 *
 * Whoever can write these two documents can log on as any pusher, so both come over HTTPS with a
 * verified certificate, no redirect is followed, and the description must be the issuer's own.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/oauth/issuer.h"

#include "frun/fetch/fetch.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

/** Octets of a description; the longest ones seen have some 6000. */
#define DESCRIPTION_MAX_BYTES ((size_t)128 * 1024)

#define WELL_KNOWN "/.well-known/openid-configuration"

static frun_err get(const struct conf_issuer *c, const char *url, size_t max,
                    const atomic_bool *stop, struct fetch_answer *out, struct diag *d)
{
    static const char *const fields[] = {"Accept: application/json, application/jwk-set+json"};
    const struct fetch_request r = {.url = url,
                                    .fields = fields,
                                    .n_fields = 1,
                                    .ca_file = c->ca,
                                    .proxy = c->proxy,
                                    .proxy_user = c->proxy_user,
                                    .proxy_password = c->proxy_password,
                                    .connect_timeout_ms = c->connect_timeout_ms,
                                    .timeout_ms = c->timeout_ms,
                                    .max_body = max,
                                    .stop = stop};
    struct diag why = {.text = ""};
    frun_err err = fetch_run(&r, out, &why);
    if (err) {
        bool is_away = err == FRUN_E_RESOLVE || err == FRUN_E_CONNECT || err == FRUN_E_TIMEOUT;
        diag_set(d, "%.200s: %.250s%s", url, why.text[0] ? why.text : err_text(err),
                 is_away && !c->proxy ? "; if the way out is an HTTP proxy, set proxy" : "");
        return err;
    }
    if (out->status != 200) {
        diag_set(d, "%.300s: HTTP status %d%s", url, out->status,
                 out->status / 100 == 3   ? "; redirects are not followed, give the final jwks_url"
                 : out->status / 100 == 4 ? "; is the address right?"
                                          : "; look at the issuer");
        fetch_answer_done(out);
        return FRUN_E_IO;
    }
    return FRUN_OK;
}

/* https://host/..., without user, blanks and controls. */
static bool is_url(const char *url)
{
    struct span s = span_of(url);
    if (!s.p || !span_starts(s, SPAN_LIT("https://")) || s.n <= 8 || s.n >= ISSUER_URL_BYTES) {
        return false;
    }
    for (size_t i = 0; i < s.n; i++) {
        if ((unsigned char)s.p[i] <= 0x20 || (unsigned char)s.p[i] >= 0x7f) {
            return false;
        }
    }
    struct span host = span_skip(s, 8);
    return span_find(span_head(host, span_find(host, '/')), '@') == span_find(host, '/');
}

static frun_err read_description(const struct conf_issuer *c, const char *at, struct span body,
                                 char url[ISSUER_URL_BYTES], struct diag *d)
{
    json_t *root = body.n ? json_loadb(body.p, body.n, JSON_REJECT_DUPLICATES, NULL) : NULL;
    const char *issuer = json_string_value(json_object_get(root, "issuer"));
    const char *keys = json_string_value(json_object_get(root, "jwks_uri"));
    frun_err err = FRUN_OK;
    if (!issuer) {
        diag_set(d, "%.300s: no description of an issuer; give jwks_url", at);
        err = FRUN_E_SYNTAX;
    } else if (strcmp(issuer, c->issuer) != 0) {
        diag_set(d, "%.200s: the description is that of %.200s; write issuer so, to the letter", at,
                 issuer);
        err = FRUN_E_DENIED;
    } else if (!is_url(keys)) {
        diag_set(d, "%.300s: jwks_uri is no address that begins with https://", at);
        err = FRUN_E_SYNTAX;
    } else {
        (void)snprintf(url, ISSUER_URL_BYTES, "%s", keys);
    }
    json_decref(root);
    return err;
}

static frun_err discover(const struct conf_issuer *c, const atomic_bool *stop,
                         char url[ISSUER_URL_BYTES], struct diag *d)
{
    char at[ISSUER_URL_BYTES];
    struct fetch_answer a;
    size_t n = strlen(c->issuer);
    n -= n && c->issuer[n - 1] == '/' ? 1 : 0;
    (void)snprintf(at, sizeof(at), "%.*s" WELL_KNOWN, (int)n, c->issuer);
    if (!is_url(at)) {
        diag_set(d, "issuer is no address that begins with https://; give jwks_url");
        return FRUN_E_SYNTAX;
    }
    frun_err err = get(c, at, DESCRIPTION_MAX_BYTES, stop, &a, d);
    if (!err) {
        err = read_description(c, at, buf_span(&a.body), url, d);
        fetch_answer_done(&a);
    }
    return err;
}

/* What the answer says of its own life; "no-cache" and the like say nothing of use. */
static void read_age(const struct fetch_answer *a, struct issuer_catch *out)
{
    struct span rest = fetch_answer_field(a, SPAN_LIT("Cache-Control"));
    struct span part;
    while (rest.p && span_split(&rest, ',', &part)) {
        struct span name = SPAN_LIT("max-age=");
        part = span_trim(part);
        if (span_starts_nocase(part, name) &&
            span_to_u64(span_skip(part, name.n), &out->max_age_s) == FRUN_OK) {
            out->has_max_age = true;
        }
    }
}

static frun_err read_keys(const struct fetch_answer *a, struct issuer_catch *out, struct diag *d)
{
    frun_err err = jwks_parse(buf_span(&a->body), &out->keys, &out->skipped);
    switch (err) {
    case FRUN_OK:
        read_age(a, out);
        break;
    case FRUN_E_LIMIT:
        diag_set(d, "%.300s: more than %d keys", out->url, JWKS_MAX_KEYS);
        break;
    case FRUN_E_NOT_FOUND:
        diag_set(d, "%.300s: no key that can be used: %s", out->url,
                 out->skipped.why ? out->skipped.why : "the set is empty");
        break;
    case FRUN_E_NOMEM:
        diag_set(d, "%s", err_text(err));
        break;
    default:
        diag_set(d, "%.300s: no JWK set ({\"keys\":[...]}); is the address right?", out->url);
        break;
    }
    return err;
}

frun_err issuer_fetch(const struct conf_issuer *c, const atomic_bool *stop,
                      struct issuer_catch *out, struct diag *d)
{
    struct issuer_catch made = {.keys = NULL};
    struct fetch_answer a;
    frun_err err = FRUN_OK;
    if (c->jwks_url) {
        (void)snprintf(made.url, sizeof(made.url), "%s", c->jwks_url);
    } else {
        err = discover(c, stop, made.url, d);
    }
    err = err ? err : get(c, made.url, JWKS_MAX_BYTES, stop, &a, d);
    if (err) {
        return err;
    }
    err = read_keys(&a, &made, d);
    fetch_answer_done(&a);
    if (!err) {
        *out = made;
    }
    return err;
}

void issuer_catch_done(struct issuer_catch *c)
{
    jwks_unref(&c->keys);
}
