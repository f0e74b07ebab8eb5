/**
 * Which connections that were turned away are told in the log, when nobody knows whose they were: a
 * scan of a whole network must not fill it. Some lines in a window of time, then their number.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_GATEWAY_REFUSED_H
#define FRUN_GATEWAY_REFUSED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** A window of time, milliseconds. */
#define REFUSED_WINDOW_MS 10000

/** What has been told of one kind of refusal; all zero at first. One worker's. */
struct refused {
    uint64_t since_ms; /**< when the window began, on the loop's clock */
    unsigned n_told;   /**< lines in it; 0: there is no window */
    size_t n_silent;   /**< turned away since the last line, and not told */
};

/** One more was turned away: is there to be a line about it?
 * @param r what has been told @param now_ms the loop's clock @param most lines in a window, from 1
 * @param count if there is to be one: how many were turned away since the last line, this one
 * included; untouched otherwise @return whether there is to be a line. Thread: worker. */
bool refused_is_told(struct refused *r, uint64_t now_ms, unsigned most, size_t *count);

#endif
