/**
 * frunctl pki: a CA for sites that have none. EC P-256, X.509 v3, files as PEM.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl_pki.h"

#include "ctl.h"
#include "ctl_audit.h"
#include "ctl_out.h"

#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#define CA_DAYS 3650

int ctl_pki_parse(int argc, char **argv, struct ctl_pki_ask *a)
{
    static const struct option options[] = {{"name", required_argument, NULL, 'n'},
                                            {"ip", required_argument, NULL, 'i'},
                                            {"force", no_argument, NULL, 'f'},
                                            {"config", required_argument, NULL, 'c'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"days", required_argument, NULL, 'd'},
                                            {NULL, 0, NULL, 0}};
    int c;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
    while ((c = getopt_long(argc, argv, "n:i:f", options, NULL)) != -1) {
        if (c == 'f') {
            a->is_forced = true;
        } else if (c == 'c') {
            a->config = optarg;
        } else if (c == 'd' && a->max_files) {
            if (span_to_u64(span_of(optarg), &a->days) || a->days == 0 || a->days > CA_DAYS) {
                (void)ctl_misuse("--days takes 1 to %d", CA_DAYS);
                return EX_USAGE;
            }
        } else if (c == 'j') {
            continue; /* ctl_is_json() */
        } else if (c != 'n' && c != 'i') {
            return EX_USAGE;
        } else if (a->n_names + a->n_ips >= CTL_PKI_NAMES) {
            (void)ctl_misuse("at most %d names and addresses", CTL_PKI_NAMES);
            return EX_USAGE;
        } else if (c == 'n') {
            a->names[a->n_names++] = optarg;
        } else {
            a->ips[a->n_ips++] = optarg;
        }
    }
    if (argc == optind || (size_t)(argc - optind - 1) > a->max_files) {
        (void)ctl_misuse(a->max_files ? "a folder DIR is wanted, then at most %d certificates"
                                      : "one folder DIR is wanted",
                         CTL_PKI_NAMES);
        return EX_USAGE;
    }
    a->dir = argv[optind++];
    while (optind < argc) {
        a->files[a->n_files++] = argv[optind++];
    }
    return 0;
}

int ctl_pki_files(struct ctl_cert *m, const struct ctl_pki_ask *a, const char *base)
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

int ctl_pki_tell(const struct ctl_pki_ask *a, const struct ctl_cert *m, const char *subject,
                 const char *hint)
{
    char end[CTL_CERT_TIME_BYTES];
    char detail[128];
    ctl_cert_time(X509_get0_notAfter(m->cert), end);
    (void)snprintf(detail, sizeof(detail), "good until %s", end);
    ctl_audit_made(a->config, "certificate.made", m->cert_file, detail);
    if (ctl_is_json()) {
        return ctl_json_take(json_pack("{s:s, s:s, s:s, s:s*, s:s*}", "certificate", m->cert_file,
                                       "private_key", m->key_file, "until", end,
                                       "certificate_subject", subject, "hint", hint));
    }
    (void)printf("wrote %s\nwrote %s (secret, mode 0600)\n", m->cert_file, m->key_file);
    if (subject) {
        (void)printf("in the gateway's [connector NAME]:\ncertificate_subject = %s\n", subject);
    }
    if (hint) {
        (void)puts(hint);
    }
    return EXIT_SUCCESS;
}

static int make_ca(const struct ctl_pki_ask *a, struct ctl_cert *m)
{
    const char *cn = a->n_names ? a->names[0] : "frunproxy CA";
    /* Keys are closed by their own mode; certificates are for the services' users to read. */
    bool is_new = mkdir(a->dir, 0755) == 0;
    if ((!is_new && errno != EEXIST) || (is_new && chmod(a->dir, 0755))) {
        return ctl_fail("cannot make folder %s: %s", a->dir, strerrordesc_np(errno));
    }
    int status = ctl_pki_files(m, a, "ca");
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
    status = ctl_cert_write(m, a->is_forced);
    return status ? status
                  : ctl_pki_tell(a, m, NULL,
                                 "this CA is client_ca in [tunnel] and gateway_ca in "
                                 "[subaccount]; keep ca.key away from both machines");
}

int ctl_pki_init(int argc, char **argv)
{
    struct ctl_pki_ask a = {0};
    struct ctl_cert m = {.key = NULL};
    int status = ctl_pki_parse(argc, argv, &a);
    if (!status && (a.n_names > 1 || a.n_ips || (a.n_names && strlen(a.names[0]) > 64))) {
        status = ctl_misuse("a CA has one --name of at most 64 characters and no --ip");
    }
    if (!status) {
        status = make_ca(&a, &m);
    }
    ctl_cert_done(&m);
    return status;
}
