/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/oauth/keys.h"

#include "ecdsa_int.h"
#include "frun/base/buf.h"
#include "frun/base/text.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** Octets of a coordinate. */
#define COORDINATE_BYTES 32

/** Octets of a coordinate in base64url with padding and NUL, as text_base64url() needs them. */
#define COORDINATE_TEXT TEXT_BASE64_BYTES(COORDINATE_BYTES)

/** Octets of the public texts of a full set. */
#define TEXT_MAX_BYTES ((size_t)KEYS_MAX * 1024)

struct key {
    struct keys_info info;
    EVP_PKEY *pkey;
    char x[COORDINATE_TEXT];
    char y[COORDINATE_TEXT];
};

struct keys {
    atomic_int refs;
    size_t n;
    const struct key *signer; /* NULL: nobody can */
    struct key list[KEYS_MAX];
    struct buf jwks;
    struct buf token_keys;
};

frun_err keys_new(struct keys **out)
{
    struct keys *k = calloc(1, sizeof(*k));
    if (!k) {
        return FRUN_E_NOMEM;
    }
    atomic_init(&k->refs, 1);
    buf_init(&k->jwks, TEXT_MAX_BYTES);
    buf_init(&k->token_keys, TEXT_MAX_BYTES);
    *out = k;
    return FRUN_OK;
}

struct keys *keys_ref(struct keys *k)
{
    atomic_fetch_add_explicit(&k->refs, 1, memory_order_relaxed);
    return k;
}

