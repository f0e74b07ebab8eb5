/**
 * What frunctl itself changes goes into the daemon's audit log.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl_audit.h"

#include "frun/admin/audit.h"
#include "frun/conf/connector.h"
#include "frun/conf/gateway.h"

#include "ctl.h"
#include "ctl_change.h"
#include "ctl_out.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Files of one change that are told by name: each record waits for the disk. */
#define MAX_TOLD 32

/* Our user, and the one who logged in before becoming it. Source: proc(5), loginuid. */
static void who_am_i(char *out, size_t room)
{
    unsigned long login = (unsigned long)-1;
    char text[32] = "";
    FILE *f = fopen("/proc/self/loginuid", "re");
    if (f) {
        if (fgets(text, sizeof(text), f)) {
            login = strtoul(text, NULL, 10);
        }
        (void)fclose(f);
    }
    if (login == (unsigned long)-1 || login == UINT32_MAX || login == getuid()) {
        (void)snprintf(out, room, "frunctl, uid %u", (unsigned)getuid());
    } else {
        (void)snprintf(out, room, "frunctl, uid %u, logged in as %lu", (unsigned)getuid(), login);
    }
}

void ctl_audit_tell(const struct conf_audit *conf, const char *name, const char *object,
                    const char *detail)
{
    char who[96];
    struct diag d = {.text = ""};
    who_am_i(who, sizeof(who));
    struct audit_event e = {.name = name,
                            .outcome = "ok",
                            .who = span_of(who),
                            .object = span_of(object),
                            .detail = span_of(detail)};
    if (audit_once(conf, &e, &d)) {
        (void)fprintf(ctl_err(), "frunctl: this is not in the audit log: %s\n", d.text);
    }
}

/* The configuration of either daemon. */
struct side {
    struct conf_gw *gw;
    struct conf_cn *cn;
    const struct conf_audit *conf;
};

static bool open_side(const char *config, struct side *s)
{
    if (conf_gw_load(config, NULL, &s->gw) == FRUN_OK) {
        s->conf = s->gw->audit;
    } else if (conf_cn_load(config, NULL, &s->cn) == FRUN_OK) {
        s->conf = s->cn->audit;
    }
    return s->conf != NULL;
}

static void close_side(struct side *s)
{
    conf_gw_unref(&s->gw);
    conf_cn_unref(&s->cn);
}

/* A reload tells what has changed in them. */
void ctl_audit_change(const struct ctl_change *c)
{
    struct side s = {0};
    size_t n = 0;
    char more[64];
    if (!c->config || !open_side(c->config, &s)) {
        return;
    }
    for (size_t i = 0; i < c->n; i++) {
        const struct ctl_change_file *f = &c->files[i];
        n += f->is_written;
        if (f->is_written && n <= MAX_TOLD) {
            ctl_audit_tell(s.conf, f->is_gone ? "file.removed" : "file.written", f->path, NULL);
        }
    }
    if (n > MAX_TOLD) {
        (void)snprintf(more, sizeof(more), "and %zu files more", n - MAX_TOLD);
        ctl_audit_tell(s.conf, "file.written", c->config, more);
    }
    close_side(&s);
}

void ctl_audit_made(const char *config, const char *name, const char *object, const char *detail)
{
    static const char *const usual[] = {CTL_CONFIG_GATEWAY, CTL_CONFIG_CONNECTOR};
    struct side s = {0};
    bool is_found = config && open_side(config, &s);
    for (size_t i = 0; !config && !is_found && i < 2; i++) {
        is_found = access(usual[i], R_OK) == 0 && open_side(usual[i], &s);
    }
    if (is_found) {
        ctl_audit_tell(s.conf, name, object, detail);
    } else if (config) {
        (void)fprintf(ctl_err(),
                      "frunctl: this is not in the audit log: %s cannot be read or is not good\n",
                      config);
    }
    close_side(&s);
}
