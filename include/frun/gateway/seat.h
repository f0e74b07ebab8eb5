/**
 * A connector as long as anybody knows it: its name, how many tunnels each worker has of it, and
 * what became of the last one.
 *
 * A seat outlives the configuration it was made for: a changed configuration goes on with the seats
 * of the connectors that it still has, and a tunnel keeps that of its own. Counted; the numbers are
 * shared by all workers.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_GATEWAY_SEAT_H
#define FRUN_GATEWAY_SEAT_H

#include "frun/base/err.h"
#include "frun/base/mono.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Octets of a reason with its final NUL; a longer one is cut. */
#define SEAT_WHY_BYTES 200

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

/** Count a tunnel over to another worker. @param s seat @param from index of its worker @param to
 * of the other. Thread: any. */
void seat_move(struct seat *s, size_t from, size_t to);

/** A number that none of its tunnels had. @param s seat @return 1.. Thread: any. */
unsigned seat_next_number(struct seat *s);

/** Count a tunnel out. @param s seat @param worker index of its worker. Thread: any. */
void seat_leave(struct seat *s, size_t worker);

/** Tunnels of all workers, open or being opened. @param s seat @return count. Thread: any. */
size_t seat_sum(const struct seat *s);

/** A tunnel stands. @param s seat @param until_s last second of the certificate it came by, since
 * 1970; 0: not known. Thread: any. */
void seat_opened(struct seat *s, int64_t until_s);

/** A tunnel has ended, or was let in and came to nothing; after seat_leave(). @param s seat @param
 * why for a person, copied. Thread: any. */
void seat_ended(struct seat *s, const char *why);

/** It was turned away. @param s seat @param why for a person, copied. Thread: any. */
void seat_refused(struct seat *s, const char *why);

/** What there is to tell of a connector. */
struct seat_news {
    char since[MONO_WALL_TEXT_BYTES];   /**< when its last tunnel ended; before there was one, when
                                           it was first configured */
    char last[SEAT_WHY_BYTES];          /**< why a tunnel ended or was refused last; "": none was */
    char last_at[MONO_WALL_TEXT_BYTES]; /**< when that was */
    int64_t until_s;                    /**< last second of its certificate; 0: not known */
    bool was_here;                      /**< there was a tunnel */
};

/** Read it. @param s seat @param out filled. Thread: any. */
void seat_read(struct seat *s, struct seat_news *out);

#endif
