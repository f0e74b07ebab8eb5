/* SPDX-License-Identifier: Apache-2.0 */
/* Tunnels that come while workers end: the loops of the workers turn when the test says so, also in
 * the middle of each other, as threads may. */
#include "frun/gateway/door.h"

#include "../../src/gateway/gateway_int.h"
#include "frun/base/log.h"
#include "frun/gateway/gateway.h"
#include "frun/gateway/seat.h"
#include "frun/tunnel/ptth.h"
#include "tls_fixture.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define WORKERS 3

static struct tls_fixture files;
static struct gateway *gateway;

/* -- a worker that is quicker than whoever posts to it
 * ------------------------------------------------------------------------------------------ */

static struct loop *quick;

frun_err __real_loop_post(struct loop *l, loop_job_fn fn, void *arg);
frun_err __wrap_loop_post(struct loop *l, loop_job_fn fn, void *arg);

static void stop(void *arg)
{
    loop_stop(arg);
}

static void pass(struct loop *l)
{
    assert_int_equal(__real_loop_post(l, stop, l), FRUN_OK);
    loop_run(l);
}

frun_err __wrap_loop_post(struct loop *l, loop_job_fn fn, void *arg)
{
    frun_err err = __real_loop_post(l, fn, arg);
    if (!err && l == quick) {
        quick = NULL;
        pass(l);
    }
    return err;
}

/* -- a gateway that does not run
 * ----------------------------------------------------------------------------------------- */

static void put_conf(void)
{
    FILE *f = fopen(fixture_path(&files, "gw.ini"), "we");
    assert_non_null(f);
    (void)fprintf(f,
                  "[gateway]\npublic_url = https://push.example.com\nworkers = %d\n"
                  "certificate = server.pem\nprivate_key = server.key\nlisten = 127.0.0.1:0\n"
                  "[tunnel]\nlisten = 127.0.0.2:0\nclient_ca = ca.pem\n"
                  "[admin]\ncontrol_socket =\nlisten =\n[audit]\nlevel = off\n"
                  "[connector DC1-A]\ncertificate_subject = CN=dc1-a\nlocation_id = DC1\n"
                  "[system FR1]\nsystem_id = FR1\nclient = 100\nvirtual_host = fr1_frun:443\n"
                  "location_id = DC1\nhealth_check = no\n"
                  "[endpoint ACME_PROD]\nsystem = FR1\ncustomer_network = ACME PROD\n"
                  "admin_request_parameter = acme-prod\n"
                  "[pusher s4-acme]\nendpoint = ACME_PROD\nauth = certificate\n"
                  "certificate_sha256 = "
                  "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n",
                  WORKERS);
    assert_int_equal(fclose(f), 0);
}

static int set_up(void **state)
{
    (void)state;
    const struct log_settings quiet = {.level = LOG_LEVEL_ERROR,
                                       .events = {LOG_TARGET_FILE, "/dev/null", 0}};
    struct conf_gw *conf = NULL;
    struct diag d = {.text = ""};
    fixture_init(&files);
    put_conf();
    frun_err err = log_start(&quiet, &d);
    err = err ? err : conf_gw_load(fixture_path(&files, "gw.ini"), stderr, &conf);
    err = err ? err : gateway_new(conf, false, NULL, &gateway, &d);
    if (err) {
        print_error("%s: %s\n", err_text(err), d.text);
        return -1;
    }
    conf_gw_unref(&conf);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    gateway_free(gateway);
    gateway = NULL;
    log_stop();
    fixture_done(&files);
    return 0;
}

/* -- a connector
 * -----------------------------------------------------------------------------------------------------
 */

static void pair(int fd[2])
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(a);
    int door = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    fd[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(door, (struct sockaddr *)&a, n), 0);
    assert_int_equal(listen(door, 1), 0);
    assert_int_equal(getsockname(door, (struct sockaddr *)&a, &n), 0);
    assert_int_equal(connect(fd[0], (struct sockaddr *)&a, n), 0);
    fd[1] = accept4(door, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    assert_true(fd[1] >= 0);
    assert_int_equal(fcntl(fd[0], F_SETFL, O_NONBLOCK), 0);
    (void)close(door);
}

