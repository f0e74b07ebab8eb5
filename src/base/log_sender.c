/* SPDX-License-Identifier: Apache-2.0 */
#include "log_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

frun_err log_sender_open(const struct log_where *w, struct log_sender **out, struct diag *d)
{
    struct log_sender *s = NULL;
    frun_err err = w->target == LOG_TARGET_JOURNAL  ? log_journal_open(w, &s, d)
                   : w->target == LOG_TARGET_SYSLOG ? log_syslog_open(w, &s, d)
                                                    : log_stream_open(w, &s, d);
    if (err == FRUN_E_NOMEM) {
        diag_set(d, "no memory for the log");
    }
    if (!err) {
        *out = s;
    }
    return err;
}

frun_err log_sender_check(const struct log_where *w, struct diag *d)
{
    /* Journal and syslog may come later, and go: a program that waits for them helps nobody. */
    return w->target == LOG_TARGET_FILE ? log_stream_check(w->name, d) : FRUN_OK;
}

void log_sender_name(const struct log_where *w, char *out, size_t room)
{
    const char *name = w->name ? w->name : "";
    switch (w->target) {
    case LOG_TARGET_FILE:
        (void)snprintf(out, room, "the log file \"%s\"", name);
        break;
    case LOG_TARGET_JOURNAL:
        (void)snprintf(out, room, "the journal at \"%s\"", name);
        break;
    case LOG_TARGET_SYSLOG:
        (void)snprintf(out, room, "syslog at \"%s\"", name);
        break;
    case LOG_TARGET_STDERR:
        (void)snprintf(out, room, "standard error");
        break;
    }
}

void log_sender_free(struct log_sender *s)
{
    if (!s) {
        return;
    }
    if (s->fd >= 0) {
        (void)close(s->fd);
    }
    /* Lent as const to everyone else; the copy is the sender's. */
    free((void *)(uintptr_t)s->where.name);
    free(s);
}
