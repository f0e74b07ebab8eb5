/**
 * The token service: OAuth 2.0 client credentials, and what others need to check our tokens.
 *
 * SAP's clients send parameters that this grant does not know (response_type, scope); they are
 * tolerated. A parameter that decides something is refused when it stands twice.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "own_int.h"

#include "frun/access/bearer.h"
#include "frun/base/secret.h"
#include "frun/base/text.h"
#include "frun/http/form.h"

#include <stdio.h>
#include <string.h>

/** Public keys may be remembered for so long: shorter than twice reread would help nobody. */
#define KEYS_CACHE "public, max-age=60"

/* What a client sent to prove itself; all in the request's memory. */
struct credentials {
    struct span id;
    struct span secret;
    char *room; /* decoded octets, to be wiped */
    size_t n_room;
};

/** What is said of a client that proves nothing. */
#define WRONG_CLIENT "client ID or secret is wrong"

/* -- answers
 * -----------------------------------------------------------------------------------------------------
 */

static void answer_json(struct own_ask *a, const char *cache, struct span body)
{
    a->answer(a, &(struct reply){.status = 200,
                                 .is_plain = true,
                                 .type = "application/json",
                                 .cache = cache,
                                 .body = body});
}

/* The texts are ours and need no escapes. */
static void refuse(struct own_ask *a, unsigned status, const char *code, const char *text)
{
    struct span body = {0};
    bool is_basic = status == 401 && a->is_basic;
    if (arena_printf(a->arena, &body, "{\"error\":\"%s\",\"error_description\":\"%s\"}\n", code,
                     text)) {
        body = SPAN_LIT("{\"error\":\"server_error\"}\n");
    }
    a->answer(a, &(struct reply){.status = status,
                                 .is_plain = true,
                                 .type = "application/json",
                                 .note = text,
                                 .challenge = is_basic ? SPAN_LIT("Basic realm=\"frunproxy\"")
                                                       : (struct span){0},
                                 .body = body});
}

static void refuse_busy(struct own_ask *a, const char *text)
{
    a->answer(
        a, &(struct reply){
               .status = 503, .error = "proxy_internal_error", .detail = text, .retry_after_s = 1});
}

static void grant(struct own_ask *a, const struct bearer_proof *proof)
{
    struct bearer_issued *t = arena_alloc(a->arena, sizeof(*t));
    struct span body = {0};
    frun_err err =
        t ? bearer_issue(auth_keys(a->w->auth), a->registry, a->who, proof, t) : FRUN_E_NOMEM;
    if (err == FRUN_E_DENIED) {
        refuse(a, 401, "invalid_client", WRONG_CLIENT);
        return;
    }
    if (!err) {
        err = arena_printf(a->arena, &body,
                           "{\"access_token\":\"%s\",\"token_type\":\"bearer\",\"expires_in\":%llu,"
                           "\"scope\":\"" BEARER_SCOPE "\",\"jti\":\"%s\"}\n",
                           t->text, (unsigned long long)t->lifetime_s, t->id);
    }
    if (err) {
        refuse_busy(a, "no token can be issued at the moment");
        return;
    }
    answer_json(a, NULL, body);
}

static void judge(struct own_ask *a, enum auth_verdict verdict)
{
    if (verdict == AUTH_GRANTED) {
        bool is_old = a->waiter.is_old;
        grant(a, &(struct bearer_proof){.generation =
                                            is_old ? a->who->old_generation : a->who->generation,
                                        .until_s = is_old ? a->who->conf->secret.until_s : 0});
    } else if (verdict == AUTH_BUSY) {
        refuse_busy(a, "too many new credentials are being verified; try again");
    } else {
        refuse(a, 401, "invalid_client", WRONG_CLIENT);
    }
}

/* A client without a secret: its certificate speaks for it. Source: RFC 8705 2. */
static void judge_certificate(struct own_ask *a, struct span client_id)
{
    struct identity_verdict v;
    char text[256];
    if (!a->identity) {
        refuse(a, 401, "invalid_client",
               "client_secret is needed, or a client certificate on the connection");
        return;
    }
    enum auth_verdict verdict = identity_client(a->identity, a->trust, client_id, &v);
    a->who = v.who;
    a->waiter.way = CONF_AUTH_OAUTH2;
    if (verdict == AUTH_BUSY) {
        refuse_busy(a, "out of memory");
    } else if (verdict == AUTH_GRANTED) {
        bool is_bound = registry_conf(a->registry)->oauth->bind_tokens;
        const struct cert *cert = identity_cert(a->identity);
        grant(a, &(struct bearer_proof){.generation = v.rule->generation,
                                        .until_s = v.until_s,
                                        .sha256 = is_bound ? cert_sha256(cert) : NULL});
    } else {
        (void)snprintf(text, sizeof(text), "the client certificate is not accepted: %s", v.why);
        refuse(a, 401, "invalid_client", text);
    }
}

