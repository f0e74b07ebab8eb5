/**
 * frunctl endpoint check without a running daemon: the walk from the configuration's files.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/log.h"
#include "frun/conf/gateway.h"
#include "frun/gateway/walk.h"

#include "ctl.h"
#include "ctl_check.h"
#include "ctl_out.h"

#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

/* Where the packages put it. */
#define DEFAULT_CONFIG CTL_CONFIG_GATEWAY

const char *ctl_check_config(const struct ctl_check *k)
{
    if (k->control.config) {
        return k->control.config;
    }
    return !k->control.socket && access(DEFAULT_CONFIG, R_OK) == 0 ? DEFAULT_CONFIG : NULL;
}

/* The walk holds the secrets that the daemon holds. */
static void protect(void)
{
    const struct rlimit none = {0, 0};
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    (void)sigaction(SIGPIPE, &ignore, NULL);
    log_set_level(LOG_LEVEL_ERROR); /* the steps say the rest */
}

static int check_at(struct ctl_check *k, struct walk *w, const struct conf_gw *c, size_t i,
                    json_t *all)
{
    struct probe_result r;
    const char *name = c->endpoints[i]->place.name;
    if (k->is_standby && !c->endpoints[i]->has_standby) {
        return ctl_fail("endpoint %s has no standby_route", name);
    }
    frun_err err = walk_check(w, i, k->is_standby, k->is_forced, &r);
    json_t *v = err ? NULL : probe_json(name, &r);
    if (!v) {
        return ctl_fail("%s", err_text(err ? err : FRUN_E_NOMEM));
    }
    int status = ctl_check_show(k, v, all);
    json_decref(v);
    (void)fflush(stdout);
    return status;
}

static int check_these(struct ctl_check *k, struct walk *w, const struct conf_gw *c)
{
    json_t *all = k->is_all && k->control.is_json ? json_array() : NULL;
    int worst = EXIT_SUCCESS;
    bool is_found = k->is_all;
    for (size_t i = 0; i < c->n_endpoints; i++) {
        if (k->is_all || strcmp(c->endpoints[i]->place.name, k->control.words[0]) == 0) {
            int status = check_at(k, w, c, i, all);
            worst = status ? status : worst;
            is_found = true;
        }
    }
    if (all) {
        ctl_json_print(all);
        json_decref(all);
    }
    return is_found ? worst
                    : ctl_fail("there is no endpoint %s; 'frunctl endpoint list' shows all",
                               k->control.words[0]);
}

int ctl_check_files(struct ctl_check *k, const char *config)
{
    struct conf_gw *c = NULL;
    struct walk *w = NULL;
    protect();
    frun_err err = conf_gw_load(config, ctl_err(), &c);
    if (err) {
        return err == FRUN_E_SYNTAX ? EX_CONFIG : ctl_fail("%s: %s", config, err_text(err));
    }
    (void)fprintf(ctl_err(),
                  "frunctl: walked from here by %s; tunnels, mappings and what the daemon knows of "
                  "refused logons need the daemon\n",
                  config);
    err = walk_new(c, ctl_err(), &w);
    int status = err == FRUN_OK                              ? check_these(k, w, c)
                 : err == FRUN_E_SYNTAX || err == FRUN_E_TLS ? EX_CONFIG
                                                             : ctl_fail("%s", err_text(err));
    walk_free(w);
    conf_gw_unref(&c);
    return status;
}
