/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/admin/metrics.h"

#include "frun/admin/recent.h"
#include "stream_fixture.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct world w;
static char got[65536];

static void on_metrics(void *ctx, struct admin_request *r)
{
    struct admin_metrics m;
    const struct admin_label odd[] = {{"name", SPAN_LIT("a\"b\\c\nd\xff")}, {"b", SPAN_LIT("")}};
    uint64_t buckets[METER_BOUNDS + 1] = {1, 2};
    (void)ctx;
    buckets[METER_BOUNDS] = 4;
    admin_metrics_begin(&m, "x_", r);
    admin_metrics_family(&m, "things", "counter", "", "Things.");
    admin_metrics_value(&m, odd, 2, 12345678901.0);
    admin_metrics_family(&m, "room_bytes", "gauge", "bytes", "Room.");
    admin_metrics_value(&m, NULL, 0, 0.5);
    admin_metrics_family(&m, "time_seconds", "histogram", "seconds", "Time.");
    admin_metrics_histogram(&m, odd + 1, 1, buckets, 1500000);
    admin_metrics_process(&m, 1000);
    admin_metrics_answer(&m, r);
    assert_int_equal(buf_len(&m.out), 0);
}

static const struct admin_route routes[] = {{"GET", "/metrics", false, on_metrics}};

static void stop(struct deadline *d)
{
    (void)d;
    loop_stop(w.l);
}

/* Ask and read until the server ends the connection. */
static void ask(const char *accept)
{
    const struct admin_peer peer = {.may_read = true};
    struct addr from = {.len = sizeof(sa_family_t)};
    struct admin_server *s = NULL;
    struct deadline look;
    char text[256];
    size_t n = 0;
    int fds[2];
    from.ss.ss_family = AF_UNIX;
    w = (struct world){0};
    assert_int_equal(loop_new(&w.l), FRUN_OK);
    assert_int_equal(admin_server_new(w.l, &ADMIN_LIMITS_DEFAULT, &s), FRUN_OK);
    assert_int_equal(admin_server_add(s, routes, 1, NULL), FRUN_OK);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(admin_server_take(s, &fds[1], &from, NULL, &peer), FRUN_OK);
    (void)snprintf(text, sizeof(text),
                   "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\n", accept);
    assert_int_equal(send(fds[0], text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
    deadline_init(&look, stop);
    for (int i = 0; i < 100; i++) {
        deadline_set(w.l, &look, 1);
        loop_run(w.l);
        ssize_t more = recv(fds[0], got + n, sizeof(got) - 1 - n, 0);
        if (more == 0) {
            break;
        }
        n += more > 0 ? (size_t)more : 0;
    }
    got[n] = '\0';
    (void)close(fds[0]);
    admin_server_free(s);
    loop_free(w.l);
}

static void must_have(const char *text)
{
    if (!strstr(got, text)) {
        fail_msg("\"%s\" is missing in\n%s", text, got);
    }
}

static void test_plain(void **state)
{
    (void)state;
    ask("");
    must_have("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n");
    must_have("# TYPE x_things_total counter\n# HELP x_things_total Things.\n");
    must_have("x_things_total{name=\"a\\\"b\\\\c\\nd?\",b=\"\"} 12345678901\n");
    must_have("x_room_bytes 0.5\n");
    must_have("x_time_seconds_bucket{b=\"\",le=\"0.01\"} 1\n");
    must_have("x_time_seconds_bucket{b=\"\",le=\"1.0\"} 3\n");
    must_have("x_time_seconds_bucket{b=\"\",le=\"1.25\"} 3\n");
    must_have("x_time_seconds_bucket{b=\"\",le=\"+Inf\"} 7\n");
    must_have("x_time_seconds_sum{b=\"\"} 1.5\nx_time_seconds_count{b=\"\"} 7\n");
    must_have("# TYPE x_build_info gauge\n");
    assert_null(strstr(got, "# UNIT"));
    assert_null(strstr(got, "# EOF"));
}

static void test_open(void **state)
{
    (void)state;
    ask("Accept: text/plain;q=0.5, Application/OpenMetrics-Text; version=1.0.0\r\n");
    must_have("Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n");
    must_have("# TYPE x_things counter\n# HELP x_things Things.\nx_things_total{");
    must_have("# UNIT x_room_bytes bytes\n");
    must_have("# TYPE x_build info\n");
    must_have("x_build_info{version=\"");
    assert_string_equal(got + strlen(got) - 6, "# EOF\n");
}

static void test_recent(void **state)
{
    static struct admin_recent r;
    static struct admin_recent_entry all[2 * ADMIN_RECENT_MAX];
    (void)state;
    for (unsigned i = 0; i < 70; i++) {
        struct admin_recent_entry *e = admin_recent_add(&r);
        *e = (struct admin_recent_entry){.ended_ms = UINT64_C(1700000000000) + i, .status = 200};
        admin_recent_text(e->path, sizeof(e->path), SPAN_LIT("/\xff"));
        admin_recent_text(e->endpoint, 4, SPAN_LIT("ACME"));
    }
    size_t n = admin_recent_copy(&r, all);
    assert_int_equal(n, ADMIN_RECENT_MAX);
    assert_int_equal(all[0].ended_ms, 1700000000069);
    assert_int_equal(all[49].ended_ms, 1700000000020);
    assert_string_equal(all[0].endpoint, "ACM");
    n += admin_recent_copy(&r, all + n);
    all[99].ended_ms = 1800000000000;
    json_t *list = admin_recent_json(all, n);
    assert_int_equal(json_array_size(list), ADMIN_RECENT_MAX);
    const json_t *first = json_array_get(list, 0);
    assert_string_equal(json_string_value(json_object_get(first, "time")),
                        "2027-01-15T08:00:00.000Z");
    assert_string_equal(json_string_value(json_object_get(first, "path")), "/?");
    assert_null(json_object_get(first, "pusher"));
    json_decref(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_recent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
