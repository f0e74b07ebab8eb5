/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/oauth/foreign.h"

#include "frun/base/text.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** Longest header part, octets of JSON; some providers put a certificate thumbprint or two there.
 */
#define HEADER_MAX_BYTES 4096

/** Longest signature, octets: of an RSA key with 8192 bits. */
#define SIGNATURE_MAX_BYTES 1024

/** Times above this are nonsense, and would not add up: the year 10000. */
#define TIME_MAX_S 253402300800.0

struct foreign {
    struct span signed_text; /* header and claims as they were signed */
    struct span signature;   /* base64url */
    json_t *header;
    json_t *claims;
    unsigned alg;
};

/* -- why not
 * -----------------------------------------------------------------------------------------------------
 */

static frun_err refuse(struct foreign_no *no, frun_err err, enum foreign_fault fault,
                       const char *why)
{
    no->fault = fault;
    no->why = why;
    no->seen[0] = '\0';
    return err;
}

static frun_err malformed(struct foreign_no *no)
{
    return refuse(no, FRUN_E_SYNTAX, FOREIGN_MALFORMED, "the token is malformed");
}

/* What strangers write goes to a log: printable ASCII alone. */
static void see(struct foreign_no *no, struct span text)
{
    size_t n = strlen(no->seen);
    for (size_t i = 0; text.p && i < text.n && n + 1 < sizeof(no->seen); i++, n++) {
        unsigned char c = (unsigned char)text.p[i];
        no->seen[n] = c > 0x20 && c < 0x7f && c != '"' && c != '\\' ? text.p[i] : '?';
    }
    no->seen[n] = '\0';
}

static struct span text_of(const json_t *v)
{
    return span_make(json_string_value(v), json_string_length(v));
}

/* A text, or a list of texts. */
static void see_texts(struct foreign_no *no, const json_t *v)
{
    if (json_is_string(v)) {
        see(no, text_of(v));
    }
    for (size_t i = 0; i < json_array_size(v); i++) {
        if (no->seen[0] && strlen(no->seen) + 2 < sizeof(no->seen)) {
            (void)snprintf(no->seen + strlen(no->seen), 2, ",");
        }
        see(no, text_of(json_array_get(v, i)));
    }
}

/* -- opening
 * -----------------------------------------------------------------------------------------------------
 */

/* An object of a part, without repeated members; NULL: it is none. */
static json_t *read_part(struct span part, char *room, size_t size)
{
    size_t n = 0;
    if (part.n / 4 * 3 + 3 > size || text_base64url_decode(part, room, &n) != FRUN_OK) {
        return NULL;
    }
    json_t *object = json_loadb(room, n, JSON_REJECT_DUPLICATES, NULL);
    if (object && !json_is_object(object)) {
        json_decref(object);
        return NULL;
    }
    return object;
}

/* An access token's: RFC 9068 names it, others write JWT or nothing. */
static bool is_type_good(const json_t *header)
{
    static const char *const good[] = {"JWT", "at+jwt", "application/jwt", "application/at+jwt"};
    const json_t *typ = json_object_get(header, "typ");
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        if (json_is_string(typ) && span_eq_nocase(text_of(typ), span_of(good[i]))) {
            return true;
        }
    }
    return !typ;
}

static frun_err judge_header(struct foreign *f, struct foreign_no *no)
{
    const json_t *kid = json_object_get(f->header, "kid");
    struct span alg = text_of(json_object_get(f->header, "alg"));
    f->alg = alg.p ? jwks_alg(alg) : 0;
    if (!f->alg) {
        (void)refuse(no, FRUN_E_DENIED, FOREIGN_HEADER,
                     "the token is signed in a way that is not accepted");
        see(no, alg);
        return FRUN_E_DENIED;
    }
    /* Whoever ignores "crit" or "b64" verifies something else than was signed. */
    if (json_object_get(f->header, "crit") || json_object_get(f->header, "b64") ||
        json_object_get(f->header, "enc") || json_object_get(f->header, "zip")) {
        return refuse(no, FRUN_E_DENIED, FOREIGN_HEADER,
                      "the token has a header that is not understood");
    }
    if (!is_type_good(f->header)) {
        (void)refuse(no, FRUN_E_DENIED, FOREIGN_HEADER, "the token is not an access token");
        see(no, text_of(json_object_get(f->header, "typ")));
        return FRUN_E_DENIED;
    }
    if (kid && (!json_is_string(kid) || json_string_length(kid) >= JWKS_ID_BYTES)) {
        return refuse(no, FRUN_E_DENIED, FOREIGN_HEADER, "the name of the token's key is odd");
    }
    return FRUN_OK;
}

