/* SPDX-License-Identifier: Apache-2.0 */
#include "ecdsa_int.h"

#include <openssl/bn.h>
#include <openssl/ecdsa.h>

frun_err ecdsa_to_der(struct span signature, unsigned char **der, size_t *n)
{
    const unsigned char *p = (const unsigned char *)signature.p;
    int half = (int)(signature.n / 2);
    ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(p, half, NULL);
    BIGNUM *s = BN_bin2bn(p + half, half, NULL);
    frun_err err = FRUN_E_NOMEM;
    if (pair && r && s && ECDSA_SIG_set0(pair, r, s) == 1) {
        r = s = NULL; /* the pair's now */
        int len = i2d_ECDSA_SIG(pair, der);
        if (len > 0) {
            *n = (size_t)len;
            err = FRUN_OK;
        }
    }
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(pair);
    return err;
}
