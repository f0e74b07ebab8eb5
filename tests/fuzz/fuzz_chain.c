/* SPDX-License-Identifier: Apache-2.0 */
#include "../../src/base/chain_int.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A line that has the form of a record is all of it head, hash and what stands around them. */
static void as_line(struct span in)
{
    struct chain_line l;
    if (!chain_cut(in, &l)) {
        return;
    }
    if (l.head.p != in.p || l.prev.n != CHAIN_HASH_BYTES - 1 || l.hash.n != CHAIN_HASH_BYTES - 1 ||
        l.prev.p + l.prev.n != l.head.p + l.head.n || l.hash.p < l.prev.p + l.prev.n ||
        l.hash.p + l.hash.n + 2 != in.p + in.n || chain_cut(span_head(in, in.n - 1), &l)) {
        abort();
    }
}

/* Whatever a record says, what is written can be taken apart again. */
static void as_record(struct span in)
{
    char out[CHAIN_LINE_BYTES];
    struct chain_end end = {.seq = in.n};
    struct chain_line l;
    if (in.n == 0 || in.n > CHAIN_RECORD_BYTES || memchr(in.p, 0, in.n)) {
        return;
    }
    memset(end.hash, 'a', CHAIN_HASH_BYTES - 1);
    size_t n = chain_compose(SPAN_LIT("key"), &end, in, out);
    if (out[n - 1] != '\n' || !chain_cut(span_make(out, n - 1), &l) || l.seq != in.n + 1 ||
        end.seq != l.seq || !span_eq(l.hash, span_of(end.hash)) || l.prev.p[0] != 'a') {
        abort();
    }
}

/* A head that is taken is, octet by octet, the one that would be written. */
static void as_head(struct span in)
{
    struct chain_head h;
    char text[CHAIN_HEAD_BYTES] = "";
    int fd = memfd_create("head", MFD_CLOEXEC);
    if (fd < 0 || write(fd, in.p, in.n) != (ssize_t)in.n) {
        abort();
    }
    if (chain_head_read(fd, (struct span){0}, &h) == FRUN_OK &&
        (chain_head_write(fd, (struct span){0}, &h, false) != FRUN_OK ||
         pread(fd, text, sizeof(text), 0) != (ssize_t)in.n || memcmp(text, in.p, in.n - 1) != 0)) {
        abort();
    }
    (void)close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = span_make((const char *)data, size);
    as_line(in);
    as_record(in);
    as_head(in);
    return 0;
}
