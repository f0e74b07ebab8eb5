/* SPDX-License-Identifier: Apache-2.0 */
#include "../../src/net/tls_staple_int.h"

#include "frun/net/tls.h"

#include <openssl/crypto.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define NOW INT64_C(1800000000)

static void want(struct tls_staple *s, int64_t now_s, const char *text)
{
    unsigned char *copy = NULL;
    size_t n = tls_staple_copy(s, now_s, &copy);
    assert_int_equal(n, strlen(text));
    if (n) {
        assert_memory_equal(copy, text, n);
    } else {
        assert_null(copy);
    }
    OPENSSL_free(copy);
}

static void test_life(void **state)
{
    (void)state;
    static char long_one[TLS_STAPLING_MAX_BYTES + 1];
    struct tls_staple *s = NULL;
    assert_int_equal(tls_staple_new(&s), FRUN_OK);
    want(s, NOW, "");
    assert_int_equal(tls_staple_put(s, SPAN_LIT("one"), NOW + 10), FRUN_OK);
    want(s, NOW, "one");
    want(s, NOW + 9, "one");
    want(s, NOW + 10, "");
    assert_int_equal(tls_staple_put(s, SPAN_LIT("another"), NOW + 20), FRUN_OK);
    want(s, NOW + 10, "another");
    assert_int_equal(tls_staple_put(s, span_make(long_one, sizeof(long_one)), NOW + 30),
                     FRUN_E_LIMIT);
    want(s, NOW + 10, "another");
    tls_staple_drop(s);
    want(s, NOW, "");
    tls_staple_free(s);
    tls_staple_free(NULL);
}

/* ---- readers while main puts ---- */

struct reader {
    pthread_t thread;
    struct tls_staple *s;
    const atomic_bool *is_over;
    bool is_torn;
};

/* Every response is one letter many times. */
static void *read_on(void *arg)
{
    struct reader *r = arg;
    while (!atomic_load(r->is_over)) {
        unsigned char *copy = NULL;
        size_t n = tls_staple_copy(r->s, NOW, &copy);
        for (size_t i = 1; i < n; i++) {
            r->is_torn |= copy[i] != copy[0];
        }
        OPENSSL_free(copy);
    }
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    struct tls_staple *s = NULL;
    struct reader readers[3];
    atomic_bool is_over = false;
    char text[2000];
    assert_int_equal(tls_staple_new(&s), FRUN_OK);
    for (size_t i = 0; i < 3; i++) {
        readers[i] = (struct reader){.s = s, .is_over = &is_over};
        assert_int_equal(pthread_create(&readers[i].thread, NULL, read_on, &readers[i]), 0);
    }
    for (int i = 0; i < 3000; i++) {
        memset(text, 'a' + i % 26, sizeof(text));
        assert_int_equal(tls_staple_put(s, span_make(text, (size_t)(1 + i % 1900)), NOW + 1),
                         FRUN_OK);
        if (i % 100 == 0) {
            tls_staple_drop(s);
        }
    }
    atomic_store(&is_over, true);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(readers[i].thread, NULL), 0);
        assert_false(readers[i].is_torn);
    }
    tls_staple_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_life), cmocka_unit_test(test_threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
