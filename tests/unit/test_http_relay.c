/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/http/relay.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define BIG 200000

/* The pusher's side: offers a body, takes an answer as far as it has room. */
struct fake_served {
    struct served base;
    struct relay *relay;
    const char *body; /* what is still to be offered */
    size_t left;
    bool is_end_told;
    bool is_paused; /* less was taken than offered */
    bool is_gone;
    size_t room;
    size_t n;
    char got[BIG];
    unsigned resumes;
};

/* Focused Run's side: takes a request as far as it has room, offers an answer. */
struct fake_call {
    struct call base;
    struct relay *relay;
    size_t room;
    size_t n;
    bool is_end; /* the request's end was taken */
    bool is_gone;
    char got[BIG];
    const char *answer;
    size_t left;
    bool ends_answer;
    bool is_paused;
    bool was_gone_told; /* what relay_on_answer_end() returned */
    unsigned resumes;
};

struct fixture {
    struct relay relay;
    struct fake_served in;
    struct fake_call out;
    struct fake_call second;
};

static struct fixture *fx;
static char pattern[BIG];

static void offer(struct fake_served *s)
{
    s->is_paused = false;
    while (s->left > 0 && !s->is_paused) {
        /* Odd sizes: boundaries fall everywhere. */
        struct span part = span_make(s->body, s->left < 4099 ? s->left : 4099);
        size_t n = relay_on_request_body(s->relay, part);

        assert_true(n <= part.n);
        s->body += n;
        s->left -= n;
        s->is_paused = n < part.n;
    }
    if (s->left == 0 && !s->is_end_told) {
        s->is_end_told = true;
        relay_on_request_end(s->relay);
    }
}

static void served_resume(struct served *base)
{
    struct fake_served *s = (struct fake_served *)(void *)base;

    assert_false(s->is_gone);
    s->resumes++;
    offer(s);
}

static size_t served_send_body(struct served *base, struct span data, bool is_last)
{
    struct fake_served *s = (struct fake_served *)(void *)base;
    size_t n = data.n < s->room ? data.n : s->room;

    assert_false(s->is_gone);
    memcpy(s->got + s->n, data.p, n);
    s->n += n;
    s->room -= n;
    s->is_gone = is_last && n == data.n;
    return n;
}

static const struct served_ops served_ops = {.send_body = served_send_body,
                                             .resume = served_resume};

static size_t call_send(struct call *base, struct span data, bool is_last)
{
    struct fake_call *c = (struct fake_call *)(void *)base;
    size_t n = data.n < c->room ? data.n : c->room;

    assert_false(c->is_gone);
    assert_false(c->is_end);
    memcpy(c->got + c->n, data.p, n);
    c->n += n;
    c->room -= n;
    c->is_end = is_last && n == data.n;
    return n;
}

static void answer(struct fake_call *c)
{
    c->is_paused = false;
    while (c->left > 0 && !c->is_paused) {
        struct span part = span_make(c->answer, c->left < 5003 ? c->left : 5003);
        size_t n = relay_on_answer_body(c->relay, part);

        c->answer += n;
        c->left -= n;
        c->is_paused = n < part.n;
    }
    if (c->left == 0 && c->ends_answer) {
        c->is_gone = true;
        c->was_gone_told = relay_on_answer_end(c->relay);
    }
}

static void call_resume(struct call *base)
{
    struct fake_call *c = (struct fake_call *)(void *)base;

    assert_false(c->is_gone);
    c->resumes++;
    answer(c);
}

static const struct call_ops call_ops = {.send = call_send, .resume = call_resume};

static int begin(void **state)
{
    (void)state;
    fx = calloc(1, sizeof(*fx));
    if (!fx) {
        return -1;
    }
    for (size_t i = 0; i < BIG; i++) {
        pattern[i] = (char)('a' + i % 23 + i / 997 % 3);
    }
    fx->in.base.ops = &served_ops;
    fx->in.relay = fx->out.relay = fx->second.relay = &fx->relay;
    fx->in.body = fx->out.answer = pattern;
    fx->out.base.ops = fx->second.base.ops = &call_ops;
    fx->in.room = fx->out.room = fx->second.room = BIG;
    relay_begin(&fx->relay, &fx->in.base, BIG);
    return 0;
}

static int end(void **state)
{
    (void)state;
    relay_done(&fx->relay);
    relay_done(&fx->relay);
    free(fx);
    return 0;
}

static void call_got(const struct fake_call *c, size_t n)
{
    assert_int_equal(c->n, n);
    assert_memory_equal(c->got, pattern, n);
}

