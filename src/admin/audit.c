/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/admin/audit.h"

#include "audit_int.h"
#include "frun/base/buf.h"
#include "frun/base/log.h"
#include "frun/base/mono.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Octets of records that wait for the disk. */
#define QUEUE_BYTES ((size_t)512 << 10)

/* Records that are written at once. */
#define BATCH 256

/* How often a disk that takes nothing is tried again, and minutes are looked at, milliseconds. */
#define ROUND_MS 1000

/* Changes of one reload that become records of their own. */
#define MAX_CHANGES 200

struct audit {
    atomic_int level; /* enum conf_audit_level */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t writer;
    /* Under the lock. */
    bool is_stopping;
    struct buf queue;   /* records, a line end behind each */
    uint64_t n_dropped; /* since the last record about it */
    struct audit_repeats repeats;
    struct audit_state state;
    /* The writer's own. */
    struct chain *chain;
    struct buf batch;
};

/* Under the lock. */
static void enqueue(struct audit *a, const struct audit_event *e, uint64_t repeats)
{
    char record[CHAIN_RECORD_BYTES];
    size_t n = audit_write(e, repeats, record);

    record[n++] = '\n';
    if (buf_put(&a->queue, span_make(record, n))) {
        a->n_dropped++;
        a->state.n_lost++;
        return;
    }
    (void)pthread_cond_signal(&a->wake);
}

bool audit_wants(const struct audit *a, bool is_routine)
{
    int level = a ? atomic_load_explicit(&a->level, memory_order_relaxed) : CONF_AUDIT_OFF;
    return level == CONF_AUDIT_ALL || (level == CONF_AUDIT_SECURITY && !is_routine);
}

void audit_tell(struct audit *a, const struct audit_event *e)
{
    if (!audit_wants(a, e->is_routine)) {
        return;
    }
    (void)pthread_mutex_lock(&a->lock);
    if (!e->is_frequent || audit_repeats_is_new(&a->repeats, e, mono_now_ms())) {
        enqueue(a, e, 0);
    }
    (void)pthread_mutex_unlock(&a->lock);
}

/* Under the lock: what came again within the minutes that are over. */
static void tell_repeats(struct audit *a, uint64_t now_ms)
{
    struct audit_slot copy;
    struct audit_event e;
    uint64_t repeats = 0;

    while (audit_repeats_take(&a->repeats, now_ms, &e, &copy, &repeats)) {
        enqueue(a, &e, repeats);
    }
}

/* Under the lock: how many events are missing is a record, too. */
static void tell_dropped(struct audit *a)
{
    char text[96];

    if (a->n_dropped == 0 || buf_len(&a->queue) > 0) {
        return;
    }
    (void)snprintf(text, sizeof(text), "%" PRIu64 " event(s) were lost before this one",
                   a->n_dropped);
    a->n_dropped = 0;
    enqueue(
        a,
        &(struct audit_event){.name = "audit.lost", .outcome = "failed", .detail = span_of(text)},
        0);
}

/* Under the lock: sleep until there is something to do. */
static void await(struct audit *a, bool is_failing)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ROUND_MS / 1000;
    bool is_idle = !is_failing && a->repeats.n == 0 && a->n_dropped == 0;
    while (!a->is_stopping && (is_failing || buf_len(&a->queue) == 0)) {
        int over = is_idle ? pthread_cond_wait(&a->wake, &a->lock)
                           : pthread_cond_clockwait(&a->wake, &a->lock, CLOCK_MONOTONIC, &until);
        if (over != 0 || is_idle) {
            return;
        }
    }
}

