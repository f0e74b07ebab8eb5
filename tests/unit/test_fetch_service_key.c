/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/fetch/service_key.h"
#include "temp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SECRET "\"clientid\":\"sb-1!b2|connectivity!b3\",\"clientsecret\":\"a$b+c/d=\","
#define TOKEN  "\"token_service_url\":\"https://acme.example.com\","
#define PROXY  "\"onpremise_proxy_host\":\"proxy.internal\",\"onpremise_proxy_http_port\":\"20003\""
#define CERT   "-----BEGIN CERTIFICATE-----\\\\nMIIB\\\\n-----END CERTIFICATE-----\\\\n"
#define KEY    "-----BEGIN PRIVATE KEY-----\\nMIIC\\n-----END PRIVATE KEY-----\\n"
#define X509                                                                                       \
    "\"clientid\":\"sb\",\"credential-type\":\"X509_GENERATED\",\"certificate\":\"" CERT           \
    "\",\"key\":\"" KEY "\",\"certurl\":\"https://acme.cert.example.com/\","

static void test_taken(void **state)
{
    static const struct {
        const char *label;
        const char *json;
        enum service_kind kind;
        const char *instance;
        const char *id, *url, *host;
        unsigned http_port;
        const char *secret;
    } rows[] = {
        {"bare", "{" SECRET TOKEN PROXY "}", SERVICE_CONNECTIVITY, NULL, "sb-1!b2|connectivity!b3",
         "https://acme.example.com/oauth/token", "proxy.internal", 20003, "a$b+c/d="},
        {"old names, port as a number",
         "{\"clientid\":\"sb\",\"clientsecret\":\"x\",\"url\":\"https://a.example.com/\","
         "\"onpremise_proxy_host\":\"10.0.0.1\",\"onpremise_proxy_port\":20003}",
         SERVICE_CONNECTIVITY, NULL, "sb", "https://a.example.com/oauth/token", "10.0.0.1", 20003,
         "x"},
        {"new names win",
         "{" SECRET TOKEN PROXY ",\"url\":\"https://old\",\"onpremise_proxy_port\":1}",
         SERVICE_CONNECTIVITY, NULL, "sb-1!b2|connectivity!b3",
         "https://acme.example.com/oauth/token", "proxy.internal", 20003, "a$b+c/d="},
        {"one binding", "{\"credentials\":{" SECRET TOKEN PROXY "},\"instance_name\":\"conn\"}",
         SERVICE_CONNECTIVITY, NULL, "sb-1!b2|connectivity!b3",
         "https://acme.example.com/oauth/token", "proxy.internal", 20003, "a$b+c/d="},
        {"by name",
         "{\"connectivity\":[{\"name\":\"a\",\"credentials\":{}},{\"name\":\"b\",\"credentials\":{"
         "" SECRET TOKEN PROXY "}}]}",
         SERVICE_CONNECTIVITY, "b", "sb-1!b2|connectivity!b3",
         "https://acme.example.com/oauth/token", "proxy.internal", 20003, "a$b+c/d="},
        {"below VCAP_SERVICES",
         "{\"VCAP_SERVICES\":{\"connectivity\":[{\"name\":\"a\",\"credentials\":{" SECRET TOKEN
             PROXY "}}]}}",
         SERVICE_CONNECTIVITY, NULL, "sb-1!b2|connectivity!b3",
         "https://acme.example.com/oauth/token", "proxy.internal", 20003, "a$b+c/d="},
        {"certificate", "{" X509 PROXY "}", SERVICE_CONNECTIVITY, NULL, "sb",
         "https://acme.cert.example.com/oauth/token", "proxy.internal", 20003, ""},
        {"without a proxy", "{" SECRET "\"token_service_url\":\"https://a\"}", SERVICE_CONNECTIVITY,
         NULL, "sb-1!b2|connectivity!b3", "https://a/oauth/token", NULL, 0, "a$b+c/d="},
        {"identity",
         "{\"identity\":[{\"credentials\":{" SECRET "\"url\":\"https://acme.accounts\"}}]}",
         SERVICE_IDENTITY, NULL, "sb-1!b2|connectivity!b3", "https://acme.accounts/oauth2/token",
         NULL, 0, "a$b+c/d="},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct service_key k = {0};
        struct diag d = {.text = ""};
        frun_err err =
            service_key_parse(span_of(rows[i].json), rows[i].kind, rows[i].instance, &k, &d);
        if (err || strcmp(k.client_id, rows[i].id) != 0 || strcmp(k.token_url, rows[i].url) != 0 ||
            strcmp(k.proxy_host ? k.proxy_host : "", rows[i].host ? rows[i].host : "") != 0 ||
            k.http_port != rows[i].http_port ||
            !span_eq(secret_span(k.client_secret), span_of(rows[i].secret))) {
            fail_msg("%s: %d %s", rows[i].label, err, d.text);
        }
        service_key_done(&k);
        service_key_done(&k);
    }
}