static frun_err open_parts(struct foreign *f, struct span token, struct foreign_no *no)
{
    char room[FOREIGN_MAX_BYTES];
    struct span parts[3];
    struct span rest = token;
    for (size_t i = 0; i < 3; i++) {
        if (!span_split(&rest, '.', &parts[i]) || parts[i].n == 0) {
            return malformed(no);
        }
    }
    if (rest.p) {
        return malformed(no); /* five parts: encrypted, or junk */
    }
    f->signed_text = span_make(token.p, parts[0].n + 1 + parts[1].n);
    f->signature = parts[2];
    f->header = read_part(parts[0], room, HEADER_MAX_BYTES);
    if (!f->header) {
        return malformed(no);
    }
    frun_err err = judge_header(f, no);
    if (err) {
        return err;
    }
    f->claims = read_part(parts[1], room, sizeof(room));
    return f->claims ? FRUN_OK : malformed(no);
}

frun_err foreign_open(struct span token, struct foreign **out, struct foreign_no *no)
{
    if (token.n > FOREIGN_MAX_BYTES) {
        return refuse(no, FRUN_E_LIMIT, FOREIGN_MALFORMED, "the token is too long");
    }
    struct foreign *f = calloc(1, sizeof(*f));
    if (!f) {
        return refuse(no, FRUN_E_NOMEM, FOREIGN_MALFORMED, "out of memory");
    }
    frun_err err = open_parts(f, token, no);
    if (err) {
        foreign_free(f);
        return err;
    }
    *out = f;
    return FRUN_OK;
}

void foreign_free(struct foreign *f)
{
    if (f) {
        json_decref(f->header);
        json_decref(f->claims);
        free(f);
    }
}

struct span foreign_issuer(const struct foreign *f)
{
    return text_of(json_object_get(f->claims, "iss"));
}

/* -- checking
 * ----------------------------------------------------------------------------------------------------
 */

/* NumericDate may have a fraction. @p *out stays if the claim is not there; false: it is odd. */
static bool read_time(const json_t *claims, const char *key, bool *is_there, uint64_t *out)
{
    const json_t *v = json_object_get(claims, key);
    double seconds = json_number_value(v);
    *is_there = v != NULL;
    if (v && (!json_is_number(v) || !(seconds >= 0) || seconds >= TIME_MAX_S)) {
        return false;
    }
    if (v) {
        *out = (uint64_t)seconds;
    }
    return true;
}

/* @p value is the text, or stands in the list; a text may be a list too, with blanks between. */
static bool has_text(const json_t *v, struct span value, bool is_split)
{
    if (json_is_string(v) && is_split) {
        struct span rest = text_of(v);
        struct span part;
        while (span_split(&rest, ' ', &part)) {
            if (part.n && span_eq(part, value)) {
                return true;
            }
        }
        return false;
    }
    if (json_is_string(v)) {
        return span_eq(text_of(v), value);
    }
    for (size_t i = 0; i < json_array_size(v); i++) {
        const json_t *one = json_array_get(v, i);
        if (json_is_string(one) && span_eq(text_of(one), value)) {
            return true;
        }
    }
    return false;
}

