/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/gateway/origins.h"

#include "frun/base/secret.h"
#include "frun/loop/loop.h"
#include "frun/loop/offload.h"
#include "frun/net/tls.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct loop *loop;
static struct offload *helpers;
static struct origins *table;

static int setup(void **state)
{
    (void)state;
    return loop_new(&loop) || offload_new(1, 16, &helpers) || origins_new(loop, helpers, &table);
}

static int teardown(void **state)
{
    (void)state;
    assert_int_equal(origins_count(table), 0);
    origins_free(table);
    offload_free(helpers);
    loop_free(loop);
    return 0;
}

static struct secret *secret(const char *text)
{
    struct secret *s = NULL;
    assert_int_equal(secret_new(span_of(text), &s), FRUN_OK);
    return s;
}

static struct tls_ctx *client(const char *alpn)
{
    struct tls_ctx *t = NULL;
    const struct tls_settings s = {.alpn = alpn};
    assert_int_equal(tls_client_new(&s, &t, NULL), FRUN_OK);
    return t;
}

/* Two endpoints of one system, everything that may differ given. */
struct pair {
    struct conf_gateway g[2];
    struct conf_endpoint conf[2];
    struct endpoint e[2];
};

static void make_pair(struct pair *p)
{
    for (size_t i = 0; i < 2; i++) {
        p->g[i] = (struct conf_gateway){.connect_timeout_ms = 1000,
                                        .response_timeout_ms = 2000,
                                        .body_timeout_ms = 3000,
                                        .upstream_keepalive_ms = 4000,
                                        .max_head = 32768,
                                        .max_target = 8192,
                                        .max_fields = 100};
        p->conf[i] = (struct conf_endpoint){.address = "frun.corp:44300",
                                            .virtual_host = "fr1_frun:443",
                                            .server_name = "frun.corp",
                                            .proxy = "http://proxy:3128",
                                            .proxy_user = "u",
                                            .proxy_password = secret("p"),
                                            .user = i ? "FRUN_A" : "FRUN_B"};
        p->e[i] = (struct endpoint){.conf = &p->conf[i], .backend_tls = client("http/1.1")};
    }
}

static void free_pair(struct pair *p)
{
    for (size_t i = 0; i < 2; i++) {
        secret_free(p->conf[i].proxy_password);
        tls_unref(&p->e[i].backend_tls);
    }
}

static void other_address(struct pair *p)
{
    p->conf[1].address = "frun2.corp:44300";
}

static void other_port(struct pair *p)
{
    p->conf[1].address = "frun.corp:44301";
}

static void other_virtual_host(struct pair *p)
{
    p->conf[1].virtual_host = "fr2_frun:443";
}

static void other_server_name(struct pair *p)
{
    p->conf[1].server_name = "dispatcher.corp";
}

static void no_server_name(struct pair *p)
{
    p->conf[1].server_name = NULL;
}

static void other_proxy(struct pair *p)
{
    p->conf[1].proxy = "http://proxy2:3128";
}

static void no_proxy(struct pair *p)
{
    p->conf[1].proxy = p->conf[1].proxy_user = NULL;
    secret_free(p->conf[1].proxy_password);
    p->conf[1].proxy_password = NULL;
}

static void other_proxy_user(struct pair *p)
{
    p->conf[1].proxy_user = "v";
}

static void other_proxy_password(struct pair *p)
{
    secret_free(p->conf[1].proxy_password);
    p->conf[1].proxy_password = secret("q");
}

static void no_tls(struct pair *p)
{
    tls_unref(&p->e[1].backend_tls);
}

static void other_tls(struct pair *p)
{
    tls_unref(&p->e[1].backend_tls);
    p->e[1].backend_tls = client(NULL);
}

static void other_timeout(struct pair *p)
{
    p->g[1].response_timeout_ms++;
}

static void other_limit(struct pair *p)
{
    p->g[1].max_fields--;
}

static void other_user(struct pair *p)
{
    p->conf[1].user = "FRUN_C";
    p->conf[1].admin_request_parameter = "fence";
}

static void test_who_shares(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        void (*change)(struct pair *p);
        bool is_shared;
    } rows[] = {
        {"credentials and fence only", other_user, true},
        {"address", other_address, false},
        {"port", other_port, false},
        {"virtual host", other_virtual_host, false},
        {"name in the certificate", other_server_name, false},
        {"no name", no_server_name, false},
        {"proxy", other_proxy, false},
        {"no proxy", no_proxy, false},
        {"user at the proxy", other_proxy_user, false},
        {"password at the proxy", other_proxy_password, false},
        {"no TLS", no_tls, false},
        {"other TLS", other_tls, false},
        {"timeout", other_timeout, false},
        {"limit", other_limit, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pair p;
        struct origin *a = NULL;
        struct origin *b = NULL;
        make_pair(&p);
        rows[i].change(&p);
        assert_int_equal(origins_get(table, &p.e[0], &p.g[0], &a), FRUN_OK);
        assert_int_equal(origins_get(table, &p.e[1], &p.g[1], &b), FRUN_OK);
        if ((a == b) != rows[i].is_shared || origins_count(table) != (a == b ? 1 : 2) ||
            (origin_pool(a) == origin_pool(b)) != (a == b)) {
            fail_msg("%s: %s", rows[i].label, a == b ? "shared" : "not shared");
        }
        origin_unref(&a);
        assert_null(a);
        assert_int_equal(origins_count(table), 1);
        origin_unref(&b);
        origin_unref(&b);
        assert_int_equal(origins_count(table), 0);
        free_pair(&p);
    }
}

/* As at a reload: the new configuration comes while the old one is in use, then that goes. */
static void test_outlives_its_configuration(void **state)
{
    (void)state;
    struct pair *old = calloc(1, sizeof(*old));
    struct pair p;
    struct origin *a = NULL;
    struct origin *b = NULL;
    struct origin *c = NULL;
    assert_non_null(old);
    make_pair(old);
    make_pair(&p);
    assert_int_equal(origins_get(table, &old->e[0], &old->g[0], &a), FRUN_OK);
    assert_int_equal(origins_get(table, &p.e[0], &p.g[0], &b), FRUN_OK);
    assert_ptr_equal(a, b);
    origin_unref(&a);
    free_pair(old);
    free(old);
    assert_int_equal(origins_get(table, &p.e[1], &p.g[1], &c), FRUN_OK);
    assert_ptr_equal(b, c);
    origin_unref(&b);
    origin_unref(&c);
    free_pair(&p);
}

static void test_bad_address(void **state)
{
    (void)state;
    struct pair p;
    struct origin *a = NULL;
    make_pair(&p);
    p.conf[0].address = "frun.corp";
    assert_int_equal(origins_get(table, &p.e[0], &p.g[0], &a), FRUN_E_SYNTAX);
    assert_null(a);
    free_pair(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_who_shares, setup, teardown),
        cmocka_unit_test_setup_teardown(test_outlives_its_configuration, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_address, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
