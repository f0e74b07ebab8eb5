/* SPDX-License-Identifier: Apache-2.0 */
/* What loading does when the n-th allocation is refused, for every n: it says so, and leaks
 * nothing. */
#include "frun/conf/connector.h"
#include "frun/conf/gateway.h"
#include "temp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define HASH "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7"

static const char gateway_ini[] =
    "[gateway]\npublic_url = https://push.example.com\nlisten = 127.0.0.1:8443\n"
    "certificate = pem\nprivate_key = pem\n"
    "[tunnel]\nlisten = 127.0.0.1:8444\nclient_ca = pem\n"
    "[connector DC1-A]\ncertificate_subject = CN=dc1-a\nlocation_id = DC1\n"
    "[system FR1]\nsystem_id = FR1\nclient = 100\nvirtual_host = fr1_frun:443\nlocation_id = DC1\n"
    "[endpoint ACME_PROD]\nsystem = FR1\ncustomer_network = ACME PROD\n"
    "admin_request_parameter = acme-prod\nuser = FRUN_PUSH\npassword = file:secret\n"
    "[pusher s4-acme]\nendpoint = ACME_PROD\nuser = s4push\npassword_hash = " HASH "\n";

static const char connector_ini[] =
    "[connector]\nname = dc1-a\ncertificate = pem\nprivate_key = pem\n"
    "[subaccount provider]\ngateway = push.example.com:8444\ngateway_ca = pem\n"
    "[system FR1_frun:443]\nprotocol = HTTPS\ninternal_host = frun.corp\ninternal_port = 44300\n"
    "backend_ca = pem\n"
    "[resource frun]\nsystem = fr1_frun\npath = /sap/frun\npolicy = path-and-all-sub-paths\n";

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

static char dir[TEMP_NAME];

static void put(const char *name, const char *text)
{
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static frun_err load_gateway(const char *path)
{
    struct conf_gw *c = NULL;
    frun_err err = conf_gw_load(path, NULL, &c);
    assert_true((c == NULL) == (err != FRUN_OK));
    conf_gw_unref(&c);
    return err;
}

static frun_err load_connector(const char *path)
{
    struct conf_cn *c = NULL;
    frun_err err = conf_cn_load(path, NULL, &c);
    assert_true((c == NULL) == (err != FRUN_OK));
    conf_cn_unref(&c);
    return err;
}

static void run(frun_err (*load)(const char *path), const char *name)
{
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    frun_err err = FRUN_E_NOMEM;
    int n = 0;
    for (; err && n < 1000; n++) {
        left = n;
        err = load(path);
        left = -1;
        if (err && err != FRUN_E_NOMEM) {
            fail_msg("%s: allocation %d refused: %s", name, n, err_text(err));
        }
    }
    assert_int_equal(err, FRUN_OK);
    assert_true(n > 5);
}

static void test_loading(void **state)
{
    (void)state;
    run(load_gateway, "gw.ini");
    run(load_connector, "cn.ini");
}

static int set_up(void **state)
{
    (void)state;
    temp_folder(dir);
    put("pem", "x");
    put("secret", "geheim\n");
    put("gw.ini", gateway_ini);
    put("cn.ini", connector_ini);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    static const char *const names[] = {"pem", "secret", "gw.ini", "cn.ini", ""};
    char path[512];
    for (size_t i = 0; i < 5; i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        (void)remove(path);
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_loading)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
