/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/conf/connector.h"
#include "temp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char base[] =
    "[connector]\nname = dc1-a\ncertificate = pem\nprivate_key = pem\n"
    "[subaccount provider]\ngateway = push.example.com:8444\ngateway_ca = pem\n"
    "[system FR1_frun:443]\nprotocol = HTTPS\ninternal_host = frun.corp\ninternal_port = 44300\n"
    "backend_ca = pem\n"
    "[resource frun]\nsystem = fr1_frun\npath = /sap/frun\npolicy = path-and-all-sub-paths\n";

static char dir[TEMP_NAME];
static char report[8192];

static void put(const char *name, const char *text)
{
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

/* Load a text as a file beside "pem" and "secret"; the report stays in a static buffer. */
static frun_err load(const char *text, struct conf_cn **c)
{
    char path[512];
    put("cn.ini", text);
    (void)snprintf(path, sizeof(path), "%s/cn.ini", dir);
    memset(report, 0, sizeof(report));
    FILE *f = fmemopen(report, sizeof(report) - 1, "w");
    assert_non_null(f);
    *c = NULL;
    frun_err err = conf_cn_load(path, f, c);
    assert_int_equal(fclose(f), 0);
    return err;
}

static void test_resolved(void **state)
{
    (void)state;
    struct conf_cn *c;
    frun_err err = load(base, &c);
    assert_string_equal(report, "");
    assert_int_equal(err, FRUN_OK);
    assert_int_equal(c->n_mappings, 1);
    const struct conf_mapping *m = c->mappings[0];
    assert_string_equal(m->virtual_host, "fr1_frun");
    assert_int_equal(m->virtual_port, 443);
    assert_int_equal(m->protocol, 0);
    assert_int_equal(m->host_in_request_header, 0);
    assert_int_equal(m->n_resources, 1);
    assert_string_equal(m->resources[0]->path, "/sap/frun");
    assert_int_equal(m->resources[0]->policy, 1);
    assert_true(m->resources[0]->active);
    assert_string_equal(c->subaccounts[0]->location_id, "");
    assert_string_equal(c->subaccounts[0]->certificate, c->connector->certificate);
    assert_int_equal(c->connector->retry_min_ms, 500);
    assert_int_equal(c->audit->level, CONF_AUDIT_SECURITY);
    struct conf_cn *pin = conf_cn_ref(c);
    conf_cn_unref(&c);
    conf_cn_unref(&pin);
    assert_null(pin);
}

/* One change to the base each: `old` becomes `new`. */
static void test_cross_checks(void **state)
{
    (void)state;
    static const struct {
        const char *old;
        const char *new;
        const char *want;
        bool is_error;
    } rows[] = {
        {"system = fr1_frun\n", "system = fr1_frun:444\n",
         "resource frun.system: there is no [system fr1_frun:444]", true},
        {"path = /sap/frun", "path = /sap/frun/", "resource frun.path: ", true},
        {"path = /sap/frun", "path = /sap/../frun", "resource frun.path: ", true},
        {"[system FR1_frun:443]", "[system fr1 frun]", "system fr1 frun: bad name", true},
        {"backend_ca = pem\n", "", "backend_ca: is missing: protocol HTTPS", true},
        {"HTTPS\n", "HTTP\nsystem_certificate_for_logon = yes\n", "needs system_certificate", true},
        {"backend_ca = pem\n", "backend_ca = pem\nsystem_certificate = pem\n",
         "needs system_private_key too", true},
        {"backend_ca = pem\n", "backend_ca = pem\nprincipal_ca_certificate = pem\n",
         "principal_ca_certificate: needs principal_ca_key too", true},
        {"backend_ca = pem\n", "backend_ca = pem\nprincipal_subject = CN=x${name}\n",
         "principal_subject: needs principal_ca_certificate too", true},
        {"backend_ca = pem\n", "backend_ca = pem\nbasic_credentials = drop\n",
         "nothing logs on to this system", false},
        {"internal_port = 44300", "internal_port = 0", "internal_port: out of range", true},
        {"private_key = pem\n", "private_key = pem\nretry_min = 50 s\nretry_max = 10 s\n",
         "connector.retry_min: must not be above retry_max", true},
        {"gateway_ca = pem\n", "gateway_ca = pem\nproxy_user = u\n",
         "proxy_user: needs proxy_password too", true},
        {"[resource",
         "[system fr1_FRUN]\nprotocol=HTTP\ninternal_host=x\ninternal_port=1\n[resource",
         "system fr1_FRUN: is the same virtual host and port as [system FR1_frun:443]", true},
        {"[resource", "[resource b]\nsystem=fr1_frun:443\npath=/sap/frun\n[resource",
         "resource frun.path: is that of [resource b] too", true},
        {"[resource", "[resource b]\nsystem=fr1_frun:443\npath=/\nactive=no\n[resource", "", false},
        {"policy = path-and-all-sub-paths\n", "active = no\n",
         "has no active [resource NAME]: every request", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct conf_cn *c;
        char text[4096];
        const char *at = strstr(base, rows[i].old);
        assert_non_null(at);
        (void)snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - base), base, rows[i].new,
                       at + strlen(rows[i].old));
        frun_err err = load(text, &c);
        if (!strstr(report, rows[i].want) || (err != FRUN_OK) != rows[i].is_error) {
            fail_msg("%s: %d, %s", rows[i].new, err, report);
        }
        conf_cn_unref(&c);
    }
}

static int set_up(void **state)
{
    (void)state;
    temp_folder(dir);
    put("pem", "x");
    put("secret", "geheim\n");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    static const char *const names[] = {"pem", "secret", "cn.ini", ""};
    char path[512];
    for (size_t i = 0; i < 4; i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        (void)remove(path);
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resolved),
        cmocka_unit_test(test_cross_checks),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
