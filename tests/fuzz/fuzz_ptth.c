/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/tunnel/ptth.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is read must be writable again, and nothing may be read outside the head. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct head head;
    struct head_limits limits = HEAD_LIMITS_DEFAULT;
    struct head_fault fault;
    struct ptth_hello hello;
    struct span in = span_make(data, size);
    const char *why;
    unsigned a;
    unsigned b;

    if (head_parse_request(in, &limits, &head, &fault) == FRUN_OK &&
        ptth_read_hello(&head, &hello, &a, &why) == FRUN_OK) {
        struct buf out;

        buf_init(&out, 65536);
        if (ptth_write_hello(&hello, SPAN_LIT("gateway"), &out) != FRUN_OK) {
            abort();
        }
        buf_done(&out);
    }
    if (head_parse_answer(in, &limits, SPAN_LIT("GET"), &head, &fault) == FRUN_OK &&
        ptth_read_welcome(&head, &a, &b, &why) == FRUN_OK && (a < 1 || a > 64)) {
        abort();
    }
    return 0;
}
