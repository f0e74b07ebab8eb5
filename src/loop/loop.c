/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/loop/loop.h"

#include "frun/base/mono.h"
#include "frun/base/stock.h"
#include "loop_int.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Slots of the timer wheel: one turn is 51 s; what is due later is filed again when its slot comes
 * up. */
#define WHEEL_SLOTS 512

/* Rounds of later work in one pass: work armed by later work (a session that puts its frames into a
 * stream) still goes out in this pass, but two that arm each other cannot keep the loop from its
 * descriptors. */
#define LATER_ROUNDS 4

#define MAX_SIGNALS 8

/* Buffers that nobody needed for so long are freed, also when nothing else happens. */
#define STOCK_TRIM_MS 2000

/* Room for parked objects that is kept between passes. */
#define PARKED_KEEP 256

struct parked {
    void (*fn)(void *obj);
    void *obj;
};

struct loop_signal {
    struct event *ev;
    loop_job_fn fn;
    void *arg;
};

struct loop {
    struct event_base *base;
    struct event *ev_wake;
    struct event *ev_tick;
    int wake_fd;
    atomic_bool is_stopping; /* any thread */
    pthread_mutex_t lock;    /* guards mail_first, mail_last */
    struct loop_mail *mail_first;
    struct loop_mail **mail_last;
    bool is_running;
    bool is_now_fresh;
    uint64_t now_ms;
    struct deadline trim; /* next stock_trim() */
    struct list laters;   /* to run in this pass */
    struct list again;    /* armed by themselves: next pass */
    struct later *running;
    struct list wheel[WHEEL_SLOTS];
    uint64_t tick_done; /* ticks up to this one have been worked off */
    uint64_t tick_next; /* tick the timer waits for, 0: timer is off */
    struct parked *parked;
    size_t n_parked;
    size_t cap_parked;
    struct loop_signal signals[MAX_SIGNALS];
    size_t n_signals;
};

/* The clock is read at most once a pass, by the first callback that runs. */
static void refresh_now(struct loop *l)
{
    if (!l->is_now_fresh) {
        l->now_ms = mono_now_ms();
        l->is_now_fresh = true;
    }
}

uint64_t loop_now_ms(const struct loop *l)
{
    return l->is_now_fresh ? l->now_ms : mono_now_ms();
}

/* ---- mail ---- */

