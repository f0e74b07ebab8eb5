/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/net/ocsp.h"

#include "../unit/tls_fixture.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A certificate whose issuer's key is new in each run: nothing in a corpus can be signed with it.
 */
static struct ocsp *subject(void)
{
    static struct ocsp *o;
    if (o) {
        return o;
    }
    struct tls_fixture fix;
    struct tls_ctx *t = NULL;
    struct diag d;
    fixture_init(&fix);
    const struct tls_settings s = {.certificate = fixture_path(&fix, "leaf.pem"),
                                   .private_key = fixture_path(&fix, "leaf.key")};
    FILE *chain = fopen(s.certificate, "ae");
    if (!chain || PEM_write_X509(chain, fix.inter) != 1 || fclose(chain) ||
        tls_server_new(&s, &t, &d) || ocsp_new(t, &o) || !ocsp_facts(o)->has_issuer) {
        abort();
    }
    tls_unref(&t);
    fixture_done(&fix);
    return o;
}

/* No answer is ever believed, not even that it is revoked, and there is always a reason. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ocsp_validity v;
    struct diag d = {.text = ""};
    frun_err err = ocsp_verify(subject(), span_make(data, size), 1800000000, &v, &d);
    if (err == FRUN_OK || err == FRUN_E_DENIED || (err != FRUN_E_NOMEM && !d.text[0])) {
        abort();
    }
    return 0;
}
