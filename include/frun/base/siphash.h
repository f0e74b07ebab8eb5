/**
 * SipHash-2-4 with 128 bits: a keyed hash of short texts.
 *
 * Whoever does not know the key can neither choose nor predict values, so they may stand for what
 * they were made from: in a hash table strangers can fill, or instead of a credential. Not for
 * passwords at rest and not for signatures.
 *
 * OpenSSL has it too, but there each value costs a search for the parameters by name, more than the
 * hashing itself.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_BASE_SIPHASH_H
#define FRUN_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

/** Octets of a key. */
#define SIPHASH_KEY_BYTES 16

/** Octets of a value. */
#define SIPHASH_BYTES 16

/** A value being made, or a key ready for many of them: copy it then. Wipe it with the key. */
struct siphash {
    uint64_t v[4];   /**< private: state */
    uint64_t rest;   /**< private: octets that are no whole word yet, the first one lowest */
    uint64_t length; /**< private: octets so far */
};

/** Begin. @param h state @param key SIPHASH_KEY_BYTES random octets. Thread: owner. Source:
 * Aumasson, Bernstein: SipHash, a fast short-input PRF. */
void siphash_init(struct siphash *h, const unsigned char key[SIPHASH_KEY_BYTES]);

/** Take more of the text. @param h state @param p octets @param n their number. Thread: owner. */
void siphash_update(struct siphash *h, const void *p, size_t n);

/** End. @param h state, of no use any more @param out SIPHASH_BYTES octets. Thread: owner. */
void siphash_final(struct siphash *h, unsigned char out[SIPHASH_BYTES]);

#endif
