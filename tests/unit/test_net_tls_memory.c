/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/net/tls_memory.h"

#include "frun/base/stock.h"

#include <openssl/crypto.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static int from_stock(void **state)
{
    (void)state;
    return tls_memory_from_stock() ? 0 : -1;
}

/* The size of a record buffer goes through the stock, whoever made the block; others do not. */
static void record_buffers_are_kept(void **state)
{
    (void)state;
#ifdef __SANITIZE_ADDRESS__
    skip();
#endif
    char *p = OPENSSL_malloc(16709);
    assert_non_null(p);
    memset(p, 'x', STOCK_RECORD_BYTES);
    OPENSSL_free(p);
    assert_int_equal(stock_spare_bytes(), STOCK_RECORD_BYTES);
    assert_ptr_equal(OPENSSL_malloc(16500), p);
    assert_int_equal(stock_spare_bytes(), 0);
    OPENSSL_free(p);
    void *small = OPENSSL_malloc(100);
    void *large = OPENSSL_malloc(40000);
    assert_int_equal(stock_spare_bytes(), STOCK_RECORD_BYTES);
    OPENSSL_free(small);
    OPENSSL_free(large);
    assert_int_equal(stock_spare_bytes(), STOCK_RECORD_BYTES);
    stock_trim();
    stock_trim();
    assert_int_equal(stock_spare_bytes(), 0);
}

/* OpenSSL's own rules for odd arguments hold. */
static void odd_sizes_are_served(void **state)
{
    (void)state;
    assert_null(OPENSSL_malloc(0));
    OPENSSL_free(NULL);
    char *p = OPENSSL_realloc(NULL, 20);
    assert_non_null(p);
    memcpy(p, "0123456789", 11);
    for (size_t n = 16000; n < 18000; n += 100) {
        p = OPENSSL_realloc(p, n);
        assert_non_null(p);
        assert_string_equal(p, "0123456789");
    }
    assert_null(OPENSSL_realloc(p, 0));
    stock_trim();
    stock_trim();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(record_buffers_are_kept),
        cmocka_unit_test(odd_sizes_are_served),
    };
    return cmocka_run_group_tests(tests, from_stock, NULL);
}
