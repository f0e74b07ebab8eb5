/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/access/identity.h"

#include "pair_fixture.h"

#include <openssl/x509.h>
#include <stdlib.h>
#include <time.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct tls_ctx *asks;
static char pin[65]; /* of dc1-a */

static int64_t step_s;
time_t __real_time(time_t *out);
time_t __wrap_time(time_t *out);

time_t __wrap_time(time_t *out)
{
    (void)out;
    return __real_time(NULL) + (time_t)step_s;
}

static struct tls_ctx *context(const char *ca)
{
    struct tls_ctx *t = NULL;
    struct diag d = {.text = ""};
    const struct tls_settings set = {.certificate = fixture_path(&fix, "server.pem"),
                                     .private_key = fixture_path(&fix, "server.key"),
                                     .ca_file = fixture_path(&fix, ca),
                                     .is_asking = true};
    assert_int_equal(tls_server_new(&set, &t, &d), FRUN_OK);
    return t;
}

static int setup_all(void **state)
{
    (void)state;
    struct cert *c = NULL;
    struct diag d;
    fixture_init(&fix);
    asks = context("ca.pem");
    assert_int_equal(cert_of_file(fixture_path(&fix, "dc1-a.pem"), &c, &d), FRUN_OK);
    for (size_t i = 0; i < CERT_SHA256_BYTES; i++) {
        (void)snprintf(pin + 2 * i, 3, "%02x", cert_sha256(c)[i]);
    }
    cert_free(c);
    return 0;
}

static int teardown_all(void **state)
{
    (void)state;
    tls_unref(&asks);
    fixture_done(&fix);
    return 0;
}

static int setup(void **state)
{
    step_s = 0;
    return pair_setup(state);
}

/* What a client with that certificate brings along. */
static struct identity *met(const char *name)
{
    char pem[64];
    char key[64];
    int fd[2];
    struct identity *i = NULL;
    struct tls_ctx *c = NULL;
    struct diag d;
    (void)snprintf(pem, sizeof(pem), "%s.pem", name);
    (void)snprintf(key, sizeof(key), "%s.key", name);
    const struct tls_settings set = {.certificate = fixture_path(&fix, pem),
                                     .private_key = fixture_path(&fix, key),
                                     .ca_file = fixture_path(&fix, "ca.pem")};
    assert_int_equal(tls_client_new(&set, &c, &d), FRUN_OK);
    sockets_open(fd);
    assert_int_equal(end_open(&w, &a, fd[0], asks, NULL), FRUN_OK);
    assert_int_equal(end_open(&w, &b, fd[1], c, "push.example.com"), FRUN_OK);
    assert_true(world_until(&w, pair_is_settled, NULL));
    assert_int_equal(identity_new(a.s, &i), FRUN_OK);
    tls_unref(&c);
    return i;
}

/* A registry with these pushers at the endpoints A and B. */
static struct registry *registry(const char *pushers)
{
    struct conf_gw *conf = NULL;
    struct registry *r = NULL;
    const char *path = fixture_path(&fix, "gw.ini");
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    (void)fprintf(f,
                  "[gateway]\npublic_url = https://push.example.com\nlisten = 127.0.0.1:1\n"
                  "certificate = server.pem\nprivate_key = server.key\nclient_ca = ca.pem\n"
                  "[oauth]\nkey_directory = keys\n"
                  "[tunnel]\nlisten = 127.0.0.1:2\nclient_ca = ca.pem\n"
                  "[system S]\nsystem_id = FR1\nclient = 100\nvirtual_host = f\n"
                  "[endpoint A]\nsystem = S\ncustomer_network = A\nadmin_request_parameter = a\n"
                  "[endpoint B]\nsystem = S\ncustomer_network = B\nadmin_request_parameter = b\n"
                  "%s",
                  pushers);
    (void)fclose(f);
    assert_int_equal(conf_gw_load(path, NULL, &conf), FRUN_OK);
    assert_int_equal(registry_new(conf, NULL, &r), FRUN_OK);
    conf_gw_unref(&conf);
    return r;
}

/* Judge a push at an endpoint (0: A, 1: B). */
static enum auth_verdict judge(struct identity *i, struct registry *r, const struct tls_ctx *t,
                               size_t endpoint, struct identity_verdict *v)
{
    size_t n = 0;
    const struct identity_trust trust = {r, t, registry_conf(r)->gateway->client_ca};
    return identity_push(i, &trust, &registry_endpoints(r, &n)[endpoint], v);
}

#define AT_A "endpoint = A\nauth = certificate\n"
#define AT_B "endpoint = B\nauth = certificate\n"

static void test_whose(void **state)
{
    (void)state;
    struct registry *r = registry("[pusher a]\n" AT_A "certificate_subject = CN=dc1-a\n"
                                  "[pusher b]\n" AT_B "certificate_subject = cn=DC1-A\n");
    struct identity *i = met("dc1-a");
    struct identity_verdict v;
    for (int k = 0; k < 2; k++) {
        assert_int_equal(judge(i, r, asks, 0, &v), AUTH_GRANTED);
        assert_string_equal(v.who->conf->place.name, "a");
        assert_int_equal(judge(i, r, asks, 1, &v), AUTH_GRANTED);
        assert_string_equal(v.who->conf->place.name, "b");
    }
    identity_unref(&i);
    registry_unref(&r);
}

