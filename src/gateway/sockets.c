/* SPDX-License-Identifier: Apache-2.0 */
#include "sockets_int.h"

#include "frun/base/log.h"
#include "frun/loop/service.h"
#include "frun/net/addr.h"
#include "frun/net/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *name_of(bool is_tunnel)
{
    return is_tunnel ? "tunnel" : "gateway";
}

/* Enter an address; false: there are too many. */
static bool enter(struct sockets *s, const char *text, bool is_tunnel, struct diag *d)
{
    if (s->n == WORKER_MAX_LISTEN) {
        diag_set(d, "more than %d listening addresses", WORKER_MAX_LISTEN);
        return false;
    }
    struct sockets_address *a = &s->all[s->n++];
    (void)snprintf(a->text, sizeof(a->text), "%s", text);
    a->is_tunnel = is_tunnel;
    a->id = s->next_id++;
    return true;
}

/* One socket for each worker: its own by SO_REUSEPORT. The kernel chooses by a hash of the
 * addresses and wakes one worker; a socket that all share (adopt()) wakes all who sleep, and the
 * first takes it. In one run of 4000 connections, one by one, two workers took 2001 and 1999 of
 * them, from a shared socket 2153 and 1847: what one socket costs is wake-ups, not balance. */
static frun_err bind_all(const struct sockets_address *x, size_t n, int *fds, struct diag *d)
{
    struct addr a;
    struct addr bound;
    if (addr_parse(x->text, &a) != FRUN_OK) {
        diag_set(d, "%s.listen: \"%s\" is not IP:port or [IPv6]:port", name_of(x->is_tunnel),
                 x->text);
        return FRUN_E_SYNTAX;
    }
    for (size_t i = 0; i < n; i++) {
        frun_err err = listener_socket(&a, &bound, &fds[i], d);
        if (err) {
            while (i > 0) {
                (void)close(fds[--i]);
            }
            return err;
        }
        a = bound; /* port 0 became a number: the others share it */
    }
    char shown[ADDR_TEXT_BYTES];
    addr_text(&bound, shown);
    log_info(NULL, "%s listens on %s", name_of(x->is_tunnel), shown);
    return FRUN_OK;
}

/* -- at the start
 * -------------------------------------------------------------------------------------------------
 */

static frun_err open_list(struct sockets *s, const struct gateway_shared *sh,
                          const struct conf_list *list, bool is_tunnel, struct diag *d)
{
    int fds[WORKER_MAX];
    for (size_t i = 0; i < list->n; i++) {
        if (!enter(s, list->items[i], is_tunnel, d)) {
            return FRUN_E_LIMIT;
        }
        const struct sockets_address *x = &s->all[s->n - 1];
        frun_err err = bind_all(x, sh->n_workers, fds, d);
        for (size_t k = 0; !err && k < sh->n_workers; k++) {
            err = worker_listen(sh->workers[k], fds[k], x->id, is_tunnel);
        }
        if (err) {
            return err;
        }
    }
    return FRUN_OK;
}

/* Sockets that systemd holds: every worker accepts from the same one. */
static frun_err adopt(struct sockets *s, const struct gateway_shared *sh, const int *fds, size_t n,
                      bool is_tunnel, struct diag *d)
{
    for (size_t k = 0; k < n; k++) {
        unsigned id = s->next_id++;
        for (size_t i = 0; i < sh->n_workers; i++) {
            int fd = i == 0 ? fds[k] : fcntl(fds[k], F_DUPFD_CLOEXEC, 3);
            if (fd < 0 || worker_listen(sh->workers[i], fd, id, is_tunnel) != FRUN_OK) {
                diag_set(d, "a socket handed over by systemd cannot be used (errno %d)", errno);
                return FRUN_E_IO;
            }
        }
    }
    if (n) {
        log_info(NULL, "%s uses %zu socket(s) handed over by systemd", name_of(is_tunnel), n);
    }
    return FRUN_OK;
}

static bool has_fd(const int *fds, size_t n, int fd)
{
    for (size_t i = 0; i < n; i++) {
        if (fds[i] == fd) {
            return true;
        }
    }
    return false;
}

