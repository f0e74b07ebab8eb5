/* SPDX-License-Identifier: Apache-2.0 */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/** A field value as it may be shown: of credentials only the user. */
static json_t *shown_value(const char *name, const char *value)
{
    char plain[1024];
    char text[1100];
    if (!text_same_name(name, "authorization") && !text_same_name(name, "proxy-authorization")) {
        return text_json(value, strlen(value));
    }
    if (!text_basic(value, plain, sizeof(plain))) {
        return json_string("(hidden)");
    }
    *strchr(plain, ':') = '\0';
    (void)snprintf(text, sizeof(text), "Basic %s", plain);
    OPENSSL_cleanse(plain, sizeof(plain));
    return text_json(text, strlen(text));
}

static json_t *body_json(const struct body *b)
{
    size_t n = b->shown;
    json_t *j = json_stringn((const char *)b->text, n);
    /* The cut at 4 KiB may go through a character. */
    for (int i = 0; !j && i < 3 && n > 0; i++) {
        j = json_stringn((const char *)b->text, --n);
    }
    return j ? j : json_null();
}

static json_t *receipt_json(const struct receipt *r)
{
    char time_text[64];
    struct timespec now;
    struct tm utc;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &utc);
    (void)strftime(time_text, sizeof(time_text), "%Y-%m-%dT%H:%M:%SZ", &utc);

    json_t *fields = json_array();
    for (size_t i = 0; i < r->req->n; i++) {
        const char *name = r->req->fields[i].name;
        json_t *pair = json_array();
        (void)json_array_append_new(pair, text_json(name, strlen(name)));
        (void)json_array_append_new(pair, shown_value(name, r->req->fields[i].value));
        (void)json_array_append_new(fields, pair);
    }
    json_t *j = json_object();
    const SSL *ssl = r->wire->ssl;
    const char *sni = ssl ? SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) : NULL;
    (void)json_object_set_new(j, "time", json_string(time_text));
    (void)json_object_set_new(j, "connection", json_integer((json_int_t)r->wire->number));
    (void)json_object_set_new(j, "request", json_integer((json_int_t)r->wire->requests));
    (void)json_object_set_new(j, "peer", json_string(r->wire->peer));
    (void)json_object_set_new(j, "tls", ssl ? json_string(SSL_get_version(ssl)) : json_null());
    (void)json_object_set_new(j, "sni", sni ? json_string(sni) : json_null());
    X509 *cert = ssl ? SSL_get0_peer_certificate(ssl) : NULL;
    char *subject = cert ? X509_NAME_oneline(X509_get_subject_name(cert), NULL, 0) : NULL;
    (void)json_object_set_new(j, "client_certificate",
                              subject ? json_string(subject) : json_null());
    OPENSSL_free(subject);
    (void)json_object_set_new(j, "method", text_json(r->req->method, strlen(r->req->method)));
    (void)json_object_set_new(j, "path", text_json(r->req->path, strlen(r->req->path)));
    (void)json_object_set_new(j, "query", text_json(r->req->query, strlen(r->req->query)));
    (void)json_object_set_new(j, "fields", fields);
    (void)json_object_set_new(j, "body_sha256", json_string(r->body->sha256));
    (void)json_object_set_new(j, "body_bytes", json_integer((json_int_t)r->body->bytes));
    (void)json_object_set_new(j, "decoded_bytes", json_integer((json_int_t)r->body->decoded_bytes));
    (void)json_object_set_new(j, "body", body_json(r->body));
    (void)json_object_set_new(j, "complete", json_boolean(r->body->is_complete));
    (void)json_object_set_new(j, "network", r->network ? json_string(r->network) : json_null());
    (void)json_object_set_new(j, "status", json_integer((json_int_t)r->status));
    return j;
}

void store_add(struct sim *s, const struct receipt *r)
{
    json_t *j = receipt_json(r);
    (void)pthread_mutex_lock(&s->lock);
    (void)json_object_set_new(j, "number", json_integer((json_int_t)++s->n_received));
    if (s->record_fd >= 0) {
        char *line = json_dumps(j, JSON_COMPACT);
        if (line) {
            (void)dprintf(s->record_fd, "%s\n", line);
            free(line);
        }
    }
    while (json_array_size(s->received) >= s->opt.keep && json_array_size(s->received) > 0) {
        (void)json_array_remove(s->received, 0);
    }
    (void)json_array_append_new(s->received, j);
    (void)pthread_mutex_unlock(&s->lock);
}

char *store_text(struct sim *s)
{
    (void)pthread_mutex_lock(&s->lock);
    char *text = json_dumps(s->received, JSON_INDENT(1));
    (void)pthread_mutex_unlock(&s->lock);
    return text;
}

static void print_receipt(FILE *to, json_t *j)
{
    const char *query = json_string_value(json_object_get(j, "query"));
    (void)fprintf(to, "%s %s%s%s\n", json_string_value(json_object_get(j, "method")),
                  json_string_value(json_object_get(j, "path")), query && *query ? "?" : "",
                  query ? query : "");
    size_t i;
    json_t *pair;
    json_array_foreach(json_object_get(j, "fields"), i, pair)
    {
        (void)fprintf(to, "%s: %s\n", json_string_value(json_array_get(pair, 0)),
                      json_string_value(json_array_get(pair, 1)));
    }
    (void)fprintf(to, "\n(%lld octets, SHA-256 %s)\n",
                  (long long)json_integer_value(json_object_get(j, "body_bytes")),
                  json_string_value(json_object_get(j, "body_sha256")));
    const char *body = json_string_value(json_object_get(j, "body"));
    (void)fprintf(to, "%s\n\n", body ? body : "(not text)");
}

char *store_plain_text(struct sim *s)
{
    char *text = NULL;
    size_t n = 0;
    FILE *to = open_memstream(&text, &n);
    if (!to) {
        return NULL;
    }
    size_t i;
    json_t *j;
    (void)pthread_mutex_lock(&s->lock);
    json_array_foreach(s->received, i, j)
    {
        print_receipt(to, j);
    }
    (void)pthread_mutex_unlock(&s->lock);
    (void)fclose(to);
    return text;
}

void store_clear(struct sim *s)
{
    (void)pthread_mutex_lock(&s->lock);
    (void)json_array_clear(s->received);
    (void)pthread_mutex_unlock(&s->lock);
}
