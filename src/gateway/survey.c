/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/gateway/survey.h"

#include "frun/base/log.h"
#include "frun/base/stock.h"

#include <stdlib.h>
#include <string.h>

/** Tunnels of one worker that are looked at. */
#define MAX_TUNNELS 4096

struct survey;

/* One worker's errand, there and back. */
struct errand {
    struct survey *of;
    struct worker *w;
    struct survey_part *part;
};

struct survey {
    struct loop *main_loop;
    unsigned what;
    char *connector;
    survey_fn fn;
    void *ctx;
    size_t n;
    size_t left; /* main's */
    struct errand errands[WORKER_MAX];
    struct survey_part parts[WORKER_MAX];
};

static void survey_free(struct survey *s)
{
    for (size_t i = 0; i < s->n; i++) {
        free(s->parts[i].recent);
        free(s->parts[i].tunnels);
    }
    free(s->connector);
    free(s);
}

static void come_back(void *arg)
{
    struct errand *e = arg;
    struct survey *s = e->of;
    if (--s->left == 0) {
        s->fn(s->ctx, s->parts, s->n);
        survey_free(s);
    }
}

static void look_closer(struct worker *w, const struct survey *s, struct survey_part *p)
{
    if (s->what & SURVEY_RECENT) {
        p->recent = malloc(ADMIN_RECENT_MAX * sizeof(*p->recent));
        p->n_recent = p->recent ? admin_recent_copy(&w->recent, p->recent) : 0;
    }
    size_t n = hub_count(w->hub);
    n = n < MAX_TUNNELS ? n : MAX_TUNNELS;
    if (s->what & SURVEY_TUNNELS && n) {
        p->tunnels = calloc(n, sizeof(*p->tunnels));
        p->n_tunnels = p->tunnels ? hub_look(w->hub, p->tunnels, n) : 0;
    }
    if (s->what & SURVEY_DRAIN) {
        p->n_tunnels = hub_drain_connector(w->hub, s->connector);
    }
}

static void look(void *arg)
{
    struct errand *e = arg;
    struct worker *w = e->w;
    struct survey_part *p = e->part;
    if (!w->is_stopped) { /* else its parts may have gone already */
        p->is_there = true;
        p->n_waiting = w->n_waiting;
        p->n_fronts = w->n_fronts;
        p->n_orphans = w->n_orphans;
        p->n_spare = w->n_spare;
        p->stock_bytes = stock_spare_bytes();
        p->windows_bytes = w->windows.all_bytes;
        p->windows_used_bytes = w->windows.all_bytes - w->windows.left_bytes;
        p->is_healthy = worker_unhealthy(w) == NULL;
        look_closer(w, e->of, p);
    }
    if (loop_post(e->of->main_loop, come_back, e) != FRUN_OK) {
        log_error("admin", "out of memory: a question will never be answered");
    }
}

frun_err survey_start(struct gateway_shared *shared, unsigned what, const char *connector,
                      survey_fn fn, void *ctx)
{
    struct survey *s = calloc(1, sizeof(*s));
    if (!s) {
        return FRUN_E_NOMEM;
    }
    s->main_loop = shared->main_loop;
    s->what = what;
    s->connector = connector ? strdup(connector) : NULL;
    s->fn = fn;
    s->ctx = ctx;
    s->n = shared->n_workers;
    if (connector && !s->connector) {
        survey_free(s);
        return FRUN_E_NOMEM;
    }
    s->left = s->n + 1; /* our own: nobody is told before all have been asked */
    for (size_t i = 0; i < s->n; i++) {
        s->errands[i] = (struct errand){s, shared->workers[i], &s->parts[i]};
        if (loop_post(shared->workers[i]->loop, look, &s->errands[i]) != FRUN_OK) {
            s->left--; /* it is not there */
        }
    }
    struct errand last = {.of = s};
    come_back(&last);
    return FRUN_OK;
}