/* It comes to @p w and asks for a tunnel. */
static SSL *come(struct worker *w, SSL_CTX *ctx, int fd[2])
{
    const struct ptth_hello hello = {.subaccount = SPAN_LIT("acme"),
                                     .location_id = SPAN_LIT("DC1"),
                                     .instance = SPAN_LIT("0123456789abcdef0123456789abcdef"),
                                     .name = SPAN_LIT("dc1-a"),
                                     .version = SPAN_LIT("1"),
                                     .wire_version = PTTH_WIRE_VERSION};
    struct addr from = {0};
    struct buf out;
    SSL *ssl = SSL_new(ctx);
    pair(fd);
    assert_int_equal(door_new(w, &fd[1], &from), FRUN_OK);
    assert_int_equal(SSL_set_fd(ssl, fd[0]), 1);
    for (int i = 0; SSL_connect(ssl) != 1; i++) {
        assert_true(i < 100);
        pass(w->loop);
    }
    buf_init(&out, 4096);
    assert_int_equal(ptth_write_hello(&hello, SPAN_LIT("push.example.com"), &out), FRUN_OK);
    assert_int_equal(SSL_write(ssl, buf_span(&out).p, (int)buf_len(&out)), (int)buf_len(&out));
    buf_done(&out);
    for (int i = 0; w->n_doors > 0; i++) {
        assert_true(i < 100);
        pass(w->loop);
    }
    return ssl;
}

static SSL_CTX *connector(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    assert_int_equal(
        SSL_CTX_use_certificate_file(ctx, fixture_path(&files, "dc1-a.pem"), SSL_FILETYPE_PEM), 1);
    assert_int_equal(
        SSL_CTX_use_PrivateKey_file(ctx, fixture_path(&files, "dc1-a.key"), SSL_FILETYPE_PEM), 1);
    return ctx;
}

/* A tunnel that is due to a worker which has ended goes on to the next. It is nobody's business any
 * more there, however quick the next one is: it may have taken it, and freed what it came in. */
static void passed_on(unsigned n_ended)
{
    struct worker **w = gateway->shared.workers;
    const struct seat *seat = gateway->gen->seats[0];
    SSL_CTX *ctx = connector();
    int fd[2];
    for (unsigned i = 0; i < n_ended; i++) {
        w[i]->is_saying_goodbye = true;
    }
    SSL *ssl = come(w[WORKERS - 1], ctx, fd);
    assert_int_equal(seat_sum(seat), 1);
    quick = w[1]->loop;
    for (unsigned i = 0; i < WORKERS; i++) {
        pass(w[i]->loop);
        quick = NULL;
    }
    assert_int_equal(hub_count(w[n_ended]->hub), 1);
    assert_int_equal(seat_sum(seat), 1);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    (void)close(fd[0]);
    for (unsigned i = 0; i < 100 && seat_sum(seat) > 0; i++) {
        pass(w[n_ended]->loop);
    }
    assert_int_equal(seat_sum(seat), 0);
    for (unsigned i = 0; i < WORKERS; i++) {
        w[i]->is_saying_goodbye = false;
    }
}

static void test_passed_on(void **state)
{
    (void)state;
    passed_on(1);
    passed_on(2);
}

/* Nobody turns any more when one is on its way: it ends with the daemon. */
static void test_left_behind(void **state)
{
    (void)state;
    struct worker **w = gateway->shared.workers;
    SSL_CTX *ctx = connector();
    for (unsigned i = 0; i < WORKERS; i++) {
        int fd[2];
        SSL *ssl = come(w[WORKERS - 1], ctx, fd);
        SSL_free(ssl);
        (void)close(fd[0]);
    }
    SSL_CTX_free(ctx);
    assert_int_equal(seat_sum(gateway->gen->seats[0]), WORKERS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_passed_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_left_behind, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
