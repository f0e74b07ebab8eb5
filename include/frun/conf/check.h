/**
 * Named checks of values: what a row's "choices" column may name, and grammars the cross-checks
 * share.
 *
 * Each check is a pure function from text to a reason for a person. Pure, no state.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_CONF_CHECK_H
#define FRUN_CONF_CHECK_H

#include "frun/base/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * Apply a check by its name: address, auth, authority, carrier, cidr, claim, client, client_id,
 * customer_network, digits, dn, fence, host, hash, https_url, issuer, listen, map, method, name,
 * path, proxy, public_url, san, sha256, sid, signature, subject, target, time, url, user.
 *
 * @param check    name of the check, one of the above
 * @param value    text
 * @return NULL it fits; else a constant text: what is wrong and what would be right
 * Thread: any.
 */
const char *conf_check(const char *check, struct span value);

/** Is it host[:port] (reg-name with '_', IPv4 or [IPv6]; port 1..65535)? @param s text @param host
 * out: host without port, may be NULL @param port out: number, 0 if left out, may be NULL @return
 * true if so. Thread: any. */
bool conf_check_authority(struct span s, struct span *host, unsigned *port);

/** Is it a time like 2026-11-22T10:00:00Z? @param s text @param out seconds since 1970, may be NULL
 * @return true if so. Thread: any. Source: RFC 3339, UTC and whole seconds alone. */
bool conf_check_time(struct span s, uint64_t *out);

/** Octets of a SHA-256. */
#define CONF_SHA256_BYTES 32

/** Is it a SHA-256: 64 hexadecimal digits, perhaps with ':' between octets? @param s text @param
 * out octets, may be NULL @return true if so. Thread: any. */
bool conf_check_sha256(struct span s, unsigned char out[CONF_SHA256_BYTES]);

/** Is it a token of RFC 9110? @param s text @return true if so. Thread: any. */
bool conf_check_token(struct span s);

/** Take "header NAME", "query NAME", "both HEADER QUERY" or "none" apart. @param s text @param
 * header out: field name, absent without @param query out: parameter name, absent without @return
 * NULL, or a constant text: what is wrong. Thread: any. */
const char *conf_check_carrier(struct span s, struct span *header, struct span *query);

/** Take "FROM TO" of a path mapping apart. @param s text @param from out: canonical path @param to
 * out: path at or below /sap/frun @return NULL, or a constant text: what is wrong. Thread: any. */
const char *conf_check_map(struct span s, struct span *from, struct span *to);

/** The known word closest to a misspelt one. @param word as written @param known candidates @param
 * n their number @return the closest, or NULL: none is close. Thread: any. */
const char *conf_check_nearest(const char *word, const char *const *known, size_t n);

#endif
