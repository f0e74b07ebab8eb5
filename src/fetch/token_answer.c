/* SPDX-License-Identifier: Apache-2.0 */
#include "token_int.h"

#include "frun/base/secret.h"
#include "frun/base/text.h"
#include "frun/fetch/token.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const char scheme[] = "Bearer ";

/* What of a JWT's claims matters here; zero: not told. */
struct claims {
    int64_t from_s;
    int64_t until_s;
    bool is_foreign; /* another tenant's */
};

/* RFC 6750 b64token: nothing that could end the header line or begin another value. */
static bool is_token(struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        if ((unsigned char)s.p[i] <= 0x20 || (unsigned char)s.p[i] >= 0x7f) {
            return false;
        }
    }
    return s.n > 0;
}

/* The middle part of three as octets; the caller wipes and frees. */
static char *decode_claims(struct span jwt, size_t *len)
{
    struct span rest = jwt;
    struct span part = {0};
    for (int i = 0; i < 2 && span_split(&rest, '.', &part); i++) {
    }
    size_t padded = (part.n + 3) / 4 * 4;
    if (!rest.p || part.n == 0 || span_find(rest, '.') < rest.n) {
        return NULL;
    }
    char *text = malloc(padded);
    char *out = malloc(padded);
    *len = 0;
    for (size_t i = 0; text && i < padded; i++) {
        char c = i < part.n ? part.p[i] : '=';
        text[i] = c;
        text[i] = c == '-' ? '+' : c == '_' ? '/' : text[i];
    }
    if (!text || !out || text_base64_decode(span_make(text, padded), out, len)) {
        free(out);
        out = NULL;
    }
    secret_wipe(text, text ? padded : 0);
    free(text);
    return out;
}

/* An opaque token has no claims, and that is good too. */
static struct claims read_claims(struct span jwt, const char *tenant)
{
    struct claims c = {0};
    size_t n = 0;
    char *text = decode_claims(jwt, &n);
    json_t *root = text ? json_loadb(text, n, 0, NULL) : NULL;
    c.until_s = json_integer_value(json_object_get(root, "exp"));
    c.from_s = json_integer_value(json_object_get(root, "iat"));
    const char *zid = json_string_value(json_object_get(root, "zid"));
    c.is_foreign = tenant && zid && strcmp(zid, tenant) != 0;
    json_decref(root);
    secret_wipe(text, text ? n : 0);
    free(text);
    return c;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* The shorter of what the answer and the token say. With "iat" the token tells its life itself, and
 * the clock of this machine does not matter. */
static uint64_t life_of(int64_t expires_in_s, const struct claims *c, int64_t wall_s)
{
    uint64_t life_ms = TOKEN_LIFE_MAX_MS;
    if (expires_in_s > 0) {
        life_ms = least(life_ms, (uint64_t)least((uint64_t)expires_in_s, 86400) * 1000);
    }
    if (c->until_s > 0) {
        int64_t from_s = c->from_s > 0 ? c->from_s : wall_s;
        uint64_t jwt_s = c->until_s > from_s ? (uint64_t)c->until_s - (uint64_t)from_s : 0;
        life_ms = least(life_ms, least(jwt_s, 86400) * 1000);
    } else if (expires_in_s <= 0) {
        life_ms = TOKEN_LIFE_DEFAULT_MS;
    }
    return life_ms;
}

static frun_err take_text(struct span token, struct token_answer *out)
{
    size_t n = sizeof(scheme) - 1 + token.n;
    char *text = malloc(n);
    if (!text) {
        return FRUN_E_NOMEM;
    }
    memcpy(text, scheme, sizeof(scheme) - 1);
    memcpy(text + sizeof(scheme) - 1, token.p, token.n);
    out->text = text;
    out->n = n;
    return FRUN_OK;
}

static frun_err read_root(const json_t *root, const char *tenant, int64_t wall_s,
                          struct token_answer *out, struct diag *d)
{
    const json_t *token = json_object_get(root, "access_token");
    const json_t *life = json_object_get(root, "expires_in");
    struct span s = span_make(json_string_value(token), json_string_length(token));
    if (!s.p || !is_token(s)) {
        diag_set(d, "the answer has no access_token; is token_url right?");
        return FRUN_E_SYNTAX;
    }
    if (s.n > TOKEN_MAX_BYTES) {
        diag_set(d, "the token is longer than %d octets", TOKEN_MAX_BYTES);
        return FRUN_E_LIMIT;
    }
    const char *type = json_string_value(json_object_get(root, "token_type"));
    if (type && !span_eq_nocase(span_of(type), SPAN_LIT("bearer"))) {
        diag_set(d, "the token is not of type bearer");
        return FRUN_E_SYNTAX;
    }
    struct claims c = read_claims(s, tenant);
    if (c.is_foreign) {
        diag_set(d, "the token belongs to another tenant than %s; check tenant and token_url",
                 tenant);
        return FRUN_E_DENIED;
    }
    int64_t expires_in_s = json_integer_value(life);
    uint64_t text_s = 0;
    if (json_is_string(life) && !span_to_u64(span_of(json_string_value(life)), &text_s)) {
        expires_in_s = (int64_t)least(text_s, 86400);
    }
    out->life_ms = life_of(expires_in_s, &c, wall_s);
    if (out->life_ms == 0) {
        diag_set(d, "the token has expired already; check the clocks");
        return FRUN_E_DENIED;
    }
    return take_text(s, out);
}

frun_err token_answer_read(struct span body, const char *tenant, int64_t wall_s,
                           struct token_answer *out, struct diag *d)
{
    json_t *root = body.n ? json_loadb(body.p, body.n, JSON_REJECT_DUPLICATES, NULL) : NULL;
    if (!json_is_object(root)) {
        json_decref(root);
        diag_set(d, "the answer is no JSON object; is token_url right?");
        return FRUN_E_SYNTAX;
    }
    frun_err err = read_root(root, tenant, wall_s, out, d);
    json_decref(root);
    return err;
}

void token_answer_error(struct span body, char out[TOKEN_ERROR_BYTES])
{
    json_t *root = body.n ? json_loadb(body.p, body.n, 0, NULL) : NULL;
    const char *code = json_string_value(json_object_get(root, "error"));
    size_t n = code ? strlen(code) : 0;
    size_t good = 0;
    while (good < n && (code[good] == '_' || (code[good] >= 'a' && code[good] <= 'z'))) {
        good++;
    }
    out[0] = '\0';
    if (n > 0 && good == n && n < TOKEN_ERROR_BYTES) {
        memcpy(out, code, n + 1);
    }
    json_decref(root);
}
