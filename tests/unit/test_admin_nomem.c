/* SPDX-License-Identifier: Apache-2.0 */
/* What an administrator is told when the n-th allocation is refused, for every n: all of it, an
 * error, or nothing; never a part that looks like all. Ours and jansson's are refused alike. */
#include "frun/admin/json.h"
#include "frun/admin/metrics.h"
#include "frun/admin/recent.h"
#include "frun/admin/server.h"
#include "frun/loop/loop.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define ROWS 4

static int left = -1; /* allocations that still succeed; negative: all */

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);

static bool refuses(void)
{
    return left >= 0 && left-- == 0;
}

void *__wrap_malloc(size_t n)
{
    return refuses() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return refuses() ? NULL : __real_calloc(n, size);
}

static struct admin_recent recent;

static struct loop *now; /* of the present question */

static bool put_all(void *ctx, struct admin_metrics *m, size_t *at)
{
    (void)ctx;
    (void)at;
    admin_metrics_family(m, "things", "counter", "", "Things.");
    for (int i = 0; i < ROWS; i++) {
        const struct admin_label label = {"name", SPAN_LIT("ACME")};
        admin_metrics_value(m, &label, 1, i);
    }
    return false;
}

static void on_metrics(void *ctx, struct admin_request *r)
{
    static const admin_metrics_part parts[] = {put_all};
    (void)ctx;
    admin_metrics_serve(
        &(struct admin_metrics_job){
            .loop = now, .prefix = "x_", .parts = parts, .n_parts = 1, .stall_ms = 1000},
        r);
}

static void on_list(void *ctx, struct admin_request *r)
{
    json_t *list = json_array();
    (void)ctx;
    for (int i = 0; i < ROWS; i++) {
        json_t *o = json_object();
        admin_json_set(&o, "name", admin_json_text("ACME\xff"));
        admin_json_set(&o, "n", json_integer(i));
        admin_json_append(&list, o);
    }
    admin_json_answer(r, json_pack("{s:o}", "list", list));
}

static void on_recent(void *ctx, struct admin_request *r)
{
    struct admin_recent_entry *all = malloc(ADMIN_RECENT_MAX * sizeof(*all));
    (void)ctx;
    size_t n = all ? admin_recent_copy(&recent, all) : 0;
    json_t *list = all ? admin_recent_json(all, n) : NULL;
    free(all);
    admin_json_answer(r, list ? json_pack("{s:o}", "list", list) : NULL);
}

static void on_body(void *ctx, struct admin_request *r)
{
    (void)ctx;
    json_t *body = admin_json_body(r);
    if (body) {
        admin_json_answer(r, body);
    }
}

static const struct admin_route routes[] = {
    {"GET", "/metrics", false, on_metrics},
    {"GET", "/list/{name}", false, on_list},
    {"GET", "/recent", false, on_recent},
    {"POST", "/body", true, on_body},
};

static void stop(void *arg)
{
    loop_stop(arg);
}

/* The mail that ends the pass is not what is refused. */
static void one_pass(struct loop *l)
{
    int before = left;
    left = -1;
    assert_int_equal(loop_post(l, stop, l), FRUN_OK);
    left = before;
    loop_run(l);
}

/* Ask with the n-th allocation refused. true: there were fewer. */
static bool ask(const char *request, int n, char *got, size_t room)
{
    const struct admin_peer peer = {.may_read = true, .may_write = true};
    struct addr from = {.len = sizeof(sa_family_t)};
    struct admin_server *s = NULL;
    struct loop *l = NULL;
    size_t len = 0;
    int fds[2];
    from.ss.ss_family = AF_UNIX;
    assert_int_equal(loop_new(&l), FRUN_OK);
    now = l;
    assert_int_equal(admin_server_new(l, &ADMIN_LIMITS_DEFAULT, &s), FRUN_OK);
    assert_int_equal(admin_server_add(s, routes, sizeof(routes) / sizeof(routes[0]), NULL),
                     FRUN_OK);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(send(fds[0], request, strlen(request), MSG_NOSIGNAL),
                     (ssize_t)strlen(request));
    left = n;
    if (admin_server_take(s, &fds[1], &from, NULL, &peer) != FRUN_OK) {
        (void)close(fds[1]);
    }
    for (int i = 0; i < 20; i++) {
        one_pass(l);
        ssize_t more = recv(fds[0], got + len, room - 1 - len, 0);
        if (more == 0) {
            break;
        }
        len += more > 0 ? (size_t)more : 0;
    }
    bool is_over = left >= 0;
    left = -1;
    got[len] = '\0';
    (void)close(fds[0]);
    admin_server_free(s);
    loop_free(l);
    return is_over;
}

static void test_all_or_nothing(void **state)
{
    static const struct {
        const char *request;
        const char *end; /* of a complete answer */
    } rows[] = {
        {"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "} 3\n"},
        {"GET /list/A HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "\"n\":3}]}\n"},
        {"GET /recent HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "\"id3\"}]}\n"},
        {"POST /body HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: "
         "7\r\n\r\n{\"a\":1}",
         "{\"a\":1}\n"},
    };
    static char got[65536];
    (void)state;
    for (unsigned i = 0; i < ROWS; i++) {
        struct admin_recent_entry *e = admin_recent_add(&recent);
        *e = (struct admin_recent_entry){.ended_ms = 1000 - i, .status = 200};
        (void)snprintf(e->id, sizeof(e->id), "id%u", i);
    }
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bool is_over = false;
        int n = 0;
        for (; !is_over; n++) {
            is_over = ask(rows[i].request, n, got, sizeof(got));
            size_t len = strlen(got);
            size_t tail = strlen(rows[i].end);
            bool is_all = strstr(got, "HTTP/1.1 200 ") == got && len > tail &&
                          strcmp(got + len - tail, rows[i].end) == 0;
            /* jansson does not always tell a text from a lack of memory: 400 is an error, too. */
            bool is_error =
                (strstr(got, "HTTP/1.1 500 ") == got || strstr(got, "HTTP/1.1 400 ") == got) &&
                got[len - 1] == '\n';
            if (!is_all && (is_over || (len > 0 && !is_error))) {
                fail_msg("%s allocation %d: %s", rows[i].request, n, got);
            }
        }
        assert_true(n > 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all_or_nothing)};
    json_set_alloc_funcs(__wrap_malloc, free);
    json_object_seed(1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
