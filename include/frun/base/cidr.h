/**
 * Networks as people write them, "10.0.0.0/8" or "2001:db8::/32", and whether an address is in one.
 *
 * Pure, no state. An IPv4-mapped IPv6 address counts as the IPv4 address that it is, so that a
 * socket for both families does not get around a list.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_BASE_CIDR_H
#define FRUN_BASE_CIDR_H

#include "frun/base/err.h"
#include "frun/base/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

/** A network. */
struct cidr {
    unsigned char net[16]; /**< its address: 4 octets of IPv4 or 16 of IPv6, the rest 0 */
    unsigned bits;         /**< length of the prefix, 0..32 or 0..128 */
    bool is_v6;            /**< IPv6, else IPv4 */
};

/** Read ADDRESS/BITS, or an address alone, which is a network of one. @param text text @param out
 * network; untouched on failure @return FRUN_OK; FRUN_E_SYNTAX no address, or no number behind the
 * '/'; FRUN_E_LIMIT more bits than the address has, or address bits set behind the prefix. Thread:
 * any. Source: RFC 4632 3.1, RFC 4291 2.3. */
frun_err cidr_parse(struct span text, struct cidr *out) FRUN_MUST_CHECK;

/** Is an address in one of these networks? @param nets networks @param n their number @param a
 * socket address @return true if so; false for families other than IPv4 and IPv6. Thread: any. */
bool cidr_any_has(const struct cidr *nets, size_t n, const struct sockaddr_storage *a);

#endif
