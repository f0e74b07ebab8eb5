/* SPDX-License-Identifier: Apache-2.0 */
#include "../../src/net/dial_int.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define M DIAL_SOCKS_METHOD
#define L DIAL_SOCKS_LOGON
#define C DIAL_SOCKS_CONNECT

#define SAYS(t) (t), sizeof(t) - 1

static const struct {
    const char *label;
    enum dial_socks_state state;
    const char *says;
    size_t n;
    size_t used; /* granted; 0: refused */
    enum dial_refusal refusal;
} rows[] = {
    {"token method", M, SAYS("\x05\x80"), 2, DIAL_REFUSAL_NONE},
    {"no method", M, SAYS("\x05\xff"), 0, DIAL_REFUSAL_FORM},
    {"wants no logon", M, SAYS("\x05\x00"), 0, DIAL_REFUSAL_FORM},
    {"SOCKS4", M, SAYS("\x00"), 0, DIAL_REFUSAL_FORM},
    {"HTTP", M, SAYS("H"), 0, DIAL_REFUSAL_FORM},
    {"token taken", L, SAYS("\x01\x00"), 2, DIAL_REFUSAL_NONE},
    {"token refused", L, SAYS("\x01\x01"), 0, DIAL_REFUSAL_LOGON},
    {"token refused otherwise", L, SAYS("\x01\xff"), 0, DIAL_REFUSAL_LOGON},
    {"other version", L, SAYS("\x05"), 0, DIAL_REFUSAL_FORM},
    {"open, IPv4", C, SAYS("\x05\x00\x00\x01\x0a\x01\x02\x03\x01\xbb"), 10, DIAL_REFUSAL_NONE},
    {"open, name", C, SAYS("\x05\x00\x00\x03\x02nn\x01\xbb"), 9, DIAL_REFUSAL_NONE},
    {"open, empty name", C, SAYS("\x05\x00\x00\x03\x00\x01\xbb"), 7, DIAL_REFUSAL_NONE},
    {"open, IPv6", C,
     SAYS("\x05\x00\x00\x04\x20\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"
          "\x01\xbb"),
     22, DIAL_REFUSAL_NONE},
    {"open, unknown address", C, SAYS("\x05\x00\x00\x02\x00"), 0, DIAL_REFUSAL_FORM},
    {"backend closed", C, SAYS("\x05\x01"), 0, DIAL_REFUSAL_BACKEND},
    {"no mapping", C, SAYS("\x05\x02"), 0, DIAL_REFUSAL_SYSTEM},
    {"no connector", C, SAYS("\x05\x03"), 0, DIAL_REFUSAL_TUNNEL},
    {"unreachable", C, SAYS("\x05\x04"), 0, DIAL_REFUSAL_BACKEND},
    {"logon after all", C, SAYS("\x05\x05"), 0, DIAL_REFUSAL_LOGON},
    {"unused", C, SAYS("\x05\x06"), 0, DIAL_REFUSAL_FORM},
    {"command", C, SAYS("\x05\x07"), 0, DIAL_REFUSAL_FORM},
    {"address type", C, SAYS("\x05\x08"), 0, DIAL_REFUSAL_FORM},
};

/* The shortest beginning that decides is the whole answer: everything before it says "more". */
static void test_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t n = 0; n <= rows[i].n; n++) {
            enum dial_refusal refusal = DIAL_REFUSAL_NONE;
            size_t used = 0;
            frun_err err =
                dial_socks_answer(rows[i].state, span_make(rows[i].says, n), &used, &refusal);
            frun_err want = n < rows[i].n ? FRUN_E_AGAIN : rows[i].used ? FRUN_OK : FRUN_E_PROXY;
            if (err != want || (err != FRUN_E_AGAIN && refusal != rows[i].refusal) ||
                (!err && used != rows[i].used)) {
                fail_msg("%s, %zu octets: %d, %d, %zu used", rows[i].label, n, err, (int)refusal,
                         used);
            }
        }
        assert_true(*dial_socks_words(rows[i].refusal));
    }
}

static void test_limits(void **state)
{
    (void)state;
    struct dial_target t = {.host = "frun-virtual", .port = 1};
    struct dial_socks with = {SPAN_LIT("t"), {0}};
    char *token = calloc(1, DIAL_SOCKS_TOKEN_BYTES + 1);
    char name[300];
    struct buf out;
    assert_non_null(token);
    memset(name, 'n', sizeof(name));
    name[256] = '\0';
    buf_init(&out, DIAL_SOCKS_MESSAGE_BYTES);
    with.token = span_make(token, DIAL_SOCKS_TOKEN_BYTES);
    with.location_id = span_make(name, DIAL_SOCKS_LOCATION_BYTES);
    assert_int_equal(dial_socks_ask(DIAL_SOCKS_LOGON, &t, &with, &out), FRUN_OK);
    /* 65536 and 252: the lengths of token and coded location ID. */
    assert_memory_equal(buf_span(&out).p, "\x01\x00\x01\x00\x00", 5);
    assert_memory_equal(span_skip(buf_span(&out), 5 + DIAL_SOCKS_TOKEN_BYTES).p, "\xfc", 1);
    assert_int_equal(buf_len(&out), 5 + DIAL_SOCKS_TOKEN_BYTES + 1 + 252);
    with.location_id.n++;
    assert_int_equal(dial_socks_ask(DIAL_SOCKS_LOGON, &t, &with, &out), FRUN_E_LIMIT);
    with.location_id.n = 0;
    with.token.n++;
    assert_int_equal(dial_socks_ask(DIAL_SOCKS_LOGON, &t, &with, &out), FRUN_E_LIMIT);
    with.token.n = 0;
    assert_int_equal(dial_socks_ask(DIAL_SOCKS_LOGON, &t, &with, &out), FRUN_E_LIMIT);
    buf_consume(&out, buf_len(&out));
    t.host = name;
    assert_int_equal(dial_socks_ask(DIAL_SOCKS_CONNECT, &t, &with, &out), FRUN_E_LIMIT);
    name[255] = '\0';
    assert_int_equal(dial_socks_ask(DIAL_SOCKS_CONNECT, &t, &with, &out), FRUN_OK);
    buf_done(&out);
    free(token);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_answers),
                                       cmocka_unit_test(test_limits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
