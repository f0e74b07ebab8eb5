/**
 * frunctl config sample: a complete file from the table that it is read by.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/conf/connector.h"
#include "frun/conf/gateway.h"

#include "ctl.h"

#include <stdlib.h>
#include <string.h>

/* One of the two files. */
struct side {
    const char *name;
    const char *file;
    const char *program;
    const char *intro;
    const struct conf_kind *(*kinds)(size_t *n);
    const struct example *examples;
    size_t n_examples;
};

/* What the sample says for a key; key NULL: the name of the section. */
struct example {
    const char *word;
    const char *key;
    const char *value;
    bool is_active; /* stands without comment sign */
};

static const struct example gateway_examples[] = {
    {"gateway", "include", "endpoints.d/*.ini", true},
    {"gateway", "public_url", "https://push.example.com", true},
    {"gateway", "listen", "0.0.0.0:443", true},
    {"gateway", "certificate", "tls/gateway.pem", true},
    {"gateway", "private_key", "tls/gateway.key", true},
    {"gateway", "ocsp_proxy", "http://proxy.corp:3128", false},
    {"tunnel", "listen", "0.0.0.0:8444", true},
    {"tunnel", "server_name", "tunnel.example.com", false},
    {"tunnel", "certificate", "tls/gateway.pem", true},
    {"tunnel", "private_key", "tls/gateway.key", true},
    {"tunnel", "client_ca", "tls/connectors-ca.pem", true},
    {"connector", NULL, "DC1-A", true},
    {"connector", "certificate_subject", "CN=dc1-a", true},
    {"connector", "location_id", "DC1", true},
    {"sap-connectivity", NULL, "BTP", false},
    {"sap-connectivity", "service_key", "credential:btp_service_key", false},
    {"sap-connectivity", "instance", "frun-connectivity", false},
    {"sap-connectivity", "tenant", "0c5c4f4e-7d2d-4d4e-9f0a-4d1f3a1e6b11", false},
    {"sap-connectivity", "token_url", "https://acme.authentication.eu10.hana.ondemand.com", false},
    {"sap-connectivity", "identity_key", "credential:btp_identity_key", false},
    {"sap-connectivity", "token_proxy", "http://proxy.corp:3128", false},
    {"sap-connectivity", "token_proxy_user", "svc", false},
    {"sap-connectivity", "token_proxy_password", "file:secrets/proxy", false},
    {"sap-connectivity", "proxy_host", "connectivity-proxy.btp.svc.cluster.local", false},
    {"sap-connectivity", "proxy_port", "20003", false},
    {"system", NULL, "FR1", true},
    {"system", "system_id", "FR1", true},
    {"system", "client", "100", true},
    {"system", "role", "production", true},
    {"system", "logon_url", "https://frun.corp:44300", true},
    {"system", "system_number", "000000000312345678", false},
    {"system", "installation_number", "0020123456", false},
    {"system", "virtual_host", "fr1_frun:443", true},
    {"system", "location_id", "DC1", true},
    {"system", "route", "tunnel", true},
    {"system", "address", "frun.corp:44300", false},
    {"system", "backend_ca", "tls/frun-ca.pem", false},
    {"system", "server_name", "frun.corp", false},
    {"system", "proxy", "http://proxy.corp:3128", false},
    {"system", "proxy_user", "svc", false},
    {"system", "proxy_password", "file:secrets/proxy", false},
    {"system", "sap_connectivity", "BTP", false},
    {"endpoint", NULL, "ACME_PROD", true},
    {"endpoint", "system", "FR1", true},
    {"endpoint", "customer_network", "ACME PROD", true},
    {"endpoint", "logical_system", "FR1CLNT100", false},
    {"endpoint", "admin_request_parameter", "acme-prod-proxy", true},
    {"endpoint", "admin_request_carrier", "header X-Admin-Request-Parameter", true},
    {"endpoint", "user", "FRUN_PUSH", true},
    {"endpoint", "password", "file:secrets/acme_prod", true},
    {"endpoint", "description", "ACME, productive tenants", true},
    {"endpoint", "landscape_sync", "off", true},
    {"endpoint", "virtual_host", "fr1_acme:443", false},
    {"endpoint", "location_id", "DC2", false},
    {"endpoint", "route", "direct", false},
    {"endpoint", "address", "frun.corp:44300", false},
    {"endpoint", "protocol", "HTTPS", false},
    {"endpoint", "backend_ca", "tls/frun-ca.pem", false},
    {"endpoint", "server_name", "frun.corp", false},
    {"endpoint", "proxy", "http://proxy.corp:3128", false},
    {"endpoint", "proxy_user", "svc", false},
    {"endpoint", "proxy_password", "file:secrets/proxy", false},
    {"endpoint", "sap_connectivity", "BTP", false},
    {"endpoint", "token_url", "https://frun.corp:44300/sap/bc/sec/oauth2/token", false},
    {"endpoint", "client_id", "FRUN_PUSH", false},
    {"endpoint", "client_secret", "file:secrets/acme_client", false},
    {"pusher", NULL, "s4-acme", true},
    {"pusher", "endpoint", "ACME_PROD", true},
    {"pusher", "auth", "basic", true},
    {"pusher", "user", "s4push", true},
    /* of a random password that nobody has kept */
    {"pusher", "password_hash",
     "$y$j9T$q20sF.kW709JivictdXI./$ljZMyVQSPwoO/L1QjsLsO/dbtyL6TVAOJEfJQlo21FD", true},
    {"pusher", "old_password_hash", "$y$...", false},
    {"pusher", "old_password_until", "2026-11-22T10:00:00Z", false},
    {"pusher", "client_id", "sb-s4-acme", false},
    {"pusher", "client_secret_hash", "$y$...", false},
    {"pusher", "old_client_secret_hash", "$y$...", false},
    {"pusher", "old_secret_until", "2026-11-22T10:00:00Z", false},
    {"pusher", "token_lifetime", "1 h", false},
    {"pusher", "issuer", "BTP", false},
    {"pusher", "token_client", "sb-s4-acme!b1234", false},
    {"pusher", "token_subject", "f1b2c3d4-0000-4000-8000-000000000001", false},
    {"pusher", "claim", "zid=0c5c4f4e-7d2d-4d4e-9f0a-4d1f3a1e6b11", false},
    {"issuer", NULL, "BTP", false},
    {"issuer", "issuer", "https://acme.authentication.eu10.hana.ondemand.com/oauth/token", false},
    {"issuer", "jwks_url", "https://acme.authentication.eu10.hana.ondemand.com/token_keys", false},
    {"issuer", "audience", "frunproxy!t1234", false},
    {"issuer", "scope", "frunproxy!t1234.push", false},
    {"oauth", "key_directory", "/var/lib/frunproxy/keys", true},
};

