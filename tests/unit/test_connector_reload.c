/* SPDX-License-Identifier: Apache-2.0 */
/* A reload step by step: the loop turns when the test says so. So every allocation of a reload can
 * be refused, and time passes when the test wants it to. */
#include "frun/connector/connector.h"

#include "../../src/connector/connector_int.h"
#include "frun/base/log.h"
#include "reload_rig.h"
#include "tls_fixture.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define HASH "$5$rounds=1000$fixture$2Ln3F4aQfCMsS9dyIVg9aYVo5E1xiKiQ7DNJ0ZCmKQ0"

/** Behind it every former configuration has ended that nobody uses. */
#define LONG_MS 60000

/* -- a connector that does not run
 * ----------------------------------------------------------------------------------------- */

static struct tls_fixture files;
static struct connector connector;
static struct conf_cn *started;
static struct trust *trust;
static int silent = -1; /* listens, and never says a word */
static unsigned silent_port;
static unsigned page_port;

/* A bit of everything that has memory of its own. @p is_other: a membership has changed, one is
 * new, one has gone; another log, login, mapping. */
static void write_conf(bool is_other)
{
    FILE *f = rig_begin_file(&files, "cn.ini");
    (void)fprintf(f,
                  "[connector]\nname = dc1-a\ncertificate = dc1-a.pem\nprivate_key = dc1-a.key\n"
                  "auto_reload_certificates = no\ntunnels = 2\n"
                  "[admin]\ncontrol_socket =\nlisten = 127.0.0.1:%u\nuser = %s\n"
                  "password_hash = " HASH "\ncertificate = server.pem\nprivate_key = server.key\n"
                  "[audit]\nlevel = off\n[log]\nlevel = error\ntarget = file:%s\n"
                  "[subaccount same]\ngateway = 127.0.0.1:%u, 127.0.0.1:1\ngateway_ca = ca.pem\n"
                  "[subaccount changed]\ngateway = 127.0.0.1:%u\ngateway_ca = ca.pem\n"
                  "location_id = %s\n"
                  "[subaccount %s]\ngateway = 127.0.0.1:%u\ngateway_ca = %s.pem\n",
                  page_port, is_other ? "other" : "admin", is_other ? "log2" : "log", silent_port,
                  silent_port, is_other ? "DC2" : "DC1", is_other ? "new" : "old", silent_port,
                  is_other ? "bundle" : "ca");
    (void)fprintf(f,
                  "[system fr1_frun:443]\ninternal_host = 127.0.0.1\ninternal_port = 1\n"
                  "backend_ca = ca.pem\nsystem_certificate = server.pem\n"
                  "system_private_key = server.key\nprincipal_type = X.509 Certificate\n"
                  "principal_ca_certificate = inter.pem\nprincipal_ca_key = inter.key\n"
                  "[resource frun]\nsystem = fr1_frun:443\npath = /sap/frun\n"
                  "[system %s:443]\ninternal_host = 127.0.0.1\ninternal_port = 1\n"
                  "backend_ca = %s.pem\n",
                  is_other ? "fr2_frun" : "fr3_frun", is_other ? "bundle" : "ca");
    assert_int_equal(fclose(f), 0);
}

static void listen_silently(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(a);
    silent = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(silent, (struct sockaddr *)&a, n), 0);
    assert_int_equal(listen(silent, 1024), 0);
    assert_int_equal(getsockname(silent, (struct sockaddr *)&a, &n), 0);
    silent_port = ntohs(a.sin_port);
}

