/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/admin/metrics.h"

#include "../../src/admin/server_int.h"
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

static bool put_all(void *ctx, struct admin_metrics *m, size_t *at)
{
    const struct admin_label odd[] = {{"name", SPAN_LIT("a\"b\\c\nd\xff")}, {"b", SPAN_LIT("")}};
    uint64_t buckets[METER_BOUNDS + 1] = {1, 2};
    (void)ctx;
    (void)at;
    buckets[METER_BOUNDS] = 4;
    admin_metrics_family(m, "things", "counter", "", "Things.");
    admin_metrics_value(m, odd, 2, 12345678901.0);
    admin_metrics_family(m, "room_bytes", "gauge", "bytes", "Room.");
    admin_metrics_value(m, NULL, 0, 0.5);
    admin_metrics_family(m, "time_seconds", "histogram", "seconds", "Time.");
    admin_metrics_histogram(m, odd + 1, 1, buckets, 1500000);
    admin_metrics_process(m, 1000);
    return false;
}

static void on_metrics(void *ctx, struct admin_request *r)
{
    static const admin_metrics_part parts[] = {put_all};
    (void)ctx;
    admin_metrics_serve(
        &(struct admin_metrics_job){
            .loop = w.l, .prefix = "x_", .parts = parts, .n_parts = 1, .stall_ms = 1000},
        r);
}

/* -- a long text
 * -------------------------------------------------------------------------------------------------
 */

#define SUBJECTS 3000

static struct meter *meter;
static struct {
    size_t pieces;
    size_t largest;  /* octets that waited when a piece was asked for */
    size_t fails_at; /* piece that fails; 0: none */
    int done;
} seen;

static bool is_even(void *ctx, struct span name)
{
    (void)ctx;
    return (name.p[name.n - 1] - '0') % 2 == 0;
}

static const char *route(unsigned variant)
{
    return variant ? "direct" : "tunnel";
}

static bool put_table(void *ctx, struct admin_metrics *m, size_t *at)
{
    const struct admin_metrics_table t = {.meter = meter,
                                          .subject = "endpoint",
                                          .route = route,
                                          .own = "gateway",
                                          .families =
                                              ADMIN_METRICS_REQUESTS | ADMIN_METRICS_DURATION |
                                              ADMIN_METRICS_UPSTREAM | ADMIN_METRICS_REPEATS,
                                          .is_shown = is_even};
    (void)ctx;
    seen.pieces++;
    seen.largest = buf_len(&m->out) > seen.largest ? buf_len(&m->out) : seen.largest;
    m->is_failed |= seen.pieces == seen.fails_at;
    return admin_metrics_table(m, &t, at);
}

static void on_done(void *ctx)
{
    (void)ctx;
    seen.done++;
}

static void on_long(void *ctx, struct admin_request *r)
{
    static const admin_metrics_part parts[] = {put_all, put_table};
    (void)ctx;
    admin_metrics_serve(&(struct admin_metrics_job){.loop = w.l,
                                                    .prefix = "x_",
                                                    .parts = parts,
                                                    .n_parts = 2,
                                                    .stall_ms = 200,
                                                    .done = on_done},
                        r);
}

static const struct admin_route routes[] = {{"GET", "/metrics", false, on_metrics},
                                            {"GET", "/long", false, on_long}};

static struct admin_server *server;

static void stop(struct deadline *d)
{
    (void)d;
    loop_stop(w.l);
}

static void stop_job(void *arg)
{
    loop_stop(arg);
}

/* A connection that has sent a request; -> our end. */
static int begin(const char *request)
{
    const struct admin_peer peer = {.may_read = true};
    struct addr from = {.len = sizeof(sa_family_t)};
    int fds[2];
    from.ss.ss_family = AF_UNIX;
    w = (struct world){0};
    assert_int_equal(loop_new(&w.l), FRUN_OK);
    assert_int_equal(admin_server_new(w.l, &ADMIN_LIMITS_DEFAULT, &server), FRUN_OK);
    assert_int_equal(admin_server_add(server, routes, 2, NULL), FRUN_OK);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(admin_server_take(server, &fds[1], &from, NULL, &peer), FRUN_OK);
    assert_int_equal(send(fds[0], request, strlen(request), MSG_NOSIGNAL),
                     (ssize_t)strlen(request));
    return fds[0];
}

static void end(int fd)
{
    (void)close(fd);
    admin_server_free(server);
    loop_free(w.l);
}

static void pass(void)
{
    assert_int_equal(loop_post(w.l, stop_job, w.l), FRUN_OK);
    loop_run(w.l);
}

