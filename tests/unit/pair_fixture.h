/**
 * Both ends of one connection in a world of their own, and certificates for them.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_TESTS_PAIR_FIXTURE_H
#define FRUN_TESTS_PAIR_FIXTURE_H

#include "stream_fixture.h"
#include "tls_fixture.h"

static struct tls_fixture fix;
static struct world w;
static struct end a; /**< server */
static struct end b; /**< client */

/** Of a group: make the certificates. */
static inline int pair_setup_all(void **state)
{
    (void)state;
    fixture_init(&fix);
    return 0;
}

/** Of a group: remove them. */
static inline int pair_teardown_all(void **state)
{
    (void)state;
    fixture_done(&fix);
    return 0;
}

/** Of a test: a new world. */
static inline int pair_setup(void **state)
{
    (void)state;
    w = (struct world){0};
    a = b = (struct end){0};
    return loop_new(&w.l);
}

/** Of a test: end it. */
static inline int pair_teardown(void **state)
{
    (void)state;
    end_free(&a);
    end_free(&b);
    loop_free(w.l);
    return 0;
}

/** Another connection in the same test. */
static inline void pair_again(void)
{
    (void)pair_teardown(NULL);
    int rc = pair_setup(NULL);
    assert(rc == 0);
    (void)rc;
}

/** A condition for world_until(): both are ready or have failed. */
static inline bool pair_is_settled(void *arg)
{
    (void)arg;
    return (a.is_ready || a.is_closed) && (b.is_ready || b.is_closed);
}

#endif
