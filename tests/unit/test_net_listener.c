/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/net/listener.h"

#include "stream_fixture.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/resource.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct world w;
static struct listener *x;
static struct addr at;
static unsigned n_came;
static unsigned n_starved;
static unsigned n_recovered;
static int kept[64];
static bool is_kept;

static void on_came(void *ctx, int *fd, const struct addr *peer)
{
    char text[ADDR_TEXT_BYTES];
    addr_host_text(peer, text);
    assert_string_equal(text, at.ss.ss_family == AF_INET ? "127.0.0.1" : "::1");
    assert_true(fcntl(*fd, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(*fd, F_GETFL) & O_NONBLOCK);
    if (is_kept) {
        kept[n_came] = *fd;
        *fd = -1;
    }
    n_came++;
    world_look(ctx);
}

static void on_starved(void *ctx, bool is_starved)
{
    (void)ctx;
    n_starved += is_starved;
    n_recovered += !is_starved;
}

static int setup(void **state)
{
    (void)state;
    w = (struct world){0};
    n_came = n_starved = n_recovered = 0;
    is_kept = false;
    return loop_new(&w.l);
}

static int teardown(void **state)
{
    (void)state;
    listener_free(x);
    x = NULL;
    loop_free(w.l);
    return 0;
}

static void open_at(const char *text)
{
    struct addr any;
    struct diag d = {0};
    int fd = -1;
    assert_int_equal(addr_parse(text, &any), FRUN_OK);
    if (listener_socket(&any, &at, &fd, &d)) {
        fail_msg("%s", d.text);
    }
    assert_true(addr_port(&at) > 0);
    assert_int_equal(listener_new(w.l, &fd, on_came, &w, &x), FRUN_OK);
    assert_int_equal(fd, -1);
    listener_on_starved(x, on_starved);
}

static int dial(void)
{
    int fd = socket(at.ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        assert_int_equal(connect(fd, (struct sockaddr *)&at.ss, at.len), 0);
    }
    return fd;
}

static bool have_come(void *arg)
{
    return n_came >= *(unsigned *)arg;
}

static void test_accept(void **state)
{
    (void)state;
    static const char *const texts[] = {"127.0.0.1:0", "[::1]:0"};
    for (size_t i = 0; i < 2; i++) {
        int fd[40];
        unsigned want = 40;
        open_at(texts[i]);
        for (size_t n = 0; n < 40; n++) {
            fd[n] = dial();
        }
        assert_true(world_until(&w, have_come, &want));
        char c;
        for (size_t n = 0; n < 40; n++) {
            assert_int_equal(recv(fd[n], &c, 1, 0), 0); /* not taken: closed */
            close(fd[n]);
        }
        teardown(state);
        setup(state);
    }
}

static void test_shared_port(void **state)
{
    (void)state;
    struct diag d = {0};
    int fd = -1;
    open_at("127.0.0.1:0");
    struct addr same = at;
    assert_int_equal(listener_socket(&same, NULL, &fd, &d), FRUN_OK); /* SO_REUSEPORT */
    close(fd);
}

static void test_in_use(void **state)
{
    (void)state;
    struct diag d = {0};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct addr a = {.len = sizeof(in)};
    int other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int fd = -1;
    assert_int_equal(bind(other, (struct sockaddr *)&in, sizeof(in)), 0);
    assert_int_equal(listen(other, 1), 0);
    assert_int_equal(getsockname(other, (struct sockaddr *)&a.ss, &a.len), 0);
    assert_int_equal(listener_socket(&a, NULL, &fd, &d), FRUN_E_IO);
    assert_int_equal(fd, -1);
    assert_non_null(strstr(d.text, "127.0.0.1:"));
    assert_non_null(strstr(d.text, "another program listens there"));
    assert_int_equal(addr_parse("192.0.2.1:0", &a), FRUN_OK);
    assert_int_equal(listener_socket(&a, NULL, &fd, &d), FRUN_E_IO);
    assert_non_null(strstr(d.text, "no interface"));
    close(other);
}

static void test_off_and_on(void **state)
{
    (void)state;
    unsigned want = 1;
    open_at("127.0.0.1:0");
    listener_accept_on(x, false);
    int fd = dial();
    world_turn(&w, 2);
    assert_int_equal(n_came, 0);
    listener_accept_on(x, true);
    assert_true(world_until(&w, have_come, &want));
    close(fd);
}

/* What stands in the queue is taken before the socket closes, and knows no delay. */
static void test_drain(void **state)
{
    (void)state;
    enum { N = 40 };
    int fd[N];
    open_at("127.0.0.1:0");
    is_kept = true;
    for (size_t i = 0; i < N; i++) {
        fd[i] = dial();
    }
    listener_drain(x);
    x = NULL;
    assert_int_equal(n_came, N);
    int one = 0;
    socklen_t len = sizeof(one);
    assert_int_equal(getsockopt(kept[0], IPPROTO_TCP, TCP_NODELAY, &one, &len), 0);
    assert_true(one);
    for (size_t i = 0; i < N; i++) {
        close(fd[i]);
        close(kept[i]);
    }
}

/* Descriptors run out, and come back. */
static void test_starved(void **state)
{
    (void)state;
    struct rlimit before;
    unsigned want = 8;
    int fd[8];
    open_at("127.0.0.1:0");
    is_kept = true;
    for (size_t i = 0; i < 8; i++) {
        fd[i] = dial();
    }
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    /* Room for three more. */
    const struct rlimit tight = {(rlim_t)fd[7] + 4, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    world_turn(&w, 4);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(n_came, 3);
    assert_int_equal(n_starved, 1); /* told once, however long it lasts */
    assert_int_equal(n_recovered, 0);
    assert_true(world_until(&w, have_come, &want));
    assert_int_equal(n_recovered, 1);
    for (size_t i = 0; i < 8; i++) {
        close(fd[i]);
        close(kept[i]);
    }
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {T(test_accept),     T(test_shared_port), T(test_in_use),
                                       T(test_off_and_on), T(test_drain),       T(test_starved)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
