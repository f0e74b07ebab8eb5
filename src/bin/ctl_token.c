/**
 * The client's side of our token endpoint.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl_token.h"

#include "frun/base/buf.h"
#include "frun/fetch/fetch.h"

#include "ctl.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** Octets of a form, a field or a URL. */
#define TEXT_MAX_BYTES 16384

static const char *text_at(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));
    return value && *value ? value : NULL;
}

/* Everything but letters and digits is escaped: a client ID may have '!' and '|'. */
static frun_err put_escaped(struct buf *b, const char *text)
{
    frun_err err = FRUN_OK;
    for (; !err && *text; text++) {
        unsigned char c = (unsigned char)*text;
        bool is_plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        err = is_plain ? buf_put(b, span_make(text, 1)) : buf_printf(b, "%%%02X", c);
    }
    return err;
}

static int make_form(struct buf *b, const json_t *uaa)
{
    const char *id = text_at(uaa, "clientid");
    const char *secret = text_at(uaa, "clientsecret");
    if (!id || !secret) {
        return ctl_fail("the service key has no uaa.clientid or uaa.clientsecret");
    }
    frun_err err = buf_put(b, SPAN_LIT("grant_type=client_credentials&client_id="));
    err = err ? err : put_escaped(b, id);
    err = err ? err : buf_put(b, SPAN_LIT("&client_secret="));
    err = err ? err : put_escaped(b, secret);
    return err ? ctl_fail("%s", err_text(err)) : EXIT_SUCCESS;
}

/* Root URL: the API without its last "/api". */
static int make_url(const json_t *key, struct ctl_token *out)
{
    const char *api = text_at(json_object_get(key, "endpoints"), "Api");
    if (!api) {
        return ctl_fail("the service key has no endpoints.Api");
    }
    size_t n = strlen(api);
    n -= n > 4 && strcmp(api + n - 4, "/api") == 0 ? 4 : 0;
    return asprintf(&out->url, "%.*s/sap/frun/metrics", (int)n, api) < 0 ? ctl_fail("out of memory")
                                                                         : EXIT_SUCCESS;
}

static int read_answer(const struct fetch_answer *a, struct ctl_token *out)
{
    struct span body = buf_span(&a->body);
    json_t *value = json_loadb(body.p, body.n, JSON_REJECT_DUPLICATES, NULL);
    const char *token = text_at(value, "access_token");
    int status = EXIT_SUCCESS;
    if (a->status != 200 || !token) {
        const char *why = text_at(value, "error_description");
        status = ctl_fail("no token: the token endpoint answers %d%s%s", a->status, why ? ": " : "",
                          why ? why : "");
    } else if (asprintf(&out->field, "Authorization: Bearer %s", token) < 0) {
        out->field = NULL;
        status = ctl_fail("out of memory");
    }
    json_decref(value);
    return status;
}

static int ask(const char *url, struct fetch_request *r, struct ctl_token *out)
{
    static const char *const fields[] = {"Content-Type: application/x-www-form-urlencoded",
                                         "Accept: application/json"};
    char *at = NULL;
    struct fetch_answer answer;
    struct diag d = {.text = ""};
    if (asprintf(&at, "%s/oauth/token", url) < 0) {
        return ctl_fail("out of memory");
    }
    r->url = at;
    r->fields = fields;
    r->n_fields = 2;
    frun_err err = fetch_run(r, &answer, &d);
    int status =
        err ? ctl_fail("no token: %s: %s", err_text(err), d.text) : read_answer(&answer, out);
    if (!err) {
        secret_wipe(answer.body.data, buf_len(&answer.body));
        fetch_answer_done(&answer);
    }
    free(at);
    return status;
}

int ctl_token_get(const char *file, const char *ca_file, const char *proxy, struct ctl_token *out)
{
    size_t n = 0;
    struct buf form;
    *out = (struct ctl_token){NULL, NULL};
    char *text = ctl_payload_file(file, &n);
    if (!text) {
        return EXIT_FAILURE;
    }
    buf_init(&form, TEXT_MAX_BYTES);
    json_t *key = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);
    const json_t *uaa = json_object_get(key, "uaa");
    const char *url = text_at(uaa, "url");
    int status = url ? make_form(&form, uaa) : ctl_fail("%s is no service key: uaa.url", file);
    status = status ? status : make_url(key, out);
    if (!status) {
        struct fetch_request r = {.body = buf_span(&form), .ca_file = ca_file, .proxy = proxy};
        status = ask(url, &r, out);
    }
    if (buf_len(&form)) {
        secret_wipe(form.data, buf_len(&form));
    }
    buf_done(&form);
    json_decref(key);
    secret_wipe(text, n);
    free(text);
    if (status) {
        ctl_token_done(out);
    }
    return status;
}

void ctl_token_done(struct ctl_token *t)
{
    if (t->field) {
        secret_wipe(t->field, strlen(t->field));
    }
    free(t->field);
    free(t->url);
    *t = (struct ctl_token){NULL, NULL};
}
