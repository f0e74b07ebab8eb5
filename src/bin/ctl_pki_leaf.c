/**
 * frunctl pki: certificates of gateways, connectors and back-end servers.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/conf/check.h"

#include "ctl.h"
#include "ctl_pki.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

/* Octets of a subjectAltName text: each name at most 253 and its type. */
#define SAN_BYTES (CTL_PKI_NAMES * 260UL)

#define LEAF_DAYS 730

/* Host names and addresses as OpenSSL's configuration text "DNS:a,IP:b". All were checked: nothing
 * in them can begin another entry. */
static int san_text(const struct ctl_pki_ask *a, char out[SAN_BYTES])
{
    size_t n = 0;
    unsigned char octets[16];
    out[0] = '\0';
    for (size_t i = 0; i < a->n_names; i++) {
        const char *why = conf_check("host", span_of(a->names[i]));
        if (why || a->names[i][0] == '[') {
            return ctl_misuse("--name %s: %s", a->names[i], why ? why : "use --ip for addresses");
        }
        n += (size_t)snprintf(out + n, SAN_BYTES - n, "%sDNS:%s", n ? "," : "", a->names[i]);
    }
    for (size_t i = 0; i < a->n_ips; i++) {
        if (inet_pton(AF_INET, a->ips[i], octets) != 1 &&
            inet_pton(AF_INET6, a->ips[i], octets) != 1) {
            return ctl_misuse("--ip %s: not an IPv4 or IPv6 address", a->ips[i]);
        }
        n += (size_t)snprintf(out + n, SAN_BYTES - n, "%sIP:%s", n ? "," : "", a->ips[i]);
    }
    return 0;
}

/* A leaf; san "" for none. */
static int make_leaf(const struct ctl_pki_ask *a, struct ctl_cert *m, const char *base,
                     const char *cn, const char *san, const char *usage)
{
    int status = ctl_pki_files(m, a, base);
    if (!status) {
        status = ctl_cert_load_ca(m, a->dir);
    }
    if (status) {
        return status;
    }
    if (!ctl_cert_begin(m, cn, LEAF_DAYS) ||
        !ctl_cert_extend(m, NID_basic_constraints, "critical,CA:FALSE") ||
        !ctl_cert_extend(m, NID_key_usage, "critical,digitalSignature") ||
        !ctl_cert_extend(m, NID_ext_key_usage, usage) ||
        !ctl_cert_extend(m, NID_subject_key_identifier, "hash") ||
        !ctl_cert_extend(m, NID_authority_key_identifier, "keyid") ||
        (san[0] && !ctl_cert_extend(m, NID_subject_alt_name, san)) ||
        !X509_sign(m->cert, m->ca_key, EVP_sha256())) {
        return ctl_cert_fail("cannot make the certificate");
    }
    return ctl_cert_write(m, a->is_forced);
}

/* The certificate of a server, named by its first host name. */
static int make_server(int argc, char **argv, const char *base)
{
    struct ctl_pki_ask a = {0};
    struct ctl_cert m = {.key = NULL};
    char san[SAN_BYTES];
    int status = ctl_pki_parse(argc, argv, &a);
    if (!status && a.n_names == 0) {
        status = ctl_misuse("--name HOST is missing: the name that clients call");
    }
    if (!status && strlen(a.names[0]) > 64) {
        status = ctl_misuse("the first --name must have at most 64 characters");
    }
    if (!status) {
        status = san_text(&a, san);
    }
    if (!status) {
        status = make_leaf(&a, &m, base ? base : a.names[0], a.names[0], san, "serverAuth");
    }
    status = status ? status : ctl_pki_tell(&a, &m, NULL, NULL);
    ctl_cert_done(&m);
    return status;
}

int ctl_pki_gateway(int argc, char **argv)
{
    return make_server(argc, argv, "gateway");
}

int ctl_pki_server(int argc, char **argv)
{
    return make_server(argc, argv, NULL);
}

int ctl_pki_connector(int argc, char **argv)
{
    struct ctl_pki_ask a = {0};
    struct ctl_cert m = {.key = NULL};
    int status = ctl_pki_parse(argc, argv, &a);
    if (!status && (a.n_names != 1 || a.n_ips)) {
        status = ctl_misuse("a connector has one --name and no --ip");
    }
    const char *why = status ? NULL : conf_check("name", span_of(a.names[0]));
    if (why) {
        status = ctl_misuse("--name %s: %s", a.names[0], why);
    }
    if (!status) {
        status = make_leaf(&a, &m, a.names[0], a.names[0], "", "clientAuth");
    }
    if (!status) {
        char subject[512];
        (void)snprintf(subject, sizeof(subject), "CN=%s", a.names[0]);
        status = ctl_pki_tell(&a, &m, subject, NULL);
    }
    ctl_cert_done(&m);
    return status;
}
