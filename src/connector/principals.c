/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/connector/principals.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A certificate is renewed when so much of its life is left. */
#define RENEW_PART 4

/* A renewal that failed is tried again so much later, seconds. */
#define RENEW_AGAIN_S 10

/* A name and its certificate. */
struct entry {
    struct list node; /* the one used last first */
    struct principals *set;
    struct making *job; /* under way, or NULL */
    struct list waiting;
    char *text; /* NULL: there is none yet */
    int64_t renew_s;
    int64_t until_s;
    size_t name_len;
    char name[SHORTCERT_NAME_BYTES];
};

struct principals {
    struct loop *loop;
    struct offload *offload;
    struct shortcert_ca *ca;
    struct list all;
    size_t n;
};

/* Work of a helper thread: everything it touches is its own, it may outlive who asked. */
struct making {
    struct offload_job job;
    struct entry *asker; /* loop's thread only; NULL: forgotten */
    struct shortcert_ca *ca;
    int64_t now_s;
    frun_err err;
    char *text;
    int64_t until_s;
    size_t name_len;
    char name[SHORTCERT_NAME_BYTES];
};

static int64_t wall_s(void)
{
    return (int64_t)time(NULL);
}

static void drop(struct entry *e)
{
    list_remove(&e->node);
    e->set->n--;
    if (e->job) {
        e->job->asker = NULL;
    }
    free(e->text);
    free(e);
}

/* They may ask again, or forget others, from within. */
static void tell(struct list *waiting, frun_err err, struct span text)
{
    struct list *it;
    while ((it = list_first(waiting))) {
        struct principals_waiter *w = list_entry(it, struct principals_waiter, node);
        list_remove(it);
        w->fn(w, err, text);
    }
}

static void move(struct list *from, struct list *to)
{
    struct list *it;
    list_init(to);
    while ((it = list_first(from))) {
        list_remove(it);
        list_append(to, it);
    }
}

static void making_work(struct offload_job *j)
{
    struct making *m = list_entry(j, struct making, job);
    m->err =
        shortcert_make(m->ca, span_make(m->name, m->name_len), m->now_s, &m->text, &m->until_s);
}

/* What has been made, or why not; an entry without a certificate ends here. */
static void take(struct entry *e, struct making *m)
{
    char *text = m->err ? NULL : strdup(m->text);
    e->job = NULL;
    if (!m->err && !text) {
        m->err = FRUN_E_NOMEM;
    }
    if (m->err) {
        e->renew_s = wall_s() + RENEW_AGAIN_S; /* the old one serves as long as it is good */
        if (!e->text) {
            drop(e);
        }
        return;
    }
    free(e->text);
    e->text = text;
    e->until_s = m->until_s;
    e->renew_s = m->until_s - (m->until_s - m->now_s) / RENEW_PART;
}

static void making_done(struct offload_job *j)
{
    struct making *m = list_entry(j, struct making, job);
    if (m->asker) {
        struct list waiting;
        move(&m->asker->waiting, &waiting);
        take(m->asker, m);
        /* From the job's own copy: who is told may ask for others, and the entry make room. */
        tell(&waiting, m->err, span_of(m->text));
    }
    shortcert_ca_unref(&m->ca);
    free(m->text);
    free(m);
}

static frun_err make(struct entry *e)
{
    struct making *m = calloc(1, sizeof(*m));
    if (!m) {
        return FRUN_E_NOMEM;
    }
    m->job.work = making_work;
    m->job.done = making_done;
    m->asker = e;
    m->ca = shortcert_ca_ref(e->set->ca);
    m->now_s = wall_s();
    m->name_len = e->name_len;
    memcpy(m->name, e->name, e->name_len);
    frun_err err = offload_submit(e->set->offload, e->set->loop, &m->job);
    if (err) {
        shortcert_ca_unref(&m->ca);
        free(m);
        return err;
    }
    e->job = m;
    return FRUN_OK;
}

/* A few hundred short names, the busy ones in front: looking through them costs less than a hash
 * table that also has to forget. */
static struct entry *find(const struct principals *p, struct span name)
{
    struct list *it;
    list_foreach (it, &p->all) {
        struct entry *e = list_entry(it, struct entry, node);
        if (span_eq(name, span_make(e->name, e->name_len))) {
            return e;
        }
    }
    return NULL;
}

/* The one that nobody has used for the longest time, and nobody waits for. */
static bool make_room(struct principals *p)
{
    for (struct list *it = p->all.prev; p->n >= PRINCIPALS_MAX && it != &p->all; it = it->prev) {
        struct entry *e = list_entry(it, struct entry, node);
        if (list_is_empty(&e->waiting)) {
            drop(e);
            return true;
        }
    }
    return p->n < PRINCIPALS_MAX;
}

static frun_err add(struct principals *p, struct span name, struct entry **out)
{
    if (!make_room(p)) {
        return FRUN_E_LIMIT;
    }
    struct entry *e = calloc(1, sizeof(*e));
    if (!e) {
        return FRUN_E_NOMEM;
    }
    e->set = p;
    list_init(&e->waiting);
    e->name_len = name.n;
    memcpy(e->name, name.p, name.n);
    list_prepend(&p->all, &e->node);
    p->n++;
    frun_err err = make(e);
    if (err) {
        drop(e);
        return err;
    }
    *out = e;
    return FRUN_OK;
}

frun_err principals_get(struct principals *p, struct span name, struct principals_waiter *w,
                        struct span *text)
{
    int64_t now_s = wall_s();
    if (name.n < 1 || name.n > SHORTCERT_NAME_BYTES) {
        return FRUN_E_SYNTAX;
    }
    struct entry *e = find(p, name);
    if (!e) {
        frun_err err = add(p, name, &e);
        if (err) {
            return err;
        }
    } else {
        list_remove(&e->node);
        list_prepend(&p->all, &e->node);
    }
    bool is_good = e->text && now_s < e->until_s;
    if (!e->job && (!is_good || now_s >= e->renew_s)) {
        frun_err err = make(e);
        if (err && !is_good) {
            return err;
        }
    }
    if (is_good) {
        *text = span_of(e->text);
        return FRUN_OK;
    }
    list_append(&e->waiting, &w->node);
    return FRUN_E_AGAIN;
}

void principals_forget(struct principals_waiter *w)
{
    list_remove(&w->node);
}

size_t principals_count(const struct principals *p)
{
    return p->n;
}

frun_err principals_new(struct loop *l, struct offload *o, struct shortcert_ca *ca,
                        struct principals **out)
{
    struct principals *p = calloc(1, sizeof(*p));
    if (!p) {
        return FRUN_E_NOMEM;
    }
    p->loop = l;
    p->offload = o;
    p->ca = shortcert_ca_ref(ca);
    list_init(&p->all);
    *out = p;
    return FRUN_OK;
}

void principals_free(struct principals *p)
{
    struct list *it;
    if (!p) {
        return;
    }
    while ((it = list_first(&p->all))) {
        struct entry *e = list_entry(it, struct entry, node);
        struct list waiting;
        move(&e->waiting, &waiting);
        drop(e);
        tell(&waiting, FRUN_E_CLOSED, (struct span){0});
    }
    shortcert_ca_unref(&p->ca);
    free(p);
}
