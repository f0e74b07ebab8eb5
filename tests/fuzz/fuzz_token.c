/* SPDX-License-Identifier: Apache-2.0 */
#include "../../src/fetch/token_int.h"

#include "frun/fetch/token.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a token end-point says becomes a field value of a known life, or a text. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct token_answer a = {0};
    struct diag d = {.text = ""};
    char code[TOKEN_ERROR_BYTES];
    frun_err err = token_answer_read(span_make(data, size), "tenant-1", 1700000000, &a, &d);
    if (err ? d.text[0] == '\0' || a.text
            : a.life_ms == 0 || a.life_ms > TOKEN_LIFE_MAX_MS || a.n > TOKEN_MAX_BYTES + 7) {
        abort();
    }
    for (size_t i = 0; i < a.n; i++) {
        if ((unsigned char)a.text[i] < 0x20 || (unsigned char)a.text[i] >= 0x7f) {
            abort();
        }
    }
    free(a.text);
    token_answer_error(span_make(data, size), code);
    return 0;
}