static frun_err check_signature(const struct foreign *f, const struct jwks *k,
                                struct foreign_no *no)
{
    char signature[SIGNATURE_MAX_BYTES + 4];
    size_t n = 0;
    struct span id = text_of(json_object_get(f->header, "kid"));
    frun_err err = FRUN_E_DENIED;
    if (f->signature.n / 4 * 3 + 3 <= sizeof(signature) &&
        text_base64url_decode(f->signature, signature, &n) == FRUN_OK) {
        err = jwks_verify(k, f->alg, id, f->signed_text, span_make(signature, n));
    }
    switch (err) {
    case FRUN_OK:
    case FRUN_E_NOMEM:
        return err;
    case FRUN_E_NOT_FOUND:
        (void)refuse(no, err, FOREIGN_KEY,
                     id.p ? "the token is signed with a key that is not known here"
                          : "the token names no key");
        see(no, id);
        return err;
    case FRUN_E_UNSUPPORTED:
        (void)refuse(no, err, FOREIGN_SIGNATURE, "the token's key is for another algorithm");
        see(no, id);
        return FRUN_E_DENIED;
    default:
        return refuse(no, FRUN_E_DENIED, FOREIGN_SIGNATURE, "the token's signature is wrong");
    }
}

static frun_err check_times(const struct foreign *f, const struct foreign_rules *rules,
                            uint64_t now_s, struct foreign_no *no)
{
    uint64_t expires_s = 0;
    uint64_t not_before_s = 0;
    uint64_t issued_s = 0;
    bool has_end;
    bool has_issued;
    bool unused;
    if (!read_time(f->claims, "exp", &has_end, &expires_s) ||
        !read_time(f->claims, "nbf", &unused, &not_before_s) ||
        !read_time(f->claims, "iat", &has_issued, &issued_s)) {
        return refuse(no, FRUN_E_DENIED, FOREIGN_LIFETIME, "a time in the token is odd");
    }
    if (!has_end) {
        return refuse(no, FRUN_E_DENIED, FOREIGN_LIFETIME, "the token has no end");
    }
    if (expires_s + rules->skew_s <= now_s) {
        (void)refuse(no, FRUN_E_TIMEOUT, FOREIGN_EXPIRED, "the token has expired");
        (void)snprintf(no->seen, sizeof(no->seen), "%llu s ago",
                       (unsigned long long)(now_s - expires_s));
        return FRUN_E_TIMEOUT;
    }
    uint64_t from_s = not_before_s > issued_s ? not_before_s : issued_s;
    if (from_s > now_s + rules->skew_s) {
        (void)refuse(no, FRUN_E_DENIED, FOREIGN_EARLY,
                     "the token is not valid yet; do the clocks differ?");
        (void)snprintf(no->seen, sizeof(no->seen), "in %llu s",
                       (unsigned long long)(from_s - now_s));
        return FRUN_E_DENIED;
    }
    /* Without "iat" what is left is all that is known of its life. */
    uint64_t begin_s = has_issued ? issued_s : now_s;
    uint64_t life_s = expires_s > begin_s ? expires_s - begin_s : 0;
    if (rules->max_lifetime_s && life_s > rules->max_lifetime_s) {
        (void)refuse(no, FRUN_E_DENIED, FOREIGN_LIFETIME, "the token lives too long");
        (void)snprintf(no->seen, sizeof(no->seen), "%llu s", (unsigned long long)life_s);
        return FRUN_E_DENIED;
    }
    return FRUN_OK;
}

static frun_err check_audience(const struct foreign *f, const struct foreign_rules *rules,
                               struct foreign_no *no)
{
    const json_t *aud = json_object_get(f->claims, "aud");
    for (size_t i = 0; i < rules->n_audience; i++) {
        if (has_text(aud, span_of(rules->audience[i]), false)) {
            return FRUN_OK;
        }
    }
    (void)refuse(no, FRUN_E_DENIED, FOREIGN_AUDIENCE, "the token is for somebody else");
    see_texts(no, aud);
    return FRUN_E_DENIED;
}

