/* SPDX-License-Identifier: Apache-2.0 */
#include "h2_rig.h"

#include <stdlib.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Allocations of ours until one is refused, 0: none is. */
static unsigned countdown;
static bool is_refused;

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

static bool is_next(void)
{
    if (countdown == 0 || --countdown > 0) {
        return false;
    }
    is_refused = true;
    return true;
}

void *__wrap_malloc(size_t n)
{
    return is_next() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return is_next() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
    return is_next() ? NULL : __real_realloc(p, n);
}

static bool is_over(struct env *e)
{
    return e->n_done == e->n_cli || e->client.is_closed || e->server.is_closed;
}

/* Whichever allocation is refused while requests run: each call ends or fails, nothing else. */
static void test_refused_memory(void **state)
{
    unsigned n = 0;

    (void)state;
    do {
        struct env *e = rig_env_pair(NULL, NULL);
        struct cli *c;

        is_refused = false;
        rig_settle(e, 1);
        countdown = ++n;
        if (rig_try_open(e, "POST", "/sink", 3000, &c) == FRUN_OK) {
            rig_push_request(c);
        }
        if (rig_try_open(e, "GET", "/get/100000", 0, &c) == FRUN_OK) {
            c->take_max = 9000;
            c->is_hungry = true;
        }
        rig_spin(e, is_over);
        countdown = 0;
        for (size_t i = 0; i < e->n_cli; i++) {
            assert_true(e->cli[i].is_ended || e->cli[i].is_failed || e->cli[i].call);
        }
        rig_env_free(e);
    } while (is_refused && n < 1000);
    assert_true(n > 10);
    assert_false(is_refused);
}

/* A session that cannot be made leaves the stream with the caller. */
static void test_no_session(void **state)
{
    static const struct stream_events none = {0};
    static const struct h2_events events = {0};
    struct h2_settings set = rig_settings(true);
    struct stream_settings ss = {.handshake_ms = 1000};
    struct env *e = rig_env_new();
    struct stream *s = NULL;
    struct h2 *h = NULL;
    int fd[2];

    (void)state;
    rig_tcp_pair(fd);
    assert_int_equal(stream_new(e->loop, &fd[0], &ss, &none, NULL, &s), FRUN_OK);
    for (unsigned n = 1; n <= 2; n++) {
        countdown = n;
        assert_int_equal(h2_new(&s, SPAN_LIT("first"), &set, &events, NULL, &h), FRUN_E_NOMEM);
        assert_non_null(s);
        assert_null(h);
    }
    countdown = 0;
    stream_free(s);
    assert_int_equal(close(fd[1]), 0);
    rig_env_free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused_memory),
        cmocka_unit_test(test_no_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
