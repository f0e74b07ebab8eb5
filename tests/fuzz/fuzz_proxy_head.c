/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/net/proxy_head.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A head ends inside the input, is the same however much follows it, and is never found in less. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxy_head head = {.len = 0};
    struct proxy_head again = {.len = 0};
    char text[ADDR_TEXT_BYTES];
    struct span in = span_make((const char *)data, size);
    frun_err err = proxy_head_read(in, &head);
    if (err) {
        return head.len ? (abort(), 1) : 0;
    }
    if (head.len == 0 || head.len > size || head.len > PROXY_HEAD_MAX_BYTES ||
        proxy_head_read(span_head(in, head.len), &again) != FRUN_OK || again.len != head.len ||
        proxy_head_read(span_head(in, head.len - 1), &again) != FRUN_E_AGAIN) {
        abort();
    }
    if (head.has_source) {
        addr_text(&head.source, text);
    }
    return 0;
}
