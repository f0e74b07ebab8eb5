/**
 * application/x-www-form-urlencoded: the fields of a form body or a query.
 *
 * Strict where a lenient reader could be misled: a broken escape, a control character or too many
 * fields refuse the whole text. Repeated names are kept, so that the caller can refuse them. Pure;
 * the octets may be secrets, so decoded text is kept in the caller's memory alone.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_HTTP_FORM_H
#define FRUN_HTTP_FORM_H

#include "frun/base/err.h"
#include "frun/base/span.h"

#include <stddef.h>

/** Fields of a form at most. */
#define FORM_MAX_FIELDS 32

/** One field, decoded. */
struct form_field {
    struct span name;  /**< octets */
    struct span value; /**< octets, perhaps none; never absent */
};

/** A form; its spans lie in the memory given to form_parse(). */
struct form {
    struct form_field fields[FORM_MAX_FIELDS]; /**< in order */
    size_t n;                                  /**< their number */
};

/**
 * Decode a text and append its fields. Empty parts ("a=1&&b=2") are skipped.
 *
 * @param text     name=value pairs
 * @param room     memory for the decoded octets, text.n of them; must outlive @p out
 * @param out      in and out: begins with n = 0; undefined on failure
 * @return FRUN_OK; FRUN_E_SYNTAX broken escape, or a control character; FRUN_E_LIMIT more than
 * FORM_MAX_FIELDS Thread: any. Source: WHATWG URL 5.1; RFC 6749 B.
 */
frun_err form_parse(struct span text, char *room, struct form *out) FRUN_MUST_CHECK;

/** Find a field that may be there once. @param f form @param name its name @param value out: its
 * value, or absent @return FRUN_OK found or absent; FRUN_E_EXISTS it is there twice. Thread: any.
 * Source: RFC 6749 3.2. */
frun_err form_get(const struct form *f, struct span name, struct span *value) FRUN_MUST_CHECK;

/** Decode one value: escapes and '+'. @param text octets @param room text.n octets @param out the
 * decoded octets in @p room @return FRUN_OK; FRUN_E_SYNTAX broken escape, or a control character.
 * Thread: any. */
frun_err form_decode(struct span text, char *room, struct span *out) FRUN_MUST_CHECK;

#endif
