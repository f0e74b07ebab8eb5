/**
 * A set of signing keys: ECDSA on P-256 (ES256), each named by its thumbprint.
 *
 * Built once, then immutable and counted, so that any thread may sign and verify with it without a
 * lock; a changed set is another set. The newest key that every gateway has had time to read signs;
 * all keys of the set are accepted.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_OAUTH_KEYS_H
#define FRUN_OAUTH_KEYS_H

#include "frun/base/err.h"
#include "frun/base/secret.h"
#include "frun/base/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Keys of a set at most. */
#define KEYS_MAX 32

/** Octets of a key's name with the final NUL: base64url of a SHA-256. */
#define KEYS_ID_BYTES 44

/** Octets of an ES256 signature: r and s. */
#define KEYS_SIGNATURE_BYTES 64

/** Octets of a key file's name with the final NUL. */
#define KEYS_FILE_BYTES 256

/** A set. */
struct keys;

/** What is known of one key. */
struct keys_info {
    char id[KEYS_ID_BYTES];     /**< thumbprint */
    char file[KEYS_FILE_BYTES]; /**< where it came from, without folder */
    uint64_t made_s;            /**< when it was made, seconds since 1970 */
    bool is_private;            /**< it can sign */
};

/** Make an empty set, to be filled and sealed before anybody else sees it. @param out set;
 * keys_unref() it @return FRUN_OK; FRUN_E_NOMEM. Thread: any. */
frun_err keys_new(struct keys **out) FRUN_MUST_CHECK;

/**
 * Add a key. One that is in the set already is added once.
 *
 * @param k        set that is not sealed
 * @param pem      private key or public key, PEM, not encrypted
 * @param file     name for messages and keys_at(), copied
 * @param made_s   when it was made, seconds since 1970
 * @return FRUN_OK; FRUN_E_SYNTAX not a PEM key; FRUN_E_UNSUPPORTED not on curve P-256;
 * FRUN_E_EXISTS it is there; FRUN_E_LIMIT the set is full; FRUN_E_NOMEM
 * Thread: owner. Source: RFC 7518 3.4, 6.2; RFC 7638 3.
 */
frun_err keys_add(struct keys *k, struct span pem, const char *file,
                  uint64_t made_s) FRUN_MUST_CHECK;

/** Choose who signs and write the public texts; the set does not change any more. @param k set
 * @param now_s the time, seconds since 1970 @param settle_s a key signs when it is so old, unless
 * there is no older one @return FRUN_OK; FRUN_E_NOMEM. Thread: owner. */
frun_err keys_seal(struct keys *k, uint64_t now_s, uint64_t settle_s) FRUN_MUST_CHECK;

/** One more reference. @param k set @return @p k. Thread: any. */
struct keys *keys_ref(struct keys *k);

/** Give a reference back and forget it. @param k address of the reference, may hold NULL. Thread:
 * any. */
void keys_unref(struct keys **k);

/** How many keys? @param k set @return their number. Thread: any. */
size_t keys_count(const struct keys *k);

/** A key, newest first once the set is sealed. @param k set @param i 0.. @return it, lives with the
 * set. Thread: any. */
const struct keys_info *keys_at(const struct keys *k, size_t i);

/** Who signs? @param k sealed set @return it, or NULL: no private key. Thread: any. */
const struct keys_info *keys_signer(const struct keys *k);

/** Do two sets hold the same keys, and does the same one sign? @param a set or NULL @param b set
 * @return true if so. Thread: any. */
bool keys_same(const struct keys *a, const struct keys *b);

/** The public keys as a JWK set. @param k sealed set @return JSON, lives with the set. Thread: any.
 * Source: RFC 7517 5; RFC 7518 6.2. */
struct span keys_jwks(const struct keys *k);

/** The public keys as SAP's XSUAA shows them: as the JWK set, each with its PEM text in "value".
 * @param k sealed set @return JSON, lives with the set. Thread: any. */
struct span keys_token_keys(const struct keys *k);

/** Sign with keys_signer(). @param k sealed set @param text what is signed @param out r and s
 * @return FRUN_OK; FRUN_E_NOT_FOUND no private key; FRUN_E_NOMEM. Thread: any. Source: RFC 7518
 * 3.4. */
frun_err keys_sign(const struct keys *k, struct span text,
                   unsigned char out[KEYS_SIGNATURE_BYTES]) FRUN_MUST_CHECK;

/** Verify a signature. @param k sealed set @param id name of the key @param text what was signed
 * @param signature r and s @return FRUN_OK; FRUN_E_NOT_FOUND no such key; FRUN_E_DENIED the
 * signature is wrong, or not KEYS_SIGNATURE_BYTES long; FRUN_E_NOMEM. Thread: any. Source: RFC 7518
 * 3.4. */
frun_err keys_verify(const struct keys *k, struct span id, struct span text,
                     struct span signature) FRUN_MUST_CHECK;

/** Make a new private key. @param out PEM text (PKCS #8); secret_free() it @param id out: its name
 * @return FRUN_OK; FRUN_E_NOMEM. Thread: any. */
frun_err keys_make(struct secret **out, char id[KEYS_ID_BYTES]) FRUN_MUST_CHECK;

#endif
