/* SPDX-License-Identifier: Apache-2.0 */
#include "../../src/fetch/token_int.h"

#include "frun/base/mono.h"
#include "frun/fetch/token.h"
#include "frun/loop/service.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
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

#define SECRET "S3cret+/=&"

/* {"iat":1000,"exp":4600,"zid":"tenant-1"} between two parts that nobody reads */
#define JWT "e30.eyJpYXQiOjEwMDAsImV4cCI6NDYwMCwiemlkIjoidGVuYW50LTEifQ.c2ln"

/* ---- answers ---- */

static void test_answers(void **state)
{
    static const struct {
        const char *label;
        const char *json;
        const char *tenant;
        int64_t wall_s;
        frun_err err;
        uint64_t life_ms;
        const char *says;
    } rows[] = {
        {"opaque", "{\"access_token\":\"abc\",\"expires_in\":3600}", NULL, 0, FRUN_OK, 3600000, ""},
        {"life as a text", "{\"access_token\":\"abc\",\"expires_in\":\"60\"}", NULL, 0, FRUN_OK,
         60000, ""},
        {"no life", "{\"access_token\":\"abc\"}", NULL, 0, FRUN_OK, TOKEN_LIFE_DEFAULT_MS, ""},
        {"life above all measure", "{\"access_token\":\"abc\",\"expires_in\":999999999}", NULL, 0,
         FRUN_OK, TOKEN_LIFE_MAX_MS, ""},
        {"the token's own is shorter", "{\"access_token\":\"" JWT "\",\"expires_in\":43199}", NULL,
         0, FRUN_OK, 3600000, ""},
        {"the answer's is shorter", "{\"access_token\":\"" JWT "\",\"expires_in\":10}", NULL, 0,
         FRUN_OK, 10000, ""},
        {"its tenant", "{\"access_token\":\"" JWT "\"}", "tenant-1", 0, FRUN_OK, 3600000, ""},
        {"another tenant", "{\"access_token\":\"" JWT "\"}", "tenant-2", 0, FRUN_E_DENIED, 0,
         "another tenant"},
        /* {"exp":4600} */
        {"until only", "{\"access_token\":\"e30.eyJleHAiOjQ2MDB9.x\"}", NULL, 4000, FRUN_OK, 600000,
         ""},
        {"expired", "{\"access_token\":\"e30.eyJleHAiOjQ2MDB9.x\"}", NULL, 4600, FRUN_E_DENIED, 0,
         "clocks"},
        {"type", "{\"access_token\":\"a\",\"token_type\":\"mac\"}", NULL, 0, FRUN_E_SYNTAX, 0,
         "bearer"},
        {"none", "{\"token\":\"a\"}", NULL, 0, FRUN_E_SYNTAX, 0, "access_token"},
        {"line end in it", "{\"access_token\":\"a\\r\\nb: c\"}", NULL, 0, FRUN_E_SYNTAX, 0,
         "access_token"},
        {"no JSON", "<html>", NULL, 0, FRUN_E_SYNTAX, 0, "JSON"},
        {"empty", "", NULL, 0, FRUN_E_SYNTAX, 0, "JSON"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct token_answer a = {0};
        struct diag d = {.text = ""};
        frun_err err =
            token_answer_read(span_of(rows[i].json), rows[i].tenant, rows[i].wall_s, &a, &d);
        if (err != rows[i].err || a.life_ms != rows[i].life_ms || !strstr(d.text, rows[i].says) ||
            (!err && memcmp(a.text, "Bearer ", 7) != 0)) {
            fail_msg("%s: %d, %llu, %s", rows[i].label, err, (unsigned long long)a.life_ms, d.text);
        }
        free(a.text);
    }
}

static void test_error_codes(void **state)
{
    static const char *const rows[][2] = {
        {"{\"error\":\"invalid_client\"}", "invalid_client"},
        {"{\"error\":\"the secret S3cret\"}", ""},
        {"{\"error\":7}", ""},
        {"<html>", ""},
        {"", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char code[TOKEN_ERROR_BYTES];
        token_answer_error(span_of(rows[i][0]), code);
        assert_string_equal(code, rows[i][1]);
    }
}

/* ---- a token service of the test's own ---- */

static struct {
    pthread_mutex_t gate; /* held: calls do not come back */
    atomic_uint calls;
    atomic_int err;
    atomic_int status;
    atomic_int life_s;
    atomic_uint_fast64_t now_ms;
    atomic_int events[3];
    atomic_int changes;
    char body[1024]; /* of the last request */
    char fields[1024];
    char text[512]; /* of the last news */
} fake = {.gate = PTHREAD_MUTEX_INITIALIZER};

static uint64_t fake_now(void)
{
    return atomic_load(&fake.now_ms);
}

static frun_err fake_fetch(const struct fetch_request *r, struct fetch_answer *out, struct diag *d)
{
    unsigned n = atomic_fetch_add(&fake.calls, 1) + 1;
    pthread_mutex_lock(&fake.gate);
    (void)snprintf(fake.body, sizeof(fake.body), "%.*s", SPAN_FMT(r->body));
    fake.fields[0] = '\0';
    for (size_t i = 0; i < r->n_fields; i++) {
        size_t at = strlen(fake.fields);
        (void)snprintf(fake.fields + at, sizeof(fake.fields) - at, "%s\n", r->fields[i]);
    }
    pthread_mutex_unlock(&fake.gate);
    frun_err err = atomic_load(&fake.err);
    if (err) {
        diag_set(d, "the fake is down");
        return err;
    }
    *out = (struct fetch_answer){.status = atomic_load(&fake.status), .is_secret = r->is_secret};
    buf_init(&out->head, 100);
    buf_init(&out->body, 1000);
    return out->status == 200
               ? buf_printf(&out->body, "{\"access_token\":\"t%u\",\"expires_in\":%d}", n,
                            atomic_load(&fake.life_s))
               : buf_printf(&out->body,
                            "{\"error\":\"invalid_client\",\"error_description\":\"" SECRET "\"}");
}

static void on_news(void *ctx, const struct token_news *n)
{
    (void)ctx;
    if (n->is_change) {
        atomic_fetch_add(&fake.changes, 1);
    }
    if (n->text) {
        (void)snprintf(fake.text, sizeof(fake.text), "%s", n->text);
    }
    atomic_fetch_add(&fake.events[n->event], 1); /* last: whoever sees it may read the rest */
}

struct rig {
    struct loop *loop;
    struct token_office *office;
    struct token_desk *desk;
    struct token *token;
    struct token_waiter waiter;
    unsigned told;
};

static void on_told(struct token_waiter *w)
{
    struct rig *r = list_entry(w, struct rig, waiter);
    r->told++;
    loop_stop(r->loop);
}

static struct token_source source(const struct secret *s)
{
    return (struct token_source){.name = "sap-connectivity BTP",
                                 .url = "https://acme.example.com/oauth/token",
                                 .client_id = "sb-1!b2|connectivity!b3",
                                 .client_secret = s,
                                 .tenant = "tenant-1",
                                 .connect_timeout_ms = 5000,
                                 .timeout_ms = 30000};
}

static int setup(void **state)
{
    struct rig *r = calloc(1, sizeof(*r));
    struct secret *s = NULL;
    static const struct token_office_settings set = {
        .fetch = fake_fetch, .news = on_news, .now_ms = fake_now};
    assert_non_null(r);
    atomic_store(&fake.calls, 0);
    atomic_store(&fake.err, 0);
    atomic_store(&fake.status, 200);
    atomic_store(&fake.life_s, 100);
    atomic_store(&fake.now_ms, 1000000);
    atomic_store(&fake.changes, 0);
    for (size_t i = 0; i < 3; i++) {
        atomic_store(&fake.events[i], 0);
    }
    fake.text[0] = '\0';
    assert_int_equal(loop_new(&r->loop), 0);
    assert_int_equal(token_office_new(&set, &r->office), 0);
    assert_int_equal(token_desk_new(r->office, r->loop, &r->desk), 0);
    assert_int_equal(secret_new(SPAN_LIT(SECRET), &s), 0);
    struct token_source from = source(s);
    assert_int_equal(token_new(&from, &r->token), 0);
    secret_free(s);
    list_init(&r->waiter.node);
    r->waiter.fn = on_told;
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    struct rig *r = *state;
    token_office_free(r->office);
    token_forget(&r->waiter);
    token_desk_free(r->desk);
    token_unref(&r->token);
    loop_free(r->loop);
    free(r);
    return 0;
}

/* Wait through the desk, as a worker does. */
static void wait_told(struct rig *r)
{
    unsigned before = r->told;
    token_wait(r->token, r->desk, &r->waiter);
    while (r->told == before) {
        loop_run(r->loop);
    }
}

static void assert_text(struct rig *r, const char *want)
{
    struct token_value *v = NULL;
    assert_int_equal(token_take(r->token, r->desk, &v, NULL), 0);
    assert_true(span_eq(token_value_text(v), span_of(want)));
    token_value_unref(&v);
}

static void fetch_first(struct rig *r)
{
    struct token_value *v = NULL;
    struct diag d = {.text = ""};
    assert_int_equal(token_take(r->token, r->desk, &v, &d), FRUN_E_AGAIN);
    assert_true(d.text[0]);
    wait_told(r);
}

static void run_briefly(struct rig *r, atomic_int *count, int until)
{
    for (int i = 0; atomic_load(count) < until; i++) {
        assert_true(i < 5000);
        (void)usleep(1000);
    }
    loop_stop(r->loop);
    loop_run(r->loop);
}

static void test_fetched_once(void **state)
{
    struct rig *r = *state;
    pthread_mutex_lock(&fake.gate);
    for (int i = 0; i < 100; i++) {
        struct token_value *v = NULL;
        assert_int_equal(token_take(r->token, r->desk, &v, NULL), FRUN_E_AGAIN);
    }
    pthread_mutex_unlock(&fake.gate);
    wait_told(r);
    assert_text(r, "Bearer t1");
    assert_int_equal(atomic_load(&fake.calls), 1);
    assert_string_equal(fake.body,
                        "grant_type=client_credentials&client_id=sb-1%21b2%7Cconnectivity%21b3"
                        "&client_secret=S3cret%2B%2F%3D%26");
    assert_non_null(strstr(fake.fields, "X-zid: tenant-1\n"));
    assert_true(token_is_usable(r->token, r->desk));
}

/* At 80 % one flight begins, and everyone is served from the old token meanwhile. */
static void test_renewed_in_time(void **state)
{
    struct rig *r = *state;
    fetch_first(r);
    atomic_fetch_add(&fake.now_ms, 79000);
    assert_text(r, "Bearer t1");
    assert_int_equal(atomic_load(&fake.calls), 1);
    atomic_fetch_add(&fake.now_ms, 1000);
    pthread_mutex_lock(&fake.gate);
    for (int i = 0; i < 100; i++) {
        assert_text(r, "Bearer t1");
    }
    pthread_mutex_unlock(&fake.gate);
    run_briefly(r, &fake.events[TOKEN_FETCHED], 2);
    assert_text(r, "Bearer t2");
    assert_int_equal(atomic_load(&fake.calls), 2);
    assert_int_equal(atomic_load(&fake.changes), 1);
}

static void test_kept_while_the_service_is_down(void **state)
{
    struct rig *r = *state;
    struct token_value *v = NULL;
    fetch_first(r);
    atomic_store(&fake.err, FRUN_E_CONNECT);
    atomic_fetch_add(&fake.now_ms, 80000);
    assert_text(r, "Bearer t1");
    run_briefly(r, &fake.events[TOKEN_KEPT], 1);
    for (int i = 0; i < 100; i++) {
        assert_text(r, "Bearer t1"); /* the back-off: not a call for each */
    }
    assert_int_equal(atomic_load(&fake.calls), 2);
    assert_true(token_is_usable(r->token, r->desk));
    atomic_fetch_add(&fake.now_ms, 20000);
    assert_int_equal(token_take(r->token, r->desk, &v, NULL), FRUN_E_AGAIN);
    run_briefly(r, &fake.events[TOKEN_LOST], 1);
    assert_false(token_is_usable(r->token, r->desk));
    assert_string_equal(fake.text, "the fake is down");
    atomic_store(&fake.err, 0);
    atomic_fetch_add(&fake.now_ms, 60000);
    wait_told(r); /* the back-off is over */
    assert_int_equal(token_take(r->token, r->desk, &v, NULL), FRUN_E_AGAIN);
    wait_told(r);
    assert_text(r, "Bearer t4");
    assert_int_equal(atomic_load(&fake.changes), 4);
}

static void test_refused(void **state)
{
    struct rig *r = *state;
    struct token_value *v = NULL;
    struct diag d = {.text = ""};
    atomic_store(&fake.status, 401);
    fetch_first(r);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(token_take(r->token, r->desk, &v, &d), FRUN_E_DENIED);
    }
    assert_int_equal(atomic_load(&fake.calls), 1);
    assert_non_null(strstr(d.text, "HTTP 401 invalid_client"));
    assert_null(strstr(d.text, "S3cret"));
    assert_null(strstr(fake.text, "S3cret"));
    assert_false(token_is_usable(r->token, r->desk));
    assert_int_equal(atomic_load(&fake.calls), 1);
    /* Who only asks after its state must not wait for ever for somebody who takes it. */
    atomic_store(&fake.status, 200);
    atomic_fetch_add(&fake.now_ms, 10000);
    assert_false(token_is_usable(r->token, r->desk));
    run_briefly(r, &fake.events[TOKEN_FETCHED], 1);
    assert_true(token_is_usable(r->token, r->desk));
}

static void test_dropped(void **state)
{
    struct rig *r = *state;
    struct token_value *a = NULL;
    struct token_value *b = NULL;
    fetch_first(r);
    assert_int_equal(token_take(r->token, r->desk, &a, NULL), 0);
    /* fresh and never accepted: its age is not what is wrong */
    assert_false(token_drop(r->token, r->desk, a));
    token_value_prove(a);
    assert_true(token_drop(r->token, r->desk, a));
    assert_true(token_drop(r->token, r->desk, a)); /* a hundred requests may say so */
    assert_int_equal(token_take(r->token, r->desk, &b, NULL), FRUN_E_AGAIN);
    wait_told(r);
    assert_int_equal(token_take(r->token, r->desk, &b, NULL), 0);
    assert_true(token_drop(r->token, r->desk, a)); /* replaced already: try the new one */
    assert_false(token_drop(r->token, r->desk, b));
    atomic_fetch_add(&fake.now_ms, TOKEN_FRESH_MS);
    assert_true(token_drop(r->token, r->desk, b));
    assert_int_equal(atomic_load(&fake.calls), 2);
    assert_true(span_eq(token_value_text(a), SPAN_LIT("Bearer t1"))); /* counted */
    token_value_unref(&a);
    token_value_unref(&b);
}

static void test_same_source(void **state)
{
    struct rig *r = *state;
    struct secret *s = NULL;
    assert_int_equal(secret_new(SPAN_LIT(SECRET), &s), 0);
    struct token_source same = source(s);
    assert_true(token_is_of(r->token, &same));
    same.tenant = "tenant-2";
    assert_false(token_is_of(r->token, &same));
    same = source(s);
    same.timeout_ms += 1;
    assert_false(token_is_of(r->token, &same));
    same = source(s);
    same.proxy_user = "another";
    assert_false(token_is_of(r->token, &same));
    same = source(s);
    same.proxy_password = s;
    assert_false(token_is_of(r->token, &same));
    same = source(NULL);
    assert_false(token_is_of(r->token, &same));
    secret_free(s);
}

/* A desk that goes while a wake is on its way, a call under way and somebody waiting. */
static void test_desk_goes_first(void **state)
{
    struct rig *r = *state;
    struct token_value *v = NULL;
    pthread_mutex_lock(&fake.gate);
    assert_int_equal(token_take(r->token, r->desk, &v, NULL), FRUN_E_AGAIN);
    token_wait(r->token, r->desk, &r->waiter);
    pthread_mutex_unlock(&fake.gate);
    for (int i = 0; atomic_load(&fake.events[TOKEN_FETCHED]) < 1; i++) {
        (void)usleep(1000);
    }
    token_desk_free(r->desk);
    r->desk = NULL;
    assert_int_equal(r->told, 0);
}

/* ---- several workers ---- */

#define WORKERS 4
#define TAKES   2000

struct worker {
    struct loop *loop;
    struct loop_thread *thread;
    struct token_desk *desk;
    struct token *token;
    struct token_waiter waiter;
    struct deadline turn;
    unsigned taken;
    atomic_bool is_done;
};

static void work(struct worker *w)
{
    struct token_value *v = NULL;
    frun_err err = token_take(w->token, w->desk, &v, NULL);
    if (err) {
        assert_int_equal(err, FRUN_E_AGAIN);
        token_wait(w->token, w->desk, &w->waiter);
        return;
    }
    if (w->taken % 100 == 0) {
        token_value_prove(v);
        assert_true(token_drop(w->token, w->desk, v));
    }
    token_value_unref(&v);
    if (++w->taken == TAKES) {
        atomic_store(&w->is_done, true);
        return;
    }
    if (w->taken % 50 == 0) {
        deadline_set(w->loop, &w->turn, 1);
    } else {
        work(w);
    }
}

static void on_turn(struct deadline *d)
{
    work(list_entry(d, struct worker, turn));
}

static void on_worker_told(struct token_waiter *w)
{
    work(list_entry(w, struct worker, waiter));
}

static void test_many_workers(void **state)
{
    struct rig *r = *state;
    struct worker w[WORKERS];
    memset(w, 0, sizeof(w));
    for (size_t i = 0; i < WORKERS; i++) {
        w[i].token = r->token;
        list_init(&w[i].waiter.node);
        w[i].waiter.fn = on_worker_told;
        deadline_init(&w[i].turn, on_turn);
        atomic_init(&w[i].is_done, false);
        assert_int_equal(loop_new(&w[i].loop), 0);
        assert_int_equal(token_desk_new(r->office, w[i].loop, &w[i].desk), 0);
        deadline_set(w[i].loop, &w[i].turn, 1);
        assert_int_equal(loop_thread_start(w[i].loop, "test", &w[i].thread), 0);
    }
    for (size_t i = 0; i < WORKERS; i++) {
        for (int t = 0; !atomic_load(&w[i].is_done); t++) {
            assert_true(t < 30000);
            (void)usleep(1000);
        }
    }
    for (size_t i = 0; i < WORKERS; i++) {
        loop_stop(w[i].loop);
        loop_thread_join(w[i].thread);
    }
    token_office_free(r->office);
    r->office = NULL;
    for (size_t i = 0; i < WORKERS; i++) {
        token_desk_free(w[i].desk);
        loop_free(w[i].loop);
    }
    /* Each value was dropped once however many saw it: never more calls than drops, and one. */
    assert_true(atomic_load(&fake.calls) <= WORKERS * TAKES / 100 + 1);
}

/* ---- with libcurl ---- */

/* A token service that accepts and says nothing does not hold up the end of the program. */
static void test_end_does_not_wait(void **state)
{
    struct rig *r = *state;
    static const struct token_office_settings set = {.news = on_news};
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    struct token_office *office = NULL;
    struct token_desk *desk = NULL;
    struct token *token = NULL;
    struct token_value *v = NULL;
    char url[64];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    (void)snprintf(url, sizeof(url), "https://127.0.0.1:%u/", ntohs(at.sin_port));
    struct token_source from = source(NULL);
    from.url = url;
    assert_int_equal(token_office_new(&set, &office), 0);
    assert_int_equal(token_desk_new(office, r->loop, &desk), 0);
    assert_int_equal(token_new(&from, &token), 0);
    assert_int_equal(token_take(token, desk, &v, NULL), FRUN_E_AGAIN);
    (void)usleep(100000);
    uint64_t from_ms = mono_now_ms();
    token_office_free(office);
    assert_true(mono_now_ms() - from_ms < 5000);
    token_desk_free(desk);
    token_unref(&token);
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_error_codes),
        cmocka_unit_test_setup_teardown(test_fetched_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_renewed_in_time, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kept_while_the_service_is_down, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_dropped, setup, teardown),
        cmocka_unit_test_setup_teardown(test_same_source, setup, teardown),
        cmocka_unit_test_setup_teardown(test_desk_goes_first, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_workers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_end_does_not_wait, setup, teardown),
    };
    fetch_start();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fetch_stop();
    return failed;
}
