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

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

int ctl_oauth_new_key(int argc, char **argv)
{
    char id[KEYS_ID_BYTES];
    struct diag d = {.text = ""};
    if (argc != 2 || argv[1][0] == '-') {
        return ctl_misuse("one folder is wanted: key_directory of [oauth]");
    }
    if (keydir_add(argv[1], id, &d)) {
        return ctl_fail("%s", d.text);
    }
    (void)printf("%s.pem\n", id);
    return EXIT_SUCCESS;
}

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

static int print_keys(const struct conf_issuer *c, const struct issuer_catch *x)
{
    unsigned n_good = 0;
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
    return n_good
               ? EXIT_SUCCESS
               : ctl_fail("no key is for the accepted algorithms; add the issuer's to algorithms");
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
    if (argc != 4 || argv[1][0] == '-' || strcmp(argv[2], "--config") != 0) {
        return ctl_misuse("wanted are the NAME of an [issuer NAME] section and --config FILE");
    }
    frun_err err = conf_gw_load(argv[3], stderr, &c);
    if (err) {
        return err == FRUN_E_SYNTAX ? EX_CONFIG : ctl_fail("%s", err_text(err));
    }
    const struct conf_issuer *issuer = find(c, argv[1]);
    int status = issuer ? look_at(issuer) : ctl_fail("there is no [issuer %s]", argv[1]);
    conf_gw_unref(&c);
    return status;
}
