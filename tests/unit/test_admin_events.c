/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/admin/events.h"

#include "../../src/admin/server_int.h"
#include "stream_fixture.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define ROWS 3000

static struct loop *l;
static struct admin_server *server;
static struct events *events;
static char *rows[ROWS + 1]; /* the list that is served now, up to NULL */
static char whole[1 << 16];  /* the other topic's */
static unsigned asked;

static void answer(struct admin_request *r, const char *text, size_t n)
{
    struct buf body;
    buf_init(&body, ADMIN_MAX_ANSWER_BYTES);
    assert_int_equal(buf_put(&body, span_make(text, n)), FRUN_OK);
    admin_request_answer(r, 200, "application/json", &body);
    buf_done(&body);
}

static void get_list(void *ctx, struct admin_request *r)
{
    static char text[1 << 20];
    size_t n = (size_t)snprintf(text, sizeof(text), "{\"list\":[");
    (void)ctx;
    for (size_t i = 0; rows[i]; i++) {
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", i ? "," : "", rows[i]);
    }
    n += (size_t)snprintf(text + n, sizeof(text) - n, "]}\n");
    asked++;
    answer(r, text, n);
}

static void get_whole(void *ctx, struct admin_request *r)
{
    (void)ctx;
    answer(r, whole, strlen(whole));
}

static const struct admin_route routes[] = {{"GET", "/list", false, get_list},
                                            {"GET", "/whole", false, get_whole}};

static const struct events_topic topics[] = {
    {"list", "/list", 10, "name"}, {"whole", "/whole", 10, NULL}, {"absent", "/nowhere", 10, NULL}};

static void stop(struct deadline *d)
{
    (void)d;
    loop_stop(l);
}

static void turn(uint64_t ms)
{
    struct deadline end;
    deadline_init(&end, stop);
    deadline_set(l, &end, ms);
    loop_run(l);
}

static void set_row(size_t i, const char *text)
{
    free(rows[i]);
    rows[i] = text ? strdup(text) : NULL;
}

static int set_up(void **state)
{
    const struct events_times times = {.tick_ms = 20, .stall_ms = 1000};
    (void)state;
    assert_int_equal(loop_new(&l), FRUN_OK);
    assert_int_equal(admin_server_new(l, &ADMIN_LIMITS_DEFAULT, &server), FRUN_OK);
    assert_int_equal(admin_server_add(server, routes, 2, NULL), FRUN_OK);
    assert_int_equal(events_new(l, server, topics, 3, &times, &events), FRUN_OK);
    whole[0] = '\0';
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    admin_server_free(server);
    events_free(events);
    loop_free(l);
    for (size_t i = 0; i <= ROWS; i++) {
        set_row(i, NULL);
    }
    return 0;
}

static int listen_to(int room_bytes)
{
    const struct admin_peer peer = {.may_read = true};
    struct addr from = {.len = sizeof(sa_family_t)};
    const char *request = "GET /api/v1/events HTTP/1.0\r\n\r\n"; /* 1.0: no chunks to undo */
    int fds[2];
    from.ss.ss_family = AF_UNIX;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    if (room_bytes) {
        assert_int_equal(setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &room_bytes, sizeof(room_bytes)),
                         0);
    }
    assert_int_equal(admin_server_take(server, &fds[1], &from, NULL, &peer), FRUN_OK);
    assert_int_equal(send(fds[0], request, strlen(request), MSG_NOSIGNAL),
                     (ssize_t)strlen(request));
    return fds[0];
}

/* What comes within a while, or up to a text. */
static const char *hear_for(int fd, int turns, const char *wanted)
{
    static char got[2 << 20];
    size_t n = 0;
    got[0] = '\0';
    for (int i = 0; i < turns && !(wanted && strstr(got, wanted)); i++) {
        turn(100);
        for (ssize_t more; (more = recv(fd, got + n, sizeof(got) - 1 - n, 0)) > 0;) {
            n += (size_t)more;
        }
        got[n] = '\0';
    }
    return got;
}

static const char *hear(int fd, int turns)
{
    return hear_for(fd, turns, NULL);
}

static void must_have(const char *got, const char *text)
{
    if (!strstr(got, text)) {
        fail_msg("\"%s\" is missing in\n%.2000s", text, got);
    }
}

