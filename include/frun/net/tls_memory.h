/**
 * Where OpenSSL's record buffers come from.
 *
 * With SSL_MODE_RELEASE_BUFFERS an idle connection holds none, so OpenSSL takes and gives back two
 * blocks of 17 KiB with nearly every record. Those come from the thread's stock; everything else
 * OpenSSL allocates is malloc()'s as ever.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_NET_TLS_MEMORY_H
#define FRUN_NET_TLS_MEMORY_H

#include <stdbool.h>

/** Let OpenSSL take its record buffers from the stock. For programs that carry traffic; must come
 * before anything else of OpenSSL. @return true if so; false: OpenSSL has allocated already, or the
 * C library cannot tell the size of a block: all works, but slower. Thread: main, before others
 * start. Source: CRYPTO_set_mem_functions(3). */
bool tls_memory_from_stock(void);

#endif
