/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/fetch/service_key.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* Names of instances that a refusal lists. */
#define NAMES_BYTES 240

/* Fields in the order they are wanted: the first error stays, later steps do nothing. */
struct reader {
    const json_t *credentials;
    struct diag *d;
    frun_err err;
};

static frun_err refuse(struct reader *r, frun_err err, const char *field, const char *why)
{
    if (!r->err) {
        diag_set(r->d, "field \"%s\" %s", field, why);
        r->err = err;
    }
    return r->err;
}

static char *keep(struct reader *r, const char *text)
{
    char *copy = strdup(text);
    if (!copy && !r->err) {
        diag_set(r->d, "%s", err_text(FRUN_E_NOMEM));
        r->err = FRUN_E_NOMEM;
    }
    return copy;
}

/* A text that may stand in a URL or a form: no control, no blank, nothing beyond ASCII. */
static const char *plain_text(struct reader *r, const char *field)
{
    const json_t *v = json_object_get(r->credentials, field);
    if (r->err || !v || json_is_null(v)) {
        return NULL;
    }
    const char *text = json_string_value(v);
    if (!text || json_string_length(v) == 0) {
        (void)refuse(r, FRUN_E_SYNTAX, field, "must be a text that is not empty");
        return NULL;
    }
    for (const char *p = text; *p; p++) {
        if ((unsigned char)*p <= 0x20 || (unsigned char)*p >= 0x7f) {
            (void)refuse(r, FRUN_E_SYNTAX, field,
                         "has blanks or odd characters; copy the key again as it is");
            return NULL;
        }
    }
    return text;
}

/* The first of two names, as an old key has the second. */
static const char *either(struct reader *r, const char *field, const char *old, const char **name)
{
    const char *text = plain_text(r, field);
    *name = field;
    if (!text && !r->err && old) {
        text = plain_text(r, old);
        *name = text ? old : field;
    }
    return text;
}

static unsigned port(struct reader *r, const char *field, const char *old)
{
    const json_t *v = json_object_get(r->credentials, field);
    uint64_t n = 0;
    if (!v && old) {
        field = old;
        v = json_object_get(r->credentials, field);
    }
    if (r->err || !v || json_is_null(v)) {
        return 0;
    }
    if (json_is_integer(v) && json_integer_value(v) > 0) {
        n = (uint64_t)json_integer_value(v);
    } else if (json_is_string(v) && span_to_u64(span_of(json_string_value(v)), &n)) {
        n = 0;
    }
    if (n == 0 || n > 65535) {
        (void)refuse(r, FRUN_E_SYNTAX, field, "must be a port, 1..65535");
        return 0;
    }
    return (unsigned)n;
}

/* Keys that went through an environment variable have "\n" for each line end. */
static void unescape(char *pem)
{
    char *to = pem;
    for (const char *from = pem; *from; from++) {
        if (from[0] == '\\' && (from[1] == 'n' || from[1] == 'r')) {
            from++;
            if (*from == 'n') {
                *to++ = '\n';
            }
        } else {
            *to++ = *from;
        }
    }
    *to = '\0';
}

static char *pem(struct reader *r, const char *field)
{
    const json_t *v = json_object_get(r->credentials, field);
    if (r->err || !v || json_is_null(v)) {
        return NULL;
    }
    const char *text = json_string_value(v);
    if (!text || !strstr(text, "-----BEGIN ")) {
        (void)refuse(r, FRUN_E_SYNTAX, field, "must be PEM text (-----BEGIN ...)");
        return NULL;
    }
    char *copy = keep(r, text);
    if (copy) {
        unescape(copy);
    }
    return copy;
}

char *service_key_token_url(const char *base, enum service_kind kind)
{
    const char *at = strstr(base, "://");
    const char *slash = at ? strchr(at + 3, '/') : NULL;
    const char *path = kind == SERVICE_IDENTITY ? "/oauth2/token" : "/oauth/token";
    size_t n = slash && slash[1] == '\0' ? (size_t)(slash - base) : strlen(base);
    size_t max = n + strlen(path) + 1;
    char *made = malloc(max);
    if (made) {
        bool has_path = slash && slash[1] != '\0';
        (void)snprintf(made, max, "%.*s%s", (int)n, base, has_path ? "" : path);
    }
    return made;
}

