/**
 * A configuration made by hand for the gateway's unit tests: two endpoints, three pushers, no
 * files.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_TESTS_GATEWAY_FIXTURE_H
#define FRUN_TESTS_GATEWAY_FIXTURE_H

#include "frun/base/secret.h"
#include "frun/conf/gateway.h"

#include <crypt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** Password hash of @p password, cheap enough for tests. */
static inline const char *fixture_hash(const char *password, char *out, size_t size)
{
    struct crypt_data data;
    memset(&data, 0, sizeof(data));
    const char *made = crypt_r(password, "$5$rounds=1000$fixture$", &data);
    (void)snprintf(out, size, "%s", made ? made : "");
    return out;
}

/** Everything the configuration is made of. */
struct fixture {
    struct conf_gw gw;
    struct conf_gateway gateway;
    struct conf_log log;
    struct conf_endpoint acme;
    struct conf_endpoint globex;
    const struct conf_endpoint *endpoints[2];
    struct conf_pusher s4_acme;
    struct conf_pusher s4_globex;
    struct conf_pusher same_user;
    const struct conf_pusher *pushers[3];
    const struct conf_endpoint *acme_only[1];
    const struct conf_endpoint *globex_only[1];
    const char *acme_name[1];
    const char *globex_name[1];
    const char *methods[4];
    char hash_a[128];
    char hash_g[128];
};

static inline void fixture_endpoint(struct fixture *f, struct conf_endpoint *e, const char *name,
                                    const char *root)
{
    e->place.name = name;
    e->root_path = root;
    e->admin_request_parameter = root + 1;
    e->carrier.header = "X-Admin-Request-Parameter";
    e->user = "FRUN_PUSH";
    if (secret_new(SPAN_LIT("backend-secret"), &e->password) != FRUN_OK) {
        abort();
    }
    e->methods.items = f->methods;
    e->methods.n = 4;
    e->virtual_host = "fr1_frun:443";
    e->location_id = "DC1";
    e->route = CONF_ROUTE_TUNNEL;
}

static inline void fixture_pusher(struct conf_pusher *p, const char *name, const char *user,
                                  const char *hash)
{
    p->place.name = name;
    p->user = user;
    p->password.hash = hash;
    p->is_enabled = true;
    p->ways = CONF_AUTH_BASIC;
    p->endpoint.n = 1;
}

/** Fill @p f; its configuration is never freed by the last reference. */
static inline void fixture_init(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    f->methods[0] = "GET";
    f->methods[1] = "HEAD";
    f->methods[2] = "POST";
    f->methods[3] = "PUT";
    f->gateway.public_url = "https://push.example.com";
    f->gateway.max_body = 1000;
    f->gateway.max_waiting = 2;
    f->gateway.max_head = 32768;
    f->gateway.max_target = 8192;
    f->gateway.max_fields = 100;
    f->gateway.hold_ms = 300;
    f->gateway.response_timeout_ms = 60000;
    f->gateway.body_timeout_ms = 30000;
    f->log.access = CONF_ACCESS_OFF;
    fixture_endpoint(f, &f->acme, "ACME_PROD", "/ACME_PROD");
    fixture_endpoint(f, &f->globex, "GLOBEX_PROD", "/GLOBEX_PROD");
    f->globex.carrier.header = "X-Globex-Fence";
    f->endpoints[0] = f->acme_only[0] = &f->acme;
    f->endpoints[1] = f->globex_only[0] = &f->globex;
    fixture_pusher(&f->s4_acme, "s4-acme", "s4push",
                   fixture_hash("right", f->hash_a, sizeof(f->hash_a)));
    fixture_pusher(&f->s4_globex, "s4-globex", "s4push",
                   fixture_hash("other", f->hash_g, sizeof(f->hash_g)));
    fixture_pusher(&f->same_user, "ibp-globex", "ibp", f->hash_a);
    f->s4_acme.endpoints = f->acme_only;
    f->s4_globex.endpoints = f->globex_only;
    f->same_user.endpoints = f->globex_only;
    f->pushers[0] = &f->s4_acme;
    f->pushers[1] = &f->s4_globex;
    f->pushers[2] = &f->same_user;
    f->gw.gateway = &f->gateway;
    f->gw.log = &f->log;
    f->gw.endpoints = f->endpoints;
    f->gw.n_endpoints = 2;
    f->gw.pushers = f->pushers;
    f->gw.n_pushers = 3;
    f->gw.refs = 1;
}

/** Free what fixture_init() allocated. */
static inline void fixture_done(struct fixture *f)
{
    secret_free(f->acme.password);
    secret_free(f->globex.password);
}

#endif
