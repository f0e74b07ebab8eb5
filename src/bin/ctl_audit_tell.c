/**
 * What frunctl itself changes goes into the daemon's audit log.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl_audit.h"

#include "frun/admin/audit.h"
#include "frun/conf/gateway.h"

#include "ctl_change.h"

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
        (void)fprintf(stderr, "frunctl: this is not in the audit log: %s\n", d.text);
    }
}

/* A reload tells what has changed in them. */
void ctl_audit_change(const struct ctl_change *c)
{
    struct conf_gw *gw = NULL;
    size_t n = 0;
    char more[64];
    if (!c->config || conf_gw_load(c->config, NULL, &gw)) {
        return;
    }
    for (size_t i = 0; i < c->n; i++) {
        const struct ctl_change_file *f = &c->files[i];
        n += f->is_written;
        if (f->is_written && n <= MAX_TOLD) {
            ctl_audit_tell(gw->audit, f->is_gone ? "file.removed" : "file.written", f->path, NULL);
        }
    }
    if (n > MAX_TOLD) {
        (void)snprintf(more, sizeof(more), "and %zu files more", n - MAX_TOLD);
        ctl_audit_tell(gw->audit, "file.written", c->config, more);
    }
    conf_gw_unref(&gw);
}
