/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/oauth/jwt.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct jwt_realm realm = {"https://push.example.com", "push"};

/* A set whose key is new in each run: nothing in a corpus can be signed with it. */
static struct keys *keys(void)
{
    static struct keys *k;
    struct secret *pem = NULL;
    char id[KEYS_ID_BYTES];
    if (!k && (keys_make(&pem, id) || keys_new(&k) || keys_add(k, secret_span(pem), "x.pem", 1) ||
               keys_seal(k, 2, 0))) {
        abort();
    }
    secret_free(pem);
    return k;
}

/* No token is ever accepted; claims that are accepted are whole. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct jwt_claims c;
    const char *why = NULL;
    if (jwt_verify(keys(), span_make(data, size), &realm, 1800000000, &c, &why) == FRUN_OK ||
        !why) {
        abort();
    }
    why = NULL;
    frun_err err = jwt_claims_read(span_make(data, size), &realm, 1800000000, &c, &why);
    if (err ? !why : !c.client_id[0] || strlen(c.generation) >= JWT_GENERATION_BYTES) {
        abort();
    }
    return 0;
}
