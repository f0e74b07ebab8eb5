/* SPDX-License-Identifier: Apache-2.0 */
#include "tls_tickets_int.h"

#include "frun/base/mono.h"
#include "frun/base/secret.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BYTES 16
#define KEY_BYTES  32

/* Octets of HMAC-SHA-512: one cipher key and one MAC key. */
#define HASH_BYTES 64

/* Keys of the two hours before, this hour and the next. */
#define N_KEYS 4
#define NOW    2

struct key {
    int64_t hour; /* since 1970 */
    unsigned char name[NAME_BYTES];
    unsigned char cipher[KEY_BYTES];
    unsigned char mac[KEY_BYTES];
};

/* Immutable once published. */
struct ring {
    struct key keys[N_KEYS]; /* by hour */
};

struct tls_tickets {
    atomic_uint refs;
    _Atomic(struct ring *) ring;      /* read by workers */
    struct ring *retired;             /* main's: replaced, wiped at the next turn */
    unsigned char secret[HASH_BYTES]; /* what the keys follow from */
    unsigned char context[HASH_BYTES];
    bool has_secret;
    EVP_CIPHER *cipher; /* looked up once, not for every ticket */
};

static void wipe_ring(struct ring *r)
{
    if (r) {
        secret_wipe(r, sizeof(*r));
        free(r);
    }
}

/* As HKDF's expansion does it: what is wanted and for when, under the secret. Source: RFC 5869. */
static bool derive(const struct tls_tickets *t, const char *what, int64_t hour,
                   unsigned char out[HASH_BYTES])
{
    unsigned char text[64] = {0};
    size_t n = strlen(what);
    memcpy(text, what, n);
    for (int i = 0; i < 8; i++) {
        text[n++] = (unsigned char)((uint64_t)hour >> (56 - 8 * i));
    }
    return HMAC(EVP_sha512(), t->secret, sizeof(t->secret), text, n, out, NULL) != NULL;
}

static bool make_key(const struct tls_tickets *t, int64_t hour, struct key *out)
{
    unsigned char keys[HASH_BYTES];
    unsigned char name[HASH_BYTES];
    bool is_made = true;
    if (t->has_secret) {
        is_made = derive(t, "frunproxy ticket keys", hour, keys) &&
                  derive(t, "frunproxy ticket name", hour, name);
    } else {
        mono_entropy(keys, sizeof(keys));
        mono_entropy(name, NAME_BYTES);
    }
    if (is_made) {
        out->hour = hour;
        memcpy(out->name, name, NAME_BYTES);
        memcpy(out->cipher, keys, KEY_BYTES);
        memcpy(out->mac, keys + KEY_BYTES, KEY_BYTES);
    }
    secret_wipe(keys, sizeof(keys));
    return is_made;
}

static bool fill(const struct tls_tickets *t, const struct ring *old, int64_t first,
                 struct ring *out)
{
    for (int i = 0; i < N_KEYS; i++) {
        int64_t hour = first + i;
        int64_t at = old ? hour - old->keys[0].hour : -1;
        if (at >= 0 && at < N_KEYS) {
            out->keys[i] = old->keys[at];
        } else if (!make_key(t, hour, &out->keys[i])) {
            return false;
        }
    }
    return true;
}

/* false: nothing has changed, it is tried again at the next turn. */
static bool turn(struct tls_tickets *t, int64_t now_s)
{
    int64_t first = now_s / TLS_TICKETS_PERIOD_S - NOW;
    struct ring *old = atomic_load_explicit(&t->ring, memory_order_relaxed);
    wipe_ring(t->retired);
    t->retired = NULL;
    if (old && old->keys[0].hour == first) {
        return true;
    }
    struct ring *r = calloc(1, sizeof(*r));
    if (!r || !fill(t, old, first, r)) {
        wipe_ring(r);
        return false;
    }
    atomic_store_explicit(&t->ring, r, memory_order_release);
    t->retired = old;
    return true;
}

