/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/oauth/jwt.h"

#include "frun/base/text.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

/** Octets of a generation before it becomes text. */
#define GENERATION_OCTETS 16

/** Longest header part, octets of JSON. */
#define HEADER_MAX_BYTES 512

/* -- making
 * ------------------------------------------------------------------------------------------------------
 */

/* Append a JSON object as base64url. The reference is taken. Written into a buffer of our own: what
 * json_dumps() returns is memory of whatever allocator the program has given to jansson. */
static frun_err put_part(json_t *object, char *out, size_t *n)
{
    char text[JWT_MAX_BYTES];
    size_t len = object ? json_dumpb(object, text, sizeof(text), JSON_COMPACT) : 0;
    json_decref(object);
    if (!len) {
        return FRUN_E_NOMEM;
    }
    if (*n + TEXT_BASE64_BYTES(len) > JWT_MAX_BYTES) {
        return FRUN_E_LIMIT;
    }
    *n += text_base64url(span_make(text, len), out + *n);
    return FRUN_OK;
}

/* The claims as JSON; NULL: no memory. */
static json_t *pack_claims(const struct jwt_realm *realm, const struct jwt_claims *c,
                           const char *jti)
{
    json_int_t issued = (json_int_t)c->issued_s;
    json_int_t expires = (json_int_t)c->expires_s;
    json_t *claims = json_pack("{sssssssss[s]sssssssIsIsI}", "iss", realm->issuer, "sub",
                               c->client_id, "client_id", c->client_id, "cid", c->client_id, "aud",
                               realm->issuer, "scope", realm->scope, "gen", c->generation, "jti",
                               jti, "iat", issued, "nbf", issued, "exp", expires);
    if (claims && c->bound_to[0] &&
        json_object_set_new(claims, "cnf", json_pack("{ss}", "x5t#S256", c->bound_to))) {
        json_decref(claims);
        return NULL;
    }
    return claims;
}

frun_err jwt_sign(const struct keys *k, const struct jwt_realm *realm, const struct jwt_claims *c,
                  const char *jti, char out[JWT_MAX_BYTES + 1], size_t *n)
{
    unsigned char signature[KEYS_SIGNATURE_BYTES];
    const struct keys_info *signer = keys_signer(k);
    size_t len = 0;
    if (!signer) {
        return FRUN_E_NOT_FOUND;
    }
    frun_err err =
        put_part(json_pack("{ssssss}", "alg", "ES256", "typ", "JWT", "kid", signer->id), out, &len);
    if (err) {
        return err;
    }
    out[len++] = '.';
    err = put_part(pack_claims(realm, c, jti), out, &len);
    if (!err) {
        err = keys_sign(k, span_make(out, len), signature);
    }
    if (!err && len + 1 + TEXT_BASE64_BYTES(sizeof(signature)) > JWT_MAX_BYTES) {
        err = FRUN_E_LIMIT;
    }
    if (err) {
        return err;
    }
    out[len++] = '.';
    *n = len + text_base64url(span_make(signature, sizeof(signature)), out + len);
    return FRUN_OK;
}

/* -- checking
 * ----------------------------------------------------------------------------------------------------
 */

/* Parse an object without repeated members; NULL: it is none. */
static json_t *parse(struct span json)
{
    json_t *object = json_loadb(json.p, json.n, JSON_REJECT_DUPLICATES, NULL);
    if (object && !json_is_object(object)) {
        json_decref(object);
        return NULL;
    }
    return object;
}

static bool has_text(const json_t *object, const char *key, const char *want)
{
    const char *value = json_string_value(json_object_get(object, key));
    return value && strcmp(value, want) == 0;
}

/* The key that the header names; only what we write ourselves is accepted. */
static frun_err read_header(struct span part, char kid[KEYS_ID_BYTES], const char **why)
{
    char text[HEADER_MAX_BYTES];
    size_t n = 0;
    frun_err err = FRUN_E_SYNTAX;
    *why = "the token is malformed";
    if (part.n / 4 * 3 + 2 > sizeof(text) || text_base64url_decode(part, text, &n) != FRUN_OK) {
        return err;
    }
    json_t *h = parse(span_make(text, n));
    if (!h) {
        return err;
    }
    const char *id = json_string_value(json_object_get(h, "kid"));
    if (!has_text(h, "alg", "ES256")) {
        *why = "the token is not signed with ES256";
        err = FRUN_E_DENIED;
    } else if (json_object_get(h, "crit") ||
               (json_object_get(h, "typ") && !has_text(h, "typ", "JWT"))) {
        *why = "the token has a header that is not understood";
        err = FRUN_E_DENIED;
    } else if (!id || strlen(id) >= KEYS_ID_BYTES) {
        *why = "the token names no key";
        err = FRUN_E_DENIED;
    } else {
        (void)snprintf(kid, KEYS_ID_BYTES, "%s", id);
        err = FRUN_OK;
    }
    json_decref(h);
    return err;
}

static bool take_text(const json_t *claims, const char *key, char *out, size_t size)
{
    const json_t *v = json_object_get(claims, key);
    size_t n = json_string_length(v);
    if (!json_is_string(v) || n == 0 || n >= size || strlen(json_string_value(v)) != n) {
        return false;
    }
    memcpy(out, json_string_value(v), n + 1);
    return true;
}

static bool take_time(const json_t *claims, const char *key, uint64_t *out)
{
    const json_t *v = json_object_get(claims, key);
    if (!json_is_integer(v) || json_integer_value(v) < 0) {
        return false;
    }
    *out = (uint64_t)json_integer_value(v);
    return true;
}