static void on_verdict(struct auth_waiter *w, enum auth_verdict verdict, const struct pusher *who)
{
    struct own_ask *a = list_entry(w, struct own_ask, waiter);
    a->who = who;
    judge(a, verdict);
}

/* -- the question
 * ------------------------------------------------------------------------------------------------
 */

/* Some clients escape both parts as RFC 6749 2.3.1 says, some do not: our secrets have nothing to
 * escape, so a '%' tells. */
static struct span unescape(struct span text, char *room)
{
    struct span out = text;
    if (span_find(text, '%') < text.n && form_decode(text, room, &out) != FRUN_OK) {
        return text;
    }
    return out;
}

/* "Basic ..." into id and secret. */
static bool read_basic(struct own_ask *a, struct span coded, struct credentials *c)
{
    size_t n = 0;
    c->n_room = 2 * coded.n + 4;
    c->room = coded.n <= AUTH_MAX_VALUE ? arena_alloc(a->arena, c->n_room) : NULL;
    if (!c->room || text_base64_decode(coded, c->room, &n) != FRUN_OK) {
        return false;
    }
    struct span both = span_make(c->room, n);
    size_t colon = span_find(both, ':');
    if (colon == both.n || memchr(c->room, 0, n)) {
        return false;
    }
    c->id = unescape(span_head(both, colon), c->room + n);
    c->secret = unescape(span_skip(both, colon + 1), c->room + n + colon);
    return true;
}

/* The form's client_id and client_secret, beside or instead of Basic. */
static const char *read_form(const struct form *f, struct credentials *c, bool is_basic)
{
    struct span id = {0};
    struct span secret = {0};
    if (form_get(f, SPAN_LIT("client_id"), &id) ||
        form_get(f, SPAN_LIT("client_secret"), &secret)) {
        return "client_id or client_secret stands twice";
    }
    if (is_basic && (secret.n || (id.n && !span_eq(id, c->id)))) {
        return "the client proves itself in two ways at once";
    }
    if (!is_basic) {
        c->id = id;
        c->secret = secret;
    }
    return NULL;
}

static const char *read_grant(const struct form *f, bool *is_supported)
{
    struct span type = {0};
    if (form_get(f, SPAN_LIT("grant_type"), &type)) {
        return "grant_type stands twice";
    }
    *is_supported = span_eq(type, SPAN_LIT("client_credentials"));
    return type.n ? NULL : "grant_type is missing";
}

/* Is there one field of that name? More than one is as wrong as a broken one. */
static bool read_field(const struct own_ask *a, struct span name, struct span *value)
{
    bool is_found = false;
    *value = (struct span){0};
    for (size_t i = 0; i < a->in->n_fields; i++) {
        if (span_eq_nocase(a->in->fields[i].name, name)) {
            if (is_found) {
                return false;
            }
            is_found = true;
            *value = a->in->fields[i].value;
        }
    }
    return true;
}

static void ask(struct own_ask *a, const struct form *f, struct credentials *c)
{
    struct span field;
    struct span scheme = SPAN_LIT("Basic ");
    bool is_supported = false;
    if (!read_field(a, SPAN_LIT("Authorization"), &field)) {
        refuse(a, 400, "invalid_request", "more than one Authorization field");
        return;
    }
    a->is_basic = span_starts_nocase(field, scheme);
    const char *why = read_grant(f, &is_supported);
    if (why) {
        refuse(a, 400, "invalid_request", why);
        return;
    }
    if (!is_supported) {
        refuse(a, 400, "unsupported_grant_type", "only client_credentials is supported");
        return;
    }
    if (a->is_basic && !read_basic(a, span_trim(span_skip(field, scheme.n)), c)) {
        refuse(a, 401, "invalid_client", "the Basic credentials cannot be read");
        return;
    }
    why = read_form(f, c, a->is_basic);
    if (why) {
        refuse(a, 400, "invalid_request", why);
        return;
    }
    bool is_asked = registry_conf(a->registry)->gateway->asking.is_asking;
    if (c->id.n && !c->secret.n && (a->identity || is_asked)) {
        judge_certificate(a, c->id);
        return;
    }
    if (!c->id.n || !c->secret.n) {
        refuse(a, 401, "invalid_client", "client_id and client_secret are needed");
        return;
    }
    a->waiter.fn = on_verdict;
    enum auth_verdict v =
        auth_client(a->w->auth, a->registry, c->id, c->secret, &a->waiter, &a->who);
    if (v != AUTH_PENDING) {
        judge(a, v);
    }
}

