/**
 * A connector as long as anybody knows it: its name, and how many tunnels each worker has of it.
 *
 * A seat outlives the configuration it was made for: a changed configuration goes on with the seats
 * of the connectors that it still has, and a tunnel keeps that of its own. Counted; the numbers are
 * shared by all workers.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_GATEWAY_SEAT_H
#define FRUN_GATEWAY_SEAT_H

#include "frun/base/err.h"

#include <stddef.h>

/** A connector. */
struct seat;

/** Make one. @param name of its [connector] section, copied @param n_workers workers, 1.. @param
 * out seat with one reference @return FRUN_OK; FRUN_E_NOMEM. Thread: main. */
frun_err seat_new(const char *name, size_t n_workers, struct seat **out) FRUN_MUST_CHECK;

/** One more reference. @param s seat @return @p s. Thread: any. */
struct seat *seat_ref(struct seat *s);

/** Give a reference back and forget it. @param s address of the reference, may hold NULL. Thread:
 * any. */
void seat_unref(struct seat **s);

/** Its name. @param s seat @return text, lives with @p s. Thread: any. */
const char *seat_name(const struct seat *s);

/** Count a tunnel in at the worker with the fewest. @param s seat @return index of that worker.
 * Thread: any. */
size_t seat_enter(struct seat *s);

/** Count a tunnel out. @param s seat @param worker index of its worker. Thread: any. */
void seat_leave(struct seat *s, size_t worker);

/** Tunnels of all workers, open or being opened. @param s seat @return count. Thread: any. */
size_t seat_sum(const struct seat *s);

#endif
