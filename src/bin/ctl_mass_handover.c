/**
 * frunctl mass-setup: the file that hands passwords over which were made here. It is written before
 * the first section that needs one, and read by the next run: none is made twice.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/file.h"
#include "frun/conf/gateway.h"

#include "ctl.h"
#include "ctl_mass.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Largest hand-over file, octets. */
#define HANDOVER_MAX_BYTES ((size_t)8 * 1024 * 1024)

const char *ctl_mass_pusher_user(const struct ctl_mass_line *l)
{
    return l->fields[CTL_COL_PUSHER_USER][0] ? l->fields[CTL_COL_PUSHER_USER]
                                             : l->fields[CTL_COL_PUSHER];
}

int ctl_mass_known(struct ctl_mass *m)
{
    if (!m->handover || access(m->handover, F_OK) != 0) {
        return 0;
    }
    m->known = ctl_payload_file(m->handover, &m->n_known);
    char *room = m->known ? realloc(m->known, m->n_known + 1) : NULL;
    if (!room) {
        return EXIT_FAILURE;
    }
    m->known = room;
    m->known[m->n_known] = '\0';
    return 0;
}

const char *ctl_mass_known_password(struct ctl_mass *m, const char *pusher)
{
    /* lines are "endpoint;root url;pusher;user;password"; the last word holds */
    static char found[600];
    struct span rest = span_make(m->known, m->n_known);
    struct span line;
    const char *result = NULL;
    while (rest.n && span_split(&rest, '\n', &line)) {
        struct span parts[5] = {{NULL, 0}};
        size_t n = 0;
        while (n < 5 && span_split(&line, ';', &parts[n])) {
            n++;
        }
        if (n == 5 && span_eq(parts[2], span_of(pusher)) && parts[4].n < sizeof(found)) {
            (void)snprintf(found, sizeof(found), "%.*s", SPAN_FMT(parts[4]));
            result = found;
        }
    }
    return result;
}

static frun_err put_line(const struct ctl_mass *m, const struct ctl_mass_line *l, struct buf *out)
{
    struct span host = span_of(m->wish.gw->gateway->public_url);
    char network[72];
    (void)snprintf(network, sizeof(network), "%s", l->fields[CTL_COL_NETWORK]);
    for (char *p = network; *p; p++) {
        *p = *p == ' ' ? '_' : *p;
    }
    return buf_printf(out, "%s;%.*s/%s;%s;%s;%s\n", l->name, SPAN_FMT(host), network,
                      l->fields[CTL_COL_PUSHER], ctl_mass_pusher_user(l),
                      secret_span(l->password).p);
}

int ctl_mass_hand_over(struct ctl_mass *m)
{
    struct buf out;
    struct diag d = {.text = ""};
    bool is_needed = false;
    frun_err err = FRUN_OK;
    buf_init(&out, HANDOVER_MAX_BYTES);
    if (m->n_known) {
        err = buf_put(&out, span_make(m->known, m->n_known));
    } else {
        err = buf_printf(&out, "endpoint;root_url;pusher;user;password\n");
    }
    for (size_t i = 0; !err && i < m->n; i++) {
        const struct ctl_mass_line *l = &m->lines[i];
        if (l->password && l->result != CTL_MASS_REFUSED) {
            err = put_line(m, l, &out);
            is_needed = true;
        }
    }
    if (!err && is_needed) {
        err = file_replace(m->handover, buf_span(&out), &d);
    }
    if (out.data) {
        secret_wipe(out.data, buf_len(&out));
    }
    buf_done(&out);
    return err ? ctl_fail("%s", d.text[0] ? d.text : err_text(err)) : 0;
}
