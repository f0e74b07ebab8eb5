/**
 * What systemd and a daemon say to each other: ready, stopping, watchdog, sockets handed over; and
 * threads that run loops.
 *
 * Without systemd (library or environment) every function is harmless and does nothing.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_LOOP_SERVICE_H
#define FRUN_LOOP_SERVICE_H

#include "frun/base/err.h"
#include "frun/loop/loop.h"

#include <stdbool.h>
#include <stddef.h>

/** Tell systemd we are ready. @param status one line for systemctl status. Thread: main. Source:
 * sd_notify(3). */
void service_ready(const char *status);

/** Tell systemd that we read the configuration again; service_reloaded() follows. Thread: main.
 * Source: sd_notify(3), RELOADING=1. */
void service_reloading(void);

/** Tell systemd that we are ready again, with the changed configuration or the old one. Thread:
 * main. */
void service_reloaded(void);

/** Tell systemd what we do now. @param status one line. Thread: main. */
void service_status(const char *status);

/** Tell systemd we are stopping. Thread: main. */
void service_stopping(void);

/** Does everything that this process is for still turn? @param arg the caller's @return true if so.
 */
typedef bool (*service_alive_fn)(void *arg);

/** Keep the watchdog quiet from @p l as long as the loop turns and @p is_alive says so. @param l
 * the main loop @param is_alive asked each time, or NULL: the loop is all there is @param arg for
 * it @return FRUN_OK, also when there is no watchdog; FRUN_E_NOMEM. Thread: main. */
frun_err service_watchdog_start(struct loop *l, service_alive_fn is_alive,
                                void *arg) FRUN_MUST_CHECK;

/** End what service_watchdog_start() began. Thread: main. */
void service_watchdog_stop(void);

/** Name of the sockets that service_keep_sockets() leaves with systemd. */
#define SERVICE_KEPT "frun-kept"

/** Leave listening sockets with systemd, which hands them to the next start of a restart under the
 * name SERVICE_KEPT (FileDescriptorStoreMax= in the unit): what calls meanwhile waits. Those of a
 * stop without a start are closed. @param fds sockets, borrowed @param n their number. Thread: any.
 * Source: sd_notify(3), FDSTORE=1. */
void service_keep_sockets(const int *fds, size_t n);

/** Have systemd close its copies of what was left with it: they are ours alone again. Thread: main.
 * Source: sd_notify(3), FDSTOREREMOVE=1. */
void service_drop_kept(void);

/** Sockets handed over by systemd (LISTEN_FDS), in order. @param name only those with this
 * FileDescriptorName, NULL for all @param out descriptors, ours from now on, set close-on-exec and
 * non-blocking @param max room of @p out @return how many. Thread: main, once. Source:
 * sd_listen_fds(3). */
size_t service_sockets(const char *name, int *out, size_t max);

/** Let freed memory stay with the process, up to 4 MiB for each thread, instead of giving it back
 * and asking for it again with every long body. For programs that run loops; does nothing where the
 * C library is not glibc. Thread: main, before others start. */
void service_keep_memory(void);

/** A thread that runs a loop. */
struct loop_thread;

/** Start a thread that runs @p l; all signals are blocked in it. @param l loop, borrowed @param
 * name at most 15 octets @param out thread; loop_thread_join() it @return FRUN_OK; FRUN_E_NOMEM;
 * FRUN_E_IO. Thread: main. */
frun_err loop_thread_start(struct loop *l, const char *name,
                           struct loop_thread **out) FRUN_MUST_CHECK;

/** Wait for the thread to end (after loop_stop()) and free it. @param t thread or NULL. Thread:
 * main. */
void loop_thread_join(struct loop_thread *t);

#endif
