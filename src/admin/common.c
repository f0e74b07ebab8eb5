/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/admin/common.h"

#include "frun/admin/json.h"
#include "frun/base/log.h"

#include <jansson.h>
#include <string.h>
#include <time.h>

/** Octets of a time as text. */
#define TIME_BYTES 40

/* -- log level
 * -------------------------------------------------------------------------------------------------
 */

static void get_level(void *ctx, struct admin_request *r)
{
    (void)ctx;
    admin_json_answer(r, json_pack("{s:s}", "level", log_level_name(log_level_now())));
}

static void post_level(void *ctx, struct admin_request *r)
{
    (void)ctx;
    json_t *body = admin_json_body(r);
    if (!body) {
        return;
    }
    const char *name = json_string_value(json_object_get(body, "level"));
    enum log_level level = LOG_LEVEL_ERROR;
    while (name && level < LOG_LEVEL_DEBUG && strcmp(name, log_level_name(level)) != 0) {
        level++;
    }
    if (!name || strcmp(name, log_level_name(level)) != 0) {
        admin_request_fail(r, 400, "level: error, warning, info or debug");
    } else {
        /* Told at the chattier of the two levels, so that it is seen. */
        if (level < log_level_now()) {
            log_info("admin", "%s sets the log level to %s", admin_request_peer(r)->name, name);
        }
        bool is_more = level > log_level_now();
        log_set_level(level);
        if (is_more) {
            log_info("admin", "%s sets the log level to %s", admin_request_peer(r)->name, name);
        }
        admin_json_answer(r, json_pack("{s:s}", "level", name));
    }
    json_decref(body);
}

static const struct admin_route routes[] = {
    {"GET", "/api/v1/log/level", false, get_level},
    {"POST", "/api/v1/log/level", true, post_level},
};

frun_err admin_common_add(struct admin_server *s)
{
    return admin_server_add(s, routes, sizeof(routes) / sizeof(routes[0]), NULL);
}

/* -- configuration
 * --------------------------------------------------------------------------------------------- */

static json_t *list_json(const struct conf_list *l)
{
    json_t *all = json_array();
    for (size_t i = 0; i < l->n; i++) {
        admin_json_append(&all, admin_json_text(l->items[i]));
    }
    return all;
}

static bool is_secret(const struct conf_row *row)
{
    return row->type == CONF_SECRET || (row->choices && (strcmp(row->choices, "hash") == 0 ||
                                                         strcmp(row->choices, "fence") == 0));
}

static json_t *choice_json(const char *choices, int index)
{
    struct span rest = span_of(choices);
    struct span part;
    for (int i = 0; span_split(&rest, '|', &part); i++) {
        if (i == index) {
            return json_stringn(part.p, part.n);
        }
    }
    return json_null();
}

/* NULL: it has no value. */
static json_t *value_json(const void *section, const struct conf_row *row)
{
    const void *at = (const char *)section + row->offset;
    const char *text = NULL;
    uint64_t number = 0;
    const struct secret *secret = NULL;
    switch (row->type) {
    case CONF_TEXT:
    case CONF_PATH:
    case CONF_FOLDER:
    case CONF_ADDRESS:
        memcpy(&text, at, sizeof(text));
        return !text ? NULL : admin_json_text(is_secret(row) ? "***" : text);
    case CONF_SECRET:
        memcpy(&secret, at, sizeof(secret));
        return secret ? json_string("***") : NULL;
    case CONF_BOOL:
        return json_boolean(*(const bool *)at);
    case CONF_UINT:
    case CONF_SIZE:
    case CONF_TIME:
    case CONF_WORKERS:
        memcpy(&number, at, sizeof(number));
        return json_integer((json_int_t)number);
    case CONF_CHOICE:
        return choice_json(row->choices, *(const int *)at);
    case CONF_LIST:
    case CONF_LINES:
        return is_secret(row) ? json_string("***") : list_json(at);
    }
    return NULL;
}

static json_t *section_json(const void *section, const struct conf_kind *kind)
{
    const struct conf_place *place = section;
    json_t *o = json_object();
    if (kind->is_named) {
        admin_json_set(&o, "name", admin_json_text(place->name));
    }
    for (size_t i = 0; i < kind->n_rows; i++) {
        json_t *v = value_json(section, &kind->rows[i]);
        if (v) {
            admin_json_set(&o, kind->rows[i].key, v);
        }
    }
    return o;
}

struct json_t *admin_common_config(const struct conf_doc *doc, const struct conf_kind *kinds,
                                   size_t n)
{
    json_t *all = json_object();
    for (size_t i = 0; all && i < n; i++) {
        size_t n_sections = 0;
        void *const *sections = conf_sections(doc, kinds[i].word, &n_sections);
        json_t *list = json_array();
        for (size_t k = 0; k < n_sections; k++) {
            admin_json_append(&list, section_json(sections[k], &kinds[i]));
        }
        if (json_object_set_new(all, kinds[i].word, list)) {
            json_decref(all);
            all = NULL;
        }
    }
    return all;
}

/* -- certificates
 * ---------------------------------------------------------------------------------------------- */

struct json_t *admin_common_certificate(const char *what, const char *name, int64_t until_s)
{
    char text[TIME_BYTES] = "";
    time_t until = (time_t)until_s;
    struct tm parts;
    if (!gmtime_r(&until, &parts) || !strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts)) {
        text[0] = '\0';
    }
    json_int_t left_s = (json_int_t)until_s - (json_int_t)time(NULL);
    return json_pack("{s:s, s:s, s:s, s:I, s:s}", "what", what, "name", name, "until", text,
                     "days_left", left_s / 86400, "state", left_s < 0 ? "expired" : "valid");
}
