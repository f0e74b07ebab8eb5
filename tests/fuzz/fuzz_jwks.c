/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/oauth/jwks.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever is accepted has keys that are long enough; nothing verifies a made-up signature. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char text[256];
    struct jwks *k = NULL;
    struct jwks_skipped skipped;
    if (jwks_parse(span_make(data, size), &k, &skipped) != FRUN_OK) {
        return 0;
    }
    for (size_t i = 0; i < jwks_count(k); i++) {
        const struct jwks_info *x = jwks_at(k, i);
        if (!x->algs || x->bits < 256 || (x->kind[0] == 'R' && x->bits < 2048) ||
            jwks_verify(k, JWKS_RS256, span_of(x->id), span_make(text, 8),
                        span_make(text, x->bits / 8)) == FRUN_OK) {
            abort();
        }
    }
    jwks_unref(&k);
    return 0;
}
