/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/net/tls_memory.h"

#include "frun/base/stock.h"

#include <openssl/crypto.h>
#include <stddef.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <stdlib.h>

#ifdef __GLIBC__

/* A record buffer is 16 KiB of plaintext and what its frame and encryption add. */
#define RECORD_MIN_BYTES 16384

/* malloc() rounds up by less than this. */
#define ROUNDING_BYTES 64

static void *take(size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    if (n > RECORD_MIN_BYTES && n <= STOCK_RECORD_BYTES) {
        return stock_take(&n);
    }
    return n > 0 ? malloc(n) : NULL;
}

/* Whatever block has the size is as good as one from the stock: both are malloc()'s. */
static void give(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    size_t n = malloc_usable_size(p);
    if (n >= STOCK_RECORD_BYTES && n < STOCK_RECORD_BYTES + ROUNDING_BYTES) {
        stock_give(p, STOCK_RECORD_BYTES);
    } else {
        free(p);
    }
}

static void *resize(void *p, size_t n, const char *file, int line)
{
    if (n == 0) {
        give(p, file, line);
        return NULL;
    }
    return realloc(p, n);
}

bool tls_memory_from_stock(void)
{
    return CRYPTO_set_mem_functions(take, resize, give) == 1;
}

#else

bool tls_memory_from_stock(void)
{
    return false;
}

#endif
