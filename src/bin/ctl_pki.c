/**
 * frunctl pki: a CA and certificates for sites that have none. EC P-256, X.509 v3, files as PEM.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/conf/check.h"

#include "ctl.h"
#include "ctl_cert.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

/* Most --name and --ip together. */
#define MAX_NAMES 32

/* Octets of a subjectAltName text: each name at most 253 and its type. */
#define SAN_BYTES (MAX_NAMES * 260UL)

#define CA_DAYS   3650
#define LEAF_DAYS 730

/* What the command line asks for. */
struct ask {
    const char *dir;
    const char *names[MAX_NAMES];
    size_t n_names;
    const char *ips[MAX_NAMES];
    size_t n_ips;
    bool is_forced;
};

static int parse(int argc, char **argv, struct ask *a)
{
    static const struct option options[] = {{"name", required_argument, NULL, 'n'},
                                            {"ip", required_argument, NULL, 'i'},
                                            {"force", no_argument, NULL, 'f'},
                                            {NULL, 0, NULL, 0}};
    int c;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
    while ((c = getopt_long(argc, argv, "n:i:f", options, NULL)) != -1) {
        if (c == 'f') {
            a->is_forced = true;
        } else if (c != 'n' && c != 'i') {
            return EX_USAGE;
        } else if (a->n_names + a->n_ips >= MAX_NAMES) {
            return ctl_misuse("at most %d names and addresses", MAX_NAMES);
        } else if (c == 'n') {
            a->names[a->n_names++] = optarg;
        } else {
            a->ips[a->n_ips++] = optarg;
        }
    }
    if (argc - optind != 1) {
        return ctl_misuse("one folder DIR is wanted");
    }
    a->dir = argv[optind];
    return 0;
}

/* Host names and addresses as OpenSSL's configuration text "DNS:a,IP:b". All were checked: nothing
 * in them can begin another entry. */
static int san_text(const struct ask *a, char out[SAN_BYTES])
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

/* Nothing is made that could not be written: neither file may be there. */
static int choose_files(struct ctl_cert *m, const struct ask *a, const char *base)
{
    int n = snprintf(m->cert_file, sizeof(m->cert_file), "%s/%s.pem", a->dir, base);
    (void)snprintf(m->key_file, sizeof(m->key_file), "%s/%s.key", a->dir, base);
    if (n < 0 || (size_t)n >= sizeof(m->cert_file)) {
        return ctl_misuse("the folder's name is too long");
    }
    const char *const files[] = {m->cert_file, m->key_file};
    for (size_t i = 0; i < 2 && !a->is_forced; i++) {
        if (access(files[i], F_OK) == 0) {
            return ctl_fail("%s is there already; --force overwrites it", files[i]);
        }
    }
    return 0;
}

static int make_ca(const struct ask *a, struct ctl_cert *m)
{
    const char *cn = a->n_names ? a->names[0] : "frunproxy CA";
    /* Keys are closed by their own mode; certificates are for the services' users to read. */
    bool is_new = mkdir(a->dir, 0755) == 0;
    if ((!is_new && errno != EEXIST) || (is_new && chmod(a->dir, 0755))) {
        return ctl_fail("cannot make folder %s: %s", a->dir, strerrordesc_np(errno));
    }
    int status = choose_files(m, a, "ca");
    if (status) {
        return status;
    }
    if (!ctl_cert_begin(m, cn, CA_DAYS) ||
        !ctl_cert_extend(m, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
        !ctl_cert_extend(m, NID_key_usage, "critical,keyCertSign,cRLSign") ||
        !ctl_cert_extend(m, NID_subject_key_identifier, "hash") ||
        !X509_sign(m->cert, m->key, EVP_sha256())) {
        return ctl_cert_fail("cannot make the CA");
    }
    return ctl_cert_write(m, a->is_forced);
}

/* A leaf; san "" for none. */
static int make_leaf(const struct ask *a, struct ctl_cert *m, const char *base, const char *cn,
                     const char *san, const char *usage)
{
    int status = choose_files(m, a, base);
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

int ctl_pki_init(int argc, char **argv)
{
    struct ask a = {0};
    struct ctl_cert m = {.key = NULL};
    int status = parse(argc, argv, &a);
    if (!status && (a.n_names > 1 || a.n_ips || (a.n_names && strlen(a.names[0]) > 64))) {
        status = ctl_misuse("a CA has one --name of at most 64 characters and no --ip");
    }
    if (!status) {
        status = make_ca(&a, &m);
    }
    if (!status) {
        (void)printf("this CA is client_ca in [tunnel] and gateway_ca in [subaccount]; keep ca.key "
                     "away from both machines\n");
    }
    ctl_cert_done(&m);
    return status;
}

/* The certificate of a server, named by its first host name. */
static int make_server(int argc, char **argv, const char *base)
{
    struct ask a = {0};
    struct ctl_cert m = {.key = NULL};
    char san[SAN_BYTES];
    int status = parse(argc, argv, &a);
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
    struct ask a = {0};
    struct ctl_cert m = {.key = NULL};
    int status = parse(argc, argv, &a);
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
        (void)printf("in the gateway's [connector NAME]:\ncertificate_subject = CN=%s\n",
                     a.names[0]);
    }
    ctl_cert_done(&m);
    return status;
}
