/* SPDX-License-Identifier: Apache-2.0 */
#include "../../src/net/tls_tickets_int.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define HOUR TLS_TICKETS_PERIOD_S
#define NOW  (INT64_C(500000) * TLS_TICKETS_PERIOD_S)

/* What OpenSSL holds while it seals or opens one ticket. */
struct hands {
    EVP_CIPHER_CTX *cipher;
    EVP_MAC *hmac;
    EVP_MAC_CTX *mac;
    unsigned char name[16];
    unsigned char iv[EVP_MAX_IV_LENGTH];
    unsigned char tag[32];
};

static void hands_open(struct hands *h)
{
    *h = (struct hands){0};
    h->cipher = EVP_CIPHER_CTX_new();
    h->hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    h->mac = EVP_MAC_CTX_new(h->hmac);
}

static void hands_close(struct hands *h)
{
    EVP_CIPHER_CTX_free(h->cipher);
    EVP_MAC_CTX_free(h->mac);
    EVP_MAC_free(h->hmac);
}

/* What the MAC key makes of a constant: equal keys, equal tags. */
static void take_tag(struct hands *h)
{
    size_t n = 0;
    assert_int_equal(EVP_MAC_update(h->mac, (const unsigned char *)"x", 1), 1);
    assert_int_equal(EVP_MAC_final(h->mac, h->tag, &n, sizeof(h->tag)), 1);
    assert_int_equal(n, 32);
}

/* Seal with @p t, then see what @p other says. */
static int pass(const struct tls_tickets *t, struct tls_tickets *other, int64_t other_now)
{
    struct hands a;
    struct hands b;
    hands_open(&a);
    hands_open(&b);
    assert_int_equal(tls_tickets_key(t, a.name, a.iv, a.cipher, a.mac, 1), 1);
    take_tag(&a);
    tls_tickets_turn(other, other_now);
    int rc = tls_tickets_key(other, a.name, a.iv, b.cipher, b.mac, 0);
    if (rc > 0) {
        take_tag(&b);
        assert_memory_equal(a.tag, b.tag, sizeof(a.tag));
    }
    hands_close(&a);
    hands_close(&b);
    return rc;
}

static void test_life(void **state)
{
    (void)state;
    static const struct {
        int64_t later_s;
        int want;
    } rows[] = {{0, 1},        {HOUR - 1, 1},  {HOUR, 2},  {3 * HOUR - 1, 2},
                {3 * HOUR, 0}, {30 * HOUR, 0}, {-HOUR, 1}, {-2 * HOUR, 0}};
    for (size_t with = 0; with < 2; with++) {
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            struct tls_tickets *t = NULL;
            struct span secret = span_make("0123456789", with ? 10 : 0);
            assert_int_equal(tls_tickets_new(secret, NOW, &t), FRUN_OK);
            int rc = pass(t, t, NOW + rows[i].later_s);
            if (rc != rows[i].want) {
                fail_msg("row %zu, secret %zu: %d", i, with, rc);
            }
            tls_tickets_free(t);
        }
    }
}

static void test_shared_secret(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        const char *one;
        const char *other;
        int64_t later_s;
        int want;
    } rows[] = {{"same", "a secret", "a secret", 0, 1},
                {"same, started two hours later", "a secret", "a secret", 2 * HOUR, 2},
                {"same, clock behind", "a secret", "a secret", -HOUR / 2, 1},
                {"same, too late", "a secret", "a secret", 3 * HOUR, 0},
                {"different", "a secret", "b secret", 0, 0},
                {"random", "", "", 0, 0}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tls_tickets *one = NULL;
        struct tls_tickets *other = NULL;
        unsigned char ids[2][TLS_TICKETS_CONTEXT_BYTES];
        int64_t then = NOW + rows[i].later_s;
        assert_int_equal(tls_tickets_new(span_of(rows[i].one), NOW, &one), FRUN_OK);
        assert_int_equal(tls_tickets_new(span_of(rows[i].other), then, &other), FRUN_OK);
        int rc = pass(one, other, then);
        if (rc != rows[i].want) {
            fail_msg("%s: %d", rows[i].label, rc);
        }
        tls_tickets_context(one, ids[0]);
        tls_tickets_context(other, ids[1]);
        bool is_same = memcmp(ids[0], ids[1], sizeof(ids[0])) == 0;
        assert_int_equal(is_same, rows[i].one[0] && strcmp(rows[i].one, rows[i].other) == 0);
        tls_tickets_free(one);
        tls_tickets_free(other);
    }
}

static void test_foreign_name(void **state)
{
    (void)state;
    struct tls_tickets *t = NULL;
    struct hands h;
    hands_open(&h);
    assert_int_equal(tls_tickets_new(span_of(""), NOW, &t), FRUN_OK);
    assert_int_equal(tls_tickets_key(t, h.name, h.iv, h.cipher, h.mac, 0), 0);
    tls_tickets_free(t);
    tls_tickets_free(NULL);
    hands_close(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_life),
                                       cmocka_unit_test(test_shared_secret),
                                       cmocka_unit_test(test_foreign_name)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
