/**
 * frunctl pusher: finding a pusher in its file, changing its section, showing what was made.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl_audit.h"
#include "ctl_pusher.h"

#include "frun/conf/gateway.h"
#include "frun/conf/ini.h"

#include "ctl.h"
#include "ctl_out.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The endpoint whose root URL the key shows. */
static int pick_endpoint(const struct ctl_pusher_ask *a, struct ctl_pusher_subject *s)
{
    for (size_t i = 0; i < s->p->endpoint.n; i++) {
        const char *name = s->p->endpoint.items[i];
        if (a->endpoint ? strcmp(a->endpoint, name) == 0 : s->p->endpoint.n == 1) {
            s->e = s->p->endpoints[i];
            return 0;
        }
    }
    return a->endpoint ? ctl_fail("[pusher %s] may not use endpoint %s", a->name, a->endpoint)
                       : ctl_misuse("[pusher %s] may use several endpoints; name one with "
                                    "--endpoint, its root URL stands in the key",
                                    a->name);
}

/* Load the configuration, perhaps anew, and find pusher and endpoint. */
int ctl_pusher_find(const struct ctl_pusher_ask *a, FILE *report, struct ctl_pusher_subject *s)
{
    conf_gw_unref(&s->conf);
    s->p = NULL;
    int status = ctl_pusher_load(a->config, report, &s->conf);
    for (size_t i = 0; !status && i < s->conf->n_pushers; i++) {
        if (strcmp(s->conf->pushers[i]->place.name, a->name) == 0) {
            s->p = s->conf->pushers[i];
        }
    }
    if (status || !s->p) {
        return status ? status
                      : ctl_fail("there is no [pusher %s] in %s; write the section with its "
                                 "endpoint and auth = oauth2, then try again",
                                 a->name, a->config);
    }
    return pick_endpoint(a, s);
}

void ctl_pusher_until(struct ctl_pusher_subject *s, uint64_t grace_s)
{
    time_t at = time(NULL) + (time_t)grace_s;
    struct tm parts;
    if (!gmtime_r(&at, &parts) ||
        strftime(s->until, sizeof(s->until), "%Y-%m-%dT%H:%M:%SZ", &parts) == 0) {
        s->until[0] = '\0';
    }
}

/* Write the keys and make sure that the configuration is still good. What it says of the pusher is
 * read anew: the client ID is made from the name as soon as tokens may be used. */
int ctl_pusher_store(const struct ctl_pusher_ask *a, struct ctl_pusher_subject *s,
                     const struct ctl_edit *edits, size_t n)
{
    char title[CONF_INI_MAX_SECTION + 8];
    (void)snprintf(title, sizeof(title), "pusher %s", s->p->place.name);
    const struct ctl_place at = {s->p->place.file, s->p->place.line, title};
    int status = ctl_edit_section(&at, edits, n, &s->undo);
    if (!status && ctl_pusher_find(a, NULL, s)) {
        status = ctl_pusher_find(a, ctl_err(), s); /* what is wrong */
        status = status ? status : EXIT_FAILURE;
        (void)ctl_fail("with the new keys the configuration is not good");
        (void)ctl_undo_run(&s->undo);
    }
    return status;
}

void ctl_pusher_auth(const struct conf_pusher *p, char out[CTL_AUTH_BYTES])
{
    size_t n = (size_t)snprintf(out, CTL_AUTH_BYTES, "%soauth2", p->password.hash ? "basic, " : "");
    for (size_t i = 0; i < p->auth.n && n < CTL_AUTH_BYTES; i++) {
        const char *way = p->auth.items[i];
        if (strcmp(way, "basic") != 0 && strcmp(way, "oauth2") != 0) {
            n += (size_t)snprintf(out + n, CTL_AUTH_BYTES - n, ", %s", way);
        }
    }
}

/* What nobody has seen must not stay: the next rotation would keep it as the old one, and end the
 * one that is in use. */
int ctl_pusher_show(struct ctl_pusher_subject *s, int (*print)(void *ctx), void *ctx)
{
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)sigaction(SIGPIPE, &ignore, NULL); /* a reader that has gone is a failure like others */
    int failed = print(ctx);
    if (fflush(stdout) || failed) {
        (void)ctl_fail("the new secret cannot be printed: %s", strerrordesc_np(errno));
        (void)ctl_undo_run(&s->undo);
        return EXIT_FAILURE;
    }
    (void)fprintf(ctl_err(),
                  "frunctl: the hash stands in %s; reload frunproxyd (every gateway behind this "
                  "name) to use it\n",
                  s->p->place.file);
    if (s->until[0]) {
        (void)fprintf(ctl_err(), "frunctl: the old one is accepted until %s\n", s->until);
    }
    char title[CONF_INI_MAX_SECTION + 8];
    (void)snprintf(title, sizeof(title), "pusher %s", s->p->place.name);
    ctl_audit_tell(s->conf->audit, "credential.made", title, s->p->place.file);
    return EXIT_SUCCESS;
}

void ctl_pusher_done(struct ctl_pusher_subject *s)
{
    secret_wipe(s->secret, sizeof(s->secret));
    ctl_undo_done(&s->undo);
    conf_gw_unref(&s->conf);
}