/* Write the batch, record by record as it stands in it. */
static frun_err write_batch(struct audit *a, struct diag *d)
{
    struct span records[BATCH];
    struct span rest = buf_span(&a->batch);
    struct span line;

    while (rest.n > 0) {
        size_t n = 0;
        size_t octets = 0;
        while (rest.n > 0 && n < BATCH && span_split(&rest, '\n', &line)) {
            records[n++] = line;
            octets += line.n + 1;
        }
        frun_err err = chain_append(a->chain, records, n, true, d);
        if (err) {
            return err;
        }
        buf_consume(&a->batch, octets);
        (void)pthread_mutex_lock(&a->lock);
        a->state.n_written += n;
        a->state.end = *chain_end(a->chain);
        (void)pthread_mutex_unlock(&a->lock);
    }
    return FRUN_OK;
}

/* Told when it begins and when it ends. */
static void note(struct audit *a, frun_err err, const struct diag *d)
{
    (void)pthread_mutex_lock(&a->lock);
    bool was_failing = a->state.is_failing;
    a->state.is_failing = err != FRUN_OK;
    (void)snprintf(a->state.why, sizeof(a->state.why), "%.*s", (int)sizeof(a->state.why) - 1,
                   err ? d->text : "");
    (void)pthread_mutex_unlock(&a->lock);
    if (err && !was_failing) {
        log_error("audit",
                  "%s; audit events wait until it can be written, as far as there is room for them",
                  d->text);
    } else if (!err && was_failing) {
        log_info("audit", "the audit log is written again");
    }
}

static void *writer_main(void *arg)
{
    struct audit *a = arg;
    bool is_failing = false;

    for (bool is_last = false; !is_last;) {
        struct diag d = {.text = ""};
        (void)pthread_mutex_lock(&a->lock);
        await(a, is_failing);
        is_last = a->is_stopping;
        tell_repeats(a, is_last ? UINT64_MAX : mono_now_ms());
        tell_dropped(a);
        if (buf_len(&a->batch) == 0) {
            struct buf empty = a->batch;
            a->batch = a->queue;
            a->queue = empty;
        }
        (void)pthread_mutex_unlock(&a->lock);
        if (buf_len(&a->batch) > 0) {
            frun_err err = write_batch(a, &d);
            is_failing = err != FRUN_OK;
            note(a, err, &d);
        }
        if (is_last && !is_failing) {
            /* The queue may have come behind a batch that only now could be written. */
            (void)pthread_mutex_lock(&a->lock);
            is_last = buf_len(&a->queue) == 0;
            (void)pthread_mutex_unlock(&a->lock);
        }
    }
    return NULL;
}

/* Signals are the main thread's. */
static int writer_start(struct audit *a)
{
    sigset_t all;
    sigset_t old;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    int refused = pthread_create(&a->writer, NULL, writer_main, a);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    return refused;
}

static struct chain_settings settings_of(const struct conf_audit *conf)
{
    return (struct chain_settings){.path = conf->path,
                                   .key = conf->key ? secret_span(conf->key) : (struct span){0},
                                   .max_bytes = conf->max_size,
                                   .max_files = (unsigned)conf->keep};
}

frun_err audit_open(const struct conf_audit *conf, struct audit **out, struct diag *d)
{
    struct chain_settings s = settings_of(conf);
    struct chain *chain = NULL;

    if (conf->level == CONF_AUDIT_OFF && !conf->is_file_given) {
        return FRUN_OK;
    }
    frun_err err = chain_open(&s, true, &chain, d);
    if (err && !conf->is_file_given && err != FRUN_E_NOMEM) {
        log_warning("audit", "no audit log is written: %s; [audit] file = names another place",
                    d->text);
        return FRUN_OK;
    }
    struct audit *a = err ? NULL : calloc(1, sizeof(*a));
    if (!a) {
        chain_close(chain);
        return err ? err : FRUN_E_NOMEM;
    }
    atomic_init(&a->level, conf->level);
    (void)pthread_mutex_init(&a->lock, NULL);
    (void)pthread_cond_init(&a->wake, NULL);
    buf_init(&a->queue, QUEUE_BYTES);
    buf_init(&a->batch, QUEUE_BYTES);
    a->chain = chain;
    a->state.end = *chain_end(chain);
    log_info("audit", "the audit log %s goes on behind record %" PRIu64 " with hash %s", conf->path,
             a->state.end.seq, a->state.end.hash);
    if (writer_start(a) != 0) {
        diag_set(d, "no thread for the audit log");
        (void)pthread_cond_destroy(&a->wake);
        (void)pthread_mutex_destroy(&a->lock);
        chain_close(chain);
        free(a);
        return FRUN_E_NOMEM;
    }
    *out = a;
    return FRUN_OK;
}