static int set_up(void **state)
{
    (void)state;
    const struct log_settings quiet = {.level = LOG_LEVEL_ERROR,
                                       .events = {LOG_TARGET_FILE, "/dev/null", 0}};
    fixture_init(&files);
    listen_silently();
    page_port = rig_free_port();
    write_conf(false);
    struct diag d = {.text = ""};
    connector = (struct connector){.first = NULL};
    frun_err err = log_start(&quiet, &d);
    err = err ? err : conf_cn_load(fixture_path(&files, "cn.ini"), NULL, &started);
    err = err ? err : trust_load(started, NULL, NULL, &trust);
    err = err ? err : connector_open(&connector, started, trust, &d);
    if (err) {
        print_error("%s: %s\n", err_text(err), d.text);
        return -1;
    }
    rig_pass(connector.loop);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    connector_close(&connector);
    trust_free(trust);
    conf_cn_unref(&started);
    log_stop();
    (void)close(silent);
    (void)fixture_path(&files, "log");
    (void)fixture_path(&files, "log2");
    fixture_done(&files);
    return 0;
}

static void reload(void)
{
    unsigned before = rig_n_ended;
    connector_reload(&connector, "test");
    assert_int_equal(rig_n_ended, before + 1);
}

/* -- memory is refused
 * ----------------------------------------------------------------------------------------------------
 */

/* The whole of it, and nothing of another one. */
static void assert_in_force(const struct connector_gen *g)
{
    const struct connector *c = &connector;
    assert_ptr_equal(c->gen, g);
    assert_int_equal(c->n_subaccounts, g->conf->n_subaccounts);
    for (size_t i = 0; i < c->n_subaccounts; i++) {
        assert_ptr_equal(subaccount_conf(c->subaccounts[i]), g->conf->subaccounts[i]);
    }
    assert_int_equal(g->env.is_closing, false);
}

static void assert_other(bool is_other)
{
    const struct conf_cn *conf = connector.gen->conf;
    assert_int_equal(conf->n_mappings, 2);
    assert_string_equal(conf->subaccounts[2]->place.name, is_other ? "new" : "old");
}

/* Nothing is owed, and nothing of the former ones is left. */
static void assert_settled(void)
{
    rig_let_pass(connector.loop, LONG_MS);
    for (int i = 0; i < 10 && connector.n_former; i++) { /* one thing waits for another */
        rig_let_pass(connector.loop, 1000);
    }
    assert_false(connector.owes_log || connector.owes_web);
    assert_true(list_is_empty(&connector.leaving));
    assert_true(list_is_empty(&connector.former));
    assert_int_equal(connector.n_former, 0);
}

/* One allocation is refused: nothing changes and nothing stays behind, or all of it is in use. */
static void reload_refused(int n, bool *is_other)
{
    struct connector_gen *before = connector.gen;
    int refs = __atomic_load_n(&before->conf->refs, __ATOMIC_RELAXED);
    struct subaccount *was[3] = {connector.subaccounts[0], connector.subaccounts[1],
                                 connector.subaccounts[2]};
    write_conf(*is_other);
    reload();
    if (!rig_is_kept) {
        assert_in_force(connector.gen);
        assert_ptr_equal(connector.subaccounts[0], was[0]);
        assert_ptr_not_equal(connector.subaccounts[1], was[1]);
        assert_other(*is_other);
        rig_pass(connector.loop);
        assert_settled();
        *is_other = !*is_other;
        return;
    }
    if (!strstr(rig_why, err_text(FRUN_E_NOMEM))) {
        fail_msg("allocation %d refused: %s", n, rig_why);
    }
    assert_in_force(before);
    assert_memory_equal(connector.subaccounts, was, sizeof(was));
    assert_true(list_is_empty(&connector.leaving));
    assert_int_equal(connector.n_former, 0);
    assert_int_equal(__atomic_load_n(&before->conf->refs, __ATOMIC_RELAXED), refs);
    assert_true(connector.is_refused);
    rig_pass(connector.loop);
    assert_in_force(before);
}

static void test_memory_refused(void **state)
{
    (void)state;
    rig_refuse_each(&rig_left, 1, 60, reload_refused);
}

static void test_memory_refused_to_openssl(void **state)
{
    (void)state;
    rig_refuse_each(&rig_left_ssl, 211, 1000, reload_refused);
}

/* -- certificates
 * ----------------------------------------------------------------------------------------------------
 */

