/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/cidr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct sockaddr_storage address(const char *text)
{
    struct sockaddr_storage a = {0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)&a;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)&a;
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        a.ss_family = AF_INET;
    } else {
        assert_int_equal(inet_pton(AF_INET6, text, &v6->sin6_addr), 1);
        a.ss_family = AF_INET6;
    }
    return a;
}

static void test_parse(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        frun_err want;
        unsigned bits;
        bool is_v6;
    } rows[] = {
        {"10.0.0.0/8", FRUN_OK, 8, false},
        {"192.0.2.1", FRUN_OK, 32, false},
        {"192.0.2.1/32", FRUN_OK, 32, false},
        {"192.0.2.0/31", FRUN_OK, 31, false},
        {"0.0.0.0/0", FRUN_OK, 0, false},
        {"2001:db8::/32", FRUN_OK, 32, true},
        {"::1", FRUN_OK, 128, true},
        {"::/0", FRUN_OK, 0, true},
        {"fe80::/10", FRUN_OK, 10, true},
        {"10.1.2.3/8", FRUN_E_LIMIT, 0, false},
        {"192.0.2.1/31", FRUN_E_LIMIT, 0, false},
        {"2001:db8::1/64", FRUN_E_LIMIT, 0, false},
        {"10.0.0.0/33", FRUN_E_LIMIT, 0, false},
        {"::/129", FRUN_E_LIMIT, 0, false},
        {"", FRUN_E_SYNTAX, 0, false},
        {"/8", FRUN_E_SYNTAX, 0, false},
        {"10.0.0.0/", FRUN_E_SYNTAX, 0, false},
        {"10.0.0.0/+8", FRUN_E_SYNTAX, 0, false},
        {"10.0.0.0/0008", FRUN_E_SYNTAX, 0, false},
        {"10.0.0.0/8/8", FRUN_E_SYNTAX, 0, false},
        {"10.0.0/8", FRUN_E_SYNTAX, 0, false},
        {"[::1]", FRUN_E_SYNTAX, 0, false},
        {"localhost", FRUN_E_SYNTAX, 0, false},
        {"0000:0000:0000:0000:0000:0000:0000:0000:0000:0000", FRUN_E_SYNTAX, 0, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct cidr c = {.bits = 0};
        frun_err err = cidr_parse(span_of(rows[i].text), &c);
        if (err != rows[i].want || c.bits != rows[i].bits || c.is_v6 != rows[i].is_v6) {
            fail_msg("\"%s\": %d, %u bits", rows[i].text, err, c.bits);
        }
    }
    struct cidr c;
    assert_int_equal(cidr_parse(SPAN_LIT("10.0.0.1\0x"), &c), FRUN_E_SYNTAX);
}

static void test_has(void **state)
{
    (void)state;
    static const struct {
        const char *net;
        const char *address;
        bool want;
    } rows[] = {
        {"10.0.0.0/8", "10.255.0.1", true},
        {"10.0.0.0/8", "11.0.0.1", false},
        {"192.0.2.128/25", "192.0.2.129", true},
        {"192.0.2.128/25", "192.0.2.127", false},
        {"192.0.2.1", "192.0.2.1", true},
        {"192.0.2.1", "192.0.2.2", false},
        {"0.0.0.0/0", "203.0.113.9", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"::/0", "2001:db8::1", true},
        {"::/0", "203.0.113.9", false},
        {"2001:db8::/33", "2001:db8:7fff::", true},
        {"2001:db8::/33", "2001:db8:8000::", false},
        {"10.0.0.0/8", "::ffff:10.1.1.1", true},
        {"::/0", "::ffff:10.1.1.1", false},
        {"::1", "::1", true},
        {"::1", "::2", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct cidr nets[2];
        struct sockaddr_storage a = address(rows[i].address);
        assert_int_equal(cidr_parse(SPAN_LIT("198.51.100.7"), &nets[0]), FRUN_OK);
        assert_int_equal(cidr_parse(span_of(rows[i].net), &nets[1]), FRUN_OK);
        if (cidr_any_has(nets, 2, &a) != rows[i].want) {
            fail_msg("%s in %s", rows[i].address, rows[i].net);
        }
        assert_false(cidr_any_has(nets, 0, &a));
    }
    struct cidr all;
    struct sockaddr_storage local = {.ss_family = AF_UNIX};
    assert_int_equal(cidr_parse(SPAN_LIT("0.0.0.0/0"), &all), FRUN_OK);
    assert_false(cidr_any_has(&all, 1, &local));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_parse), cmocka_unit_test(test_has)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
