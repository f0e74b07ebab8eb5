/**
 * The connector's certificates and what it trusts: one TLS context per membership and one per HTTPS
 * back end, loaded once.
 *
 * A back end without backend_ca gets a context that trusts nothing: its handshake fails and says
 * why. Immutable after loading.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_CONNECTOR_TRUST_H
#define FRUN_CONNECTOR_TRUST_H

#include "frun/admin/web.h"
#include "frun/base/err.h"
#include "frun/conf/connector.h"
#include "frun/connector/shortcert.h"
#include "frun/net/tls.h"

#include <stddef.h>
#include <stdio.h>

/** All contexts of one configuration. */
struct trust {
    const struct conf_cn *conf;   /**< configuration whose contexts they are; borrowed */
    struct tls_ctx **subaccounts; /**< by index of the configuration's subaccounts */
    size_t n_subaccounts;         /**< count */
    struct tls_ctx **mappings;    /**< by index of its mappings; NULL where the protocol is HTTP */
    struct shortcert_ca **cas;    /**< by index of its mappings; NULL: no principals are told */
    size_t n_mappings;            /**< count */
    struct admin_door *door;      /**< of the status page */
};

/**
 * Load every certificate, key and CA file that the configuration names. A context whose files and
 * settings are still those of the membership or system of the same name in @p before is taken over.
 *
 * @param conf     configuration, must outlive the contexts
 * @param before   those in use; NULL: none
 * @param report   every error is printed here as "file:line: section.key: why"; NULL: nowhere
 * @param out      contexts; trust_free() them
 * @return FRUN_OK; FRUN_E_TLS at least one could not be loaded;
 * FRUN_E_NOMEM
 * Thread: main (reads files).
 */
frun_err trust_load(const struct conf_cn *conf, const struct trust *before, FILE *report,
                    struct trust **out) FRUN_MUST_CHECK;

/** Give all contexts back. @param t contexts or NULL. Thread: main. */
void trust_free(struct trust *t);

#endif
