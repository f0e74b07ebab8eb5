/**
 * The file that remembers which endpoints were switched, one line each; written whole or not at
 * all.
 *
 *     frunproxyd roads 1
 *     direct ACME_PROD
 *     end
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "switchover_int.h"

#include "frun/base/buf.h"
#include "frun/base/file.h"
#include "frun/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROADS_FILE "roads"
#define ROADS_HEAD "frunproxyd roads 1"
#define ROADS_END  "end"

/** Octets of the file at most: every endpoint of the largest configuration. */
#define ROADS_MAX_BYTES ((size_t)8 * 1024 * 1024)

static bool path_of(const struct switchover *r, char out[PATH_MAX])
{
    int n = snprintf(out, PATH_MAX, "%s/%s", r->folder, ROADS_FILE);
    return n > 0 && n < PATH_MAX;
}

/* -- reading
 * -------------------------------------------------------------------------------------------------------
 */

static const struct endpoint *find(const struct registry *reg, struct span name)
{
    size_t n = 0;
    const struct endpoint *e = registry_endpoints(reg, &n);
    for (size_t i = 0; i < n; i++) {
        if (span_eq(e[i].name, name)) {
            return &e[i];
        }
    }
    return NULL;
}

static bool road_of(struct span word, enum conf_route *out)
{
    for (int i = CONF_ROUTE_TUNNEL; i <= CONF_ROUTE_SAP; i++) {
        if (span_eq(word, span_of(switchover_name((enum conf_route)i)))) {
            *out = (enum conf_route)i;
            return true;
        }
    }
    return false;
}

static struct span next_line(struct span *rest)
{
    size_t n = span_find(*rest, '\n');
    struct span line = span_head(*rest, n);
    *rest = span_skip(*rest, n < rest->n ? n + 1 : n);
    return line;
}

/* Is all of it as we write it? Half a file must not decide half of the roads. */
static bool is_whole(struct span text)
{
    enum conf_route road;
    if (!span_eq(next_line(&text), SPAN_LIT(ROADS_HEAD))) {
        return false;
    }
    while (text.n) {
        struct span line = next_line(&text);
        size_t blank = span_find(line, ' ');
        if (span_eq(line, SPAN_LIT(ROADS_END))) {
            return text.n == 0;
        }
        if (blank + 1 >= line.n || !road_of(span_head(line, blank), &road)) {
            return false;
        }
    }
    return false;
}

static void apply_line(const struct registry *reg, struct span line)
{
    enum conf_route road = CONF_ROUTE_TUNNEL;
    size_t blank = span_find(line, ' ');
    struct span name = span_skip(line, blank + 1);
    const struct endpoint *e = find(reg, name);
    char scope[96];
    (void)snprintf(scope, sizeof(scope), "endpoint %.*s", SPAN_FMT(name));
    if (!road_of(span_head(line, blank), &road) || !e || (int)road == e->conf->route) {
        return; /* gone, or what it was switched to has become its route */
    }
    if (e->conf->has_standby && (int)road == e->conf->standby_route) {
        atomic_store(&e->state->is_switched, true);
        log_info(scope, "takes %s, to which it was switched before; its configured route is %s",
                 switchover_name(road), switchover_name((enum conf_route)e->conf->route));
    } else {
        log_warning(scope,
                    "was switched to %s before, but has no such road any more; its configured "
                    "route %s counts",
                    switchover_name(road), switchover_name((enum conf_route)e->conf->route));
    }
}

static void apply(const struct registry *reg, const char *path, struct span text)
{
    if (!is_whole(text)) {
        log_error(NULL,
                  "%s is damaged: all endpoints take their configured route; look which of them "
                  "had been switched ('frunctl endpoint switch')",
                  path);
        return;
    }
    (void)next_line(&text);
    for (struct span line; !span_eq(line = next_line(&text), SPAN_LIT(ROADS_END));) {
        apply_line(reg, line);
    }
}

