/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/admin/reloading.h"

#include "frun/admin/json.h"
#include "frun/base/log.h"
#include "frun/base/span.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* -- gathering
 * -------------------------------------------------------------------------------------------------
 */

void admin_reloading_ask(struct admin_reloading *x, struct admin_request *r)
{
    if (x->n_queued == ADMIN_MAX_CONNECTIONS) {
        admin_request_fail(r, 503, "too many wait for a reload already");
        return;
    }
    x->queued[x->n_queued++] = r;
}

static void close_report(struct admin_reloading *x)
{
    if (x->report && fclose(x->report)) {
        free(x->text);
        x->text = NULL;
    }
    x->report = NULL;
}

static void forget(struct admin_reloading *x)
{
    close_report(x);
    free(x->text);
    x->text = NULL;
    conf_changes_done(&x->live);
    conf_changes_done(&x->restart);
}

FILE *admin_reloading_begin(struct admin_reloading *x)
{
    forget(x);
    memcpy(x->asked, x->queued, sizeof(x->asked));
    x->n_asked = x->n_queued;
    x->n_queued = 0;
    x->report = open_memstream(&x->text, &x->text_len);
    return x->report;
}

frun_err admin_reloading_compare(struct admin_reloading *x, const struct conf_doc *started,
                                 const struct conf_doc *before, const struct conf_doc *now)
{
    frun_err err = conf_diff(before, now, CONF_RELOAD_LIVE, &x->live);
    return err ? err : conf_diff(started, now, CONF_RELOAD_RESTART, &x->restart);
}

/* -- in JSON
 * -------------------------------------------------------------------------------------------------
 */

static json_t *list_of(const struct conf_changes *c)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < c->n; i++) {
        const struct conf_change *x = &c->all[i];
        json_t *v = json_pack("{s:s, s:s?, s:s?, s:s?}", "section", x->section, "key", x->key,
                              "before", x->before, "now", x->now);
        if (json_array_append_new(list, v)) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

static json_t *lines_of(const char *text)
{
    struct span rest = span_of(text ? text : "");
    struct span line;
    json_t *list = json_array();
    while (list && rest.n && span_split(&rest, '\n', &line)) {
        if (line.n && json_array_append_new(list, json_stringn(line.p, line.n))) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

static json_t *answer_of(const struct admin_reloading *x, const char *result, const char *why)
{
    return json_pack("{s:s, s:s?, s:o, s:o, s:o, s:I}", "result", result, "why", why, "report",
                     lines_of(x->text), "changes", list_of(&x->live), "restart",
                     list_of(&x->restart), "more",
                     (json_int_t)x->live.n_more + (json_int_t)x->restart.n_more);
}

/* -- telling
 * -------------------------------------------------------------------------------------------------
 */

static void log_report(const char *text)
{
    struct span rest = span_of(text ? text : "");
    struct span line;
    char copy[1024];
    while (rest.n && span_split(&rest, '\n', &line)) {
        (void)snprintf(copy, sizeof(copy), "%.*s", SPAN_FMT(line));
        if (line.n) {
            log_line(strstr(copy, ": warning: ") ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR, "reload",
                     "%s", copy);
        }
    }
}

static void log_changes(const struct conf_changes *c, const char *behind)
{
    char text[3 * CONF_CHANGE_BYTES];
    for (size_t i = 0; i < c->n && i < ADMIN_RELOADING_MAX_LINES; i++) {
        conf_change_text(&c->all[i], text, sizeof(text));
        log_info("reload", "%s%s", text, behind);
    }
    size_t n_all = c->n + c->n_more;
    if (n_all > ADMIN_RELOADING_MAX_LINES) {
        log_info("reload", "and %zu changes more", n_all - ADMIN_RELOADING_MAX_LINES);
    }
}

void admin_reloading_end(struct admin_reloading *x, const char *cause, const char *kept,
                         uint64_t ms)
{
    close_report(x);
    log_report(x->text);
    if (kept) {
        log_error("reload", "%s: the configuration in use is kept, nothing has changed: %s", cause,
                  kept);
        audit_tell(x->audit, &(struct audit_event){.name = "config.reloaded",
                                                   .outcome = "failed",
                                                   .who = span_of(cause),
                                                   .detail = span_of(kept)});
    } else {
        log_changes(&x->live, "");
        log_changes(&x->restart, " (with the next restart)");
        audit_changes(x->audit, cause, &x->live, "");
        audit_changes(x->audit, cause, &x->restart, " with the next restart");
        if (x->live.n + x->restart.n == 0) {
            /* certificates, keys, CAs, revocation lists, secrets may be others all the same */
            audit_tell(x->audit, &(struct audit_event){
                                     .name = "config.reloaded",
                                     .outcome = "ok",
                                     .who = span_of(cause),
                                     .detail = SPAN_LIT("no key has changed; the files that the "
                                                        "configuration names were read anew")});
        }
        log_info("reload", "%s: the changed configuration is in use after %llu ms: %zu change(s)%s",
                 cause, (unsigned long long)ms, x->live.n + x->live.n_more,
                 x->restart.n ? ", others need a restart" : "");
    }
    for (size_t i = 0; i < x->n_asked; i++) {
        admin_json_answer(x->asked[i], answer_of(x, kept ? "kept" : "used", kept));
    }
    x->n_asked = 0;
    forget(x);
}

void admin_reloading_preview(struct admin_reloading *x, struct admin_request *r, bool is_good)
{
    close_report(x);
    admin_json_answer(r, answer_of(x, is_good ? "good" : "bad", NULL));
    forget(x);
}

void admin_reloading_done(struct admin_reloading *x)
{
    for (size_t i = 0; i < x->n_asked; i++) {
        admin_request_fail(x->asked[i], 503, "the daemon is stopping");
    }
    for (size_t i = 0; i < x->n_queued; i++) {
        admin_request_fail(x->queued[i], 503, "the daemon is stopping");
    }
    x->n_asked = x->n_queued = 0;
    forget(x);
}
