/**
 * frunctl doctor: the machine the daemon runs on.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/admin/client.h"
#include "frun/base/buf.h"

#include "ctl_doctor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>

/* Percent of a disk that should be free. */
#define DISK_FREE_PERCENT 5

/* Descriptors beside those of connections: tunnels, upstream connections, files. */
#define DESCRIPTORS_BESIDE 1024

static void check_clock(struct doctor *d)
{
    struct timex t = {.modes = 0};
    if (adjtimex(&t) == TIME_ERROR || (t.status & STA_UNSYNC)) {
        doctor_say(d, "clock", STEPS_WARN, "the kernel does not know that it is synchronised");
        doctor_remedy(d,
                      "let chrony or systemd-timesyncd set it: tokens and certificates go by it");
    } else {
        doctor_say(d, "clock", STEPS_OK, "is synchronised");
    }
}

static void check_folder(struct doctor *d, const char *path)
{
    struct stat s;
    struct statvfs v;
    if (stat(path, &s)) {
        doctor_say(d, "state", errno == ENOENT ? STEPS_WARN : STEPS_FAIL, "%s: %s", path,
                   strerrordesc_np(errno));
        doctor_remedy(d,
                      "make it for the daemon's user, mode 0700; systemd does by StateDirectory=");
        return;
    }
    bool is_open = (s.st_mode & 022) != 0;
    doctor_say(d, "state", is_open ? STEPS_FAIL : STEPS_OK, "%s has mode %04o, owner %u", path,
               s.st_mode & 07777U, (unsigned)s.st_uid);
    if (is_open) {
        doctor_remedy(d, "chmod go-w %s: others must not write there", path);
    }
    if (statvfs(path, &v) == 0 && v.f_blocks) {
        unsigned percent = (unsigned)(v.f_bavail * 100 / v.f_blocks);
        doctor_say(d, "disk", percent < DISK_FREE_PERCENT ? STEPS_WARN : STEPS_OK,
                   "%u %% are free below %s", percent, path);
        if (percent < DISK_FREE_PERCENT) {
            doctor_remedy(d, "make room: log lines and state are lost when it is full");
        }
    }
}

/* What the daemon itself says: its limit is not ours. */
static void check_descriptors(struct doctor *d, uint64_t connections)
{
    struct buf text;
    unsigned status = 0;
    struct diag why;
    const struct admin_call call = {.socket = d->control.socket,
                                    .method = "GET",
                                    .target = "/metrics",
                                    .timeout_ms = DOCTOR_WAIT_MS};
    if (!d->is_running || !d->control.socket) {
        return;
    }
    buf_init(&text, (size_t)64 << 20);
    frun_err err = admin_client_call(&call, &status, &text, &why);
    err = err ? err : buf_put(&text, span_make("", 1));
    const char *all = err ? NULL : buf_span(&text).p;
    const char *at = all ? strstr(all, "_max_descriptors ") : NULL;
    at = at && at[17] == 'g' ? strstr(at + 17, "_max_descriptors ") : at; /* behind its # TYPE */
    double most = at ? strtod(at + 17, NULL) : 0;
    buf_done(&text);
    if (most <= 0) {
        return;
    }
    bool is_short = most < (double)connections + DESCRIPTORS_BESIDE;
    doctor_say(d, "descriptors", is_short ? STEPS_WARN : STEPS_OK,
               "the daemon may open %.0f files; %llu connections are allowed", most,
               (unsigned long long)connections);
    if (is_short) {
        doctor_remedy(d, "raise LimitNOFILE= of the service, or lower max_connections");
    }
}

void doctor_host(struct doctor *d, const char *state_folder, uint64_t connections)
{
    doctor_area(d, "machine");
    check_clock(d);
    check_descriptors(d, connections);
    if (state_folder) {
        check_folder(d, state_folder);
    }
}
