/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/gateway/walk.h"

#include "frun/fetch/fetch.h"
#include "frun/gateway/switchover.h"
#include "frun/gateway/worker.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/** Jobs that may wait for a helper thread. */
#define WALK_MAX_QUEUED 16

struct walk {
    struct loop *loop;
    struct gateway_shared shared;
    struct generation *gen;
    struct worker *workers[1];
    bool is_running; /* its thread was started */
    bool *refused;   /* by endpoint: its logon got 401 */
    struct probe_result *result;
};

/* -- life
 * -------------------------------------------------------------------------------------------------------
 */

static frun_err make_worker(struct walk *w)
{
    struct gateway_shared *sh = &w->shared;
    sh->main_loop = w->loop;
    sh->workers = w->workers;
    sh->n_workers = 1;
    frun_err err = meter_new(1, &sh->meter);
    err = err ? err : offload_new(1, WALK_MAX_QUEUED, &sh->hashers);
    err = err ? err : offload_new(1, WALK_MAX_QUEUED, &sh->resolvers);
    return err ? err : worker_new(sh, 0, &w->workers[0]);
}

static frun_err start(struct walk *w)
{
    const struct token_office_settings set = {.news = NULL}; /* the steps say it */
    frun_err err = FRUN_OK;
    if (registry_needs_tokens(w->gen->registry)) {
        err = token_office_new(&set, &w->shared.tokens);
    }
    err = err ? err : worker_begin(w->workers[0], w->gen);
    err = err ? err : worker_start(w->workers[0]);
    w->is_running = !err;
    return err;
}

frun_err walk_new(struct conf_gw *conf, FILE *report, struct walk **out)
{
    struct walk *w = calloc(1, sizeof(*w));
    if (!w) {
        return FRUN_E_NOMEM;
    }
    fetch_start();
    w->refused = calloc(conf->n_endpoints + 1, sizeof(*w->refused));
    frun_err err = w->refused ? loop_new(&w->loop) : FRUN_E_NOMEM;
    err = err ? err : make_worker(w);
    err = err ? err : generation_new(conf, NULL, &w->shared, report, &w->gen);
    if (!err) {
        switchover_recall(w->gen->registry);
    }
    err = err ? err : start(w);
    if (err) {
        walk_free(w);
        return err;
    }
    *out = w;
    return FRUN_OK;
}

void walk_free(struct walk *w)
{
    if (!w) {
        return;
    }
    struct gateway_shared *sh = &w->shared;
    if (w->is_running) {
        worker_stop(w->workers[0]);
        worker_join(w->workers[0]);
    }
    /* Helper threads first: what they finish is posted to loops that still exist. */
    offload_free(sh->hashers);
    offload_free(sh->resolvers);
    token_office_free(sh->tokens);
    worker_free(w->workers[0]);
    meter_free(sh->meter);
    loop_free(w->loop);
    generation_unref(&w->gen);
    free(w->refused);
    fetch_stop();
    free(w);
}

/* -- what cannot be seen from here
 * ------------------------------------------------------------------------------- */

/* The certificate that connectors meet is all there is of a tunnel. */
static void add_door(const struct walk *w, struct steps *out)
{
    char day[16] = "?";
    struct tm tm;
    const struct tls_ctx *t = w->gen->tunnel_tls;
    int64_t until_s = t ? tls_own_validity(t).until : 0;
    time_t until = (time_t)until_s;
    if (gmtime_r(&until, &tm)) {
        (void)strftime(day, sizeof(day), "%Y-%m-%d", &tm);
    }
    if (!t) {
        steps_add(out, "tunnel", STEPS_FAIL, "there is no [tunnel] section");
        steps_remedy(out, "add one, or name another route");
    } else if (until_s < (int64_t)time(NULL)) {
        steps_add(out, "tunnel", STEPS_FAIL, "the certificate of [tunnel] expired on %s", day);
        steps_remedy(out, "renew it: no connector can connect; frunproxyd reads it by itself");
    } else {
        steps_add(out, "tunnel", STEPS_SKIPPED,
                  "tunnels and mappings are the running daemon's; the certificate of [tunnel] is "
                  "good until %s",
                  day);
        steps_remedy(out, "start frunproxyd and ask again");
    }
}

/* There is no tunnel here, which says nothing of the road. */
static void leave_tunnel_open(const struct walk *w, struct probe_result *r)
{
    struct steps seen = r->steps;
    r->steps.n = 0;
    for (size_t i = 0; i < seen.n; i++) {
        const struct step *s = &seen.items[i];
        if (strcmp(s->name, "tunnel") == 0 && s->state == STEPS_FAIL) {
            add_door(w, &r->steps);
            r->verdict = r->steps.items[r->steps.n - 1].state == STEPS_FAIL ? FINDING_DOWN
                                                                            : FINDING_UNVERIFIED;
        } else {
            r->steps.items[r->steps.n++] = *s;
        }
    }
}

/* -- checks
 * ---------------------------------------------------------------------------------------------------------
 */

/* Who was refused with the same credentials at the same system; NULL: nobody. */
static const struct endpoint *find_refused(const struct walk *w, const struct endpoint *e)
{
    size_t n = 0;
    const struct endpoint *all = registry_endpoints(w->gen->registry, &n);
    for (size_t i = 0; i < n; i++) {
        if (w->refused[i] &&
            (&all[i] == e ||
             (all[i].conf->system == e->conf->system && e->policy.authorization.n > 0 &&
              span_eq(all[i].policy.authorization, e->policy.authorization)))) {
            return &all[i];
        }
    }
    return NULL;
}

static void on_result(void *ctx, const struct probe_result *r)
{
    struct walk *w = ctx;
    *w->result = *r;
    loop_stop(w->loop);
}

frun_err walk_check(struct walk *w, size_t index, bool is_standby, bool is_forced,
                    struct probe_result *out)
{
    size_t n = 0;
    const struct endpoint *e = &registry_endpoints(w->gen->registry, &n)[index];
    const struct endpoint *before = is_forced ? NULL : find_refused(w, e);
    bool is_switched = atomic_load(&e->state->is_switched);
    if (before) {
        *out = (struct probe_result){.verdict = FINDING_REFUSED, .road = switchover_now(e)};
        steps_add(&out->steps, "logon", STEPS_FAIL, "not tried: 401 was the answer at endpoint %s",
                  before->conf->place.name);
        steps_remedy(&out->steps, "correct user or password; --force tries it all the same (each "
                                  "failed logon brings the user nearer to its lock)");
        return FRUN_OK;
    }
    enum probe_road road = !is_standby   ? PROBE_ROAD_ACTIVE
                           : is_switched ? PROBE_ROAD_FIRST
                                         : PROBE_ROAD_STANDBY;
    w->result = out;
    frun_err err = probe_start(&w->shared, w->gen, e, road, on_result, w);
    if (err) {
        return err;
    }
    loop_run(w->loop);
    w->refused[index] = w->refused[index] || out->verdict == FINDING_REFUSED;
    if (out->road == CONF_ROUTE_TUNNEL && out->verdict == FINDING_DOWN) {
        leave_tunnel_open(w, out);
    }
    return FRUN_OK;
}
