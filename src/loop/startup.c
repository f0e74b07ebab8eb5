/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/loop/startup.h"

#include "frun/base/log.h"
#include "frun/loop/service.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Of an error in systemctl status: more does not fit on its line. */
#define STATUS_BYTES 400

void startup_report_begin(struct startup_report *r)
{
    *r = (struct startup_report){0};
    r->to = open_memstream(&r->text, &r->len);
    if (!r->to) {
        r->to = stderr;
    }
}

static void write_line(const char *line, bool is_error)
{
    /* One thread. NOLINTNEXTLINE(concurrency-mt-unsafe) */
    const char *journal = getenv("JOURNAL_STREAM");
    if (journal && *journal) {
        log_line(is_error ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING, NULL, "%s", line);
    } else {
        (void)fprintf(stderr, "%s\n", line);
    }
}

void startup_report_end(struct startup_report *r, const char *failed)
{
    const char *first = NULL;
    size_t n_errors = 0;
    char status[STATUS_BYTES];
    if (r->to != stderr) {
        (void)fclose(r->to);
    }
    for (char *line = r->text, *next; line && *line; line = next) {
        char *end = strchr(line, '\n');
        next = end ? end + 1 : line + strlen(line);
        if (end) {
            *end = '\0';
        }
        bool is_error = !strstr(line, ": warning: ");
        write_line(line, is_error);
        n_errors += is_error ? 1 : 0;
        first = is_error && !first ? line : first;
    }
    if (failed && n_errors > 1) {
        (void)snprintf(status, sizeof(status), "not started, %zu errors: %s", n_errors, first);
        service_status(status);
    } else if (failed) {
        (void)snprintf(status, sizeof(status), "not started: %s", first ? first : failed);
        service_status(status);
    }
    free(r->text);
    *r = (struct startup_report){0};
}
