/**
 * Keys of session tickets: shared by all workers, changed every hour, accepted as long as tickets
 * live, then wiped.
 *
 *     hour       -2    -1     0    +1
 *     opens       x     x     x     x
 *     seals                   x
 *
 * Without a secret the keys are random. With one they follow from the secret and the hour, so that
 * several gateways behind one name take each other's tickets although they never speak; the key of
 * the coming hour is there for gateways whose clock is ahead.
 *
 * The workers read a ring of keys through one atomic pointer, without a lock. A ring that has been
 * replaced is wiped at the next turn, a minute later, when no reader can be left.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_NET_TLS_TICKETS_INT_H
#define FRUN_NET_TLS_TICKETS_INT_H

#include "frun/base/err.h"
#include "frun/base/span.h"

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

/** How long one key seals new tickets, seconds. */
#define TLS_TICKETS_PERIOD_S INT64_C(3600)

/** How long a ticket lives, seconds: two periods, so that three keys open all live ones. */
#define TLS_TICKETS_LIFE_S 7200

/** Octets of a session id context. */
#define TLS_TICKETS_CONTEXT_BYTES 16

/** Keys of one context. */
struct tls_tickets;

/** Make keys. @param secret what they follow from, absent: random ones @param now_s seconds since
 * 1970 @param out keys; tls_tickets_free() them @return FRUN_OK; FRUN_E_NOMEM. Thread: main. */
frun_err tls_tickets_new(struct span secret, int64_t now_s,
                         struct tls_tickets **out) FRUN_MUST_CHECK;

/** One more reference. @param t keys @return @p t. Thread: any. */
struct tls_tickets *tls_tickets_ref(struct tls_tickets *t);

/** Do the keys follow from this secret? @param t keys @param secret as for tls_tickets_new()
 * @return true if so. Thread: main. */
bool tls_tickets_is_of(const struct tls_tickets *t, struct span secret);

/** Give a reference back; the last one wipes and frees. @param t keys or NULL. Thread: any, no
 * handshake of the caller's uses them any more. */
void tls_tickets_free(struct tls_tickets *t);

/** Change keys if their time has come; wipe what the last change has replaced. @param t keys @param
 * now_s seconds since 1970. Thread: main, at most every few seconds. */
void tls_tickets_turn(struct tls_tickets *t, int64_t now_s);

/** What tells sessions of this context from those of others; the same for the same secret. @param t
 * keys @param out session id context. Thread: main. */
void tls_tickets_context(const struct tls_tickets *t, unsigned char out[TLS_TICKETS_CONTEXT_BYTES]);

/** Seal or open a ticket. @param t keys @param name key name, filled when sealing @param iv filled
 * when sealing @param cipher prepared @param mac prepared @param is_sealing what to do @return what
 * SSL_CTX_set_tlsext_ticket_key_evp_cb() wants: 1 done, 2 done and the client should get a new
 * ticket, 0 no such key, -1 failure. Thread: any. Source: RFC 5077 4. */
int tls_tickets_key(const struct tls_tickets *t, unsigned char name[16],
                    unsigned char iv[EVP_MAX_IV_LENGTH], EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
                    int is_sealing);

#endif
