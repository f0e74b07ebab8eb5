/**
 * What a start has to say: every error of the configuration, for the log and for systemctl status.
 *
 * The lines are kept until it is known how the start ends, then go to standard error, as they are
 * on a terminal and with their severity in the journal. If the start fails, systemd is told the
 * first error, because what it shows of the log are the lines since the last try only.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_LOOP_STARTUP_H
#define FRUN_LOOP_STARTUP_H

#include <stddef.h>
#include <stdio.h>

/** A report under way. */
struct startup_report {
    FILE *to;   /**< where errors and warnings are written, a line for each */
    char *text; /**< private */
    size_t len; /**< private */
};

/** Begin a report. @param r report; without memory its lines go straight to standard error. Thread:
 * main, as long as it is the only one. */
void startup_report_begin(struct startup_report *r);

/** End it: the lines are written. @param r report @param failed NULL: the start goes on; else it
 * fails, for this reason if no line tells another; it is for systemctl status and not written.
 * Thread: main. Source: sd_notify(3), STATUS=. */
void startup_report_end(struct startup_report *r, const char *failed);

#endif
