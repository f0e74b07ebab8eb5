/* SPDX-License-Identifier: Apache-2.0 */
/* A reload step by step: the loops of main and of the workers turn when the test says so. So every
 * allocation of a reload can be refused, and things can happen between its steps. */
#include "frun/gateway/gateway.h"

#include "../../src/gateway/gateway_int.h"
#include "frun/admin/reloading.h"
#include "frun/base/log.h"
#include "frun/oauth/issuer.h"
#include "reload_rig.h"
#include "tls_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define HASH "$5$rounds=1000$fixture$2Ln3F4aQfCMsS9dyIVg9aYVo5E1xiKiQ7DNJ0ZCmKQ0"

#define WORKERS 2

frun_err __wrap_issuer_fetch(const struct conf_issuer *c, const atomic_bool *stop,
                             struct issuer_catch *out, struct diag *d);

frun_err __wrap_issuer_fetch(const struct conf_issuer *c, const atomic_bool *stop,
                             struct issuer_catch *out, struct diag *d)
{
    (void)c;
    (void)stop;
    (void)out;
    diag_set(d, "as the test says");
    return FRUN_E_IO;
}

/* -- a gateway that does not run
 * ----------------------------------------------------------------------------------------- */

static struct tls_fixture files;
static struct gateway *gateway;
static unsigned ports[3];

/* A bit of everything that has memory of its own. @p is_other: another address, endpoint, pusher
 * and connector, another road, another issuer. */
static void write_conf(bool is_other)
{
    FILE *f = rig_begin_file(&files, "gw.ini");
    (void)fprintf(f,
                  "[gateway]\npublic_url = https://push.example.com\nworkers = %d\n"
                  "certificate = server.pem\nprivate_key = server.key\nclient_ca = ca.pem\n"
                  "state_directory = state\nauto_reload_certificates = no\n"
                  "listen = 127.0.0.1:%u\n",
                  WORKERS, ports[0]);
    if (is_other) {
        (void)fprintf(f, "listen = 127.0.0.1:%u\n", ports[2]);
    }
    (void)fprintf(
        f,
        "[tunnel]\nlisten = 127.0.0.1:%u\nclient_ca = ca.pem\n"
        "[admin]\ncontrol_socket =\nlisten =\n[audit]\nlevel = off\n"
        "[log]\nlevel = error\ntarget = file:log\n"
        "[connector DC1-A]\ncertificate_subject = CN=dc1-a\nlocation_id = DC1\n"
        "[system FR1]\nsystem_id = FR1\nclient = 100\nvirtual_host = fr1_frun:443\n"
        "location_id = DC1\nhealth_check = no\n"
        "[oauth]\nkey_directory = keys\n"
        "[issuer IDP]\nissuer = https://idp.example.com%s\naudience = frunproxy\nscope = push\n"
        "jwks_url = https://127.0.0.1:1/keys\n",
        ports[1], is_other ? "/other" : "");
    (void)fputs("[sap-connectivity BTP]\nservice_key = btp.json\n"
                "[endpoint ACME_PROD]\nsystem = FR1\ncustomer_network = ACME PROD\n"
                "admin_request_parameter = acme-prod\nuser = FRUN_PUSH\npassword = file:secret\n"
                "host_name = acme.example.com\ncertificate = leaf.pem\nprivate_key = leaf.key\n"
                "[endpoint BTP]\nsystem = FR1\ncustomer_network = BTP\nroute = sap-connectivity\n"
                "sap_connectivity = BTP\nvirtual_host = frun:443\nadmin_request_parameter = btp\n"
                "user = FRUN_PUSH\npassword = file:secret\n"
                "[endpoint CERT]\nsystem = FR1\ncustomer_network = CERT\nroute = direct\n"
                "address = 127.0.0.1:1\nbackend_ca = ca.pem\nauth = certificate\n"
                "client_certificate = dc1-a.pem\nclient_key = dc1-a.key\n"
                "admin_request_parameter = cert\n"
                "[endpoint TWO]\nsystem = FR1\ncustomer_network = TWO\n"
                "address = 127.0.0.1:1\nbackend_ca = ca.pem\n"
                "admin_request_parameter = two\nuser = FRUN_PUSH\npassword = file:secret\n",
                f);
    (void)fputs(is_other ? "route = sap-connectivity\nsap_connectivity = BTP\n"
                           "standby_route = direct\n"
                         : "route = tunnel\nstandby_route = direct\n",
                f);
    (void)fputs("[pusher s4-acme]\nendpoint = ACME_PROD, TWO\nuser = s4push\n"
                "auth = basic, certificate, oauth2\nclient_id = s4\nclient_secret_hash = " HASH "\n"
                "password_hash = " HASH "\ncertificate_subject = CN=s4\n"
                "max_requests_per_second = 5\n"
                "[pusher jwt]\nendpoint = CERT, BTP\nauth = jwt\nissuer = IDP\n"
                "token_client = sb-acme\n",
                f);
    if (is_other) {
        (void)fputs("[connector DC1-B]\ncertificate_subject = CN=dc1-b\nlocation_id = DC1\n"
                    "[endpoint NEW]\nsystem = FR1\ncustomer_network = NEW\n"
                    "admin_request_parameter = new\nuser = FRUN_PUSH\npassword = file:secret\n"
                    "[pusher new]\nendpoint = NEW\nuser = new\npassword_hash = " HASH "\n",
                    f);
    }
    assert_int_equal(fclose(f), 0);
}