static void a_push_goes_through(void **state)
{
    (void)state;
    relay_attach(&fx->relay, &fx->out.base);
    fx->in.left = 10000;
    offer(&fx->in);
    call_got(&fx->out, 10000);
    assert_true(fx->out.is_end);
    assert_true(relay_can_repeat(&fx->relay));
    relay_answer(&fx->relay);
    assert_false(relay_can_repeat(&fx->relay));
    assert_int_equal(fx->relay.kept.cap, 0);
    fx->out.left = 20000;
    fx->out.ends_answer = true;
    answer(&fx->out);
    assert_true(fx->out.was_gone_told);
    assert_true(fx->in.is_gone);
    assert_int_equal(fx->in.n, 20000);
    assert_memory_equal(fx->in.got, pattern, 20000);
    assert_int_equal(fx->relay.request_bytes, 10000);
    assert_int_equal(fx->relay.answer_bytes, 20000);
    assert_null(fx->relay.in);
    assert_null(fx->relay.out);
}

static void no_body_either_way(void **state)
{
    (void)state;
    offer(&fx->in);
    relay_attach(&fx->relay, &fx->out.base);
    assert_true(fx->out.is_end);
    assert_true(fx->relay.is_end_sent);
    relay_answer(&fx->relay);
    fx->out.ends_answer = true;
    answer(&fx->out);
    assert_true(fx->out.was_gone_told);
    assert_true(fx->in.is_gone);
}

static void a_slow_call_holds_the_pusher(void **state)
{
    (void)state;
    fx->out.room = 100;
    relay_attach(&fx->relay, &fx->out.base);
    fx->in.left = BIG;
    offer(&fx->in);
    while (!fx->out.is_end) {
        assert_true(fx->in.is_paused);
        assert_true(buf_len(&fx->relay.kept) <= EXCHANGE_BUFFER_BYTES);
        fx->out.room = 7001;
        relay_on_request_room(&fx->relay);
    }
    call_got(&fx->out, BIG);
    assert_false(relay_can_repeat(&fx->relay));
    assert_int_equal(fx->relay.kept.cap, 0);
    /* Room that nobody waits for wakes nobody. */
    unsigned resumes = fx->in.resumes;

    relay_on_request_room(&fx->relay);
    assert_int_equal(fx->in.resumes, resumes);
}

static void a_slow_pusher_holds_the_call(void **state)
{
    (void)state;
    relay_attach(&fx->relay, &fx->out.base);
    offer(&fx->in);
    relay_answer(&fx->relay);
    fx->in.room = 10;
    fx->out.left = BIG;
    fx->out.ends_answer = true;
    answer(&fx->out);
    while (!fx->in.is_gone) {
        assert_true(fx->out.is_paused);
        fx->in.room = 9001;
        /* The call offers, and at last ends, from within: the nested event tells, not this. */
        relay_on_answer_room(&fx->relay);
    }
    assert_true(fx->out.was_gone_told);
    assert_int_equal(fx->in.n, BIG);
    assert_memory_equal(fx->in.got, pattern, BIG);
    assert_int_equal(fx->relay.answer_bytes, BIG);
}

static void octets_before_the_call_are_kept(void **state)
{
    (void)state;
    fx->in.left = 3000;
    offer(&fx->in);
    assert_int_equal(fx->in.left, 0);
    relay_attach(&fx->relay, &fx->out.base);
    call_got(&fx->out, 3000);
    assert_true(fx->out.is_end);
    assert_true(relay_can_repeat(&fx->relay));
}

static void many_octets_before_the_call_wait(void **state)
{
    (void)state;
    fx->in.left = BIG;
    offer(&fx->in);
    assert_true(fx->in.is_paused);
    assert_int_equal(fx->relay.request_bytes, EXCHANGE_BUFFER_BYTES);
    fx->out.room = 1000;
    relay_attach(&fx->relay, &fx->out.base);
    assert_int_equal(fx->in.resumes, 0);
    while (!fx->out.is_end) {
        fx->out.room = 30000;
        relay_on_request_room(&fx->relay);
    }
    call_got(&fx->out, BIG);
}

/* A call fails after it took so much of a body of so many octets; the next one gets it all. */
static void repeat(size_t body, size_t room, bool can_repeat)
{
    fx->out.room = room;
    relay_attach(&fx->relay, &fx->out.base);
    fx->in.left = body;
    offer(&fx->in);
    relay_detach(&fx->relay);
    fx->out.is_gone = true;
    assert_int_equal(relay_can_repeat(&fx->relay), can_repeat);
    if (!can_repeat) {
        return;
    }
    fx->second.room = 11;
    relay_attach(&fx->relay, &fx->second.base);
    while (!fx->second.is_end) {
        fx->second.room = 20011;
        relay_on_request_room(&fx->relay);
    }
    call_got(&fx->second, body);
    assert_int_equal(fx->relay.request_bytes, body);
}

struct repeat_row {
    size_t body;
    size_t room;
    bool can_repeat;
};

static const struct repeat_row repeat_rows[] = {
    {0, 0, true},
    {1000, 0, true},
    {1000, 1000, true},
    {5000, 4100, true},
    {EXCHANGE_BUFFER_BYTES, BIG, true},
    {EXCHANGE_BUFFER_BYTES + 1, BIG, false},
    {BIG, 0, true},
    {BIG, EXCHANGE_BUFFER_BYTES, true},
    {BIG, EXCHANGE_BUFFER_BYTES + 1, false},
};

