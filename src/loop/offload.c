/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/loop/offload.h"

#include "frun/base/mono.h"
#include "loop_int.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

#define MAX_THREADS 16

/* One job on its way. Allocated when it is handed in, so that bringing it home cannot fail. */
struct ticket {
    struct loop_mail mail; /* first: the loop frees it as its mail */
    struct ticket *next;
    struct offload_job *job;
    uint64_t at_us; /* when it was handed in */
};

struct offload {
    pthread_mutex_t lock; /* guards everything below but threads */
    pthread_cond_t more;
    struct ticket *first;
    struct ticket **last;
    size_t n_queued;
    size_t max_queued;
    size_t n_busy;
    uint64_t jobs;
    uint64_t refused;
    uint64_t waited_us;
    bool is_ending;
    size_t n_threads;
    pthread_t threads[MAX_THREADS];
};

static void bring_home(void *arg)
{
    struct offload_job *j = arg;
    j->done(j);
}

static void *helper(void *arg)
{
    struct offload *o = arg;
    pthread_mutex_lock(&o->lock);
    for (;;) {
        struct ticket *t = o->first;
        if (!t) {
            if (o->is_ending) {
                break;
            }
            pthread_cond_wait(&o->more, &o->lock);
            continue;
        }
        o->first = t->next;
        if (!o->first) {
            o->last = &o->first;
        }
        o->n_queued--;
        o->n_busy++;
        o->jobs++;
        o->waited_us += mono_now_us() - t->at_us;
        pthread_mutex_unlock(&o->lock);
        struct offload_job *j = t->job;
        struct loop *l = j->loop;
        j->work(j);
        t->mail.fn = bring_home;
        t->mail.arg = j;
        loop_post_mail(l, &t->mail);
        pthread_mutex_lock(&o->lock);
        o->n_busy--;
    }
    pthread_mutex_unlock(&o->lock);
    return NULL;
}

frun_err offload_new(size_t threads, size_t max_queued, struct offload **out)
{
    assert(threads >= 1 && threads <= MAX_THREADS && max_queued >= 1);
    struct offload *o = calloc(1, sizeof(*o));
    if (!o) {
        return FRUN_E_NOMEM;
    }
    pthread_mutex_init(&o->lock, NULL);
    pthread_cond_init(&o->more, NULL);
    o->last = &o->first;
    o->max_queued = max_queued;
    /* Signals belong to the main thread. */
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (o->n_threads < threads) {
        if (pthread_create(&o->threads[o->n_threads], NULL, helper, o)) {
            break;
        }
        o->n_threads++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (o->n_threads < threads) {
        offload_free(o);
        return FRUN_E_IO;
    }
    *out = o;
    return FRUN_OK;
}

void offload_free(struct offload *o)
{
    if (!o) {
        return;
    }
    pthread_mutex_lock(&o->lock);
    o->is_ending = true;
    pthread_cond_broadcast(&o->more);
    pthread_mutex_unlock(&o->lock);
    for (size_t i = 0; i < o->n_threads; i++) {
        pthread_join(o->threads[i], NULL);
    }
    pthread_cond_destroy(&o->more);
    pthread_mutex_destroy(&o->lock);
    free(o);
}

frun_err offload_submit(struct offload *o, struct loop *l, struct offload_job *j)
{
    struct ticket *t = calloc(1, sizeof(*t));
    if (!t) {
        return FRUN_E_LIMIT;
    }
    t->job = j;
    t->at_us = mono_now_us();
    pthread_mutex_lock(&o->lock);
    if (o->n_queued >= o->max_queued || o->is_ending) {
        o->refused++;
        pthread_mutex_unlock(&o->lock);
        free(t);
        return FRUN_E_LIMIT;
    }
    j->loop = l;
    list_init(&j->node);
    *o->last = t;
    o->last = &t->next;
    o->n_queued++;
    pthread_cond_signal(&o->more);
    pthread_mutex_unlock(&o->lock);
    return FRUN_OK;
}

void offload_look(struct offload *o, struct offload_view *out)
{
    *out = (struct offload_view){0};
    if (!o) {
        return;
    }
    pthread_mutex_lock(&o->lock);
    *out = (struct offload_view){.threads = o->n_threads,
                                 .busy = o->n_busy,
                                 .queued = o->n_queued,
                                 .max_queued = o->max_queued,
                                 .jobs = o->jobs,
                                 .refused = o->refused,
                                 .waited_us = o->waited_us};
    pthread_mutex_unlock(&o->lock);
}
