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

/* Sockets that may be handed over: one for each worker and address. */
#define SOCKETS_MAX_KEPT ((size_t)WORKER_MAX * 8)

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

/* Sockets of the start before, which systemd kept open while there was nobody. */
struct kept {
    int fds[SOCKETS_MAX_KEPT]; /* -1: taken */
    size_t n;
};

/* Those of an address: the kernel goes on sharing calls out among all of them, so that each must be
 * listened to. Returns how many of @p fds are filled: none, or one for each of n workers, or more
 * if there were more workers then. */
static size_t take_kept(struct kept *k, const struct addr *a, size_t n, int *fds)
{
    size_t got = 0;
    for (size_t i = 0; i < k->n; i++) {
        struct addr own = {.len = sizeof(own.ss)};
        if (k->fds[i] < 0 || getsockname(k->fds[i], (struct sockaddr *)&own.ss, &own.len) ||
            !addr_same(a, &own) || got == WORKER_MAX) {
            continue;
        }
        fds[got++] = k->fds[i];
        k->fds[i] = -1;
    }
    size_t n_kept = got;
    while (got > 0 && got < n) {
        fds[got] = fcntl(fds[got % n_kept], F_DUPFD_CLOEXEC, 3); /* there are more workers now */
        if (fds[got] < 0) {
            while (got > 0) {
                (void)close(fds[--got]);
            }
            return 0;
        }
        got++;
    }
    return got;
}

/* One socket for each worker: its own by SO_REUSEPORT. The kernel chooses by a hash of the
 * addresses and wakes one worker; a socket that all share (adopt()) wakes all who sleep, and the
 * first takes it. In one run of 4000 connections, one by one, two workers took 2001 and 1999 of
 * them, from a shared socket 2153 and 1847: what one socket costs is wake-ups, not balance. */
static frun_err bind_all(const struct sockets_address *x, struct kept *k, size_t n, int *fds,
                         size_t *n_fds, struct diag *d)
{
    struct addr a;
    struct addr bound;
    if (addr_parse(x->text, &a) != FRUN_OK) {
        diag_set(d, "%s.listen: \"%s\" is not IP:port or [IPv6]:port", name_of(x->is_tunnel),
                 x->text);
        return FRUN_E_SYNTAX;
    }
    bound = a;
    size_t n_kept = k ? take_kept(k, &a, n, fds) : 0;
    *n_fds = n_kept > n ? n_kept : n;
    for (size_t i = n_kept; i < n; i++) {
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
                          const struct conf_list *list, bool is_tunnel, struct kept *kept,
                          struct diag *d)
{
    int fds[WORKER_MAX];
    for (size_t i = 0; i < list->n; i++) {
        if (!enter(s, list->items[i], is_tunnel, d)) {
            return FRUN_E_LIMIT;
        }
        const struct sockets_address *x = &s->all[s->n - 1];
        size_t n = 0;
        frun_err err = bind_all(x, kept, sh->n_workers, fds, &n, d);
        for (size_t k = 0; !err && k < n; k++) {
            const struct worker_door door = {NULL, fds[k], x->id, is_tunnel, false};
            err = worker_listen(sh->workers[k % sh->n_workers], &door);
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
            const struct worker_door door = {NULL, fd, id, is_tunnel, true};
            if (fd < 0 || worker_listen(sh->workers[i], &door) != FRUN_OK) {
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

/* What no address wants any more; and systemd's copies, or a port that is given up later would stay
 * open without anybody behind it. */
static void end_kept(struct kept *k)
{
    for (size_t i = 0; i < k->n; i++) {
        if (k->fds[i] >= 0) {
            (void)close(k->fds[i]);
        }
    }
    if (k->n) {
        log_info(NULL, "%zu listening socket(s) were kept open over the restart", k->n);
        service_drop_kept();
    }
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
    int front_fds[SOCKETS_MAX_KEPT];
    struct kept kept;
    kept.n = service_sockets(SERVICE_KEPT, kept.fds, SOCKETS_MAX_KEPT);
    size_t n_tunnel = c->tunnel ? service_sockets("tunnel", tunnel_fds, WORKER_MAX_LISTEN) : 0;
    size_t n_all = service_sockets(NULL, front_fds, SOCKETS_MAX_KEPT);
    size_t n_front = 0;
    for (size_t i = 0; i < n_all; i++) {
        /* Whatever systemd names otherwise is a front door. */
        if (!has_fd(tunnel_fds, n_tunnel, front_fds[i]) &&
            !has_fd(kept.fds, kept.n, front_fds[i])) {
            front_fds[n_front++] = front_fds[i];
        }
    }
    s->is_front_given = n_front > 0;
    s->is_tunnel_given = n_tunnel > 0;
    frun_err err = adopt(s, sh, front_fds, n_front, false, d);
    if (!err && !s->is_front_given) {
        err = open_list(s, sh, &c->gateway->listen, false, &kept, d);
    }
    if (!err) {
        err = adopt(s, sh, tunnel_fds, n_tunnel, true, d);
    }
    if (!err && c->tunnel && !s->is_tunnel_given) {
        err = open_list(s, sh, &c->tunnel->listen, true, &kept, d);
    }
    if (!err) {
        end_kept(&kept);
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
    size_t n = 0;
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
        frun_err err = bind_all(x, NULL, sh->n_workers, fds, &n, d);
        if (err) {
            return err;
        }
        for (size_t k = 0; k < sh->n_workers; k++) {
            changes[k].add[changes[k].n_add++] =
                (struct worker_door){NULL, fds[k], x->id, is_tunnel, false};
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
