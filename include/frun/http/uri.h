/**
 * Request targets: one canonical form, or a refusal.
 *
 * What is matched, what is authorised and what is forwarded is the same string. A path that another
 * reader could understand differently is refused, never repaired: encoded slash, backslash, NUL or
 * other control, backslash itself, a dot segment (plain, encoded or with a ";" parameter), "//", a
 * bad percent escape, an escaped unreserved character ("%66" for "f"), an escaped escape ("%252e"),
 * escaped octets that are not UTF-8 of the shortest form, a segment that is only a ";" parameter,
 * '#', anything outside RFC 3986 pchar. A query may have any visible ASCII but '#', because clients
 * send quotes and braces raw; its escapes must be well-formed and none may be "%00".
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_HTTP_URI_H
#define FRUN_HTTP_URI_H

#include "frun/base/arena.h"
#include "frun/base/err.h"
#include "frun/base/span.h"

#include <stdbool.h>

/** A target taken apart; spans borrow from the target. */
struct uri {
    struct span path;      /**< begins with '/' */
    struct span query;     /**< behind '?', octets as sent; absent (p == NULL) without '?' */
    struct span authority; /**< of an absolute-form target; absent in origin-form */
};

/**
 * Take a target apart and check it.
 *
 * @param target   origin-form or absolute-form (http or https)
 * @param host     Host value; an absolute-form target must agree with it (default port aside, no
 * case)
 * @param out      filled on success
 * @param why      out: on failure a constant text for a person
 * @return FRUN_OK; FRUN_E_SYNTAX refused (answer 400)
 * Thread: any. Source: RFC 3986 3.3, 6; RFC 9112 3.2.
 */
frun_err uri_parse(struct span target, struct span host, struct uri *out,
                   const char **why) FRUN_MUST_CHECK;

/** Is @p path equal to @p root or below it, on a segment boundary? "/a/" counts as below "/a"; root
 * "/" covers all. @param path canonical @param root without final '/', or "/" @return true if so.
 * Thread: any. */
bool uri_is_under(struct span path, struct span root);

/** Is it host[:port] with a sane host (reg-name, IPv4 or [IPv6]) and port 1..65535 if present? '_'
 * is allowed. @param s text @param host out: host, may be NULL @param port out: number or 0, may be
 * NULL @return true if so. Thread: any. */
bool uri_is_authority(struct span s, struct span *host, unsigned *port);

/** Which query keys uri_query_drop() removes. @param key raw key, still encoded @param ctx the
 * caller's @return true to remove. */
typedef bool (*uri_key_fn)(struct span key, void *ctx);

/**
 * Remove parameters from a query; the octets of all others stay as they are and in order.
 *
 * Parameters are separated by '&' or ';' (some servers take both). If nothing is removed, @p out
 * borrows @p query.
 *
 * @param query    raw query, may be absent
 * @param is_dropped asked for each raw key
 * @param ctx      for @p is_dropped
 * @param a        memory
 * @param out      the rest; absent if nothing is left
 * @return FRUN_OK; FRUN_E_NOMEM
 * Thread: owner.
 */
frun_err uri_query_drop(struct span query, uri_key_fn is_dropped, void *ctx, struct arena *a,
                        struct span *out) FRUN_MUST_CHECK;

/** Does the raw key, percent- and plus-decoded, equal @p name without case ('_' and '-' alike)?
 * @param key raw key @param name plain name @return true if so. Thread: any. */
bool uri_key_is(struct span key, struct span name);

/** Percent-encode everything but unreserved characters. @param s text @param a memory @param out
 * encoded @return FRUN_OK; FRUN_E_NOMEM. Thread: owner. */
frun_err uri_encode(struct span s, struct arena *a, struct span *out) FRUN_MUST_CHECK;

#endif
