/* SPDX-License-Identifier: Apache-2.0 */
#include "../../src/net/dial_int.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A proxy's answer is judged the same at once and octet by octet, and always with a text. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct dial_target t = {
        .host = "gateway.example.com", .port = 8444, .proxy = "http://p:1"};
    char why[DIAL_WHY_BYTES] = "";
    size_t scanned = 0;
    frun_err at_once = dial_proxy_answer(&t, span_make(data, size), &scanned, why);

    if (at_once == FRUN_E_PROXY && (*why == '\0' || !memchr(why, '\0', sizeof(why)))) {
        abort();
    }
    frun_err step = FRUN_E_AGAIN;
    scanned = 0;
    for (size_t n = 0; n < size && step == FRUN_E_AGAIN; n++) {
        step = dial_proxy_answer(&t, span_make(data, n + 1), &scanned, why);
    }
    /* Octets behind a good head are seen only when they are there. */
    if (step != at_once && !(step == FRUN_OK && at_once == FRUN_E_PROXY)) {
        abort();
    }
    return 0;
}
