/**
 * Where the commands that write sections write them, and their passwords.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl_wish.h"

#include "frun/base/mono.h"
#include "frun/base/text.h"
#include "frun/conf/gateway.h"

#include "ctl.h"
#include "ctl_out.h"
#include "ctl_pusher.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

/* Octets of a new password before they become text: 144 bits, 24 characters. */
#define PASSWORD_OCTETS 18

/* "secrets" beside the main file unless it was named; where nothing says where systemd's
 * credentials are, they are looked for there. */
int ctl_wish_folder(struct ctl_wish *w)
{
    char beside[PATH_MAX];
    const char *slash = w->change.config ? strrchr(w->change.config, '/') : NULL;
    int n =
        snprintf(beside, sizeof(beside), "%.*ssecrets",
                 slash ? (int)(slash - w->change.config) + 1 : 0, slash ? w->change.config : "");
    const char *folder = w->secrets ? w->secrets : beside;
    if (n < 0 || (size_t)n >= sizeof(beside)) {
        return ctl_fail("the name of the file is too long");
    }
    if (!realpath(folder, w->folder)) {
        w->folder[0] = '\0';
        return w->secrets ? ctl_fail("cannot find the folder %s: %s; 'install -d -m 700 %s' makes "
                                     "it",
                                     folder, strerrordesc_np(errno), folder)
                          : 0;
    }
    /* one thread, before anything else runs. NOLINTNEXTLINE(concurrency-mt-unsafe) */
    (void)setenv("CREDENTIALS_DIRECTORY", w->folder, w->secrets != NULL);
    return 0;
}

int ctl_wish_load(struct ctl_wish *w)
{
    if (!w->change.config) {
        return ctl_misuse("--config FILE is missing");
    }
    int status = ctl_wish_folder(w);
    status = status ? status : ctl_pusher_load(w->change.config, NULL, &w->gw);
    if (status == EX_CONFIG) {
        status = ctl_pusher_load(w->change.config, ctl_err(), &w->gw);
        (void)ctl_fail("the configuration is not good as it is; mend it first");
    }
    return status;
}

void ctl_wish_done(struct ctl_wish *w)
{
    ctl_change_done(&w->change);
    conf_gw_unref(&w->gw);
}

const char *ctl_wish_value(const struct ctl_wish *w, const char *key)
{
    size_t n = strlen(key);
    for (size_t i = 0; i < w->n_pairs; i++) {
        if (strncmp(w->pairs[i], key, n) == 0 && w->pairs[i][n] == '=') {
            return w->pairs[i] + n + 1;
        }
    }
    return NULL;
}

void ctl_wish_file(const struct ctl_wish *w, const char *name, char out[PATH_MAX])
{
    const char *config = w->change.config;
    const char *slash = strrchr(config, '/');
    const struct conf_list *include = &w->gw->gateway->include;
    for (size_t i = 0; i < include->n; i++) {
        char pattern[PATH_MAX];
        bool is_relative = include->items[i][0] != '/' && slash;
        (void)snprintf(pattern, sizeof(pattern), "%.*s%s",
                       is_relative ? (int)(slash - config) + 1 : 0, is_relative ? config : "",
                       include->items[i]);
        const char *last = strrchr(pattern, '/');
        int n = snprintf(out, PATH_MAX, "%.*s%s.ini", last ? (int)(last - pattern) + 1 : 0, pattern,
                         name);
        if (n > 0 && n < PATH_MAX && fnmatch(pattern, out, FNM_PATHNAME | FNM_PERIOD) == 0) {
            return;
        }
    }
    (void)snprintf(out, PATH_MAX, "%s", config);
}

int ctl_wish_secret(const struct ctl_wish *w, const char *name, char path[PATH_MAX],
                    char reference[PATH_MAX])
{
    if (!w->folder[0]) {
        return ctl_fail("there is no folder for secrets; make it with 'install -d -m 700 "
                        "FOLDER' and name it with --secrets FOLDER");
    }
    int n = snprintf(path, PATH_MAX, "%s/%s", w->folder, name);
    if (n < 0 || n >= PATH_MAX - 16) {
        return ctl_fail("the name of the folder %s is too long", w->folder);
    }
    if (w->is_credential) {
        (void)snprintf(reference, PATH_MAX, "credential:%s", name);
    } else {
        (void)snprintf(reference, PATH_MAX, "file:%.*s", PATH_MAX - 16, path);
    }
    return 0;
}

frun_err ctl_wish_section(const struct ctl_wish *w, const char *kind, struct buf *out)
{
    frun_err err = buf_printf(out, "[%s %s]\n", kind, w->name);
    for (size_t i = 0; !err && i < w->n_pairs; i++) {
        const char *eq = strchr(w->pairs[i], '=');
        err = buf_printf(out, "%.*s = %s\n", (int)(eq - w->pairs[i]), w->pairs[i], eq + 1);
    }
    return err;
}

struct secret *ctl_random_password(void)
{
    unsigned char octets[PASSWORD_OCTETS];
    char text[TEXT_BASE64_BYTES(PASSWORD_OCTETS)];
    struct secret *made = NULL;
    mono_entropy(octets, sizeof(octets));
    (void)text_base64url(span_make(octets, sizeof(octets)), text);
    frun_err err = secret_new(span_of(text), &made);
    secret_wipe(octets, sizeof(octets));
    secret_wipe(text, sizeof(text));
    return err ? NULL : made;
}

int ctl_wish_password(const struct ctl_wish *w, const char *prompt, struct secret **out)
{
    struct diag d = {.text = ""};
    char where[PATH_MAX + 8];
    if (w->is_generated) {
        *out = ctl_random_password();
        return *out ? 0 : ctl_fail("out of memory");
    }
    if (!w->password_file || strcmp(w->password_file, "-") == 0) {
        return ctl_password(prompt, true, out) ? EXIT_FAILURE : 0;
    }
    (void)snprintf(where, sizeof(where), "file:%s", w->password_file);
    return secret_fetch(where, NULL, out, NULL, &d) ? ctl_fail("%s", d.text) : 0;
}

const struct conf_endpoint *ctl_find_endpoint(const struct conf_gw *gw, const char *name)
{
    for (size_t i = 0; i < gw->n_endpoints; i++) {
        if (strcmp(gw->endpoints[i]->place.name, name) == 0) {
            return gw->endpoints[i];
        }
    }
    return NULL;
}

const struct conf_pusher *ctl_find_pusher(const struct conf_gw *gw, const char *name)
{
    for (size_t i = 0; i < gw->n_pushers; i++) {
        if (strcmp(gw->pushers[i]->place.name, name) == 0) {
            return gw->pushers[i];
        }
    }
    return NULL;
}