static int set_up(void **state)
{
    (void)state;
    const struct log_settings quiet = {.level = LOG_LEVEL_ERROR,
                                       .events = {LOG_TARGET_FILE, "/dev/null", 0}};
    fixture_init(&files);
    for (size_t i = 0; i < 3; i++) {
        ports[i] = rig_free_port();
    }
    rig_put_file(&files, "secret", "geheim\n");
    rig_put_file(&files, "btp.json",
                 "{\"clientid\":\"c\",\"clientsecret\":\"s\","
                 "\"token_service_url\":\"https://127.0.0.1:1/oauth/token\","
                 "\"onpremise_proxy_host\":\"127.0.0.1\",\"onpremise_proxy_port\":\"1\","
                 "\"onpremise_proxy_http_port\":\"1\"}");
    write_conf(false);
    struct conf_gw *conf = NULL;
    struct diag d = {.text = ""};
    frun_err err = log_start(&quiet, &d);
    if (!err) {
        err = conf_gw_load(fixture_path(&files, "gw.ini"), stderr, &conf);
    }
    if (!err) {
        err = gateway_new(conf, false, NULL, &gateway, &d);
    }
    if (err) {
        print_error("%s: %s\n", err_text(err), d.text);
        return -1;
    }
    conf_gw_unref(&conf);
    keyring_start(gateway->keyring, gateway->loop, &gateway->shared);
    return issuer_keys_new(gateway->loop, &gateway->shared, &gateway->issuer_keys) ||
                   issuer_keys_follow(gateway->issuer_keys, gateway->gen->registry)
               ? -1
               : 0;
}

static int tear_down(void **state)
{
    (void)state;
    gateway_free(gateway);
    gateway = NULL;
    log_stop();
    (void)fixture_path(&files, "log");
    rig_clean_folder(&files, "keys");
    rig_clean_folder(&files, "state");
    fixture_done(&files);
    return 0;
}

/* -- turning
 * ------------------------------------------------------------------------------------------------------
 */

static void turn_workers(void)
{
    for (size_t i = 0; i < WORKERS; i++) {
        rig_pass(gateway->shared.workers[i]->loop);
    }
}

/* Until it is over. */
static void finish(unsigned before)
{
    for (int i = 0; rig_n_ended == before; i++) {
        turn_workers();
        rig_pass(gateway->loop);
        assert_true(i < 20000);
        if (i > 10) {
            (void)usleep(1000);
        }
    }
}

static void reload(void)
{
    unsigned before = rig_n_ended;
    reload_begin(gateway->reload, "test");
    finish(before);
}

/* Listeners go a pass after they were given up. */
static void assert_sockets(void)
{
    bool is_other = gateway->gen->conf->n_connectors == 2;
    size_t n = (size_t)WORKERS * (is_other ? 3 : 2);
    for (int i = 0; i < 5000 && rig_count_sockets() != n; i++) {
        turn_workers();
        rig_pass(gateway->loop);
        (void)usleep(1000);
    }
    assert_int_equal(rig_count_sockets(), n);
}

/* -- tests
 * ----------------------------------------------------------------------------------------------------
 */

static void assert_in_force(const struct generation *g)
{
    assert_ptr_equal(gateway->gen, g);
    for (size_t i = 0; i < WORKERS; i++) {
        const struct worker *w = gateway->shared.workers[i];
        assert_ptr_equal(w->gen, g);
        assert_ptr_equal(w->roads->gen, g);
        assert_null(w->change);
        assert_ptr_equal(w->all_roads.next->next, &w->all_roads); /* one, nobody pins another */
    }
}

/* One allocation is refused: nothing changes and nothing stays behind, or all of it is in use. */
static void reload_refused(int n, bool *is_other)
{
    struct generation *before = gateway->gen;
    unsigned refs = atomic_load(&before->refs);
    write_conf(*is_other);
    reload();
    if (!rig_is_kept) {
        assert_in_force(gateway->gen);
        assert_int_equal(gateway->gen->conf->n_connectors, *is_other ? 2 : 1);
        *is_other = !*is_other;
        return;
    }
    if (!strstr(rig_why, err_text(FRUN_E_NOMEM))) {
        fail_msg("allocation %d refused: %s", n, rig_why);
    }
    assert_in_force(before);
    if (atomic_load(&before->refs) != refs) {
        fail_msg("allocation %d refused: %u references, not %u", n, atomic_load(&before->refs),
                 refs);
    }
    assert_sockets();
}

static void test_memory_refused(void **state)
{
    (void)state;
    rig_refuse_each(&rig_left, 1, 100, reload_refused);
}

static void test_memory_refused_to_openssl(void **state)
{
    (void)state;
    rig_refuse_each(&rig_left_ssl, 401, 1000, reload_refused); /* there are 40000 of them */
}

