/**
 * Socket addresses and their text.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_NET_ADDR_H
#define FRUN_NET_ADDR_H

#include "frun/base/err.h"
#include "frun/base/span.h"

#include <stdbool.h>
#include <sys/socket.h>

/** Octets of the longest address text with port and final NUL. */
#define ADDR_TEXT_BYTES 64

/** An IPv4 or IPv6 socket address. */
struct addr {
    struct sockaddr_storage ss; /**< family AF_INET or AF_INET6 */
    socklen_t len;              /**< octets in use */
};

/** Parse a numeric address "192.0.2.1:443" or "[2001:db8::1]:443" ("*:443" is [::]:443). @param
 * text text @param out address @return FRUN_OK; FRUN_E_SYNTAX. Thread: any. */
frun_err addr_parse(const char *text, struct addr *out) FRUN_MUST_CHECK;

/** Address with port as text. @param a address @param out ADDR_TEXT_BYTES octets. Thread: any. */
void addr_text(const struct addr *a, char out[ADDR_TEXT_BYTES]);

/** Address alone, no port, no brackets; an IPv4-mapped IPv6 address as IPv4. @param a address
 * @param out ADDR_TEXT_BYTES octets. Thread: any. */
void addr_host_text(const struct addr *a, char out[ADDR_TEXT_BYTES]);

/** Port. @param a address @return 0..65535. Thread: any. */
unsigned addr_port(const struct addr *a);

/** Are they the same address and port? @param a one @param b the other @return true if so. Thread:
 * any. */
bool addr_same(const struct addr *a, const struct addr *b);

/** Split "host:port", "IPv4:port" or "[IPv6]:port". @param text text @param host out: span without
 * brackets @param port out: 1..65535 @return FRUN_OK; FRUN_E_SYNTAX. Thread: any. */
frun_err addr_split(struct span text, struct span *host, unsigned *port) FRUN_MUST_CHECK;

#endif