frun_err sockets_open(struct sockets *s, const struct gateway_shared *sh, const struct conf_gw *c,
                      struct diag *d)
{
    int tunnel_fds[WORKER_MAX_LISTEN];
    int front_fds[WORKER_MAX_LISTEN];
    size_t n_tunnel = c->tunnel ? service_sockets("tunnel", tunnel_fds, WORKER_MAX_LISTEN) : 0;
    size_t n_all = service_sockets(NULL, front_fds, WORKER_MAX_LISTEN);
    size_t n_front = 0;
    for (size_t i = 0; i < n_all; i++) {
        /* Whatever systemd names otherwise is a front door. */
        if (!has_fd(tunnel_fds, n_tunnel, front_fds[i])) {
            front_fds[n_front++] = front_fds[i];
        }
    }
    s->is_front_given = n_front > 0;
    s->is_tunnel_given = n_tunnel > 0;
    frun_err err = adopt(s, sh, front_fds, n_front, false, d);
    if (!err && !s->is_front_given) {
        err = open_list(s, sh, &c->gateway->listen, false, d);
    }
    if (!err) {
        err = adopt(s, sh, tunnel_fds, n_tunnel, true, d);
    }
    if (!err && c->tunnel && !s->is_tunnel_given) {
        err = open_list(s, sh, &c->tunnel->listen, true, d);
    }
    return err;
}

/* -- a change
 * -------------------------------------------------------------------------------------------------
 */

static const struct sockets_address *find(const struct sockets *s, const char *text, bool is_tunnel)
{
    for (size_t i = 0; i < s->n; i++) {
        if (s->all[i].is_tunnel == is_tunnel && strcmp(s->all[i].text, text) == 0) {
            return &s->all[i];
        }
    }
    return NULL;
}

/* Seven things make a plan. NOLINTNEXTLINE(readability-function-size) */
static frun_err plan_list(const struct sockets *s, const struct gateway_shared *sh,
                          const struct conf_list *list, bool is_tunnel,
                          struct worker_change *changes, struct sockets *next, struct diag *d)
{
    int fds[WORKER_MAX];
    for (size_t i = 0; i < list->n; i++) {
        const struct sockets_address *old = find(s, list->items[i], is_tunnel);
        if (!enter(next, list->items[i], is_tunnel, d)) {
            return FRUN_E_LIMIT;
        }
        struct sockets_address *x = &next->all[next->n - 1];
        if (old) {
            x->id = old->id;
            continue;
        }
        frun_err err = bind_all(x, sh->n_workers, fds, d);
        if (err) {
            return err;
        }
        for (size_t k = 0; k < sh->n_workers; k++) {
            changes[k].add[changes[k].n_add++] =
                (struct worker_door){NULL, fds[k], x->id, is_tunnel};
        }
    }
    return FRUN_OK;
}

frun_err sockets_plan(const struct sockets *s, const struct gateway_shared *sh,
                      const struct conf_gw *c, struct worker_change *changes, struct sockets *next,
                      struct diag *d)
{
    frun_err err = FRUN_OK;
    *next = (struct sockets){.next_id = s->next_id,
                             .is_front_given = s->is_front_given,
                             .is_tunnel_given = s->is_tunnel_given};
    if (!s->is_front_given) {
        err = plan_list(s, sh, &c->gateway->listen, false, changes, next, d);
    }
    if (!err && c->tunnel && !s->is_tunnel_given) {
        err = plan_list(s, sh, &c->tunnel->listen, true, changes, next, d);
    }
    for (size_t i = 0; !err && i < s->n; i++) {
        if (find(next, s->all[i].text, s->all[i].is_tunnel)) {
            continue;
        }
        log_info(NULL, "%s listens on %s no more", name_of(s->all[i].is_tunnel), s->all[i].text);
        for (size_t k = 0; k < sh->n_workers; k++) {
            changes[k].remove[changes[k].n_remove++] = s->all[i].id;
        }
    }
    return err;
}