static void test_rows(void **state)
{
    (void)state;
    set_row(0, "{\"other\":\"name\",\"name\":\"A\",\"n\":[{\"name\":\"inner\"}]}");
    set_row(1, "{\"n\":1,\"name\":\"B\\\"}]\"}");
    (void)snprintf(whole, sizeof(whole), "{\"x\":1}");
    int fd = listen_to(0);
    const char *got = hear(fd, 4);
    must_have(got, "event: list\ndata: {\"first\":true,\"last\":true,\"set\":[{\"other\":\"name\","
                   "\"name\":\"A\",\"n\":[{\"name\":\"inner\"}]},{\"n\":1,\"name\":\"B\\\"}]\"}],"
                   "\"gone\":[]}\n\n");
    must_have(got, "event: whole\ndata: {\"x\":1}\n\n");
    assert_string_equal(hear(fd, 3), ""); /* nothing has changed */

    /* One row changes, one comes, one goes. */
    set_row(0, "{\"name\":\"A\",\"n\":2}");
    set_row(1, "{\"name\":\"C\"}");
    must_have(hear(fd, 3),
              "event: list\ndata: {\"first\":false,\"last\":true,\"set\":[{\"name\":\"A\","
              "\"n\":2},{\"name\":\"C\"}],\"gone\":[\"B\\\"}]\"]}\n\n");
    /* Another listener gets everything, and not what had gone before. */
    int second = listen_to(0);
    got = hear(second, 3);
    must_have(got, "{\"first\":true,\"last\":true,\"set\":[{\"name\":\"A\",\"n\":2},"
                   "{\"name\":\"C\"}],\"gone\":[]}");
    assert_string_equal(hear(fd, 1), "");
    /* It comes back. */
    set_row(2, "{\"n\":1,\"name\":\"B\\\"}]\"}");
    must_have(hear(fd, 3), "\"set\":[{\"n\":1,\"name\":\"B\\\"}]\"}],\"gone\":[]}");
    (void)close(second);
    (void)close(fd);
}

/* Thousands of rows come in several events, each once; then only what changes; and when nearly all
 * have gone it begins anew. */
static void test_many(void **state)
{
    char text[128];
    size_t n = 0;
    size_t events_n = 0;
    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        (void)snprintf(text, sizeof(text), "{\"name\":\"CUSTOMER_NETWORK_%04zu\",\"requests\":%zu}",
                       i, i);
        set_row(i, text);
    }
    int fd = listen_to(0);
    const char *got = hear_for(fd, 100, "\"last\":true");
    for (const char *p = got; (p = strstr(p, "\"name\"")) != NULL; p++) {
        n++;
    }
    for (const char *p = got; (p = strstr(p, "event: list")) != NULL; p++) {
        events_n++;
    }
    assert_int_equal(n, ROWS);
    assert_in_range(events_n, 3, 20);
    must_have(got, "{\"first\":true,\"last\":false,");
    must_have(got, "{\"first\":false,\"last\":true,");
    set_row(7, "{\"name\":\"CUSTOMER_NETWORK_0007\",\"requests\":8}");
    got = hear_for(fd, 200, "\"last\":true"); /* a topic that takes long has long pauses */
    must_have(got, "\"requests\":8}");
    assert_true(strlen(got) < 200);
    for (size_t i = 10; i < ROWS; i++) {
        set_row(i, NULL);
    }
    got = hear_for(fd, 200, "{\"first\":true,\"last\":true,");
    must_have(got, "\"CUSTOMER_NETWORK_2999\"]}");
    must_have(got, "{\"first\":true,\"last\":true,");
    (void)close(fd);
}

/* Who reads nothing is cut off, and nobody is asked for it any more; who has nothing to read stays.
 */
static void test_stalled(void **state)
{
    (void)state;
    (void)snprintf(whole, sizeof(whole), "{}");
    int idle = listen_to(0);
    (void)hear(idle, 20); /* much longer than it takes to be cut off */
    assert_int_equal(server->n_conns, 1);
    (void)close(idle);
    turn(100);

    int fd = listen_to(4096);
    for (unsigned i = 0; i < 60 && server->n_conns > 0; i++) {
        memset(whole, 'x', sizeof(whole) - 1);
        (void)snprintf(whole, 16, "{\"x\":%u", i);
        whole[strlen(whole)] = 'x';
        turn(100);
    }
    assert_int_equal(server->n_conns, 0);
    unsigned before = asked;
    turn(300);
    assert_int_equal(asked, before);
    (void)close(fd);
}

/* A whole answer that nobody reads: the connection ends, too. */
static void test_stalled_answer(void **state)
{
    const struct admin_limits lim = {
        .idle_ms = 60000, .head_ms = 1000, .body_ms = 1000, .write_ms = 300};
    const struct admin_peer peer = {.may_read = true};
    struct addr from = {.len = sizeof(sa_family_t)};
    struct admin_server *s = NULL;
    const char *request = "GET /list HTTP/1.1\r\nHost: x\r\n\r\n";
    char text[128];
    int fds[2];
    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        (void)snprintf(text, sizeof(text), "{\"name\":\"%0100zu\"}", i);
        set_row(i, text);
    }
    from.ss.ss_family = AF_UNIX;
    assert_int_equal(admin_server_new(l, &lim, &s), FRUN_OK);
    assert_int_equal(admin_server_add(s, routes, 2, NULL), FRUN_OK);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(admin_server_take(s, &fds[1], &from, NULL, &peer), FRUN_OK);
    assert_int_equal(send(fds[0], request, strlen(request), MSG_NOSIGNAL),
                     (ssize_t)strlen(request));
    turn(100);
    assert_int_equal(s->n_conns, 1);
    for (int i = 0; i < 50 && s->n_conns > 0; i++) {
        turn(100);
    }
    assert_int_equal(s->n_conns, 0);
    (void)close(fds[0]);
    admin_server_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stalled, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stalled_answer, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
