/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/siphash.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Key of the authors' vectors; their texts are its octets and those that follow. */
static void count_up(unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        p[i] = (unsigned char)i;
    }
}

static void hash(const unsigned char *key, const unsigned char *text, size_t n, size_t cut,
                 unsigned char *out)
{
    struct siphash h;

    siphash_init(&h, key);
    siphash_update(&h, text, cut);
    siphash_update(&h, text + cut, n - cut);
    siphash_final(&h, out);
}

/* The first of the vectors for 128 bits in the authors' reference code. */
static void authors_vectors(void **state)
{
    static const unsigned char want[3][SIPHASH_BYTES] = {
        {0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02,
         0x93},
        {0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11, 0x9b, 0x22, 0xfc,
         0x45},
        {0x81, 0x77, 0x22, 0x8d, 0xa4, 0xa4, 0x5d, 0xc7, 0xfc, 0xa3, 0x8b, 0xde, 0xf6, 0x0a, 0xff,
         0xe4},
    };
    unsigned char key[SIPHASH_KEY_BYTES];
    unsigned char got[SIPHASH_BYTES];

    (void)state;
    count_up(key, sizeof(key));
    for (size_t n = 0; n < 3; n++) {
        hash(key, key, n, 0, got);
        assert_memory_equal(got, want[n], sizeof(got));
    }
}

/* Texts of all lengths up to nine words, taken in two parts in every way. */
static void as_openssl_in_every_cut(void **state)
{
    unsigned char key[SIPHASH_KEY_BYTES];
    unsigned char text[72];
    unsigned char got[SIPHASH_BYTES];

    (void)state;
    count_up(key, sizeof(key));
    count_up(text, sizeof(text));
    for (size_t i = 0; i < sizeof(text); i++) {
        text[i] = (unsigned char)(text[i] * 167U + 13U); /* also octets above 127 */
    }
    for (size_t n = 0; n <= sizeof(text); n++) {
        unsigned char want[SIPHASH_BYTES];
        size_t size = sizeof(want);
        OSSL_PARAM params[] = {OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size),
                               OSSL_PARAM_construct_end()};

        assert_non_null(EVP_Q_mac(NULL, "SIPHASH", NULL, NULL, params, key, sizeof(key), text, n,
                                  want, sizeof(want), &size));
        for (size_t cut = 0; cut <= n; cut++) {
            hash(key, text, n, cut, got);
            assert_memory_equal(got, want, sizeof(got));
        }
    }
}

static void octet_by_octet(void **state)
{
    unsigned char key[SIPHASH_KEY_BYTES];
    unsigned char at_once[SIPHASH_BYTES];
    unsigned char got[SIPHASH_BYTES];
    struct siphash h;

    (void)state;
    count_up(key, sizeof(key));
    siphash_init(&h, key);
    for (size_t i = 0; i < sizeof(key); i++) {
        siphash_update(&h, NULL, 0);
        siphash_update(&h, key + i, 1);
    }
    siphash_final(&h, got);
    hash(key, key, sizeof(key), 5, at_once);
    assert_memory_equal(got, at_once, sizeof(got));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(authors_vectors),
        cmocka_unit_test(as_openssl_in_every_cut),
        cmocka_unit_test(octet_by_octet),
    };
    return cmocka_run_group_tests_name("siphash", tests, NULL, NULL);
}