void keys_unref(struct keys **k)
{
    struct keys *gone = *k;
    *k = NULL;
    if (!gone || atomic_fetch_sub_explicit(&gone->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    for (size_t i = 0; i < gone->n; i++) {
        EVP_PKEY_free(gone->list[i].pkey); /* wipes the private part */
    }
    buf_done(&gone->jwks);
    buf_done(&gone->token_keys);
    free(gone);
}

/* -- one key
 * -----------------------------------------------------------------------------------------------------
 */

/* One coordinate of the public point as base64url. */
static frun_err coordinate(const EVP_PKEY *pkey, const char *name, char out[COORDINATE_TEXT])
{
    unsigned char octets[COORDINATE_BYTES];
    BIGNUM *n = NULL;
    if (EVP_PKEY_get_bn_param(pkey, name, &n) != 1) {
        return FRUN_E_UNSUPPORTED;
    }
    int len = BN_bn2binpad(n, octets, COORDINATE_BYTES);
    BN_free(n);
    if (len != COORDINATE_BYTES) {
        return FRUN_E_UNSUPPORTED;
    }
    (void)text_base64url(span_make(octets, COORDINATE_BYTES), out);
    return FRUN_OK;
}

/* Coordinates and thumbprint; the members stand in the order that RFC 7638 hashes. */
static frun_err describe(struct key *key)
{
    char group[32] = "";
    char jwk[256];
    unsigned char hash[EVP_MAX_MD_SIZE];
    char id[TEXT_BASE64_BYTES(32)];
    unsigned n = 0;
    if (EVP_PKEY_get_utf8_string_param(key->pkey, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof(group),
                                       NULL) != 1 ||
        strcmp(group, "prime256v1") != 0) {
        return FRUN_E_UNSUPPORTED;
    }
    frun_err err = coordinate(key->pkey, OSSL_PKEY_PARAM_EC_PUB_X, key->x);
    if (!err) {
        err = coordinate(key->pkey, OSSL_PKEY_PARAM_EC_PUB_Y, key->y);
    }
    if (err) {
        return err;
    }
    int len =
        snprintf(jwk, sizeof(jwk), "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"%s\",\"y\":\"%s\"}",
                 key->x, key->y);
    if (EVP_Digest(jwk, (size_t)len, hash, &n, EVP_sha256(), NULL) != 1) {
        return FRUN_E_NOMEM;
    }
    if (text_base64url(span_make(hash, n), id) != KEYS_ID_BYTES - 1) {
        return FRUN_E_UNSUPPORTED;
    }
    memcpy(key->info.id, id, KEYS_ID_BYTES);
    return FRUN_OK;
}

/* An encrypted key would make OpenSSL ask on the terminal. The type is OpenSSL's.
 * NOLINTNEXTLINE(readability-non-const-parameter) */
static int no_passphrase(char *out, int size, int is_writing, void *ctx)
{
    (void)out;
    (void)size;
    (void)is_writing;
    (void)ctx;
    return -1;
}

static EVP_PKEY *read_pem(struct span pem, bool is_private)
{
    BIO *b = pem.n && pem.n < 65536 ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
    EVP_PKEY *pkey = NULL;
    if (b) {
        pkey = is_private ? PEM_read_bio_PrivateKey(b, NULL, no_passphrase, NULL)
                          : PEM_read_bio_PUBKEY(b, NULL, no_passphrase, NULL);
    }
    BIO_free(b);
    return pkey;
}

frun_err keys_add(struct keys *k, struct span pem, const char *file, uint64_t made_s)
{
    if (k->n >= KEYS_MAX) {
        return FRUN_E_LIMIT;
    }
    struct key *key = &k->list[k->n];
    *key = (struct key){.info = {.made_s = made_s}};
    key->pkey = read_pem(pem, true);
    key->info.is_private = key->pkey != NULL;
    if (!key->pkey) {
        key->pkey = read_pem(pem, false);
    }
    if (!key->pkey) {
        return FRUN_E_SYNTAX;
    }
    (void)snprintf(key->info.file, sizeof(key->info.file), "%s", file);
    frun_err err = describe(key);
    for (size_t i = 0; !err && i < k->n; i++) {
        err = strcmp(k->list[i].info.id, key->info.id) == 0 ? FRUN_E_EXISTS : FRUN_OK;
    }
    if (err) {
        EVP_PKEY_free(key->pkey);
        return err;
    }
    k->n++;
    return FRUN_OK;
}

/* -- the set
 * -----------------------------------------------------------------------------------------------------
 */

/* Newest first; the name decides between equals, so that all gateways come to the same order. */
static int by_age(const void *a, const void *b)
{
    const struct key *x = a;
    const struct key *y = b;
    if (x->info.made_s != y->info.made_s) {
        return x->info.made_s > y->info.made_s ? -1 : 1;
    }
    return strcmp(x->info.id, y->info.id);
}

/* The newest that has settled; if none has, the oldest: that one the others know most likely. */
static const struct key *choose(const struct keys *k, uint64_t now_s, uint64_t settle_s)
{
    const struct key *oldest = NULL;
    for (size_t i = 0; i < k->n; i++) {
        const struct key *key = &k->list[i];
        if (!key->info.is_private) {
            continue;
        }
        if (key->info.made_s + settle_s <= now_s) {
            return key;
        }
        oldest = key;
    }
    return oldest;
}

/* The public part as PEM with its line ends escaped for JSON. */
static frun_err put_pem(struct buf *out, const EVP_PKEY *pkey)
{
    BIO *b = BIO_new(BIO_s_mem());
    char *text = NULL;
    frun_err err = FRUN_E_NOMEM;
    if (b && PEM_write_bio_PUBKEY(b, pkey) == 1) {
        long n = BIO_get_mem_data(b, &text);
        err = FRUN_OK;
        for (long i = 0; !err && i < n; i++) {
            err = buf_put(out, text[i] == '\n' ? SPAN_LIT("\\n") : span_make(text + i, 1));
        }
    }
    BIO_free(b);
    return err;
}

static frun_err put_jwk(struct buf *out, const struct key *key, bool is_first, bool has_pem)
{
    frun_err err = buf_printf(out,
                              "%s{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"%s\",\"y\":\"%s\","
                              "\"use\":\"sig\",\"alg\":\"ES256\",\"kid\":\"%s\"",
                              is_first ? "" : ",", key->x, key->y, key->info.id);
    if (!err && has_pem) {
        err = buf_put(out, SPAN_LIT(",\"value\":\""));
        err = err ? err : put_pem(out, key->pkey);
        err = err ? err : buf_put(out, SPAN_LIT("\""));
    }
    return err ? err : buf_put(out, SPAN_LIT("}"));
}

static frun_err write_set(const struct keys *k, struct buf *out, bool has_pem)
{
    frun_err err = buf_put(out, SPAN_LIT("{\"keys\":["));
    for (size_t i = 0; !err && i < k->n; i++) {
        err = put_jwk(out, &k->list[i], i == 0, has_pem);
    }
    return err ? err : buf_put(out, SPAN_LIT("]}\n"));
}

frun_err keys_seal(struct keys *k, uint64_t now_s, uint64_t settle_s)
{
    qsort(k->list, k->n, sizeof(k->list[0]), by_age);
    k->signer = choose(k, now_s, settle_s);
    frun_err err = write_set(k, &k->jwks, false);
    return err ? err : write_set(k, &k->token_keys, true);
}

size_t keys_count(const struct keys *k)
{
    return k->n;
}

const struct keys_info *keys_at(const struct keys *k, size_t i)
{
    return &k->list[i].info;
}

const struct keys_info *keys_signer(const struct keys *k)
{
    return k->signer ? &k->signer->info : NULL;
}

static bool is_same_signer(const struct keys *a, const struct keys *b)
{
    if (!a->signer || !b->signer) {
        return a->signer == b->signer;
    }
    return strcmp(a->signer->info.id, b->signer->info.id) == 0;
}

bool keys_same(const struct keys *a, const struct keys *b)
{
    if (!a || a->n != b->n || !is_same_signer(a, b)) {
        return false;
    }
    for (size_t i = 0; i < a->n; i++) {
        if (strcmp(a->list[i].info.id, b->list[i].info.id) != 0) {
            return false;
        }
    }
    return true;
}

struct span keys_jwks(const struct keys *k)
{
    return buf_span(&k->jwks);
}

struct span keys_token_keys(const struct keys *k)
{
    return buf_span(&k->token_keys);
}

/* -- signatures
 * --------------------------------------------------------------------------------------------------
 */

/* OpenSSL speaks DER, a token r and s side by side. */
static frun_err from_der(const unsigned char *der, size_t n,
                         unsigned char out[KEYS_SIGNATURE_BYTES])
{
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)n);
    bool is_good =
        pair && BN_bn2binpad(ECDSA_SIG_get0_r(pair), out, COORDINATE_BYTES) == COORDINATE_BYTES &&
        BN_bn2binpad(ECDSA_SIG_get0_s(pair), out + COORDINATE_BYTES, COORDINATE_BYTES) ==
            COORDINATE_BYTES;
    ECDSA_SIG_free(pair);
    return is_good ? FRUN_OK : FRUN_E_NOMEM;
}