void tls_tickets_turn(struct tls_tickets *t, int64_t now_s)
{
    (void)turn(t, now_s);
}

/* The secret as the keys follow from it, of any length made one. */
static bool digest(struct span secret, unsigned char out[HASH_BYTES])
{
    static const unsigned char salt[] = "frunproxy";
    return HMAC(EVP_sha512(), salt, sizeof(salt) - 1, (const unsigned char *)secret.p, secret.n,
                out, NULL) != NULL;
}

frun_err tls_tickets_new(struct span secret, int64_t now_s, struct tls_tickets **out)
{
    struct tls_tickets *t = calloc(1, sizeof(*t));
    if (!t) {
        return FRUN_E_NOMEM;
    }
    atomic_init(&t->refs, 1);
    atomic_init(&t->ring, NULL);
    t->has_secret = secret.n > 0;
    t->cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    bool is_made = t->cipher != NULL;
    if (t->has_secret) {
        is_made = is_made && digest(secret, t->secret);
    } else {
        mono_entropy(t->secret, sizeof(t->secret));
    }
    if (!is_made || !derive(t, "frunproxy session context", 0, t->context) || !turn(t, now_s)) {
        tls_tickets_free(t);
        return FRUN_E_NOMEM;
    }
    *out = t;
    return FRUN_OK;
}

struct tls_tickets *tls_tickets_ref(struct tls_tickets *t)
{
    atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
    return t;
}

bool tls_tickets_is_of(const struct tls_tickets *t, struct span secret)
{
    unsigned char made[HASH_BYTES];
    bool is_it = t->has_secret == (secret.n > 0);
    if (is_it && t->has_secret) {
        is_it = digest(secret, made) &&
                secret_equal(span_make(made, sizeof(made)), span_make(t->secret, HASH_BYTES));
        secret_wipe(made, sizeof(made));
    }
    return is_it;
}

void tls_tickets_free(struct tls_tickets *t)
{
    if (!t || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    wipe_ring(atomic_load_explicit(&t->ring, memory_order_relaxed));
    wipe_ring(t->retired);
    EVP_CIPHER_free(t->cipher);
    secret_wipe(t, sizeof(*t));
    free(t);
}

void tls_tickets_context(const struct tls_tickets *t, unsigned char out[TLS_TICKETS_CONTEXT_BYTES])
{
    memcpy(out, t->context, TLS_TICKETS_CONTEXT_BYTES);
}

static bool start_mac(EVP_MAC_CTX *mac, const struct key *k)
{
    char digest[] = "SHA256"; /* the parameter wants a writable text */
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                           OSSL_PARAM_construct_end()};
    return EVP_MAC_init(mac, k->mac, sizeof(k->mac), params) == 1;
}

static int seal(const struct tls_tickets *t, const struct key *k, unsigned char *iv,
                EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
    return RAND_bytes(iv, EVP_CIPHER_get_iv_length(t->cipher)) == 1 &&
                   EVP_EncryptInit_ex2(cipher, t->cipher, k->cipher, iv, NULL) == 1 &&
                   start_mac(mac, k)
               ? 1
               : -1;
}

int tls_tickets_key(const struct tls_tickets *t, unsigned char name[NAME_BYTES],
                    unsigned char iv[EVP_MAX_IV_LENGTH], EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
                    int is_sealing)
{
    const struct ring *r = atomic_load_explicit(&t->ring, memory_order_acquire);
    if (is_sealing) {
        memcpy(name, r->keys[NOW].name, NAME_BYTES);
        return seal(t, &r->keys[NOW], iv, cipher, mac);
    }
    for (int i = 0; i < N_KEYS; i++) {
        const struct key *k = &r->keys[i];
        if (memcmp(name, k->name, NAME_BYTES) != 0) {
            continue;
        }
        if (EVP_DecryptInit_ex2(cipher, t->cipher, k->cipher, iv, NULL) != 1 ||
            !start_mac(mac, k)) {
            return -1;
        }
        return i < NOW ? 2 : 1;
    }
    return 0;
}