static void a_failed_call_is_repeated(void **state)
{
    for (size_t i = 0; i < sizeof(repeat_rows) / sizeof(repeat_rows[0]); i++) {
        (void)end(state);
        assert_int_equal(begin(state), 0);
        print_message("body %zu, room %zu\n", repeat_rows[i].body, repeat_rows[i].room);
        repeat(repeat_rows[i].body, repeat_rows[i].room, repeat_rows[i].can_repeat);
    }
}

static void octets_between_two_calls_are_kept(void **state)
{
    (void)state;
    relay_attach(&fx->relay, &fx->out.base);
    fx->in.left = 1000;
    fx->in.is_end_told = true;
    offer(&fx->in);
    relay_detach(&fx->relay);
    fx->in.is_end_told = false;
    fx->in.left = 1000;
    offer(&fx->in);
    relay_attach(&fx->relay, &fx->second.base);
    call_got(&fx->second, 2000);
    assert_true(fx->second.is_end);
}

static void a_call_that_failed_twice_is_repeated(void **state)
{
    (void)state;
    repeat(5000, 100, true);
    relay_detach(&fx->relay);
    fx->out.is_gone = fx->out.is_end = false;
    fx->out.n = 0;
    fx->out.room = BIG;
    relay_attach(&fx->relay, &fx->out.base);
    call_got(&fx->out, 5000);
    assert_true(fx->out.is_end);
}

static void a_body_too_long_is_refused(void **state)
{
    (void)state;
    relay_done(&fx->relay);
    relay_begin(&fx->relay, &fx->in.base, 5000);
    relay_attach(&fx->relay, &fx->out.base);
    fx->in.left = 5001;
    offer(&fx->in);
    assert_true(fx->relay.is_too_long);
    assert_int_equal(fx->relay.request_bytes, 4099);
    assert_int_equal(fx->out.n, 4099);
    assert_false(fx->out.is_end);
    /* Exactly the ceiling is not too long. */
    relay_done(&fx->relay);
    relay_begin(&fx->relay, &fx->in.base, 5000);
    fx->out.n = 0;
    relay_attach(&fx->relay, &fx->out.base);
    fx->in.body = pattern;
    fx->in.left = 5000;
    fx->in.is_end_told = false;
    offer(&fx->in);
    assert_false(fx->relay.is_too_long);
    call_got(&fx->out, 5000);
}

static void an_early_answer_ends_before_the_request(void **state)
{
    (void)state;
    fx->out.room = 1000;
    relay_attach(&fx->relay, &fx->out.base);
    fx->in.left = BIG;
    offer(&fx->in);
    relay_answer(&fx->relay);
    fx->out.left = 300;
    fx->out.ends_answer = true;
    answer(&fx->out);
    assert_true(fx->out.was_gone_told);
    assert_true(fx->in.is_gone);
    assert_int_equal(fx->in.n, 300);
    assert_null(fx->relay.out);
    /* Events that were on their way do nothing. */
    relay_on_request_room(&fx->relay);
    relay_on_answer_room(&fx->relay);
    assert_false(relay_on_answer_end(&fx->relay));
}

/* The answer begins while kept octets are not yet sent again: none may be left out. */
static void an_answer_amid_the_repeat_loses_nothing(void **state)
{
    (void)state;
    fx->out.room = 40000;
    relay_attach(&fx->relay, &fx->out.base);
    fx->in.left = BIG;
    offer(&fx->in);
    relay_detach(&fx->relay);
    fx->second.room = 10000;
    relay_attach(&fx->relay, &fx->second.base);
    relay_answer(&fx->relay);
    assert_false(relay_can_repeat(&fx->relay));
    while (!fx->second.is_end) {
        fx->second.room = 9000;
        relay_on_request_room(&fx->relay);
    }
    call_got(&fx->second, BIG);
    assert_int_equal(fx->relay.kept.cap, 0);
}

static void an_answer_after_the_pusher_left_is_not_taken(void **state)
{
    (void)state;
    relay_attach(&fx->relay, &fx->out.base);
    fx->relay.in = NULL;
    assert_int_equal(relay_on_answer_body(&fx->relay, SPAN_LIT("x")), 0);
    assert_false(relay_on_answer_end(&fx->relay));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_push_goes_through),
        TEST(no_body_either_way),
        TEST(a_slow_call_holds_the_pusher),
        TEST(a_slow_pusher_holds_the_call),
        TEST(octets_before_the_call_are_kept),
        TEST(many_octets_before_the_call_wait),
        TEST(a_failed_call_is_repeated),
        TEST(octets_between_two_calls_are_kept),
        TEST(a_call_that_failed_twice_is_repeated),
        TEST(a_body_too_long_is_refused),
        TEST(an_early_answer_ends_before_the_request),
        TEST(an_answer_amid_the_repeat_loses_nothing),
        TEST(an_answer_after_the_pusher_left_is_not_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