/* Ask and read until the server ends the connection. */
static void ask(const char *accept)
{
    struct deadline look;
    char text[256];
    size_t n = 0;
    (void)snprintf(text, sizeof(text),
                   "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\n", accept);
    int fd = begin(text);
    deadline_init(&look, stop);
    for (int i = 0; i < 100; i++) {
        deadline_set(w.l, &look, 1);
        loop_run(w.l);
        ssize_t more = recv(fd, got + n, sizeof(got) - 1 - n, 0);
        if (more == 0) {
            break;
        }
        n += more > 0 ? (size_t)more : 0;
    }
    got[n] = '\0';
    end(fd);
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

static void fill_meter(void)
{
    const struct meter_event e = {.status = 200, .origin = METER_ORIGIN_BACKEND, .total_us = 1000};
    char name[32];
    assert_int_equal(meter_new(1, &meter), FRUN_OK);
    for (unsigned i = 0; i < SUBJECTS; i++) {
        (void)snprintf(name, sizeof(name), "CUSTOMER_NETWORK_%04u", i);
        meter_request(meter, 0, i, i % 3 == 0, span_of(name), &e);
    }
    seen.pieces = seen.largest = seen.fails_at = 0;
    seen.done = 0;
}

/* Read all there is, up to the end of the connection or of the chunks. -> octets */
static size_t read_all(int fd, char *text, size_t room, bool *is_closed)
{
    size_t n = 0;
    *is_closed = false;
    for (int idle = 0; idle < 2000 && !*is_closed; idle++) {
        pass();
        for (ssize_t more; (more = recv(fd, text + n, room - 1 - n, 0)) >= 0; idle = 0) {
            if (more == 0) {
                *is_closed = true;
                break;
            }
            n += (size_t)more;
        }
        if (n > 5 && memcmp(text + n - 5, "0\r\n\r\n", 5) == 0) {
            break;
        }
    }
    text[n] = '\0';
    return n;
}

static size_t count_text(const char *in, const char *what)
{
    size_t n = 0;
    for (const char *p = in; (p = strstr(p, what)) != NULL; p++) {
        n++;
    }
    return n;
}

/* In pieces, each row that is shown once, and never more than a piece and a bit is held. */
static void test_long(void **state)
{
    static char text[16 << 20];
    bool is_closed = false;
    (void)state;
    fill_meter();
    int fd = begin("GET /long HTTP/1.1\r\nHost: x\r\n\r\n");
    size_t n = read_all(fd, text, sizeof(text), &is_closed);
    assert_false(is_closed);
    assert_int_equal(seen.done, 1);
    assert_true(n > 3 << 20);
    assert_true(seen.pieces > 300);
    assert_in_range(seen.largest, 1, 65536);
    assert_non_null(strstr(text, "Transfer-Encoding: chunked\r\n"));
    /* Chunks may cut a line anywhere; few of these short texts are cut. */
    assert_in_range(count_text(text, "x_request_duration_seconds_count{"), SUBJECTS / 2 - 30,
                    SUBJECTS / 2);
    assert_non_null(strstr(text,
                           "{endpoint=\"CUSTOMER_NETWORK_0006\",route=\"direct\",code=\"2xx\","
                           "origin=\"focused-run\"} 1\n"));
    assert_non_null(strstr(text, "endpoint=\"CUSTOMER_NETWORK_0004\",route=\"tunnel\""));
    assert_null(strstr(text, "CUSTOMER_NETWORK_0003")); /* not shown */
    /* What never happened has a heading, and no line. */
    assert_null(strstr(text, "x_upstream_duration_seconds_bucket"));
    assert_null(strstr(text, "x_repeats_total{"));
    end(fd);
    meter_free(meter);
}

/* Who reads nothing is cut off, and what was sent does not look like all of it. */
static void test_stalled(void **state)
{
    static char text[16 << 20];
    struct deadline look;
    bool is_closed = false;
    (void)state;
    fill_meter();
    int fd = begin("GET /long HTTP/1.1\r\nHost: x\r\n\r\n");
    deadline_init(&look, stop);
    deadline_set(w.l, &look, 5000);
    for (int i = 0; i < 100 && !seen.done; i++) {
        deadline_set(w.l, &look, 50);
        loop_run(w.l);
    }
    assert_int_equal(seen.done, 1);
    assert_true(seen.pieces < 900);
    assert_int_equal(server->n_conns, 0);
    size_t n = read_all(fd, text, sizeof(text), &is_closed);
    assert_true(is_closed && n > 1000 && n < 1 << 20);
    end(fd);
    meter_free(meter);
}

static void test_cut_short(void **state)
{
    static char text[16 << 20];
    static const struct {
        const char *label;
        size_t fails_at;
        bool is_gone;
        bool is_freed;
    } rows[] = {{"memory is refused", 900, false, false},
                {"the reader goes", 0, true, false},
                {"the daemon ends", 0, false, true}};
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bool is_closed = false;
        fill_meter();
        seen.fails_at = rows[i].fails_at;
        int fd = begin("GET /long HTTP/1.1\r\nHost: x\r\n\r\n");
        for (int k = 0; k < 20; k++) {
            pass();
        }
        assert_int_equal(seen.done, 0);
        if (rows[i].is_gone) {
            (void)close(fd);
            for (int k = 0; k < 20; k++) {
                pass();
            }
            fd = -1;
        } else if (rows[i].is_freed) {
            admin_server_free(server);
            server = NULL;
        } else {
            (void)read_all(fd, text, sizeof(text), &is_closed);
            assert_true(is_closed);
        }
        if (seen.done != 1) {
            fail_msg("%s: done %d times", rows[i].label, seen.done);
        }
        if (fd >= 0) {
            (void)close(fd);
        }
        admin_server_free(server);
        loop_free(w.l);
        meter_free(meter);
    }
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
        cmocka_unit_test(test_plain),     cmocka_unit_test(test_open),
        cmocka_unit_test(test_long),      cmocka_unit_test(test_stalled),
        cmocka_unit_test(test_cut_short), cmocka_unit_test(test_recent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