/* "aud" is a text, or a list with us in it. */
static bool is_for(const json_t *claims, const char *audience)
{
    const json_t *aud = json_object_get(claims, "aud");
    if (json_is_string(aud)) {
        return strcmp(json_string_value(aud), audience) == 0;
    }
    for (size_t i = 0; i < json_array_size(aud); i++) {
        const char *one = json_string_value(json_array_get(aud, i));
        if (one && strcmp(one, audience) == 0) {
            return true;
        }
    }
    return false;
}

/* Bound to a certificate, or to nothing; to anything else nobody here could hold it. */
static bool take_binding(const json_t *claims, char out[JWT_THUMBPRINT_BYTES])
{
    const json_t *cnf = json_object_get(claims, "cnf");
    out[0] = '\0';
    return !cnf ||
           (json_object_size(cnf) == 1 && take_text(cnf, "x5t#S256", out, JWT_THUMBPRINT_BYTES) &&
            strlen(out) == JWT_THUMBPRINT_BYTES - 1);
}

static frun_err judge(const json_t *claims, const struct jwt_realm *realm, uint64_t now_s,
                      struct jwt_claims *out, const char **why)
{
    uint64_t not_before = 0;
    if (!has_text(claims, "iss", realm->issuer)) {
        *why = "the token was issued by somebody else";
        return FRUN_E_DENIED;
    }
    if (!is_for(claims, realm->issuer)) {
        *why = "the token is for somebody else";
        return FRUN_E_DENIED;
    }
    if (!take_text(claims, "sub", out->client_id, sizeof(out->client_id)) ||
        !has_text(claims, "client_id", out->client_id) ||
        !take_text(claims, "gen", out->generation, sizeof(out->generation)) ||
        !take_time(claims, "exp", &out->expires_s) || !take_time(claims, "iat", &out->issued_s) ||
        !take_time(claims, "nbf", &not_before)) {
        *why = "the token lacks a claim";
        return FRUN_E_DENIED;
    }
    if (!take_binding(claims, out->bound_to)) {
        *why = "the token is bound to something that is not understood";
        return FRUN_E_DENIED;
    }
    if (out->expires_s <= now_s) {
        *why = "the token has expired";
        return FRUN_E_TIMEOUT;
    }
    if (not_before > now_s + JWT_SKEW_S || out->issued_s > now_s + JWT_SKEW_S) {
        *why = "the token is not valid yet; do the clocks differ?";
        return FRUN_E_DENIED;
    }
    return FRUN_OK;
}

frun_err jwt_claims_read(struct span json, const struct jwt_realm *realm, uint64_t now_s,
                         struct jwt_claims *out, const char **why)
{
    struct jwt_claims read;
    json_t *claims = parse(json);
    if (!claims) {
        *why = "the token is malformed";
        return FRUN_E_SYNTAX;
    }
    frun_err err = judge(claims, realm, now_s, &read, why);
    json_decref(claims);
    if (!err) {
        *out = read;
    }
    return err;
}

static frun_err check_signature(const struct keys *k, struct span id, struct span text,
                                struct span part, const char **why)
{
    char signature[KEYS_SIGNATURE_BYTES + 8];
    size_t n = 0;
    *why = "the token's signature is wrong";
    if (part.n > TEXT_BASE64_BYTES(KEYS_SIGNATURE_BYTES) ||
        text_base64url_decode(part, signature, &n) != FRUN_OK) {
        return FRUN_E_DENIED;
    }
    frun_err err = keys_verify(k, id, text, span_make(signature, n));
    if (err == FRUN_E_NOT_FOUND) {
        *why = "the token is signed with a key that is not known here";
        return FRUN_E_DENIED;
    }
    return err;
}

frun_err jwt_verify(const struct keys *k, struct span token, const struct jwt_realm *realm,
                    uint64_t now_s, struct jwt_claims *out, const char **why)
{
    char kid[KEYS_ID_BYTES];
    char json[JWT_MAX_BYTES];
    struct span parts[3];
    struct span rest = token;
    size_t n = 0;
    if (token.n > JWT_MAX_BYTES) {
        *why = "the token is too long";
        return FRUN_E_LIMIT;
    }
    *why = "the token is malformed";
    for (size_t i = 0; i < 3; i++) {
        if (!span_split(&rest, '.', &parts[i]) || parts[i].n == 0) {
            return FRUN_E_SYNTAX;
        }
    }
    if (rest.p) {
        return FRUN_E_SYNTAX; /* five parts: encrypted, or junk */
    }
    frun_err err = read_header(parts[0], kid, why);
    if (!err) {
        struct span text = span_make(token.p, parts[0].n + 1 + parts[1].n);
        err = check_signature(k, span_of(kid), text, parts[2], why);
    }
    if (!err && text_base64url_decode(parts[1], json, &n) != FRUN_OK) {
        *why = "the token is malformed";
        err = FRUN_E_SYNTAX;
    }
    return err ? err : jwt_claims_read(span_make(json, n), realm, now_s, out, why);
}

frun_err jwt_generation(const char *hash, char out[JWT_GENERATION_BYTES])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    char text[TEXT_BASE64_BYTES(GENERATION_OCTETS)];
    unsigned n = 0;
    if (EVP_Digest(hash, strlen(hash), digest, &n, EVP_sha256(), NULL) != 1) {
        return FRUN_E_NOMEM;
    }
    (void)text_base64url(span_make(digest, GENERATION_OCTETS), text);
    memcpy(out, text, JWT_GENERATION_BYTES); /* without padding there are fewer than in text */
    return FRUN_OK;
}