static void ask_form(struct own_ask *a, struct span body, bool is_get)
{
    struct form f = {.n = 0};
    struct credentials c = {.room = NULL};
    struct span secret = {0};
    size_t n_room = body.n + a->query.n;
    char *room = arena_alloc(a->arena, n_room + 1);
    if (!room) {
        refuse_busy(a, "out of memory");
        return;
    }
    if (form_parse(a->query, room, &f)) {
        refuse(a, 400, "invalid_request", "the query is not a form");
    } else if (!is_get && (form_get(&f, SPAN_LIT("client_secret"), &secret) || secret.p)) {
        refuse(a, 400, "invalid_request", "a secret has no place in a query");
    } else if (form_parse(body, room + a->query.n, &f)) {
        refuse(a, 400, "invalid_request", "the body is not a form");
    } else {
        ask(a, &f, &c);
    }
    secret_wipe(room, n_room);
    secret_wipe(c.room, c.n_room);
}

void own_token(struct own_ask *a)
{
    struct span type;
    struct span form = SPAN_LIT("application/x-www-form-urlencoded");
    if (!read_field(a, SPAN_LIT("Content-Type"), &type) ||
        (a->n_body && !span_eq_nocase(span_trim(span_head(type, span_find(type, ';'))), form))) {
        refuse(a, 400, "invalid_request",
               "the body must be of type application/x-www-form-urlencoded");
        return;
    }
    ask_form(a, span_make(a->body, a->body ? a->n_body : 0), false);
}

void own_token_get(struct own_ask *a)
{
    const struct conf_gw *c = registry_conf(a->registry);
    if (!c->oauth || !c->oauth->legacy_token_get || !span_eq(a->in->method, SPAN_LIT("GET"))) {
        a->answer(a, &(struct reply){.status = 405,
                                     .detail = "ask with POST; GET is answered only with "
                                               "legacy_token_get = yes",
                                     .allow = SPAN_LIT("POST")});
        return;
    }
    ask_form(a, (struct span){0}, true);
}

/* -- what others need
 * --------------------------------------------------------------------------------------------
 */

/* The set may be replaced while the answer is on its way. */
static void answer_keys(struct own_ask *a, struct span text)
{
    struct span copy = {0};
    if (arena_copy(a->arena, text, &copy)) {
        refuse_busy(a, "out of memory");
        return;
    }
    answer_json(a, KEYS_CACHE, copy);
}

void own_jwks(struct own_ask *a)
{
    answer_keys(a, keys_jwks(auth_keys(a->w->auth)));
}

void own_token_keys(struct own_ask *a)
{
    answer_keys(a, keys_token_keys(auth_keys(a->w->auth)));
}

void own_metadata(struct own_ask *a)
{
    const struct conf_gw *c = registry_conf(a->registry);
    const char *url = c->gateway->public_url;
    bool has_certs = c->gateway->asking.is_asking;
    struct span text = {0};
    struct span mtls = SPAN_LIT("");
    frun_err err = has_certs
                       ? arena_printf(a->arena, &mtls,
                                      "\"mtls_endpoint_aliases\":{\"token_endpoint\":"
                                      "\"%s/oauth/token\"},"
                                      "\"tls_client_certificate_bound_access_tokens\":%s,",
                                      c->oauth->cert_url, c->oauth->bind_tokens ? "true" : "false")
                       : FRUN_OK;
    err = err ? err
              : arena_printf(
                    a->arena, &text,
                    "{\"issuer\":\"%s\",\"token_endpoint\":\"%s/oauth/token\","
                    "\"jwks_uri\":\"%s/.well-known/jwks.json\",%.*s"
                    "\"token_endpoint_auth_methods_supported\":[\"client_secret_basic\","
                    "\"client_secret_post\"%s],\"grant_types_supported\":[\"client_credentials\"],"
                    "\"response_types_supported\":[\"token\"],\"scopes_supported\":[\"" BEARER_SCOPE
                    "\"],"
                    "\"subject_types_supported\":[\"public\"],"
                    "\"id_token_signing_alg_values_supported\":[\"ES256\"]}\n",
                    url, url, url, SPAN_FMT(mtls),
                    has_certs ? ",\"tls_client_auth\",\"self_signed_tls_client_auth\"" : "");
    if (err) {
        refuse_busy(a, "out of memory");
        return;
    }
    answer_json(a, KEYS_CACHE, text);
}
