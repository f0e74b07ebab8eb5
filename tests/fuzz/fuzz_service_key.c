/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/fetch/service_key.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A key is taken whole or refused with a text; what is taken can be used. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const instances[] = {NULL, "conn-a"};
    for (size_t i = 0; i < 4; i++) {
        struct service_key k = {0};
        struct diag d = {.text = ""};
        frun_err err = service_key_parse(span_make(data, size),
                                         i & 1 ? SERVICE_IDENTITY : SERVICE_CONNECTIVITY,
                                         instances[i / 2], &k, &d);
        if (err ? d.text[0] == '\0' : !k.client_id || !k.token_url) {
            abort();
        }
        service_key_done(&k);
    }
    return 0;
}