static bool has_scope(const struct foreign *f, const struct foreign_rules *rules, const char *scope)
{
    for (size_t i = 0; i < rules->n_scope_claim; i++) {
        if (has_text(json_object_get(f->claims, rules->scope_claim[i]), span_of(scope), true)) {
            return true;
        }
    }
    return false;
}

static frun_err check_scope(const struct foreign *f, const struct foreign_rules *rules,
                            struct foreign_no *no)
{
    for (size_t i = 0; i < rules->n_scope; i++) {
        if (has_scope(f, rules, rules->scope[i])) {
            continue;
        }
        (void)refuse(no, FRUN_E_DENIED, FOREIGN_SCOPE, "the token lacks the scope that is needed");
        for (size_t k = 0; k < rules->n_scope_claim && !no->seen[0]; k++) {
            see_texts(no, json_object_get(f->claims, rules->scope_claim[k]));
        }
        return FRUN_E_DENIED;
    }
    return FRUN_OK;
}

frun_err foreign_verify(const struct foreign *f, const struct jwks *k,
                        const struct foreign_rules *rules, uint64_t now_s, struct foreign_no *no)
{
    if (!(f->alg & rules->algs)) {
        (void)refuse(no, FRUN_E_DENIED, FOREIGN_HEADER,
                     "the token is signed in a way that is not accepted");
        see(no, text_of(json_object_get(f->header, "alg")));
        return FRUN_E_DENIED;
    }
    frun_err err = check_signature(f, k, no);
    err = err ? err : check_audience(f, rules, no);
    err = err ? err : check_times(f, rules, now_s, no);
    return err ? err : check_scope(f, rules, no);
}

uint64_t foreign_until_s(const struct foreign *f, const struct foreign_rules *rules)
{
    uint64_t expires_s = 0;
    bool unused;
    return read_time(f->claims, "exp", &unused, &expires_s) ? expires_s + rules->skew_s : 0;
}

/* -- who
 * --------------------------------------------------------------------------------------------------------
 */

struct span foreign_client(const struct foreign *f)
{
    static const char *const names[] = {"azp", "client_id", "cid", "appid"};
    struct span found = {NULL, 0};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const json_t *v = json_object_get(f->claims, names[i]);
        if (v && (!json_is_string(v) || (found.p && !span_eq(found, text_of(v))))) {
            return (struct span){NULL, 0}; /* two clients are none */
        }
        found = v ? text_of(v) : found;
    }
    return found;
}

struct span foreign_subject(const struct foreign *f)
{
    return text_of(json_object_get(f->claims, "sub"));
}

void foreign_no_issuer(const struct foreign *f, struct foreign_no *no)
{
    (void)refuse(no, FRUN_E_DENIED, FOREIGN_ISSUER, "the token's issuer is not known here");
    see(no, foreign_issuer(f));
}

void foreign_no_pusher(const struct foreign *f, struct foreign_no *no)
{
    (void)refuse(no, FRUN_E_DENIED, FOREIGN_NOBODY, "nobody is known here by this token");
    see(no, SPAN_LIT("client="));
    see(no, foreign_client(f));
    see(no, SPAN_LIT(",sub="));
    see(no, foreign_subject(f));
}

static const json_t *member(const json_t *object, struct span name)
{
    char key[FOREIGN_SEEN_BYTES];
    if (name.n == 0 || name.n >= sizeof(key)) {
        return NULL;
    }
    memcpy(key, name.p, name.n);
    key[name.n] = '\0';
    return json_object_get(object, key);
}

bool foreign_has(const struct foreign *f, struct span name, struct span value)
{
    char number[32];
    const json_t *v = member(f->claims, name);
    size_t dot = span_find(name, '.');
    if (!v && dot < name.n) {
        v = member(member(f->claims, span_head(name, dot)), span_skip(name, dot + 1));
    }
    if (json_is_integer(v)) {
        (void)snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(v));
        return span_eq(span_of(number), value);
    }
    if (json_is_boolean(v)) {
        return span_eq(json_is_true(v) ? SPAN_LIT("true") : SPAN_LIT("false"), value);
    }
    return has_text(v, value, false);
}
