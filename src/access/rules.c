/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/access/rules.h"

#include <stdlib.h>
#include <string.h>

static frun_err tell(const struct conf_pusher *c, const struct conf_doc *doc, FILE *report,
                     const char *key, const struct diag *d)
{
    if (report) {
        conf_place_print(doc, report, true, c, key, d->text);
    }
    return FRUN_E_SYNTAX;
}

/* "certificate_san dns:x": so that the same text under another key is another rule. */
static frun_err make_generation(const char *key, const char *text, struct rule *out)
{
    size_t n = strlen(key);
    size_t size = n + strlen(text) + 2;
    char *both = malloc(size);
    if (!both) {
        return FRUN_E_NOMEM;
    }
    (void)snprintf(both, size, "%s %s", key, text);
    frun_err err = jwt_generation(both, out->generation);
    free(both);
    return err;
}

frun_err rules_load(const struct conf_pusher *c, const struct conf_doc *doc, FILE *report,
                    struct rules *out)
{
    const struct {
        const char *key;
        const struct conf_list *texts;
        enum cert_look look;
        bool is_old;
    } kinds[] = {
        {"certificate_sha256", &c->certificate_sha256, CERT_LOOK_SHA256, false},
        {"certificate_san", &c->certificate_san, CERT_LOOK_SAN, false},
        {"certificate_subject", &c->certificate_subject, CERT_LOOK_SUBJECT, false},
        {"old_certificate_sha256", &c->old_certificate_sha256, CERT_LOOK_SHA256, true},
    };
    struct diag d = {.text = ""};
    size_t n_all = 0;
    frun_err worst = FRUN_OK;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        n_all += kinds[i].texts->n;
    }
    *out = (struct rules){.list = calloc(n_all + 1, sizeof(*out->list))};
    if (!out->list) {
        return FRUN_E_NOMEM;
    }
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        for (size_t k = 0; k < kinds[i].texts->n; k++) {
            struct rule *r = &out->list[out->n];
            const char *text = kinds[i].texts->items[k];
            frun_err err = cert_rule_new(kinds[i].look, text, &r->is, &d);
            if (err == FRUN_E_SYNTAX) {
                worst = tell(c, doc, report, kinds[i].key, &d);
                continue;
            }
            /* An old fingerprint is the same rule as when it was a present one. */
            const char *key = kinds[i].is_old ? kinds[0].key : kinds[i].key;
            err = err ? err : make_generation(key, text, r);
            if (err) {
                return err;
            }
            r->key = kinds[i].key;
            r->needs_trust = kinds[i].look != CERT_LOOK_SHA256;
            r->is_old = kinds[i].is_old;
            out->n++;
        }
    }
    frun_err err = c->certificate_issuer
                       ? cert_rule_new(CERT_LOOK_ISSUER, c->certificate_issuer, &out->issuer, &d)
                       : FRUN_OK;
    return err == FRUN_E_SYNTAX ? tell(c, doc, report, "certificate_issuer", &d)
           : err                ? err
                                : worst;
}

void rules_done(struct rules *r)
{
    for (size_t i = 0; i < r->n; i++) {
        cert_rule_free(r->list[i].is);
    }
    if (r->list) {
        cert_rule_free(r->list[r->n].is); /* one that was not finished */
    }
    cert_rule_free(r->issuer);
    free(r->list);
    *r = (struct rules){.list = NULL};
}

const struct rule *rules_common(const struct rules *a, const struct rules *b)
{
    bool is_apart = a->issuer && b->issuer && !cert_rule_equals(a->issuer, b->issuer);
    for (size_t i = 0; i < a->n; i++) {
        for (size_t k = 0; k < b->n; k++) {
            if (cert_rule_equals(a->list[i].is, b->list[k].is) &&
                !(is_apart && a->list[i].needs_trust)) {
                return &a->list[i];
            }
        }
    }
    return NULL;
}