frun_err keys_sign(const struct keys *k, struct span text, unsigned char out[KEYS_SIGNATURE_BYTES])
{
    unsigned char der[KEYS_SIGNATURE_BYTES + 16];
    size_t n = sizeof(der);
    if (!k->signer) {
        return FRUN_E_NOT_FOUND;
    }
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    bool is_made = c && EVP_DigestSignInit(c, NULL, EVP_sha256(), NULL, k->signer->pkey) == 1 &&
                   EVP_DigestSign(c, der, &n, (const unsigned char *)text.p, text.n) == 1;
    EVP_MD_CTX_free(c);
    return is_made ? from_der(der, n, out) : FRUN_E_NOMEM;
}

static EVP_PKEY *find(const struct keys *k, struct span id)
{
    for (size_t i = 0; i < k->n; i++) {
        if (span_eq(id, span_of(k->list[i].info.id))) {
            return k->list[i].pkey;
        }
    }
    return NULL;
}

frun_err keys_verify(const struct keys *k, struct span id, struct span text, struct span signature)
{
    EVP_PKEY *pkey = find(k, id);
    if (!pkey) {
        return FRUN_E_NOT_FOUND;
    }
    if (signature.n != KEYS_SIGNATURE_BYTES) {
        return FRUN_E_DENIED;
    }
    unsigned char *der = NULL;
    size_t n = 0;
    frun_err err = ecdsa_to_der(signature, &der, &n);
    if (err) {
        return err;
    }
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    if (!c || EVP_DigestVerifyInit(c, NULL, EVP_sha256(), NULL, pkey) != 1) {
        err = FRUN_E_NOMEM;
    } else if (EVP_DigestVerify(c, der, n, (const unsigned char *)text.p, text.n) != 1) {
        err = FRUN_E_DENIED;
    }
    EVP_MD_CTX_free(c);
    OPENSSL_free(der);
    return err;
}

frun_err keys_make(struct secret **out, char id[KEYS_ID_BYTES])
{
    struct key key = {.pkey = EVP_EC_gen("P-256")};
    BIO *b = BIO_new(BIO_s_mem());
    char *text = NULL;
    frun_err err = FRUN_E_NOMEM;
    if (key.pkey && b &&
        PEM_write_bio_PKCS8PrivateKey(b, key.pkey, NULL, NULL, 0, NULL, NULL) == 1) {
        long n = BIO_get_mem_data(b, &text);
        err = describe(&key);
        if (!err) {
            err = secret_new(span_make(text, (size_t)n), out);
        }
        secret_wipe(text, (size_t)n);
    }
    if (!err) {
        memcpy(id, key.info.id, KEYS_ID_BYTES);
    }
    BIO_free(b);
    EVP_PKEY_free(key.pkey);
    return err;
}