void audit_free(struct audit *a)
{
    if (!a) {
        return;
    }
    (void)pthread_mutex_lock(&a->lock);
    a->is_stopping = true;
    (void)pthread_cond_signal(&a->wake);
    (void)pthread_mutex_unlock(&a->lock);
    (void)pthread_join(a->writer, NULL);
    const struct chain_end *end = chain_end(a->chain);
    log_info("audit", "the audit log ends with record %" PRIu64 " with hash %s", end->seq,
             end->hash);
    chain_close(a->chain);
    buf_done(&a->queue);
    buf_done(&a->batch);
    (void)pthread_cond_destroy(&a->wake);
    (void)pthread_mutex_destroy(&a->lock);
    free(a);
}

void audit_set_level(struct audit *a, int level)
{
    static const char *const names[] = {"off", "security", "all"};
    char text[64];

    if (!a || atomic_load(&a->level) == level) {
        return;
    }
    (void)snprintf(text, sizeof(text), "from %s to %s", names[atomic_load(&a->level)],
                   names[level]);
    (void)pthread_mutex_lock(&a->lock);
    enqueue(a,
            &(struct audit_event){.name = "audit.level", .outcome = "ok", .detail = span_of(text)},
            0);
    (void)pthread_mutex_unlock(&a->lock);
    atomic_store(&a->level, level);
}

void audit_look(struct audit *a, struct audit_state *out)
{
    *out = (struct audit_state){0};
    if (a) {
        (void)pthread_mutex_lock(&a->lock);
        *out = a->state;
        (void)pthread_mutex_unlock(&a->lock);
    }
}

void audit_changes(struct audit *a, const char *cause, const struct conf_changes *c,
                   const char *behind)
{
    char text[3 * CONF_CHANGE_BYTES];
    char more[160];

    for (size_t i = 0; i < c->n && i < MAX_CHANGES; i++) {
        conf_change_text(&c->all[i], text, sizeof(text));
        audit_tell(a, &(struct audit_event){.name = "config.changed",
                                            .outcome = "ok",
                                            .who = span_of(cause),
                                            .object = span_of(c->all[i].section),
                                            .detail = span_of(text)});
    }
    size_t n_all = c->n + c->n_more;
    if (n_all > 0) {
        (void)snprintf(more, sizeof(more), "%zu change(s)%s", n_all, behind);
        audit_tell(a, &(struct audit_event){.name = "config.reloaded",
                                            .outcome = "ok",
                                            .who = span_of(cause),
                                            .detail = span_of(more)});
    }
}

frun_err audit_once(const struct conf_audit *conf, const struct audit_event *e, struct diag *d)
{
    struct chain_settings s = settings_of(conf);
    struct chain *chain = NULL;
    char record[CHAIN_RECORD_BYTES];

    if (conf->level == CONF_AUDIT_OFF || (conf->level == CONF_AUDIT_SECURITY && e->is_routine)) {
        return FRUN_OK;
    }
    frun_err err = chain_open(&s, false, &chain, d);
    if (err) {
        return err == FRUN_E_NOT_FOUND ? FRUN_OK : err;
    }
    struct span text = span_make(record, audit_write(e, 0, record));
    err = chain_append(chain, &text, 1, true, d);
    chain_close(chain);
    return err;
}
