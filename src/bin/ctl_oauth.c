/**
 * frunctl oauth: signing keys by hand, where the daemon may not write to their folder, and a look
 * at the keys of an issuer.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/conf/gateway.h"
#include "frun/fetch/fetch.h"
#include "frun/oauth/issuer.h"
#include "frun/oauth/keydir.h"

#include "ctl.h"
#include "ctl_audit.h"
#include "ctl_control.h"
#include "ctl_out.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

int ctl_oauth_new_key(int argc, char **argv)
{
    char id[KEYS_ID_BYTES];
    struct diag d = {.text = ""};
    struct ctl_control c;
    int status = ctl_control_parse(argc, argv, 1, &c);
    if (status) {
        return status;
    }
    if (c.n_words == 0) {
        return ctl_misuse("one folder is wanted: key_directory of [oauth]");
    }
    if (keydir_add(c.words[0], id, &d)) {
        return ctl_fail("%s", d.text);
    }
    ctl_audit_made(c.config, "key.made", c.words[0], id);
    if (c.is_json) {
        return ctl_json_take(
            json_pack("{s:s, s:o}", "id", id, "file", json_sprintf("%s/%s.pem", c.words[0], id)));
    }
    (void)printf("%s.pem\n", id);
    return EXIT_SUCCESS;
}

/* What is wrong with keys that are all for something else. */
#define NO_KEY "no key is for the accepted algorithms; add the issuer's to algorithms"

/* -- check-issuer */

static const struct conf_issuer *find(const struct conf_gw *c, const char *name)
{
    for (size_t i = 0; i < c->n_issuers; i++) {
        if (strcmp(c->issuers[i]->place.name, name) == 0) {
            return c->issuers[i];
        }
    }
    return NULL;
}

/* Which of the accepted signatures a key is for; 0: none. */
static unsigned print_algorithms(const struct conf_issuer *c, const struct jwks_info *k)
{
    unsigned n = 0;
    for (size_t i = 0; i < c->algorithms.n; i++) {
        if (k->algs & jwks_alg(span_of(c->algorithms.items[i]))) {
            (void)printf("%s%s", n++ ? ", " : "", c->algorithms.items[i]);
        }
    }
    return n;
}

static json_t *key_json(const struct conf_issuer *c, const struct jwks_info *k)
{
    json_t *list = json_array();
    for (size_t i = 0; i < c->algorithms.n; i++) {
        if (k->algs & jwks_alg(span_of(c->algorithms.items[i]))) {
            (void)json_array_append_new(list, json_string(c->algorithms.items[i]));
        }
    }
    return json_pack("{s:s, s:s, s:i, s:o}", "id", k->id, "kind", k->kind, "bits", (int)k->bits,
                     "algorithms", list);
}

static int print_json(const struct conf_issuer *c, const struct issuer_catch *x)
{
    json_t *keys = json_array();
    unsigned n_good = 0;
    for (size_t i = 0; i < jwks_count(x->keys); i++) {
        json_t *one = key_json(c, jwks_at(x->keys, i));
        n_good += json_array_size(json_object_get(one, "algorithms")) > 0;
        (void)json_array_append_new(keys, one);
    }
    json_t *v = json_pack("{s:s, s:s, s:s, s:o, s:b, s:I}", "name", c->place.name, "issuer",
                          c->issuer, "keys_url", x->url, "keys", keys, "good", (int)(n_good > 0),
                          "left_out", (json_int_t)x->skipped.n);
    if (x->has_max_age) {
        (void)json_object_set_new(v, "max_age_s", json_integer((json_int_t)x->max_age_s));
    }
    if (x->skipped.n) {
        (void)json_object_set_new(v, "why_left_out", json_string(x->skipped.why));
    }
    int status = ctl_json_take(v);
    return status || n_good ? status : ctl_fail(NO_KEY);
}

static int print_keys(const struct conf_issuer *c, const struct issuer_catch *x)
{
    unsigned n_good = 0;
    if (ctl_is_json()) {
        return print_json(c, x);
    }
    (void)printf("issuer  %s\nkeys    %s\n", c->issuer, x->url);
    if (x->has_max_age) {
        (void)printf("max-age %llu s\n", (unsigned long long)x->max_age_s);
    }
    for (size_t i = 0; i < jwks_count(x->keys); i++) {
        const struct jwks_info *k = jwks_at(x->keys, i);
        (void)printf("key     %s  %s %u bits  ", k->id[0] ? k->id : "(no name)", k->kind, k->bits);
        unsigned n = print_algorithms(c, k);
        (void)puts(n ? "" : "not accepted: see algorithms");
        n_good += n ? 1 : 0;
    }
    if (x->skipped.n) {
        (void)printf("%zu key(s) left out: %s\n", x->skipped.n, x->skipped.why);
    }
    return n_good ? EXIT_SUCCESS : ctl_fail(NO_KEY);
}

static int look_at(const struct conf_issuer *c)
{
    struct issuer_catch x;
    struct diag d = {.text = ""};
    fetch_start();
    frun_err err = issuer_fetch(c, NULL, &x, &d);
    int status = err ? ctl_fail("%s", d.text[0] ? d.text : err_text(err)) : print_keys(c, &x);
    if (!err) {
        issuer_catch_done(&x);
    }
    fetch_stop();
    return status;
}

int ctl_oauth_check_issuer(int argc, char **argv)
{
    struct conf_gw *c = NULL;
    struct ctl_control ask;
    int failed = ctl_control_parse(argc, argv, 1, &ask);
    if (failed) {
        return failed;
    }
    if (ask.n_words == 0 || !ask.config) {
        return ctl_misuse("wanted are the NAME of an [issuer NAME] section and --config FILE");
    }
    frun_err err = conf_gw_load(ask.config, ctl_err(), &c);
    if (err) {
        return err == FRUN_E_SYNTAX ? EX_CONFIG : ctl_fail("%s", err_text(err));
    }
    const struct conf_issuer *issuer = find(c, ask.words[0]);
    int status = issuer ? look_at(issuer) : ctl_fail("there is no [issuer %s]", ask.words[0]);
    conf_gw_unref(&c);
    return status;
}