static char *token_url(struct reader *r, enum service_kind kind, bool is_by_certificate)
{
    const char *name = "url";
    const char *base = is_by_certificate && kind == SERVICE_CONNECTIVITY
                           ? either(r, "certurl", NULL, &name)
                       : kind == SERVICE_CONNECTIVITY ? either(r, "token_service_url", "url", &name)
                                                      : either(r, "url", NULL, &name);
    if (r->err) {
        return NULL;
    }
    if (!base) {
        (void)refuse(r, FRUN_E_SYNTAX, name, "is missing; copy the whole service key");
        return NULL;
    }
    if (strncmp(base, "https://", 8) != 0 || base[8] == '\0') {
        (void)refuse(r, FRUN_E_SYNTAX, name, "must begin with https://");
        return NULL;
    }
    char *url = service_key_token_url(base, kind);
    if (!url) {
        r->err = FRUN_E_NOMEM;
    }
    return url;
}

/* By certificate if the key says so, or has no secret but a certificate. */
static bool is_by_certificate(struct reader *r)
{
    const char *type = plain_text(r, "credential-type");
    if (type) {
        return strncasecmp(type, "x509", 4) == 0;
    }
    return !json_object_get(r->credentials, "clientsecret") &&
           json_object_get(r->credentials, "certificate");
}

static void read_secret(struct reader *r, struct service_key *k)
{
    const json_t *v = json_object_get(r->credentials, "clientsecret");
    const char *text = json_string_value(v);
    if (r->err) {
        return;
    }
    if (!text || json_string_length(v) == 0) {
        (void)refuse(r, FRUN_E_SYNTAX, "clientsecret",
                     "is missing; make a service key with a secret, or with credential-type x509");
        return;
    }
    r->err = secret_new(span_make(text, json_string_length(v)), &k->client_secret);
    if (r->err) {
        diag_set(r->d, "field \"clientsecret\": %s", err_text(r->err));
    }
}

static void read_credentials(struct reader *r, enum service_kind kind, struct service_key *k)
{
    const char *id = plain_text(r, "clientid");
    if (!id) {
        (void)refuse(r, FRUN_E_SYNTAX, "clientid",
                     "is missing; this is no service key, or only a part of one");
        return;
    }
    k->client_id = keep(r, id);
    bool by_certificate = is_by_certificate(r);
    k->token_url = token_url(r, kind, by_certificate);
    if (by_certificate) {
        k->certificate = pem(r, "certificate");
        k->private_key = pem(r, "key");
    } else {
        read_secret(r, k);
    }
    if (kind == SERVICE_CONNECTIVITY) {
        const char *host = plain_text(r, "onpremise_proxy_host");
        k->proxy_host = host ? keep(r, host) : NULL;
        k->http_port = port(r, "onpremise_proxy_http_port", "onpremise_proxy_port");
        k->socks5_port = port(r, "onpremise_socks5_proxy_port", NULL);
    }
}

/* -- which binding of the file */

static const char *name_of(const json_t *binding)
{
    const char *name = json_string_value(json_object_get(binding, "instance_name"));
    return name ? name : json_string_value(json_object_get(binding, "name"));
}

static bool has_name(const json_t *binding, const char *name)
{
    static const char *const fields[] = {"instance_name", "name", "binding_name"};
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        const char *is = json_string_value(json_object_get(binding, fields[i]));
        if (is && strcmp(is, name) == 0) {
            return true;
        }
    }
    return false;
}

static void list_names(const json_t *all, char out[NAMES_BYTES])
{
    size_t n = 0;
    out[0] = '\0';
    for (size_t i = 0; i < json_array_size(all) && n + 1 < NAMES_BYTES; i++) {
        const char *name = name_of(json_array_get(all, i));
        int len = snprintf(out + n, NAMES_BYTES - n, "%s%.60s", i ? ", " : "",
                           name ? name : "(without a name)");
        n += len > 0 ? (size_t)len : 0;
    }
}

static const json_t *pick(struct reader *r, const json_t *all, const char *service,
                          const char *instance)
{
    char names[NAMES_BYTES];
    if (!instance && json_array_size(all) == 1) {
        return json_array_get(all, 0);
    }
    const json_t *found = NULL;
    for (size_t i = 0; instance && i < json_array_size(all); i++) {
        const json_t *one = json_array_get(all, i);
        if (has_name(one, instance)) {
            found = found ? found : one;
        }
    }
    if (found) {
        return found;
    }
    list_names(all, names);
    if (instance) {
        diag_set(r->d, "no instance of \"%s\" is called \"%.60s\"; there are: %s", service,
                 instance, names);
    } else {
        diag_set(r->d, "%zu instances of \"%s\": set instance to one of %s", json_array_size(all),
                 service, names);
    }
    r->err = FRUN_E_NOT_FOUND;
    return NULL;
}

