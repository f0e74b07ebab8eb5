/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/fetch/fetch.h"

#include "frun/base/mono.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
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

/* Is a library of that name in this process? */
static bool is_mapped(const char *name)
{
    char line[1024];
    bool is_found = false;
    FILE *f = fopen("/proc/self/maps", "re");
    assert_non_null(f);
    while (!is_found && fgets(line, sizeof(line), f)) {
        is_found = strstr(line, name) != NULL;
    }
    (void)fclose(f);
    return is_found;
}

/* The first test: others load it. */
static void test_loaded_when_needed(void **state)
{
    struct diag d = {.text = ""};

    (void)state;
    fetch_stop(); /* nothing to undo */
    assert_false(is_mapped("/libcurl"));
    assert_int_equal(fetch_load(&d), FRUN_OK);
    assert_string_equal(d.text, "");
    assert_true(is_mapped("/libcurl.so.4"));
    assert_int_equal(fetch_load(NULL), FRUN_OK);
    fetch_stop(); /* prepared again by whoever comes next */
    assert_int_equal(fetch_load(NULL), FRUN_OK);
}

/* A server of one connection: waits until `until` has come, sends `answer`, closes. */
struct server {
    int fd;
    unsigned port;
    const char *until;
    const char *answer;
    bool is_silent; /* read only, and close when the client does */
    char got[8192];
    size_t n;
    pthread_t thread;
};

static void *serve(void *ctx)
{
    struct server *s = ctx;
    struct pollfd wait = {.fd = s->fd, .events = POLLIN};
    if (poll(&wait, 1, 10000) != 1) {
        return NULL;
    }
    int c = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
    wait.fd = c;
    while (s->is_silent || !strstr(s->got, s->until)) {
        if (poll(&wait, 1, 10000) != 1 || s->n + 1 >= sizeof(s->got)) {
            break;
        }
        ssize_t n = read(c, s->got + s->n, sizeof(s->got) - 1 - s->n);
        if (n <= 0) {
            break;
        }
        s->n += (size_t)n;
    }
    if (!s->is_silent) {
        (void)send(c, s->answer, strlen(s->answer), MSG_NOSIGNAL);
    }
    (void)close(c);
    return NULL;
}

