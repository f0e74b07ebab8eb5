/**
 * frunctl secret set: a secret into its file, readable for its owner alone.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/secret.h"

#include "ctl.h"
#include "ctl_control.h"
#include "ctl_out.h"
#include "ctl_wish.h"

#include <jansson.h>
#include <stdlib.h>

static void tell(const struct ctl_wish *w, const char *path, bool is_new)
{
    if (w->change.is_json) {
        json_t *v = json_pack("{s:s, s:o, s:s, s:b, s:b}", "file", path, "reference",
                              json_sprintf("file:%s", path), "credential", w->name, "new", is_new,
                              "dry_run", w->change.is_dry);
        ctl_json_print(v);
        json_decref(v);
        return;
    }
    (void)printf("file:%s\n", path);
    (void)fprintf(ctl_err(),
                  "frunctl: %s%s; with systemd: LoadCredential=%s:%s and credential:%s\n",
                  w->change.is_dry ? "would have " : "", is_new ? "made" : "replaced", w->name,
                  path, w->name);
}

static int set(struct ctl_wish *w)
{
    char path[PATH_MAX];
    char reference[PATH_MAX];
    struct secret *secret = NULL;
    int status = ctl_wish_secret(w, w->name, path, reference);
    status = status ? status : ctl_wish_password(w, "Secret", &secret);
    status = status ? status : ctl_change_secret(&w->change, path, secret_span(secret), true);
    secret_free(secret);
    if (!status && !w->change.is_dry) {
        status = ctl_change_write(&w->change);
    }
    if (!status) {
        tell(w, path, !w->change.files[0].old);
    }
    return status;
}

int ctl_secret_set(int argc, char **argv)
{
    struct ctl_wish w = {.name = NULL};
    int status = ctl_wish_parse(argc, argv, "spg", false, &w);
    if (!status && !w.secrets && !w.change.config) {
        status =
            ctl_misuse("--secrets FOLDER is missing, or --config FILE beside which \"secrets\" "
                       "stands");
    }
    status = status ? status : ctl_wish_folder(&w);
    status = status ? status : set(&w);
    if (!status && w.change.is_reload) {
        status = w.change.config ? ctl_change_reload(&w.change)
                                 : ctl_misuse("--reload needs --config FILE to find the daemon");
    }
    ctl_wish_done(&w);
    return status;
}