/* The binding: an object with "credentials", or the credentials themselves. */
static const json_t *find_binding(struct reader *r, const json_t *root, enum service_kind kind,
                                  const char *instance)
{
    const char *service = kind == SERVICE_CONNECTIVITY ? "connectivity" : "identity";
    const json_t *inner = json_object_get(root, "VCAP_SERVICES");
    root = inner ? inner : root;
    const json_t *all = json_object_get(root, service);
    if (json_is_array(all)) {
        return pick(r, all, service, instance);
    }
    if (json_is_object(root) &&
        (json_object_get(root, "clientid") || json_object_get(root, "credentials"))) {
        if (instance && name_of(root) && !has_name(root, instance)) {
            diag_set(r->d, "this key is of instance \"%.60s\", not \"%.60s\"", name_of(root),
                     instance);
            r->err = FRUN_E_NOT_FOUND;
            return NULL;
        }
        return root;
    }
    diag_set(r->d,
             "neither a service key (field \"clientid\") nor VCAP_SERVICES with \"%s\": copy the "
             "whole JSON of the service key",
             service);
    r->err = FRUN_E_SYNTAX;
    return NULL;
}

static void read_root(struct reader *r, const json_t *root, enum service_kind kind,
                      const char *instance, struct service_key *k)
{
    const json_t *binding = find_binding(r, root, kind, instance);
    if (!binding) {
        return;
    }
    const json_t *credentials = json_object_get(binding, "credentials");
    r->credentials = binding;
    const char *guid = plain_text(r, "instance_guid");
    k->instance_guid = guid ? keep(r, guid) : NULL;
    k->instance = name_of(binding) ? keep(r, name_of(binding)) : NULL;
    r->credentials = credentials ? credentials : binding;
    if (!r->err) {
        read_credentials(r, kind, k);
    }
}

frun_err service_key_parse(struct span json, enum service_kind kind, const char *instance,
                           struct service_key *out, struct diag *d)
{
    if (json.n > SERVICE_KEY_MAX_BYTES) {
        diag_set(d, "longer than %zu octets: that is no service key", SERVICE_KEY_MAX_BYTES);
        return FRUN_E_LIMIT;
    }
    struct reader r = {.d = d};
    struct service_key k = {0};
    json_error_t at;
    /* A doubled name would mean one thing here and another elsewhere. */
    errno = 0;
    json_t *root = json_loadb(json.n ? json.p : "", json.n, JSON_REJECT_DUPLICATES, &at);
    if (errno == ENOMEM) { /* jansson takes that for bad syntax, or even leaves out a member */
        json_decref(root);
        diag_set(d, "%s", err_text(FRUN_E_NOMEM));
        return FRUN_E_NOMEM;
    }
    if (!root) {
        /* jansson's own text may quote the file: it says the place, we say no more. */
        diag_set(d, "line %d, column %d: not JSON; copy the service key again as it is", at.line,
                 at.column);
        return FRUN_E_SYNTAX;
    }
    read_root(&r, root, kind, instance, &k);
    json_decref(root);
    if (r.err) {
        service_key_done(&k);
        return r.err;
    }
    *out = k;
    return FRUN_OK;
}

static frun_err read_all(int fd, char *at, size_t *n)
{
    *n = 0;
    while (*n < SERVICE_KEY_MAX_BYTES + 1) {
        ssize_t got = read(fd, at + *n, SERVICE_KEY_MAX_BYTES + 1 - *n);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return got < 0 ? FRUN_E_IO : FRUN_OK;
        }
        *n += (size_t)got;
    }
    return FRUN_OK;
}

frun_err service_key_load(const char *path, enum service_kind kind, const char *instance,
                          struct service_key *out, struct diag *d)
{
    char why[128];
    size_t n = 0;
    char *text = malloc(SERVICE_KEY_MAX_BYTES + 1);
    if (!text) {
        diag_set(d, "%s", err_text(FRUN_E_NOMEM));
        return FRUN_E_NOMEM;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    frun_err err = fd < 0 ? FRUN_E_IO : read_all(fd, text, &n);
    if (err) {
        diag_set(d, "cannot read %s: %s", path, strerror_r(errno, why, sizeof(why)));
    } else {
        struct diag inner = {.text = ""};
        err = service_key_parse(span_make(text, n), kind, instance, out, &inner);
        if (err) {
            diag_set(d, "%s: %s", path, inner.text[0] ? inner.text : err_text(err));
        }
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    secret_wipe(text, n);
    free(text);
    return err;
}

void service_key_done(struct service_key *k)
{
    if (!k) {
        return;
    }
    free(k->instance);
    free(k->instance_guid);
    free(k->proxy_host);
    free(k->token_url);
    free(k->client_id);
    secret_free(k->client_secret);
    free(k->certificate);
    if (k->private_key) {
        secret_wipe(k->private_key, strlen(k->private_key));
    }
    free(k->private_key);
    *k = (struct service_key){0};
}
