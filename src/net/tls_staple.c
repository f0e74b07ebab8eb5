/* SPDX-License-Identifier: Apache-2.0 */
#include "tls_staple_int.h"

#include "frun/net/tls.h"

#include <openssl/crypto.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Immutable once published. */
struct response {
    struct response *next; /* replaced earlier; main's */
    int64_t until_s;
    size_t n;
    unsigned char der[];
};

struct tls_staple {
    _Atomic(struct response *) now; /* read by workers */
    atomic_uint n_inside;           /* workers that may still read what has been replaced */
    struct response *retired;       /* main's: replaced, not freed yet */
};

static void free_retired(struct tls_staple *s)
{
    while (s->retired) {
        struct response *old = s->retired;
        s->retired = old->next;
        free(old);
    }
}

frun_err tls_staple_new(struct tls_staple **out)
{
    struct tls_staple *s = calloc(1, sizeof(*s));
    if (!s) {
        return FRUN_E_NOMEM;
    }
    atomic_init(&s->now, NULL);
    atomic_init(&s->n_inside, 0);
    *out = s;
    return FRUN_OK;
}

void tls_staple_free(struct tls_staple *s)
{
    if (!s) {
        return;
    }
    free(atomic_load(&s->now));
    free_retired(s);
    free(s);
}

static void publish(struct tls_staple *s, struct response *r)
{
    struct response *old = atomic_exchange(&s->now, r);
    if (old) {
        old->next = s->retired;
        s->retired = old;
    }
    /* One total order: who comes in after this look finds the new one. */
    if (atomic_load(&s->n_inside) == 0) {
        free_retired(s);
    }
}

frun_err tls_staple_put(struct tls_staple *s, struct span response, int64_t until_s)
{
    if (response.n > TLS_STAPLING_MAX_BYTES) {
        return FRUN_E_LIMIT;
    }
    struct response *r = malloc(sizeof(*r) + response.n);
    if (!r) {
        return FRUN_E_NOMEM;
    }
    *r = (struct response){.until_s = until_s, .n = response.n};
    memcpy(r->der, response.p, response.n);
    publish(s, r);
    return FRUN_OK;
}

void tls_staple_drop(struct tls_staple *s)
{
    publish(s, NULL);
}

size_t tls_staple_copy(struct tls_staple *s, int64_t now_s, unsigned char **out)
{
    size_t n = 0;
    atomic_fetch_add(&s->n_inside, 1);
    const struct response *r = atomic_load(&s->now);
    if (r && now_s < r->until_s) {
        unsigned char *copy = OPENSSL_memdup(r->der, r->n);
        if (copy) {
            n = r->n;
            *out = copy;
        }
    }
    atomic_fetch_sub(&s->n_inside, 1);
    return n;
}
