/**
 * Answers in JSON.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_ADMIN_JSON_H
#define FRUN_ADMIN_JSON_H

#include "frun/admin/server.h"

struct json_t;

/** Answer 200 with a JSON value; the request is gone afterwards. @param r request @param value
 * taken; NULL: memory was refused while it was made, the answer is 500 then. Thread: owner. */
void admin_json_answer(struct admin_request *r, struct json_t *value);

/** A JSON text of octets that may be anything: those of a text that is no UTF-8 become "?". @param
 * s text @return value, json_decref() it; NULL: no memory. Thread: any. */
struct json_t *admin_json_text(const char *s);

/** A time that may not have been measured yet. @param us microseconds; 0: not measured @return
 * milliseconds, or null, json_decref() it; NULL: no memory. Thread: any. */
struct json_t *admin_json_ms(uint64_t us);

/** Put a value into an object. If memory is refused, or was for the value, the whole object is
 * given up: half of one would be taken for all there is. @param o address of the object, NULL there
 * on failure and ever after @param key constant name @param value taken, or NULL. Thread: any. */
void admin_json_set(struct json_t **o, const char *key, struct json_t *value);

/** The same for the end of an array. @param list address of the array @param value taken, or NULL.
 * Thread: any. */
void admin_json_append(struct json_t **list, struct json_t *value);

/** Read the request's body as a JSON object; an empty body is an empty object. @param r request;
 * answered with 400 or 500, and gone, on failure @return object, json_decref() it; NULL on failure.
 * Thread: owner. */
struct json_t *admin_json_body(struct admin_request *r);

#endif
