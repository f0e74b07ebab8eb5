/**
 * TLS contexts from the files that a configuration names: what is wrong with one is told with file,
 * line, section and key, and everything that is wrong is told at once.
 *
 * Also tells what works today and will not tomorrow, or should not: a certificate that has expired
 * or soon will, a private key that everybody can read.
 * Both programs load their certificates by this.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_NET_TLS_FILES_H
#define FRUN_NET_TLS_FILES_H

#include "frun/base/err.h"
#include "frun/conf/doc.h"
#include "frun/net/tls.h"

#include <stdbool.h>
#include <stdio.h>

/** A key of the configuration that names a file. */
struct tls_place {
    const void *section; /**< the section's structure */
    const char *key;     /**< key in it */
};

/** The files of one context, and where the configuration names them. */
struct tls_source {
    struct tls_settings tls;      /**< what is loaded */
    struct tls_place certificate; /**< names tls.certificate */
    struct tls_place private_key; /**< names tls.private_key */
    struct tls_place ca;          /**< names tls.ca_file */
    struct tls_place crl;         /**< names tls.crl_file */
};

/**
 * Load the files of a context. A client's is taken over from tls.before, if that was made here of
 * the same settings and of files with the same content: to make one costs a hundred times as much.
 *
 * @param s         files and places; settings as for tls_server_new() or tls_client_new()
 * @param doc       configuration that the places belong to
 * @param is_server server context, else client
 * @param report    errors and warnings are printed here as "file:line: section.key: why"; NULL:
 * nowhere
 * @param out       context; tls_unref() it
 * @return FRUN_OK, maybe with warnings; FRUN_E_TLS, FRUN_E_IO a file cannot be used; FRUN_E_NOMEM
 * Thread: main (reads files).
 */
frun_err tls_files_load(const struct tls_source *s, const struct conf_doc *doc, bool is_server,
                        FILE *report, struct tls_ctx **out) FRUN_MUST_CHECK;

#endif
