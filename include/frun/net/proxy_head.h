/**
 * The PROXY protocol, versions 1 and 2: what a balancer writes before the first octet of a
 * connection, to tell whose connection it is.
 *
 * A parser alone, no I/O. Strict: one spelling of each number and address, no blank too many; what
 * is not exactly such a head is refused, because whoever writes it decides whom we believe to talk
 * to. TLVs of version 2 are skipped. Pure, no state.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_NET_PROXY_HEAD_H
#define FRUN_NET_PROXY_HEAD_H

#include "frun/base/err.h"
#include "frun/base/span.h"
#include "frun/net/addr.h"

#include <stdbool.h>
#include <stddef.h>

/** Octets of a head at most, TLVs included; version 2 could announce 65551, no balancer does. */
#define PROXY_HEAD_MAX_BYTES 4096

/** What a head tells. */
struct proxy_head {
    size_t len;      /**< octets of the head; what follows is the client's */
    bool has_source; /**< false: the balancer speaks for itself (LOCAL, UNKNOWN), a health check */
    struct addr source; /**< the client, if has_source */
};

/**
 * Read a head at the beginning of a connection.
 *
 * @param in   octets received so far, borrowed for the call
 * @param out  filled on success, untouched otherwise
 * @return FRUN_OK; FRUN_E_AGAIN it may become a head, and all of @p in belongs to it;
 * FRUN_E_SYNTAX it is none; FRUN_E_LIMIT longer than PROXY_HEAD_MAX_BYTES
 * Thread: any. Source: the PROXY protocol, 2020/03/05, sections 2.1 and 2.2.
 */
frun_err proxy_head_read(struct span in, struct proxy_head *out) FRUN_MUST_CHECK;

#endif