static void wake(const struct loop *l)
{
    uint64_t one = 1;
    /* EAGAIN means the counter is full: the loop is awake anyway. */
    while (write(l->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR) {
    }
}

static void run_mail(struct loop *l)
{
    pthread_mutex_lock(&l->lock);
    struct loop_mail *m = l->mail_first;
    l->mail_first = NULL;
    l->mail_last = &l->mail_first;
    pthread_mutex_unlock(&l->lock);
    while (m) {
        struct loop_mail *next = m->next;
        m->fn(m->arg);
        free(m);
        m = next;
    }
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct loop *l = arg;
    uint64_t count;
    (void)!read((int)fd, &count, sizeof(count));
    refresh_now(l);
    run_mail(l);
}

void loop_post_mail(struct loop *l, struct loop_mail *m)
{
    m->next = NULL;
    pthread_mutex_lock(&l->lock);
    bool was_empty = !l->mail_first;
    *l->mail_last = m;
    l->mail_last = &m->next;
    /* Under the lock: once it is released the loop may run the job and be freed by it. */
    if (was_empty) {
        wake(l);
    }
    pthread_mutex_unlock(&l->lock);
}

frun_err loop_post(struct loop *l, loop_job_fn fn, void *arg)
{
    struct loop_mail *m = malloc(sizeof(*m));
    if (!m) {
        return FRUN_E_NOMEM;
    }
    *m = (struct loop_mail){.fn = fn, .arg = arg};
    loop_post_mail(l, m);
    return FRUN_OK;
}

/* ---- end of a pass ---- */

void later_init(struct later *x, void (*fn)(struct later *l))
{
    list_init(&x->node);
    x->fn = fn;
}

void later_arm(struct loop *l, struct later *x)
{
    if (list_is_empty(&x->node)) {
        list_append(x == l->running ? &l->again : &l->laters, &x->node);
    }
}

void later_cancel(struct later *x)
{
    list_remove(&x->node);
}

static void list_take(struct list *from, struct list *to)
{
    list_init(to);
    if (!list_is_empty(from)) {
        *to = *from;
        to->next->prev = to;
        to->prev->next = to;
        list_init(from);
    }
}

static void run_laters(struct loop *l)
{
    for (int round = 0; round < LATER_ROUNDS && !list_is_empty(&l->laters); round++) {
        struct list todo;
        list_take(&l->laters, &todo);
        struct list *node;
        while ((node = list_first(&todo))) {
            struct later *x = list_entry(node, struct later, node);
            list_remove(node);
            l->running = x;
            x->fn(x);
            l->running = NULL;
        }
    }
    struct list *node;
    while ((node = list_first(&l->again))) {
        list_remove(node);
        list_append(&l->laters, node);
    }
}

void loop_free_later(struct loop *l, void (*fn)(void *obj), void *obj)
{
    if (l->n_parked == l->cap_parked) {
        size_t cap = l->cap_parked ? l->cap_parked * 2 : 16;
        struct parked *grown = realloc(l->parked, cap * sizeof(*grown));
        if (!grown) {
            return;
        }
        l->parked = grown;
        l->cap_parked = cap;
    }
    l->parked[l->n_parked++] = (struct parked){fn, obj};
}

static void free_parked(struct loop *l)
{
    /* By index: freeing one object may park another. */
    for (size_t i = 0; i < l->n_parked; i++) {
        struct parked p = l->parked[i];
        p.fn(p.obj);
    }
    l->n_parked = 0;
    if (l->cap_parked > PARKED_KEEP) {
        free(l->parked);
        l->parked = NULL;
        l->cap_parked = 0;
    }
}

/* ---- deadlines ---- */

/* First tick at which at_ms has passed. */
static uint64_t tick_of(uint64_t at_ms)
{
    return (at_ms + LOOP_TICK_MS - 1) / LOOP_TICK_MS;
}

static void timer_at(struct loop *l, uint64_t tick)
{
    uint64_t at_ms = tick * LOOP_TICK_MS;
    uint64_t now_ms = loop_now_ms(l);
    uint64_t in_ms = at_ms > now_ms ? at_ms - now_ms : 1;
    struct timeval tv = {(time_t)(in_ms / 1000), (suseconds_t)(in_ms % 1000 * 1000)};
    l->tick_next = tick;
    /* Only fails for want of memory in libevent's heap, which a re-added timer does not need. */
    if (event_add(l->ev_tick, &tv) < 0) {
        l->tick_next = 0;
    }
}

/* Put an unlinked deadline where it will be looked at: its own tick, or the far end of the wheel.
 */
static void file_deadline(struct loop *l, struct deadline *d, uint64_t now_ms)
{
    uint64_t horizon_ms = now_ms + (uint64_t)(WHEEL_SLOTS - 2) * LOOP_TICK_MS;
    d->filed_ms = d->at_ms < horizon_ms ? d->at_ms : horizon_ms;
    uint64_t tick = tick_of(d->filed_ms);
    list_append(&l->wheel[tick % WHEEL_SLOTS], &d->node);
    if (!l->tick_next) {
        l->tick_done = now_ms / LOOP_TICK_MS;
    }
    if (!l->tick_next || tick < l->tick_next) {
        timer_at(l, tick);
    }
}

void deadline_init(struct deadline *d, void (*fn)(struct deadline *d))
{
    list_init(&d->node);
    d->at_ms = 0;
    d->filed_ms = 0;
    d->fn = fn;
}

void deadline_set(struct loop *l, struct deadline *d, uint64_t in_ms)
{
    uint64_t now_ms = loop_now_ms(l);
    d->at_ms = now_ms + (in_ms ? in_ms : 1);
    if (!list_is_empty(&d->node)) {
        if (d->filed_ms <= d->at_ms) {
            return;
        }
        list_remove(&d->node);
    }
    file_deadline(l, d, now_ms);
}

void deadline_clear(struct deadline *d)
{
    d->at_ms = 0;
    list_remove(&d->node);
}

static void run_slot(struct loop *l, struct list *slot)
{
    struct list due;
    list_take(slot, &due);
    struct list *node;
    while ((node = list_first(&due))) {
        struct deadline *d = list_entry(node, struct deadline, node);
        list_remove(node);
        if (d->at_ms > l->now_ms) {
            file_deadline(l, d, l->now_ms);
        } else {
            d->at_ms = 0;
            d->fn(d);
        }
    }
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct loop *l = arg;
    refresh_now(l);
    uint64_t tick_now = l->now_ms / LOOP_TICK_MS;
    uint64_t from = l->tick_done + 1;
    if (tick_now >= from + WHEEL_SLOTS) {
        from = tick_now - WHEEL_SLOTS + 1; /* slept longer than one turn: each slot once */
    }
    l->tick_done = tick_now;
    for (uint64_t tick = from; tick <= tick_now; tick++) {
        run_slot(l, &l->wheel[tick % WHEEL_SLOTS]);
    }
    /* Sleep until the next slot that holds something; an empty wheel needs no timer. */
    l->tick_next = 0;
    for (uint64_t tick = tick_now + 1; tick < tick_now + WHEEL_SLOTS; tick++) {
        if (!list_is_empty(&l->wheel[tick % WHEEL_SLOTS])) {
            timer_at(l, tick);
            return;
        }
    }
    event_del(l->ev_tick);
}

/* ---- descriptors ---- */

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct io *io = arg;
    refresh_now(io->loop);
    io->fn(io, IO_READ);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct io *io = arg;
    refresh_now(io->loop);
    io->fn(io, IO_WRITE);
}

