/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/loop/service.h"

#include <fcntl.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#ifdef FRUN_HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

/* Freed memory that each thread's heap keeps at its end, and the size from which an allocation is a
 * mapping of its own. */
#define KEPT_HEAP_BYTES   (4 << 20)
#define OWN_MAPPING_BYTES (1 << 20)

struct loop_thread {
    pthread_t thread;
    struct loop *loop;
    char name[16];
};

void service_keep_memory(void)
{
#ifdef __GLIBC__
    /* Buffers come and go with each pass. With the usual 128 KiB a worker that carries long bodies
     * gives its heap's end back and faults it in again all the time: up to 37 page faults for a
     * push of 256 KiB. */
    /* Before any thread runs. NOLINTBEGIN(concurrency-mt-unsafe) */
    (void)mallopt(M_TRIM_THRESHOLD, KEPT_HEAP_BYTES);
    (void)mallopt(M_MMAP_THRESHOLD, OWN_MAPPING_BYTES);
    /* NOLINTEND(concurrency-mt-unsafe) */
#endif
}

static void *run_loop(void *arg)
{
    const struct loop_thread *t = arg;
    (void)pthread_setname_np(pthread_self(), t->name);
    loop_run(t->loop);
    return NULL;
}

frun_err loop_thread_start(struct loop *l, const char *name, struct loop_thread **out)
{
    struct loop_thread *t = calloc(1, sizeof(*t));
    if (!t) {
        return FRUN_E_NOMEM;
    }
    t->loop = l;
    (void)snprintf(t->name, sizeof(t->name), "%s", name);
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&t->thread, NULL, run_loop, t);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        free(t);
        return FRUN_E_IO;
    }
    *out = t;
    return FRUN_OK;
}

void loop_thread_join(struct loop_thread *t)
{
    if (t) {
        pthread_join(t->thread, NULL);
        free(t);
    }
}

#ifdef FRUN_HAVE_SYSTEMD

/* The one watchdog of the process; main thread only. It cannot live with a caller, because systemd
 * knows one watchdog per process. */
static struct {
    struct deadline again;
    struct loop *loop; /* NULL: not running */
    uint64_t every_ms;
    service_alive_fn is_alive;
    void *arg;
} watchdog;

static void notify(const char *state, const char *status)
{
    (void)sd_notifyf(0, "%s%sSTATUS=%s", state, *state ? "\n" : "", status);
}

void service_ready(const char *status)
{
    notify("READY=1", status);
}

void service_status(const char *status)
{
    notify("", status);
}

void service_reloading(void)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    (void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld",
                     (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
}

void service_reloaded(void)
{
    (void)sd_notify(0, "READY=1");
}

void service_stopping(void)
{
    notify("STOPPING=1", "stopping");
}

static void pat(struct deadline *d)
{
    if (!watchdog.is_alive || watchdog.is_alive(watchdog.arg)) {
        (void)sd_notify(0, "WATCHDOG=1");
    }
    deadline_set(watchdog.loop, d, watchdog.every_ms);
}

frun_err service_watchdog_start(struct loop *l, service_alive_fn is_alive, void *arg)
{
    uint64_t usec = 0;
    service_watchdog_stop();
    if (sd_watchdog_enabled(0, &usec) <= 0 || usec == 0) {
        return FRUN_OK;
    }
    /* A third: one late turn of the loop must not kill the service. */
    watchdog.every_ms = usec / 3000 ? usec / 3000 : 1;
    watchdog.loop = l;
    watchdog.is_alive = is_alive;
    watchdog.arg = arg;
    deadline_init(&watchdog.again, pat);
    pat(&watchdog.again);
    return FRUN_OK;
}

void service_watchdog_stop(void)
{
    if (watchdog.loop) {
        deadline_clear(&watchdog.again);
        watchdog.loop = NULL;
    }
}

/* As many descriptors as one message may carry (SCM_MAX_FD is 253). */
#define KEEP_AT_ONCE 128

void service_keep_sockets(const int *fds, size_t n)
{
    while (n > 0) {
        size_t part = n < KEEP_AT_ONCE ? n : KEEP_AT_ONCE;
        (void)sd_pid_notify_with_fds(0, 0, "FDSTORE=1\nFDNAME=" SERVICE_KEPT, fds, (unsigned)part);
        fds += part;
        n -= part;
    }
}

void service_drop_kept(void)
{
    (void)sd_notify(0, "FDSTOREREMOVE=1\nFDNAME=" SERVICE_KEPT);
}

size_t service_sockets(const char *name, int *out, size_t max)
{
    char **names = NULL;
    size_t n = 0;
    int count = sd_listen_fds_with_names(0, &names);
    for (int i = 0; i < count; i++) {
        int fd = SD_LISTEN_FDS_START + i;
        if (n < max && (!name || strcmp(names[i], name) == 0)) {
            int flags = fcntl(fd, F_GETFL);
            (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
            (void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
            out[n++] = fd;
        }
    }
    for (int i = 0; i < count; i++) {
        free(names[i]);
    }
    free(names);
    return n;
}

#else

void service_ready(const char *status)
{
    (void)status;
}

void service_status(const char *status)
{
    (void)status;
}

void service_reloading(void)
{
}

void service_reloaded(void)
{
}

void service_stopping(void)
{
}

frun_err service_watchdog_start(struct loop *l, service_alive_fn is_alive, void *arg)
{
    (void)l;
    (void)is_alive;
    (void)arg;
    return FRUN_OK;
}

void service_watchdog_stop(void)
{
}

void service_keep_sockets(const int *fds, size_t n)
{
    (void)fds;
    (void)n;
}

void service_drop_kept(void)
{
}

size_t service_sockets(const char *name, int *out, size_t max)
{
    (void)name;
    (void)out;
    (void)max;
    return 0;
}

#endif
