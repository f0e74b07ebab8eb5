/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/connector/trust.h"

#include "frun/net/tls_files.h"

#include <stdlib.h>
#include <string.h>

/* What the membership of this name had. */
static const struct tls_ctx *former_subaccount(const struct trust *t, const char *name)
{
    for (size_t i = 0; t && i < t->n_subaccounts; i++) {
        if (strcmp(t->conf->subaccounts[i]->place.name, name) == 0) {
            return t->subaccounts[i];
        }
    }
    return NULL;
}

/* What the system of this name had. */
static const struct tls_ctx *former_mapping(const struct trust *t, const char *name)
{
    for (size_t i = 0; t && i < t->n_mappings; i++) {
        if (strcmp(t->conf->mappings[i]->place.name, name) == 0) {
            return t->mappings[i];
        }
    }
    return NULL;
}

static frun_err load_subaccount(const struct conf_cn *conf, const struct trust *before, size_t i,
                                FILE *report, struct tls_ctx **out)
{
    const struct conf_subaccount *a = conf->subaccounts[i];
    /* Without a certificate of its own a membership shows the connector's. */
    bool is_own = conf_key_given(conf->doc, a, "certificate");
    const void *owner = is_own ? (const void *)a : conf->connector;
    struct tls_source s = {
        .tls = {.certificate = a->certificate,
                .private_key = a->private_key,
                .ca_file = a->gateway_ca,
                .alpn = "http/1.1",
                .is_mutual = true,
                .before = former_subaccount(before, a->place.name)},
        .certificate = {owner, "certificate"},
        .private_key = {owner, "private_key"},
        .ca = {a, "gateway_ca"},
    };
    return tls_files_load(&s, conf->doc, false, report, out);
}

static frun_err load_mapping(const struct conf_cn *conf, const struct trust *before, size_t i,
                             FILE *report, struct tls_ctx **out)
{
    const struct conf_mapping *m = conf->mappings[i];
    if (m->protocol != 0) {
        return FRUN_OK;
    }
    struct tls_source s = {
        .tls = {.certificate = m->system_certificate,
                .private_key = m->system_private_key,
                .ca_file = m->backend_ca,
                .must_be_asked = m->principal_ca_certificate != NULL,
                .before = former_mapping(before, m->place.name)},
        .certificate = {m, "system_certificate"},
        .private_key = {m, "system_private_key"},
        .ca = {m, "backend_ca"},
    };
    return tls_files_load(&s, conf->doc, false, report, out);
}

/* As a pair of TLS first: that tells what is wrong with the files, and what soon will be. */
static frun_err load_ca(const struct conf_cn *conf, size_t i, FILE *report,
                        struct shortcert_ca **out)
{
    const struct conf_mapping *m = conf->mappings[i];
    struct tls_ctx *pair = NULL;
    struct diag d = {.text = ""};
    if (!m->principal_ca_certificate) {
        return FRUN_OK;
    }
    const struct tls_source s = {
        .tls = {.certificate = m->principal_ca_certificate, .private_key = m->principal_ca_key},
        .certificate = {m, "principal_ca_certificate"},
        .private_key = {m, "principal_ca_key"},
    };
    frun_err err = tls_files_load(&s, conf->doc, false, report, &pair);
    tls_unref(&pair);
    if (err) {
        return err;
    }
    const struct shortcert_terms t = {.certificate = m->principal_ca_certificate,
                                      .private_key = m->principal_ca_key,
                                      .subject = m->principal_subject,
                                      .lifetime_s = m->principal_lifetime_ms / 1000};
    err = shortcert_ca_load(&t, out, &d);
    if (err && err != FRUN_E_NOMEM && report) {
        conf_place_print(conf->doc, report, true, m,
                         err == FRUN_E_SYNTAX ? "principal_subject" : "principal_ca_certificate",
                         d.text);
    }
    return err;
}

/* Refused memory outranks what is wrong with files: it may be why. */
static frun_err worse(frun_err a, frun_err b)
{
    return a == FRUN_E_NOMEM || !b ? a : b;
}

frun_err trust_load(const struct conf_cn *conf, const struct trust *before, FILE *report,
                    struct trust **out)
{
    struct trust *t = calloc(1, sizeof(*t));
    if (!t) {
        return FRUN_E_NOMEM;
    }
    t->conf = conf;
    t->n_subaccounts = conf->n_subaccounts;
    t->n_mappings = conf->n_mappings;
    t->subaccounts = calloc(t->n_subaccounts + 1, sizeof(struct tls_ctx *));
    t->mappings = calloc(t->n_mappings + 1, sizeof(struct tls_ctx *));
    t->cas = calloc(t->n_mappings + 1, sizeof(struct shortcert_ca *));
    if (!t->subaccounts || !t->mappings || !t->cas) {
        trust_free(t);
        return FRUN_E_NOMEM;
    }
    frun_err worst = FRUN_OK;
    for (size_t i = 0; i < t->n_subaccounts; i++) {
        worst = worse(worst, load_subaccount(conf, before, i, report, &t->subaccounts[i]));
    }
    for (size_t i = 0; i < t->n_mappings; i++) {
        worst = worse(worst, load_mapping(conf, before, i, report, &t->mappings[i]));
        worst = worse(worst, load_ca(conf, i, report, &t->cas[i]));
    }
    worst = worse(worst, admin_door_new(conf->doc, conf->admin, report, &t->door));
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
    for (size_t i = 0; t->cas && i < t->n_mappings; i++) {
        shortcert_ca_unref(&t->cas[i]);
    }
    admin_door_unref(&t->door);
    free(t->cas);
    free(t->subaccounts);
    free(t->mappings);
    free(t);
}