frun_err io_open(struct io *io, struct loop *l, int fd, void (*fn)(struct io *io, int what))
{
    *io = (struct io){.loop = l, .fd = fd, .fn = fn};
    io->ev_read = event_new(l->base, fd, EV_READ | EV_PERSIST, on_readable, io);
    if (!io->ev_read) {
        *io = (struct io){0};
        return FRUN_E_NOMEM;
    }
    return FRUN_OK;
}

static frun_err io_switch(void *ev, bool is_on)
{
    if (is_on ? event_add(ev, NULL) : event_del(ev)) {
        return FRUN_E_IO;
    }
    return FRUN_OK;
}

frun_err io_want(struct io *io, int wants)
{
    assert(io->loop);
    int changed = io->wants ^ wants;
    frun_err err = FRUN_OK;
    if (changed & IO_READ) {
        err = io_switch(io->ev_read, wants & IO_READ);
        if (err) {
            return err;
        }
        io->wants ^= IO_READ;
    }
    if (changed & IO_WRITE) {
        /* Most descriptors never have to wait for room: made at the first wish. */
        if (!io->ev_write) {
            io->ev_write =
                event_new(io->loop->base, io->fd, EV_WRITE | EV_PERSIST, on_writable, io);
            if (!io->ev_write) {
                return FRUN_E_NOMEM;
            }
        }
        err = io_switch(io->ev_write, wants & IO_WRITE);
        if (err) {
            return err;
        }
        io->wants ^= IO_WRITE;
    }
    return FRUN_OK;
}

void io_close(struct io *io)
{
    if (io->ev_read) {
        event_free(io->ev_read);
    }
    if (io->ev_write) {
        event_free(io->ev_write);
    }
    *io = (struct io){0};
}

/* ---- signals ---- */

static void on_signal(evutil_socket_t signo, short what, void *arg)
{
    (void)what;
    struct loop *l = arg;
    refresh_now(l);
    for (size_t i = 0; i < l->n_signals; i++) {
        if (event_get_signal(l->signals[i].ev) == signo) {
            l->signals[i].fn(l->signals[i].arg);
        }
    }
}

