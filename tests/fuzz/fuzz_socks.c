/* SPDX-License-Identifier: Apache-2.0 */
#include "../../src/net/dial_int.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* First octet: what is awaited. The answer is judged the same at once and octet by octet, uses no
 * more than there is, and a refusal has its reason. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    enum dial_socks_state state = (enum dial_socks_state)(data[0] % DIAL_SOCKS_OPEN);
    struct span in = span_make(data + 1, size - 1);
    enum dial_refusal refusal = DIAL_REFUSAL_NONE;
    enum dial_refusal early = DIAL_REFUSAL_NONE;
    size_t used = 0;
    size_t early_used = 0;
    frun_err at_once = dial_socks_answer(state, in, &used, &refusal);
    frun_err step = FRUN_E_AGAIN;

    for (size_t n = 0; n <= in.n && step == FRUN_E_AGAIN; n++) {
        step = dial_socks_answer(state, span_head(in, n), &early_used, &early);
    }
    if (step != at_once || early != refusal || (at_once == FRUN_OK && early_used != used)) {
        abort();
    }
    if ((at_once == FRUN_OK && (used == 0 || used > in.n || used > DIAL_SOCKS_ANSWER_BYTES)) ||
        (at_once == FRUN_E_PROXY) != (refusal != DIAL_REFUSAL_NONE)) {
        abort();
    }
    if (at_once == FRUN_E_AGAIN && in.n >= DIAL_SOCKS_ANSWER_BYTES) {
        abort();
    }
    return 0;
}