static void start(struct server *s, const char *until, const char *answer)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    memset(s, 0, sizeof(*s));
    s->until = until;
    s->answer = answer;
    s->is_silent = !answer;
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(s->fd >= 0);
    assert_int_equal(bind(s->fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(s->fd, 4), 0);
    assert_int_equal(getsockname(s->fd, (struct sockaddr *)&at, &len), 0);
    s->port = ntohs(at.sin_port);
    assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void stop(struct server *s)
{
    assert_int_equal(pthread_join(s->thread, NULL), 0);
    (void)close(s->fd);
}

static void test_post(void **state)
{
    (void)state;
    struct server s;
    char url[128];
    struct secret *password = NULL;
    struct fetch_answer a;
    struct diag d = {.text = ""};
    static const char *const fields[] = {"Content-Type: application/json", "X-One: 1"};
    start(&s, "{\"a\":1}",
          "HTTP/1.1 100 Continue\r\nX-Two: early\r\n\r\n"
          "HTTP/1.1 202 Accepted\r\nProxy-Status:  sim \r\nContent-Length: 2\r\n\r\nok");
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/a/../b?x=%%2f", s.port);
    assert_int_equal(secret_new(SPAN_LIT("open sesame"), &password), FRUN_OK);
    struct fetch_request r = {.url = url,
                              .body = SPAN_LIT("{\"a\":1}"),
                              .fields = fields,
                              .n_fields = 2,
                              .user = "Aladdin",
                              .password = password};
    /* a proxy of the environment must not be asked */
    assert_int_equal(setenv("http_proxy", "http://127.0.0.1:1", 1), 0);
    frun_err err = fetch_run(&r, &a, &d);
    stop(&s);
    assert_string_equal(d.text, "");
    assert_int_equal(err, FRUN_OK);
    assert_int_equal(a.status, 202);
    assert_int_equal(a.http_version, 11);
    assert_true(span_eq(buf_span(&a.body), SPAN_LIT("ok")));
    assert_true(span_eq(fetch_answer_field(&a, SPAN_LIT("proxy-status")), SPAN_LIT("sim")));
    assert_null(fetch_answer_field(&a, SPAN_LIT("X-Two")).p);
    fetch_answer_done(&a);
    secret_free(password);
    assert_ptr_equal(strstr(s.got, "POST /a/../b?x=%2f HTTP/1.1\r\n"), s.got);
    assert_non_null(strstr(s.got, "\r\nAuthorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"));
    assert_non_null(strstr(s.got, "\r\nContent-Type: application/json\r\n"));
    assert_non_null(strstr(s.got, "\r\nX-One: 1\r\n"));
    assert_null(strstr(s.got, "Expect"));
}

static void test_answers(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        const char *scheme;
        const char *method;
        const char *answer; /* NULL: none */
        frun_err want;
        int status;
    } rows[] = {
        {"redirect is not followed", "http", "GET",
         "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
         FRUN_OK, 302},
        {"head", "http", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", FRUN_OK, 200},
        {"error status is an answer", "http", "PUT", "HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n",
         FRUN_OK, 503},
        {"too large", "http", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123456789",
         FRUN_E_LIMIT, 0},
        {"cut short", "http", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1234",
         FRUN_E_CLOSED, 0},
        {"nothing", "http", "GET", "", FRUN_E_CLOSED, 0},
        {"no answer in time", "http", "GET", NULL, FRUN_E_TIMEOUT, 0},
        {"other scheme", "ftp", "GET", NULL, FRUN_E_SYNTAX, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct server s;
        char url[128];
        struct fetch_answer a;
        struct diag d = {.text = ""};
        start(&s, "\r\n\r\n", rows[i].answer);
        (void)snprintf(url, sizeof(url), "%s://127.0.0.1:%u/", rows[i].scheme, s.port);
        struct fetch_request r = {
            .url = url, .method = rows[i].method, .timeout_ms = 500, .max_body = 8};
        if (rows[i].answer) {
            r.timeout_ms = 10000;
        }
        frun_err err = fetch_run(&r, &a, &d);
        if (rows[i].want == FRUN_E_SYNTAX) {
            /* nobody came: wake the server */
            struct fetch_request wake = {.url = url, .timeout_ms = 200};
            (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/", s.port);
            assert_int_not_equal(fetch_run(&wake, &a, NULL), FRUN_OK);
        }
        stop(&s);
        if (err != rows[i].want || (!err && a.status != rows[i].status) || (err && !d.text[0])) {
            fail_msg("%s: %d, %s", rows[i].label, err, d.text);
        }
        if (!err) {
            fetch_answer_done(&a);
        }
    }
}

static void test_refusals(void **state)
{
    (void)state;
    struct fetch_answer a;
    struct diag d = {.text = ""};
    static const char *const split[] = {"X-One: 1\r\nX-Two: 2"};
    struct fetch_request r = {.url = "http://127.0.0.1:1/", .fields = split, .n_fields = 1};
    assert_int_equal(fetch_run(&r, &a, &d), FRUN_E_SYNTAX);
    r = (struct fetch_request){.url = "http://127.0.0.1:1/"};
    assert_int_equal(fetch_run(&r, &a, &d), FRUN_E_CONNECT);
    assert_non_null(strstr(d.text, "check host, port"));
    r = (struct fetch_request){.url = "not a url"};
    assert_int_equal(fetch_run(&r, &a, &d), FRUN_E_SYNTAX);
}

/* A server that does not speak TLS is an error of TLS, not an answer. */
static void test_no_tls(void **state)
{
    (void)state;
    struct server s;
    char url[128];
    struct fetch_answer a;
    struct diag d = {.text = ""};
    start(&s, "\x16\x03", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    (void)snprintf(url, sizeof(url), "https://127.0.0.1:%u/", s.port);
    struct fetch_request r = {.url = url, .timeout_ms = 10000};
    assert_int_equal(fetch_run(&r, &a, &d), FRUN_E_TLS);
    stop(&s);
}

/* A name server that does not answer: libcurl finds this function before the C library's. */
#define SLOW_MS 3000

static atomic_int slow_asked;
static atomic_int slow_answered;

__attribute__((visibility("default"))) int getaddrinfo(const char *name, const char *service,
                                                       const struct addrinfo *hints,
                                                       struct addrinfo **out)
{
    typedef int (*real_fn)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    if (name && strcmp(name, "slow.test") == 0) {
        (void)atomic_fetch_add(&slow_asked, 1);
        (void)poll(NULL, 0, SLOW_MS);
        (void)atomic_fetch_add(&slow_answered, 1);
        return EAI_AGAIN;
    }
    void *found = dlsym(RTLD_NEXT, "getaddrinfo");
    real_fn real = NULL;
    memcpy(&real, &found, sizeof(real));
    return real(name, service, hints, out);
}

/* Whoever gives up does not wait for the name server: it may be the main loop, at a reload. */
static void test_name_server_away(void **state)
{
    (void)state;
    struct fetch_answer a;
    struct diag d = {.text = ""};
    const struct fetch_request r = {.url = "http://slow.test/", .timeout_ms = 200};
    uint64_t begun_ms = mono_now_ms();
    assert_int_equal(fetch_run(&r, &a, &d), FRUN_E_TIMEOUT);
    uint64_t took_ms = mono_now_ms() - begun_ms;
    assert_int_equal(atomic_load(&slow_asked), 1);
    if (took_ms >= SLOW_MS - 500) {
        fail_msg("took %llu ms", (unsigned long long)took_ms);
    }
    while (!atomic_load(&slow_answered)) {
        (void)poll(NULL, 0, 10);
    }
    (void)poll(NULL, 0, 100); /* what the helper has is freed by itself */
}

static int set_up(void **state)
{
    (void)state;
    fetch_start();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fetch_stop();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loaded_when_needed),
        cmocka_unit_test(test_post),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_no_tls),
        cmocka_unit_test(test_name_server_away),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
