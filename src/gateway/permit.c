/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/gateway/permit.h"

#include "frun/http/uri.h"

#include <stdio.h>

static bool is_method_allowed(const struct endpoint *e, struct span method)
{
    for (size_t i = 0; i < e->conf->methods.n; i++) {
        if (span_eq(method, span_of(e->conf->methods.items[i]))) {
            return true;
        }
    }
    return false;
}

static bool is_path_open(struct span path)
{
    return uri_is_under(path, SPAN_LIT("/sap/frun")) || span_eq(path, SPAN_LIT("/sap/bc/ping"));
}

uint64_t permit_max_body(const struct permit *p)
{
    uint64_t own = p->who ? p->who->conf->max_body : 0;
    return own && own < p->g->max_body ? own : p->g->max_body;
}

struct reply permit_too_long(struct permit *p)
{
    uint64_t max = permit_max_body(p);
    if (max < p->g->max_body) {
        (void)snprintf(p->detail, sizeof(p->detail),
                       "the body is longer than max_body (%llu octets) of pusher %.*s",
                       (unsigned long long)max, SPAN_FMT(p->who->name));
    } else {
        (void)snprintf(p->detail, sizeof(p->detail),
                       "the body is longer than max_body (%llu octets)", (unsigned long long)max);
    }
    return (struct reply){.status = 413, .error = "http_request_error", .detail = p->detail};
}

struct reply permit_no_turn(struct permit *p, enum turn_result result, unsigned retry_after_s)
{
    const char *key = result == TURN_TOO_FAST ? "max_requests_per_second" : "max_in_flight";
    bool is_endpoint = result == TURN_TOO_MANY_1;
    (void)snprintf(p->detail, sizeof(p->detail), "%s of %s %.*s is reached; try again in %u s", key,
                   is_endpoint ? "endpoint" : "pusher",
                   SPAN_FMT(is_endpoint ? p->e->name : p->who->name), retry_after_s);
    return (struct reply){.status = 429,
                          .error = "http_request_denied",
                          .detail = p->detail,
                          .retry_after_s = retry_after_s};
}

bool permit_check(struct permit *p, struct reply *no)
{
    if (p->path.n == 0 || span_eq(p->path, SPAN_LIT("/"))) {
        (void)snprintf(p->detail, sizeof(p->detail),
                       "this is the root URL of endpoint %.*s and the credentials are right; "
                       "requests go to paths below it, such as %.*s/sap/frun",
                       SPAN_FMT(p->e->name), SPAN_FMT(p->root_path));
        *no = (struct reply){.status = 400, .detail = p->detail};
        return false;
    }
    if (!is_path_open(p->path)) {
        *no = (struct reply){.status = 403,
                             .error = "http_request_denied",
                             .detail = "only /sap/frun, paths below it and /sap/bc/ping are open "
                                       "behind the root URL, and what the endpoint maps (map, "
                                       "paths)"};
        return false;
    }
    if (!is_method_allowed(p->e, p->in->method)) {
        *no = (struct reply){.status = 405,
                             .error = "http_request_denied",
                             .detail = "the endpoint does not allow this method (methods)",
                             .allow = p->e->allow};
        return false;
    }
    if (p->in->body == HEAD_BODY_LENGTH && p->in->body_len_bytes > permit_max_body(p)) {
        *no = permit_too_long(p);
        return false;
    }
    return true;
}
