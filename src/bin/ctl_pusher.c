/**
 * frunctl pusher: service keys for managed cloud services, and changing them without an outage.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/mono.h"
#include "frun/base/text.h"
#include "frun/conf/gateway.h"

#include "ctl.h"
#include "ctl_out.h"
#include "ctl_pusher.h"

#include <jansson.h>
#include <stdlib.h>
#include <time.h>

static int make_secret(struct ctl_pusher_subject *s)
{
    unsigned char octets[CTL_SECRET_OCTETS];
    struct secret *secret = NULL;
    mono_entropy(octets, sizeof(octets));
    (void)text_base64url(span_make(octets, sizeof(octets)), s->secret);
    secret_wipe(octets, sizeof(octets));
    if (secret_new(span_of(s->secret), &secret)) {
        return ctl_fail("out of memory");
    }
    int status = ctl_hash("$y$", secret, s->hash, sizeof(s->hash));
    secret_free(secret);
    return status;
}

/* What the set-up pages of SAP's products take. The root URL is that of the endpoint's own host
 * name, if it has one: it is what its owner was given a certificate for. */
static int print_key(void *ctx)
{
    const struct ctl_pusher_subject *s = ctx;
    const char *url = s->conf->gateway->public_url;
    char api[512];
    (void)snprintf(api, sizeof(api), "%s/api",
                   s->e->host_name.n ? s->e->host_urls[0] : s->e->root_url);
    json_t *key =
        json_pack("{s{ss}s{ssssssssss}}", "endpoints", "Api", api, "uaa", "url", url, "clientid",
                  s->p->client_id ? s->p->client_id : "", "clientsecret", s->secret, "identityzone",
                  s->e->root_path + 1, "credential-type", "binding-secret");
    return ctl_json_take(key);
}

static int print_password(void *ctx)
{
    const struct ctl_pusher_subject *s = ctx;
    if (ctl_is_json()) {
        return ctl_json_take(json_pack("{s:s, s:s}", "user", s->p->user, "password", s->secret));
    }
    return printf("user:     %s\npassword: %s\n", s->p->user, s->secret) < 0;
}

int ctl_pusher_service_key(int argc, char **argv)
{
    struct ctl_pusher_ask a = {.grace_s = 0};
    struct ctl_pusher_subject s = {.conf = NULL};
    int status = ctl_pusher_parse(argc, argv, "cefjxCP", &a);
    status = status ? status : ctl_pusher_find(&a, ctl_err(), &s);
    if (!status && !s.conf->oauth) {
        status = ctl_fail("%s has no section [oauth]; add\n\n[oauth]\nkey_directory = "
                          "/var/lib/frunproxy/keys\n",
                          a.config);
    }
    if (!status && a.is_x509) {
        status = ctl_x509_service_key(&a, &s);
        ctl_pusher_done(&s);
        return status;
    }
    if (!status && s.p->secret.hash && !a.is_forced) {
        status = ctl_fail("[pusher %s] has a secret already, and it cannot be shown again; "
                          "'frunctl pusher rotate %s' makes another one and keeps this one for a "
                          "while, --force replaces it at once",
                          a.name, a.name);
    }
    status = status ? status : make_secret(&s);
    if (!status) {
        bool has_oauth2 = s.p->ways & CONF_AUTH_OAUTH2;
        char auth[CTL_AUTH_BYTES];
        ctl_pusher_auth(s.p, auth);
        const struct ctl_edit edits[] = {
            {"client_secret_hash", s.hash},
            {"old_client_secret_hash", NULL},
            {"old_secret_until", NULL},
            {"auth", auth},
        };
        status = ctl_pusher_store(&a, &s, edits, has_oauth2 ? 3 : 4);
    }
    status = status ? status : ctl_pusher_show(&s, print_key, &s);
    ctl_pusher_done(&s);
    return status;
}

/* What is changed, and what keys it stands under. */
static int rotate(const struct ctl_pusher_ask *a, struct ctl_pusher_subject *s)
{
    const struct conf_proof *proof = a->is_password ? &s->p->password : &s->p->secret;
    if (!proof->hash) {
        return ctl_fail("[pusher %s] has no %s to rotate; make one with '%s'", a->name,
                        a->is_password ? "password" : "client secret",
                        a->is_password ? "frunctl passwd" : "frunctl pusher service-key");
    }
    if (proof->until_s > (uint64_t)time(NULL)) {
        (void)fprintf(ctl_err(),
                      "frunctl: the one before was good until %s and ends with the reload\n",
                      proof->until);
    }
    int status = make_secret(s);
    if (status) {
        return status;
    }
    if (a->grace_s) {
        ctl_pusher_until(s, a->grace_s);
    }
    const char *old = a->grace_s ? proof->hash : NULL;
    const char *until = a->grace_s ? s->until : NULL;
    const struct ctl_edit edits[] = {
        {a->is_password ? "password_hash" : "client_secret_hash", s->hash},
        {a->is_password ? "old_password_hash" : "old_client_secret_hash", old},
        {a->is_password ? "old_password_until" : "old_secret_until", until},
    };
    return ctl_pusher_store(a, s, edits, sizeof(edits) / sizeof(edits[0]));
}

int ctl_pusher_rotate(int argc, char **argv)
{
    struct ctl_pusher_ask a = {.grace_s = 86400};
    struct ctl_pusher_subject s = {.conf = NULL};
    int status = ctl_pusher_parse(argc, argv, "cegjpxCP", &a);
    status = status ? status : ctl_pusher_find(&a, ctl_err(), &s);
    if (!status && a.is_x509) {
        status = ctl_x509_rotate(&a, &s);
    } else {
        status = status ? status : rotate(&a, &s);
        status =
            status ? status : ctl_pusher_show(&s, a.is_password ? print_password : print_key, &s);
    }
    ctl_pusher_done(&s);
    return status;
}
