/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/admin/json.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static int put(const char *text, size_t n, void *arg)
{
    struct buf *out = arg;
    return buf_put(out, span_make(text, n)) ? -1 : 0;
}

/* Digits of a number: 0.36 is to be read as 0.36, not as what comes nearest to it in binary. */
#define DIGITS 15

json_t *admin_json_ms(uint64_t us)
{
    return us ? json_real((double)us / 1000.0) : json_null();
}

void admin_json_answer(struct admin_request *r, struct json_t *value)
{
    struct buf body;
    buf_init(&body, ADMIN_MAX_ANSWER_BYTES);
    bool is_good =
        value &&
        json_dump_callback(value, put, &body, JSON_COMPACT | JSON_REAL_PRECISION(DIGITS)) == 0 &&
        buf_put(&body, SPAN_LIT("\n")) == FRUN_OK;
    json_decref(value);
    if (is_good) {
        admin_request_answer(r, 200, "application/json", &body);
    } else {
        admin_request_fail(r, 500, "out of memory");
    }
    buf_done(&body);
}

void admin_json_set(struct json_t **o, const char *key, struct json_t *value)
{
    if (json_object_set_new(*o, key, value)) { /* takes the value in any case */
        json_decref(*o);
        *o = NULL;
    }
}

void admin_json_append(struct json_t **list, struct json_t *value)
{
    if (json_array_append_new(*list, value)) {
        json_decref(*list);
        *list = NULL;
    }
}

struct json_t *admin_json_body(struct admin_request *r)
{
    struct span text = admin_request_body(r);
    json_error_t e;
    if (text.n == 0) {
        json_t *none = json_object();
        if (!none) {
            admin_request_fail(r, 500, "out of memory");
        }
        return none;
    }
    json_t *value = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, &e);
    /* Where memory is refused jansson sets no text. */
    if (!value && (!e.text[0] || json_error_code(&e) == json_error_out_of_memory)) {
        admin_request_fail(r, 500, "out of memory");
        return NULL;
    }
    if (!json_is_object(value)) {
        json_decref(value);
        admin_request_fail(r, 400, "the body is no JSON object");
        return NULL;
    }
    return value;
}

struct json_t *admin_json_text(const char *s)
{
    json_t *v = json_string(s);
    if (v) {
        return v;
    }
    char *plain = strdup(s);
    for (char *at = plain; at && *at; at++) {
        if ((unsigned char)*at >= 0x80) {
            *at = '?';
        }
    }
    v = plain ? json_string(plain) : NULL;
    free(plain);
    return v;
}
