/**
 * Time: a monotonic clock for deadlines, the wall clock for people, and chance for jitter and
 * identifiers.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_BASE_MONO_H
#define FRUN_BASE_MONO_H

#include "frun/base/err.h"

#include <stddef.h>
#include <stdint.h>

/** Length of a text by mono_wall_text(), octets, with the final NUL. */
#define MONO_WALL_TEXT_BYTES 32

/** Monotonic time. @return milliseconds since some fixed point. Thread: any. */
uint64_t mono_now_ms(void);

/** Monotonic time. @return microseconds since some fixed point. Thread: any. */
uint64_t mono_now_us(void);

/** Wall clock as RFC 3339 text in UTC with milliseconds, "2026-11-21T06:36:00.123Z". @param out
 * MONO_WALL_TEXT_BYTES octets. Thread: any. */
void mono_wall_text(char out[MONO_WALL_TEXT_BYTES]);

/** Wall clock. @return milliseconds since 1970. Thread: any. */
uint64_t mono_wall_ms(void);

/** A time of the wall clock as mono_wall_text() writes it. @param wall_ms milliseconds since 1970
 * @param out MONO_WALL_TEXT_BYTES octets. Thread: any. */
void mono_wall_text_of(uint64_t wall_ms, char out[MONO_WALL_TEXT_BYTES]);

/** Unpredictable octets from the system. @param p filled @param n octets. Never fails: the program
 * aborts if the system has no entropy. Thread: any. */
void mono_entropy(void *p, size_t n);

/** Unpredictable number below @p limit. @param limit 1.. @return 0..limit-1. Thread: any. */
uint64_t mono_entropy_below(uint64_t limit);

#endif