static const struct example connector_examples[] = {
    {"connector", "name", "dc1-a", true},
    {"connector", "certificate", "tls/dc1-a.pem", true},
    {"connector", "private_key", "tls/dc1-a.key", true},
    {"subaccount", NULL, "provider", true},
    {"subaccount", "gateway", "push.example.com:8444", true},
    {"subaccount", "gateway_ca", "tls/ca.pem", true},
    {"subaccount", "server_name", "tunnel.example.com", false},
    {"subaccount", "location_id", "DC1", true},
    {"subaccount", "proxy", "http://proxy.corp:3128", true},
    {"subaccount", "proxy_user", "svc", true},
    {"subaccount", "proxy_password", "file:secrets/proxy", true},
    {"subaccount", "certificate", "tls/dc1-a-provider.pem", false},
    {"subaccount", "private_key", "tls/dc1-a-provider.key", false},
    {"system", NULL, "fr1_frun:443", true},
    {"system", "backend_type", "ABAP System", true},
    {"system", "protocol", "HTTPS", true},
    {"system", "internal_host", "frun.corp", true},
    {"system", "internal_port", "44300", true},
    {"system", "principal_type", "X.509 Certificate", true},
    {"system", "system_certificate_for_logon", "no", true},
    {"system", "host_in_request_header", "virtual", true},
    {"system", "backend_ca", "tls/frun-ca.pem", true},
    {"system", "server_name", "frun.corp", false},
    {"system", "system_certificate", "tls/system.pem", false},
    {"system", "system_private_key", "tls/system.key", false},
    {"system", "description", "Focused Run, production", false},
    {"system", "sid", "FR1", false},
    {"resource", NULL, "frun", true},
    {"resource", "system", "fr1_frun:443", true},
    {"resource", "path", "/sap/frun", true},
    {"resource", "policy", "path-and-all-sub-paths", true},
    {"resource", "active", "yes", true},
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct side sides[] = {
    {"gateway", "frunproxy.ini", "frunproxyd",
     "Configuration of frunproxyd. Sections with a name may stand any number of times.",
     conf_gw_kinds, gateway_examples, COUNT(gateway_examples)},
    {"connector", "frunconnector.ini", "frunconnector",
     "Configuration of frunconnector. Sections with a name may stand any number of times.",
     conf_cn_kinds, connector_examples, COUNT(connector_examples)},
};

static const struct example *example_of(const struct side *s, const char *word, const char *key)
{
    for (size_t i = 0; i < s->n_examples; i++) {
        const struct example *e = &s->examples[i];
        if (strcmp(e->word, word) == 0 &&
            (e->key && key ? strcmp(e->key, key) == 0 : e->key == key)) {
            return e;
        }
    }
    return NULL;
}

/* Comment lines of at most 100 columns. Two blanks behind the sign tell them from keys. */
static void print_comment(const char *text)
{
    size_t column = 0;
    while (*text) {
        size_t n = strcspn(text, " ");
        if (column == 0 || column + 1 + n > 100) {
            (void)fputs(column ? "\n# " : "# ", stdout);
            column = 2;
        }
        (void)printf(" %.*s", (int)n, text);
        column += n + 1;
        text += n + strspn(text + n, " ");
    }
    (void)puts("");
}

static void print_sample_row(const struct side *s, const struct conf_kind *k,
                             const struct conf_row *row)
{
    char range[256];
    char line[1024];
    const struct example *e = example_of(s, k->word, row->key);
    ctl_row_range(row, false, range, sizeof(range));
    (void)snprintf(line, sizeof(line), "%s (%s%s%s%s%s%s)", row->help, ctl_row_type(row),
                   range[0] ? ", " : "", range, row->is_required ? ", required" : "",
                   row->fallback && row->fallback[0] ? ", default " : "",
                   row->fallback ? row->fallback : "");
    print_comment(line);
    const char *value = e ? e->value : row->fallback ? row->fallback : "";
    (void)printf("%s%s =%s%s\n", e && e->is_active ? "" : "; ", row->key, value[0] ? " " : "",
                 value);
}

static int print_sample(const struct side *s)
{
    size_t n;
    const struct conf_kind *kinds = s->kinds(&n);
    (void)printf("# %s: every section and key.\n# %s\n", s->file, s->intro);
    (void)puts("# Printed by 'frunctl config sample'. Keys with ';' in front are off or show their "
               "default.\n"
               "# A blank and ';' begin a comment behind a value. Relative file names start from "
               "this folder.\n"
               "# Secrets: file:PATH, credential:NAME (systemd), env:NAME; files too may be "
               "credential:NAME.");
    (void)printf("# Check: %s --config FILE --check\n", s->program);
    for (size_t i = 0; i < n; i++) {
        const struct example *name = example_of(s, kinds[i].word, NULL);
        (void)puts("");
        print_comment(kinds[i].help);
        (void)printf("%s[%s%s%s]\n", name && !name->is_active ? "; " : "", kinds[i].word,
                     name ? " " : "", name ? name->value : "");
        for (size_t j = 0; j < kinds[i].n_rows; j++) {
            print_sample_row(s, &kinds[i], &kinds[i].rows[j]);
        }
    }
    return EXIT_SUCCESS;
}

int ctl_config_sample(int argc, char **argv)
{
    for (size_t i = 0; argc == 2 && i < COUNT(sides); i++) {
        if (strcmp(argv[1], sides[i].name) == 0) {
            return print_sample(&sides[i]);
        }
    }
    return ctl_misuse("say gateway or connector");
}