frun_err loop_on_signal(struct loop *l, int signo, loop_job_fn fn, void *arg)
{
    if (l->n_signals == MAX_SIGNALS) {
        return FRUN_E_LIMIT;
    }
    struct event *ev = evsignal_new(l->base, signo, on_signal, l);
    if (!ev) {
        return FRUN_E_NOMEM;
    }
    if (event_add(ev, NULL) < 0) {
        event_free(ev);
        return FRUN_E_NOMEM;
    }
    l->signals[l->n_signals++] = (struct loop_signal){ev, fn, arg};
    return FRUN_OK;
}

/* ---- the thread's stock ---- */

static void on_trim(struct deadline *d)
{
    (void)d;
    stock_trim(); /* loop_run() sets it again if something is left */
}

/* ---- life ---- */

static frun_err open_base(struct loop *l)
{
    struct event_config *cfg = event_config_new();
    if (!cfg) {
        return FRUN_E_NOMEM;
    }
    /* One thread per base: other threads reach it by eventfd only. */
    event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK);
    l->base = event_base_new_with_config(cfg);
    event_config_free(cfg);
    if (!l->base) {
        return FRUN_E_IO;
    }
    l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (l->wake_fd < 0) {
        return FRUN_E_IO;
    }
    l->ev_wake = event_new(l->base, l->wake_fd, EV_READ | EV_PERSIST, on_wake, l);
    l->ev_tick = event_new(l->base, -1, 0, on_tick, l);
    if (!l->ev_wake || !l->ev_tick || event_add(l->ev_wake, NULL) < 0) {
        return FRUN_E_NOMEM;
    }
    return FRUN_OK;
}

frun_err loop_new(struct loop **out)
{
    struct loop *l = calloc(1, sizeof(*l));
    if (!l) {
        return FRUN_E_NOMEM;
    }
    l->wake_fd = -1;
    l->mail_last = &l->mail_first;
    list_init(&l->laters);
    list_init(&l->again);
    for (size_t i = 0; i < WHEEL_SLOTS; i++) {
        list_init(&l->wheel[i]);
    }
    deadline_init(&l->trim, on_trim);
    atomic_init(&l->is_stopping, false);
    pthread_mutex_init(&l->lock, NULL);
    frun_err err = open_base(l);
    if (err) {
        loop_free(l);
        return err;
    }
    *out = l;
    return FRUN_OK;
}

/* Nothing that outlives the loop may keep a link into it. */
static void unlink_all(struct list *head)
{
    struct list *node;
    while ((node = list_first(head))) {
        list_remove(node);
    }
}

void loop_free(struct loop *l)
{
    if (!l) {
        return;
    }
    assert(!l->is_running);
    do {
        run_mail(l);
        free_parked(l);
    } while (l->mail_first);
    free(l->parked);
    unlink_all(&l->laters);
    unlink_all(&l->again);
    for (size_t i = 0; i < WHEEL_SLOTS; i++) {
        unlink_all(&l->wheel[i]);
    }
    for (size_t i = 0; i < l->n_signals; i++) {
        event_free(l->signals[i].ev);
    }
    if (l->ev_wake) {
        event_free(l->ev_wake);
    }
    if (l->ev_tick) {
        event_free(l->ev_tick);
    }
    if (l->base) {
        event_base_free(l->base);
    }
    if (l->wake_fd >= 0) {
        close(l->wake_fd);
    }
    pthread_mutex_destroy(&l->lock);
    free(l);
}

void loop_run(struct loop *l)
{
    l->is_running = true;
    while (!atomic_exchange(&l->is_stopping, false)) {
        /* One turn of libevent is one pass: poll once, run what is active, come back. */
        int flags = EVLOOP_ONCE;
        if (!list_is_empty(&l->laters) || l->n_parked) {
            flags |= EVLOOP_NONBLOCK;
        }
        l->is_now_fresh = false;
        event_base_loop(l->base, flags);
        refresh_now(l);
        run_laters(l);
        free_parked(l);
        if (!l->trim.at_ms && stock_spare_bytes() > 0) {
            deadline_set(l, &l->trim, STOCK_TRIM_MS);
        }
    }
    l->is_now_fresh = false;
    l->is_running = false;
}

void loop_stop(struct loop *l)
{
    atomic_store(&l->is_stopping, true);
    wake(l);
}