/* What is made of files that are the same goes on; of changed ones it is made anew. */
static void test_certificates_go_on(void **state)
{
    (void)state;
    struct tls_ctx *tunnel = tls_ref(connector.gen->trust->subaccounts[0]);
    struct tls_ctx *backend = tls_ref(connector.gen->trust->mappings[0]);
    struct subaccount *first = connector.subaccounts[0];
    for (int i = 0; i < 3; i++) {
        reload();
        assert_false(rig_is_kept);
        assert_ptr_equal(connector.gen->trust->subaccounts[0], tunnel);
        assert_ptr_equal(connector.gen->trust->mappings[0], backend);
        assert_ptr_equal(connector.subaccounts[0], first);
    }
    const struct fixture_cert renewed = {"dc1-a", "dc1-a", NULL, -1, 86400, false, false, false};
    fixture_make(&files, &renewed);
    reload();
    assert_false(rig_is_kept);
    assert_ptr_not_equal(connector.gen->trust->subaccounts[0], tunnel);
    assert_ptr_equal(connector.gen->trust->mappings[0], backend);
    assert_ptr_not_equal(connector.subaccounts[0], first);
    first = connector.subaccounts[0];
    rig_put_file(&files, "dc1-a.key", "no key\n");
    reload();
    assert_true(rig_is_kept);
    assert_ptr_equal(connector.subaccounts[0], first);
    assert_settled();
    tls_unref(&tunnel);
    tls_unref(&backend);
}

/* -- too many at once
 * ----------------------------------------------------------------------------------------------------
 */

static void fill(void)
{
    for (unsigned i = 0; i < CONNECTOR_MAX_FORMER; i++) {
        reload();
        assert_false(rig_is_kept);
    }
    assert_int_equal(connector.n_former, CONNECTOR_MAX_FORMER);
}

/* They wait for room and become one, which reads what is written last. */
static void test_waits_for_room(void **state)
{
    (void)state;
    fill();
    unsigned before = rig_n_ended;
    connector_reload(&connector, "one too many");
    write_conf(true);
    connector_reload(&connector, "another");
    rig_let_pass(connector.loop, 1000);
    assert_int_equal(rig_n_ended, before);
    assert_other(false);
    rig_let_pass(connector.loop, 25000);
    assert_int_equal(rig_n_ended, before + 1);
    assert_false(rig_is_kept);
    assert_in_force(connector.gen);
    assert_other(true);
    assert_settled();
    assert_int_equal(rig_n_ended, before + 1);
}

/* Requests of them go on and on: whoever asks is answered all the same. */
static void test_no_room_for_long(void **state)
{
    (void)state;
    fill();
    unsigned before = rig_n_ended;
    struct list *it;
    list_foreach (it, &connector.former) {
        list_entry(it, struct connector_gen, node)->n_users++;
    }
    connector_reload(&connector, "one too many");
    rig_let_pass(connector.loop, 30000);
    assert_int_equal(rig_n_ended, before);
    rig_let_pass(connector.loop, 20000);
    assert_int_equal(rig_n_ended, before + 1);
    assert_true(rig_is_kept && strstr(rig_why, "too many former configurations"));
    assert_int_equal(connector.n_former, CONNECTOR_MAX_FORMER);
    list_foreach (it, &connector.former) {
        list_entry(it, struct connector_gen, node)->n_users--;
    }
    assert_settled();
    reload();
    assert_false(rig_is_kept);
}

/* The end does not wait for a reload that waits. */
static void test_stopped_meanwhile(void **state)
{
    (void)state;
    fill();
    unsigned before = rig_n_ended;
    connector_reload(&connector, "one too many");
    connector_stop(&connector);
    connector_reload(&connector, "while it drains");
    rig_let_pass(connector.loop, LONG_MS);
    assert_int_equal(rig_n_ended, before);
}

int main(void)
{
    if (!rig_init()) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_memory_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_memory_refused_to_openssl, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_certificates_go_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_waits_for_room, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_room_for_long, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stopped_meanwhile, set_up, tear_down)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