static void test_refused(void **state)
{
    static const struct {
        const char *label;
        const char *json;
        const char *instance;
        frun_err err;
        const char *says;
    } rows[] = {
        {"empty", "", NULL, FRUN_E_SYNTAX, "not JSON"},
        {"cut", "{\"clientid\":\"sb\"", NULL, FRUN_E_SYNTAX, "not JSON"},
        {"doubled", "{\"clientid\":\"a\",\"clientid\":\"b\"}", NULL, FRUN_E_SYNTAX, "not JSON"},
        {"something else", "{\"a\":1}", NULL, FRUN_E_SYNTAX, "whole JSON"},
        {"an array", "[]", NULL, FRUN_E_SYNTAX, "whole JSON"},
        {"no id", "{\"credentials\":{}}", NULL, FRUN_E_SYNTAX, "\"clientid\" is missing"},
        {"no secret", "{\"clientid\":\"a\"," TOKEN PROXY "}", NULL, FRUN_E_SYNTAX,
         "\"clientsecret\" is missing"},
        {"no URL", "{" SECRET PROXY "}", NULL, FRUN_E_SYNTAX, "\"token_service_url\" is missing"},
        {"plain URL", "{" SECRET "\"url\":\"http://a\"," PROXY "}", NULL, FRUN_E_SYNTAX,
         "\"url\" must begin with https://"},
        {"certificate without certurl",
         "{\"clientid\":\"a\",\"credential-type\":\"x509\",\"certificate\":\"-----BEGIN X\"}", NULL,
         FRUN_E_SYNTAX, "\"certurl\" is missing"},
        {"no PEM",
         "{\"clientid\":\"a\",\"credential-type\":\"x509\",\"certurl\":\"https://a\","
         "\"certificate\":\"MIIB\"}",
         NULL, FRUN_E_SYNTAX, "\"certificate\" must be PEM"},
        {"port", "{" SECRET TOKEN "\"onpremise_proxy_http_port\":\"65536\"}", NULL, FRUN_E_SYNTAX,
         "\"onpremise_proxy_http_port\" must be a port"},
        {"old port", "{" SECRET TOKEN "\"onpremise_proxy_port\":-1}", NULL, FRUN_E_SYNTAX,
         "\"onpremise_proxy_port\" must be a port"},
        {"control", "{\"clientid\":\"a\\r\\nb\"}", NULL, FRUN_E_SYNTAX, "odd characters"},
        {"several", "{\"connectivity\":[{\"name\":\"a\"},{\"instance_name\":\"b\"}]}", NULL,
         FRUN_E_NOT_FOUND, "set instance to one of a, b"},
        {"no such name", "{\"connectivity\":[{\"name\":\"a\"},{\"name\":\"b\"}]}", "c",
         FRUN_E_NOT_FOUND, "there are: a, b"},
        {"none", "{\"connectivity\":[]}", NULL, FRUN_E_NOT_FOUND, "0 instances"},
        {"another's", "{\"name\":\"a\",\"credentials\":{}}", "b", FRUN_E_NOT_FOUND,
         "of instance \"a\""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct service_key k = {0};
        struct diag d = {.text = ""};
        frun_err err = service_key_parse(span_of(rows[i].json), SERVICE_CONNECTIVITY,
                                         rows[i].instance, &k, &d);
        if (err != rows[i].err || !strstr(d.text, rows[i].says) || k.client_id) {
            fail_msg("%s: %d %s", rows[i].label, err, d.text);
        }
    }
}

static void test_pem_has_real_lines(void **state)
{
    (void)state;
    struct service_key k = {0};
    assert_int_equal(
        service_key_parse(SPAN_LIT("{" X509 PROXY "}"), SERVICE_CONNECTIVITY, NULL, &k, NULL), 0);
    assert_string_equal(k.certificate,
                        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n");
    assert_string_equal(k.private_key,
                        "-----BEGIN PRIVATE KEY-----\nMIIC\n-----END PRIVATE KEY-----\n");
    assert_null(k.client_secret);
    service_key_done(&k);
}

static void test_every_beginning_is_refused(void **state)
{
    static const char json[] = "{\"credentials\":{" X509 PROXY "},\"instance_guid\":\"1-2\"}";
    (void)state;
    for (size_t n = 0; n < sizeof(json) - 1; n++) {
        struct service_key k = {0};
        struct diag d = {.text = ""};
        assert_int_not_equal(
            service_key_parse(span_make(json, n), SERVICE_CONNECTIVITY, NULL, &k, &d), 0);
        assert_true(d.text[0]);
    }
}

static void test_token_urls(void **state)
{
    static const char *const rows[][2] = {
        {"https://a", "https://a/oauth/token"},
        {"https://a/", "https://a/oauth/token"},
        {"https://a/uaa/token", "https://a/uaa/token"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *url = service_key_token_url(rows[i][0], SERVICE_CONNECTIVITY);
        assert_string_equal(url, rows[i][1]);
        free(url);
    }
}

static void test_file(void **state)
{
    char path[TEMP_NAME];
    static const char json[] = "{" SECRET TOKEN PROXY "}";
    struct service_key k = {0};
    struct diag d = {.text = ""};
    (void)state;
    int fd = temp_file(path);
    assert_int_equal(write(fd, json, sizeof(json) - 1), sizeof(json) - 1);
    assert_int_equal(service_key_load(path, SERVICE_CONNECTIVITY, NULL, &k, &d), 0);
    service_key_done(&k);
    assert_int_equal(ftruncate(fd, 5), 0);
    assert_int_equal(service_key_load(path, SERVICE_CONNECTIVITY, NULL, &k, &d), FRUN_E_SYNTAX);
    assert_non_null(strstr(d.text, path)); /* the place, and not a word of the content */
    assert_null(strstr(d.text, "clie"));
    (void)close(fd);
    (void)unlink(path);
    assert_int_equal(service_key_load(path, SERVICE_CONNECTIVITY, NULL, &k, &d), FRUN_E_IO);
    service_key_done(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_taken),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_pem_has_real_lines),
        cmocka_unit_test(test_every_beginning_is_refused),
        cmocka_unit_test(test_token_urls),
        cmocka_unit_test(test_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