static void test_foreign_and_unknown(void **state)
{
    (void)state;
    struct registry *r = registry("[pusher a]\n" AT_A "certificate_subject = CN=dc1-a\n"
                                  "[pusher b]\n" AT_B "certificate_subject = CN=x\n");
    struct identity *i = met("dc1-a");
    struct identity_verdict v;
    assert_int_equal(judge(i, r, asks, 1, &v), AUTH_FOREIGN);
    assert_string_equal(v.who->conf->place.name, "a");
    identity_unref(&i);
    end_free(&a);
    end_free(&b);
    a = b = (struct end){0};
    i = met("leaf");
    assert_int_equal(judge(i, r, asks, 0, &v), AUTH_REFUSED);
    assert_non_null(v.why);
    identity_unref(&i);
    registry_unref(&r);
}

/* A connection lives on while its certificate ends, its pusher goes and its CA is replaced. */
static void test_over_time(void **state)
{
    (void)state;
    char text[512];
    struct registry *r = registry("[pusher a]\n" AT_A "certificate_subject = CN=dc1-a\n");
    struct registry *off =
        registry("[pusher a]\nenabled = no\n" AT_A "certificate_subject = CN=dc1-a\n");
    struct tls_ctx *other = context("other.pem");
    struct identity *i = met("dc1-a");
    struct identity_verdict v;
    assert_int_equal(judge(i, r, asks, 0, &v), AUTH_GRANTED);
    step_s = 2 * 86400;
    assert_int_equal(judge(i, r, asks, 0, &v), AUTH_REFUSED);
    assert_non_null(strstr(v.why, "has expired"));
    step_s = -2 * 86400;
    assert_int_equal(judge(i, r, asks, 0, &v), AUTH_REFUSED);
    assert_non_null(strstr(v.why, "not valid yet"));
    step_s = 0;
    assert_int_equal(judge(i, off, asks, 0, &v), AUTH_REFUSED);
    assert_int_equal(judge(i, r, asks, 0, &v), AUTH_GRANTED);
    assert_int_equal(judge(i, r, other, 0, &v), AUTH_REFUSED);
    assert_non_null(strstr(v.why, "no CA of client_ca"));
    registry_unref(&r);
    /* A fingerprint needs no CA; the old one ends. */
    time_t soon = time(NULL) + 600;
    struct tm tm;
    char until[32];
    assert_non_null(gmtime_r(&soon, &tm));
    (void)strftime(until, sizeof(until), "%Y-%m-%dT%H:%M:%SZ", &tm);
    (void)snprintf(text, sizeof(text),
                   "[pusher a]\n" AT_A "certificate_sha256 = %064d\nold_certificate_sha256 = %s\n"
                   "old_certificate_until = %s\n",
                   0, pin, until);
    r = registry(text);
    assert_int_equal(judge(i, r, other, 0, &v), AUTH_GRANTED);
    assert_true(v.rule->is_old && v.until_s == (uint64_t)soon);
    step_s = 601;
    assert_int_equal(judge(i, r, other, 0, &v), AUTH_REFUSED);
    assert_non_null(strstr(v.why, "show the new certificate"));
    identity_unref(&i);
    tls_unref(&other);
    registry_unref(&off);
    registry_unref(&r);
}

static void test_client(void **state)
{
    (void)state;
    struct registry *r =
        registry("[pusher a]\nendpoint = A\nauth = oauth2\ncertificate_subject = CN=dc1-a\n"
                 "[pusher b]\nendpoint = A\nauth = oauth2\ncertificate_subject = CN=x\n"
                 "[pusher c]\n" AT_B "certificate_subject = CN=dc1-a\n");
    struct identity *i = met("dc1-a");
    const struct identity_trust trust = {r, asks, registry_conf(r)->gateway->client_ca};
    struct identity_verdict v;
    assert_int_equal(identity_client(i, &trust, SPAN_LIT("sb-a"), &v), AUTH_GRANTED);
    assert_string_equal(v.rule->key, "certificate_subject");
    assert_int_equal(identity_client(i, &trust, SPAN_LIT("sb-b"), &v), AUTH_REFUSED);
    assert_int_equal(identity_client(i, &trust, SPAN_LIT("sb-c"), &v), AUTH_REFUSED);
    assert_int_equal(identity_client(i, &trust, SPAN_LIT(""), &v), AUTH_REFUSED);
    /* A token's way is no push's way. */
    assert_int_equal(judge(i, r, asks, 0, &v), AUTH_FOREIGN);
    assert_string_equal(v.who->conf->place.name, "c");
    /* A request outlives its connection. */
    struct identity *kept = identity_ref(i);
    end_free(&a);
    a = (struct end){0};
    identity_unref(&i);
    assert_int_equal(identity_client(kept, &trust, SPAN_LIT("sb-a"), &v), AUTH_GRANTED);
    identity_unref(&kept);
    registry_unref(&r);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, pair_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {T(test_whose), T(test_foreign_and_unknown),
                                       T(test_over_time), T(test_client)};
    return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