static void read_file(const struct switchover *r, const struct registry *reg)
{
    char path[PATH_MAX];
    struct buf text;
    char *at = NULL;
    ssize_t n = -1;
    if (!path_of(r, path)) {
        return;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        log_line(errno == ENOENT ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, NULL,
                 "%s cannot be read (%s): all endpoints take their configured route", path,
                 strerrordesc_np(errno));
        return;
    }
    buf_init(&text, ROADS_MAX_BYTES);
    while (buf_reserve(&text, 4096, &at) == FRUN_OK && (n = read(fd, at, 4096)) > 0) {
        buf_commit(&text, (size_t)n);
    }
    (void)close(fd);
    if (n == 0) {
        apply(reg, path, buf_span(&text));
    } else {
        log_error(NULL, "%s cannot be read: all endpoints take their configured route", path);
    }
    buf_done(&text);
}

/* -- writing
 * -------------------------------------------------------------------------------------------------------
 */

static frun_err fill(struct buf *text, const struct registry *reg)
{
    size_t n = 0;
    const struct endpoint *e = registry_endpoints(reg, &n);
    frun_err err = buf_printf(text, "%s\n", ROADS_HEAD);
    for (size_t i = 0; !err && i < n; i++) {
        if (switchover_now(&e[i]) != (enum conf_route)e[i].conf->route) {
            err = buf_printf(text, "%s %.*s\n", switchover_name(switchover_now(&e[i])),
                             SPAN_FMT(e[i].name));
        }
    }
    return err ? err : buf_printf(text, "%s\n", ROADS_END);
}

frun_err switchover_file_write(const struct switchover *r, const struct registry *reg)
{
    char path[PATH_MAX];
    struct buf text;
    struct diag d = {.text = ""};
    buf_init(&text, ROADS_MAX_BYTES);
    (void)mkdir(r->folder, 0700); /* the standby_route may have come with a reload */
    frun_err err = path_of(r, path) ? fill(&text, reg) : FRUN_E_LIMIT;
    if (err) {
        diag_set(&d, "%s", err_text(err));
    } else {
        err = file_replace(path, buf_span(&text), &d);
    }
    buf_done(&text);
    if (err) {
        log_error(NULL,
                  "the switched roads cannot be kept in %s: %s; after a restart the road before "
                  "this switch counts; check [gateway] state_directory",
                  r->folder, d.text);
    }
    return err;
}

/* -- life
 * -------------------------------------------------------------------------------------------------------
 */

static bool is_needed(const struct conf_gw *c)
{
    for (size_t i = 0; i < c->n_endpoints; i++) {
        if (c->endpoints[i]->has_standby) {
            return true;
        }
    }
    return false;
}

static void look_at_folder(const struct switchover *r)
{
    if (mkdir(r->folder, 0700) && errno != EEXIST) {
        log_warning(NULL,
                    "state_directory %s cannot be made (%s): switches of endpoints will not "
                    "outlive a restart",
                    r->folder, strerrordesc_np(errno));
    } else if (access(r->folder, W_OK | X_OK)) {
        log_warning(NULL,
                    "state_directory %s cannot be written (%s): switches of endpoints will not "
                    "outlive a restart",
                    r->folder, strerrordesc_np(errno));
    }
}

frun_err switchover_new(struct gateway_shared *g, const struct registry *reg,
                        struct switchover **out)
{
    const struct conf_gw *c = registry_conf(reg);
    struct switchover *r = calloc(1, sizeof(*r));
    char *folder = strdup(c->gateway->state_directory);
    if (!r || !folder) {
        free(r);
        free(folder);
        return FRUN_E_NOMEM;
    }
    r->g = g;
    r->now = reg;
    r->folder = folder;
    if (is_needed(c)) {
        look_at_folder(r);
        read_file(r, reg);
    }
    *out = r;
    return FRUN_OK;
}

void switchover_recall(const struct registry *reg)
{
    const struct conf_gw *c = registry_conf(reg);
    const struct switchover r = {.folder = (char *)(uintptr_t)c->gateway->state_directory};
    if (is_needed(c)) {
        read_file(&r, reg);
    }
}

void switchover_free(struct switchover *r)
{
    if (r) {
        free(r->folder);
        free(r);
    }
}
