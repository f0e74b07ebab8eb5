/**
 * The table of the gateway's own resources.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/gateway/own.h"

/** Retry-After while the daemon cannot serve, seconds. */
#define OWN_RETRY_S 5

struct own_resource {
    const char *path;
    const char *methods; /* as Allow shows them */
    const char *hint;    /* what a wrong method is told */
    void (*handle)(struct own_ask *a);
};

/* GET /sap/bc/ping on the gateway's own root: the daemon itself. */
static void ping(struct own_ask *a)
{
    const char *why = worker_unhealthy(a->w);
    a->answer(a, &(struct reply){.status = why ? 503 : 200,
                                 .detail = why ? why : "frunproxyd is serving",
                                 .retry_after_s = why ? OWN_RETRY_S : 0,
                                 .is_plain = true});
}

static const struct own_resource resources[] = {
    {"/sap/bc/ping", "GET, HEAD", "ask with GET or HEAD", ping},
};

static const struct own_resource *find(struct span path)
{
    for (size_t i = 0; i < sizeof(resources) / sizeof(resources[0]); i++) {
        if (span_eq(path, span_of(resources[i].path))) {
            return &resources[i];
        }
    }
    return NULL;
}

/* Methods are compared with their case, unlike the tokens of other lists. */
static bool has_method(struct span methods, struct span method)
{
    struct span one;
    while (span_split(&methods, ',', &one)) {
        if (span_eq(span_trim(one), method)) {
            return true;
        }
    }
    return false;
}

bool own_begin(struct own_ask *a, struct span path)
{
    a->what = find(path);
    if (!a->what) {
        return false;
    }
    struct span methods = span_of(a->what->methods);
    if (has_method(methods, a->in->method)) {
        a->what->handle(a);
    } else {
        a->answer(a, &(struct reply){.status = 405, .detail = a->what->hint, .allow = methods});
    }
    return true;
}
