/**
 * Signing keys for unit tests: made once per process, because making one takes a moment.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_TESTS_OAUTH_FIXTURE_H
#define FRUN_TESTS_OAUTH_FIXTURE_H

#include "frun/base/secret.h"
#include "frun/oauth/keys.h"

#include <stdlib.h>

/** A new private key as PEM; the caller frees it. */
static inline struct secret *fixture_key(char id[KEYS_ID_BYTES])
{
    struct secret *pem = NULL;
    if (keys_make(&pem, id) != FRUN_OK) {
        abort();
    }
    return pem;
}

/** A sealed set of one new key; the caller unrefs it. */
static inline struct keys *fixture_keys(char id[KEYS_ID_BYTES])
{
    struct keys *k = NULL;
    struct secret *pem = fixture_key(id);
    if (keys_new(&k) || keys_add(k, secret_span(pem), "one.pem", 1000) || keys_seal(k, 2000, 0)) {
        abort();
    }
    secret_free(pem);
    return k;
}

#endif
