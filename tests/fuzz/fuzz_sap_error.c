/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/gateway/sap_error.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first octet chooses the status. What was told once stays told when more of the body comes,
 * and each kind has an answer that is whole. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned statuses[] = {200, 400, 403, 404, 405, 407, 500, 502, 503, 504};
    unsigned status = statuses[(size ? data[0] : 0) % (sizeof(statuses) / sizeof(statuses[0]))];
    struct span body = span_make(data, size);
    enum sap_error_kind before = SAP_ERROR_NONE;
    body = span_skip(body, size ? 1 : 0);
    body = span_head(body, body.n < SAP_ERROR_MAX_BYTES ? body.n : SAP_ERROR_MAX_BYTES);
    for (size_t n = 0; n <= body.n; n += n + 8 < body.n || n == body.n ? 8 : body.n - n) {
        enum sap_error_kind kind = sap_error_find(status, span_head(body, n));
        if (kind == SAP_ERROR_NONE ? before != SAP_ERROR_NONE : !sap_error_is_suspect(status)) {
            abort();
        }
        if (kind != SAP_ERROR_NONE) {
            const struct call_verdict *v = sap_error_verdict(kind);
            if (v->status < 400 || !v->by || !v->error || !v->kind || !v->detail) {
                abort();
            }
        }
        before = kind;
    }
    return 0;
}