static struct endpoint_state *state_of(const char *name)
{
    return registry_endpoint_named(gateway->gen->registry, span_of(name))->state;
}

/* Between its preparation and its commit an endpoint is switched, whose first road changes. */
static void test_switched_meanwhile(void **state)
{
    (void)state;
    unsigned before = rig_n_ended;
    write_conf(true);
    reload_begin(gateway->reload, "test");
    turn_workers();
    atomic_store(&state_of("TWO")->is_switched, true);
    finish(before);
    assert_false(rig_is_kept);
    const struct endpoint *e = registry_endpoint_named(gateway->gen->registry, SPAN_LIT("TWO"));
    assert_int_equal(switchover_now(e), CONF_ROUTE_DIRECT);
    for (size_t i = 0; i < WORKERS; i++) {
        const struct roads *r = gateway->shared.workers[i]->roads;
        assert_string_equal(r->all[e->index]->ops->name, "direct");
    }
}

static const struct tls_ctx *context_of(const char *name)
{
    return registry_endpoint_named(gateway->gen->registry, span_of(name))->backend_tls;
}

/* What is made of certificates that are the same goes on; of changed ones it is made anew. */
static void test_certificates_go_on(void **state)
{
    (void)state;
    struct tls_ctx *first = tls_ref((struct tls_ctx *)(uintptr_t)context_of("CERT"));
    for (int i = 0; i < 3; i++) {
        reload();
        assert_false(rig_is_kept);
        assert_ptr_equal(context_of("CERT"), first);
    }
    const struct fixture_cert renewed = {"dc1-a", "dc1-a", NULL, -1, 86400, false, false, false};
    fixture_make(&files, &renewed);
    reload();
    assert_false(rig_is_kept);
    const struct tls_ctx *second = context_of("CERT");
    assert_ptr_not_equal(second, first);
    rig_put_file(&files, "dc1-a.key", "no key\n");
    reload();
    assert_true(rig_is_kept);
    assert_ptr_equal(context_of("CERT"), second);
    tls_unref(&first);
}

/* The other worker does not turn, for a while that seems longer, until main says so. */
static void lose_patience(unsigned before)
{
    for (int i = 0; i < 2000 && rig_n_ended == before; i++) {
        rig_pass(gateway->shared.workers[0]->loop);
        rig_pass(gateway->loop);
        (void)usleep(5000);
        atomic_fetch_add(&rig_later_ms, 100);
    }
    rig_pass(gateway->shared.workers[0]->loop); /* has nothing to do with it any more */
}

/* Before or after the commit. Nobody waits for it for ever. */
static void stuck(bool is_late)
{
    struct generation *old = gateway->gen;
    struct loop *first = gateway->shared.workers[0]->loop;
    struct loop *second = gateway->shared.workers[1]->loop;
    unsigned before = rig_n_ended;
    write_conf(true);
    reload_begin(gateway->reload, "test");
    rig_pass(first);
    if (is_late) {
        rig_pass(second);
        rig_pass(gateway->loop);
        rig_pass(first);
    }
    assert_int_equal(rig_n_ended, before);
    lose_patience(before);
    assert_int_equal(rig_n_ended, before + 1);
    assert_true(rig_is_kept == !is_late);
    assert_true(is_late || strstr(rig_why, "worker 1 has not turned"));
    reload_begin(gateway->reload, "another"); /* is answered too */
    assert_int_equal(rig_n_ended, before + 2);
    assert_true(rig_is_kept && strstr(rig_why, "worker 1"));
    assert_ptr_equal(gateway->shared.workers[1]->gen, old);
    for (int i = 0; i < 50; i++) { /* it turns again */
        turn_workers();
        rig_pass(gateway->loop);
        (void)usleep(1000);
        atomic_fetch_add(&rig_later_ms, 50);
    }
    assert_int_equal(rig_n_ended, before + 2); /* told once */
    assert_true((gateway->gen == old) == !is_late);
    assert_in_force(gateway->gen);
    reload();
    assert_false(rig_is_kept);
    assert_in_force(gateway->gen);
}

static void test_a_worker_is_stuck(void **state)
{
    (void)state;
    stuck(false);
}

static void test_a_worker_is_stuck_at_the_end(void **state)
{
    (void)state;
    stuck(true);
}

/* Whatever it has come to. */
static void test_stopped_meanwhile(void **state)
{
    (void)state;
    for (int n = 0; n < 2; n++) {
        write_conf(n == 0);
        reload_begin(gateway->reload, "test");
        reload_begin(gateway->reload, "again");
        turn_workers();
        if (n) {
            rig_pass(gateway->loop);
            rig_pass(gateway->shared.workers[0]->loop);
            break;
        }
        finish(rig_n_ended);
    }
    reload_stop(gateway->reload); /* and all of it is freed */
}

int main(void)
{
    if (!rig_init()) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_memory_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_memory_refused_to_openssl, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_switched_meanwhile, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_certificates_go_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_worker_is_stuck, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_worker_is_stuck_at_the_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stopped_meanwhile, set_up, tear_down)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
