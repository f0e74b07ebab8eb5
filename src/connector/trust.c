/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/connector/trust.h"

#include "frun/conf/doc.h"

#include <stdlib.h>
#include <string.h>

/** The files of one context, and where the configuration names them. */
struct source {
    const struct conf_cn *conf;    /**< configuration */
    const void *section;           /**< section that is read */
    const char *word;              /**< its first word */
    const char *name;              /**< its name */
    struct tls_settings tls;       /**< what is loaded */
    const char *certificate_key;   /**< key of the certificate */
    const char *private_key_key;   /**< key of the private key */
    const char *ca_key;            /**< key of the CA file */
    bool is_certificate_inherited; /**< the certificate is [connector]'s */
};

static bool names_file(const struct diag *d, const char *path)
{
    return path && (strcmp(d->file, path) == 0 || strstr(d->text, path));
}

static void report_line(FILE *report, const struct source *s, const char *key, const char *why)
{
    const void *section = s->section;
    const char *word = s->word;
    const char *name = s->name;
    if (s->is_certificate_inherited && strcmp(key, s->ca_key) != 0) {
        section = s->conf->connector;
        word = "connector";
        name = "";
    }
    unsigned line = 0;
    const char *file = conf_key_place(s->conf->doc, section, key, &line);
    (void)fprintf(report, "%s:%u: %s%s%s.%s: %s\n", file, line, word, name[0] ? " " : "", name, key,
                  why);
}

static void report_failure(FILE *report, const struct source *s, const struct diag *d)
{
    if (!report) {
        return;
    }
    /* One file may hold key, certificate and CA: then the text decides. */
    const char *key = s->certificate_key;
    bool is_ca = names_file(d, s->tls.ca_file);
    if (names_file(d, s->tls.private_key) && (!is_ca || strstr(d->text, "private key"))) {
        key = s->private_key_key;
    } else if (is_ca || !s->tls.certificate) {
        key = s->ca_key;
    }
    report_line(report, s, key, d->text);
}

static frun_err load_subaccount(const struct conf_cn *conf, size_t i, FILE *report,
                                struct tls_ctx **out)
{
    const struct conf_subaccount *a = conf->subaccounts[i];
    struct source s = {
        .conf = conf,
        .section = a,
        .word = "subaccount",
        .name = a->place.name,
        .tls = {.certificate = a->certificate ? a->certificate : conf->connector->certificate,
                .private_key = a->private_key ? a->private_key : conf->connector->private_key,
                .ca_file = a->gateway_ca,
                .alpn = "http/1.1",
                .is_mutual = true},
        .certificate_key = "certificate",
        .private_key_key = "private_key",
        .ca_key = "gateway_ca",
    };
    s.is_certificate_inherited = s.tls.certificate && conf->connector->certificate &&
                                 strcmp(s.tls.certificate, conf->connector->certificate) == 0;
    struct diag d = {0};
    frun_err err = tls_client_new(&s.tls, out, &d);
    if (err) {
        report_failure(report, &s, &d);
    }
    return err;
}

static frun_err load_mapping(const struct conf_cn *conf, size_t i, FILE *report,
                             struct tls_ctx **out)
{
    const struct conf_mapping *m = conf->mappings[i];
    if (m->protocol != 0) {
        return FRUN_OK;
    }
    struct source s = {
        .conf = conf,
        .section = m,
        .word = "system",
        .name = m->place.name,
        .tls = {.certificate = m->system_certificate,
                .private_key = m->system_private_key,
                .ca_file = m->backend_ca},
        .certificate_key = "system_certificate",
        .private_key_key = "system_private_key",
        .ca_key = "backend_ca",
    };
    struct diag d = {0};
    frun_err err = tls_client_new(&s.tls, out, &d);
    if (err) {
        report_failure(report, &s, &d);
    }
    return err;
}

frun_err trust_load(const struct conf_cn *conf, FILE *report, struct trust **out)
{
    struct trust *t = calloc(1, sizeof(*t));
    if (!t) {
        return FRUN_E_NOMEM;
    }
    t->n_subaccounts = conf->n_subaccounts;
    t->n_mappings = conf->n_mappings;
    t->subaccounts = calloc(t->n_subaccounts + 1, sizeof(struct tls_ctx *));
    t->mappings = calloc(t->n_mappings + 1, sizeof(struct tls_ctx *));
    if (!t->subaccounts || !t->mappings) {
        trust_free(t);
        return FRUN_E_NOMEM;
    }
    frun_err worst = FRUN_OK;
    for (size_t i = 0; i < t->n_subaccounts; i++) {
        frun_err err = load_subaccount(conf, i, report, &t->subaccounts[i]);
        worst = err ? err : worst;
    }
    for (size_t i = 0; i < t->n_mappings; i++) {
        frun_err err = load_mapping(conf, i, report, &t->mappings[i]);
        worst = err ? err : worst;
    }
    if (worst) {
        trust_free(t);
        return worst == FRUN_E_NOMEM ? worst : FRUN_E_TLS;
    }
    *out = t;
    return FRUN_OK;
}

void trust_free(struct trust *t)
{
    if (!t) {
        return;
    }
    for (size_t i = 0; t->subaccounts && i < t->n_subaccounts; i++) {
        tls_unref(&t->subaccounts[i]);
    }
    for (size_t i = 0; t->mappings && i < t->n_mappings; i++) {
        tls_unref(&t->mappings[i]);
    }
    free(t->subaccounts);
    free(t->mappings);
    free(t);
}
