/**
 * frunctl pusher: service keys for managed cloud services, and changing them without an outage.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/mono.h"
#include "frun/base/text.h"
#include "frun/conf/gateway.h"
#include "frun/conf/ini.h"

#include "ctl.h"
#include "ctl_edit.h"
#include "ctl_pusher.h"
#include "ctl_replace.h"

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/** Octets of a new secret before they become text: 256 bits. */
#define SECRET_OCTETS 32

/** Octets of a crypt(5) hash with the final NUL. */
#define HASH_BYTES 384

/** Octets of a time like 2026-11-22T10:00:00Z with the final NUL. */
#define TIME_BYTES 24

/* The pusher found, and what is made for it. */
struct subject {
    struct conf_gw *conf;
    const struct conf_pusher *p;
    const struct conf_endpoint *e; /* for its root URL */
    char secret[TEXT_BASE64_BYTES(SECRET_OCTETS)];
    char hash[HASH_BYTES];
    char until[TIME_BYTES];
    struct ctl_undo undo; /* the file before */
};

/* The endpoint whose root URL the key shows. */
static int pick_endpoint(const struct ctl_pusher_ask *a, struct subject *s)
{
    for (size_t i = 0; i < s->p->endpoint.n; i++) {
        const char *name = s->p->endpoint.items[i];
        if (a->endpoint ? strcmp(a->endpoint, name) == 0 : s->p->endpoint.n == 1) {
            s->e = s->p->endpoints[i];
            return 0;
        }
    }
    return a->endpoint ? ctl_fail("[pusher %s] may not use endpoint %s", a->name, a->endpoint)
                       : ctl_misuse("[pusher %s] may use several endpoints; name one with "
                                    "--endpoint, its root URL stands in the key",
                                    a->name);
}

/* Load the configuration, perhaps anew, and find pusher and endpoint. */
static int find(const struct ctl_pusher_ask *a, FILE *report, struct subject *s)
{
    conf_gw_unref(&s->conf);
    s->p = NULL;
    int status = ctl_pusher_load(a->config, report, &s->conf);
    for (size_t i = 0; !status && i < s->conf->n_pushers; i++) {
        if (strcmp(s->conf->pushers[i]->place.name, a->name) == 0) {
            s->p = s->conf->pushers[i];
        }
    }
    if (status || !s->p) {
        return status ? status
                      : ctl_fail("there is no [pusher %s] in %s; write the section with its "
                                 "endpoint and auth = oauth2, then try again",
                                 a->name, a->config);
    }
    return pick_endpoint(a, s);
}

static int make_secret(struct subject *s)
{
    unsigned char octets[SECRET_OCTETS];
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

static void make_until(struct subject *s, uint64_t grace_s)
{
    time_t at = time(NULL) + (time_t)grace_s;
    struct tm parts;
    if (!gmtime_r(&at, &parts) ||
        strftime(s->until, sizeof(s->until), "%Y-%m-%dT%H:%M:%SZ", &parts) == 0) {
        s->until[0] = '\0';
    }
}

/* Write the keys and make sure that the configuration is still good. What it says of the pusher is
 * read anew: the client ID is made from the name as soon as tokens may be used. */
static int store(const struct ctl_pusher_ask *a, struct subject *s, const struct ctl_edit *edits,
                 size_t n)
{
    char title[CONF_INI_MAX_SECTION + 8];
    (void)snprintf(title, sizeof(title), "pusher %s", s->p->place.name);
    const struct ctl_place at = {s->p->place.file, s->p->place.line, title};
    int status = ctl_edit_section(&at, edits, n, &s->undo);
    if (!status && find(a, NULL, s)) {
        status = find(a, stderr, s); /* what is wrong */
        status = status ? status : EXIT_FAILURE;
        (void)ctl_fail("with the new keys the configuration is not good");
        (void)ctl_undo_run(&s->undo);
    }
    return status;
}

/* What the set-up pages of SAP's products take. The root URL is that of the endpoint's own host
 * name, if it has one: it is what its owner was given a certificate for. */
static int print_key(const struct subject *s)
{
    const char *url = s->conf->gateway->public_url;
    char api[512];
    (void)snprintf(api, sizeof(api), "%s/api",
                   s->e->host_name.n ? s->e->host_urls[0] : s->e->root_url);
    json_t *key =
        json_pack("{s{ss}s{ssssssssss}}", "endpoints", "Api", api, "uaa", "url", url, "clientid",
                  s->p->client_id ? s->p->client_id : "", "clientsecret", s->secret, "identityzone",
                  s->e->root_path + 1, "credential-type", "binding-secret");
    int failed = key ? json_dumpf(key, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER) : -1;
    json_decref(key);
    return failed || puts("") < 0;
}

/* Show the secret, once. One that nobody has seen must not stay: the next rotation would keep it as
 * the old one, and end the one that is in use. */
static int show(struct subject *s, bool is_password)
{
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)sigaction(SIGPIPE, &ignore, NULL); /* a reader that has gone is a failure like others */
    int failed = is_password ? printf("user:     %s\npassword: %s\n", s->p->user, s->secret) < 0
                             : print_key(s);
    if (fflush(stdout) || failed) {
        (void)ctl_fail("the new secret cannot be printed: %s", strerrordesc_np(errno));
        (void)ctl_undo_run(&s->undo);
        return EXIT_FAILURE;
    }
    (void)fprintf(stderr,
                  "frunctl: the hash stands in %s; restart frunproxyd (every gateway behind this "
                  "name) to use it\n",
                  s->p->place.file);
    if (s->until[0]) {
        (void)fprintf(stderr, "frunctl: the old one is accepted until %s\n", s->until);
    }
    return EXIT_SUCCESS;
}

static void done(struct subject *s)
{
    secret_wipe(s->secret, sizeof(s->secret));
    ctl_undo_done(&s->undo);
    conf_gw_unref(&s->conf);
}

int ctl_pusher_service_key(int argc, char **argv)
{
    struct ctl_pusher_ask a = {.grace_s = 0};
    struct subject s = {.conf = NULL};
    int status = ctl_pusher_parse(argc, argv, "cefx", &a);
    if (!status && a.is_x509) {
        status = ctl_fail("a key with a certificate needs client certificates at the front door, "
                          "which this version does not ask for; make one with a secret");
    }
    status = status ? status : find(&a, stderr, &s);
    if (!status && !s.conf->oauth) {
        status = ctl_fail("%s has no section [oauth]; add\n\n[oauth]\nkey_directory = "
                          "/var/lib/frunproxy/keys\n",
                          a.config);
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
        bool has_basic = s.p->password.hash != NULL;
        const struct ctl_edit edits[] = {
            {"client_secret_hash", s.hash},
            {"old_client_secret_hash", NULL},
            {"old_secret_until", NULL},
            {"auth", has_basic ? "basic, oauth2" : "oauth2"},
        };
        status = store(&a, &s, edits, has_oauth2 ? 3 : 4);
    }
    status = status ? status : show(&s, false);
    done(&s);
    return status;
}

/* What is changed, and what keys it stands under. */
static int rotate(const struct ctl_pusher_ask *a, struct subject *s)
{
    const struct conf_proof *proof = a->is_password ? &s->p->password : &s->p->secret;
    if (!proof->hash) {
        return ctl_fail("[pusher %s] has no %s to rotate; make one with '%s'", a->name,
                        a->is_password ? "password" : "client secret",
                        a->is_password ? "frunctl passwd" : "frunctl pusher service-key");
    }
    if (proof->until_s > (uint64_t)time(NULL)) {
        (void)fprintf(stderr,
                      "frunctl: the one before was good until %s and ends with the restart\n",
                      proof->until);
    }
    int status = make_secret(s);
    if (status) {
        return status;
    }
    if (a->grace_s) {
        make_until(s, a->grace_s);
    }
    const char *old = a->grace_s ? proof->hash : NULL;
    const char *until = a->grace_s ? s->until : NULL;
    const struct ctl_edit edits[] = {
        {a->is_password ? "password_hash" : "client_secret_hash", s->hash},
        {a->is_password ? "old_password_hash" : "old_client_secret_hash", old},
        {a->is_password ? "old_password_until" : "old_secret_until", until},
    };
    return store(a, s, edits, sizeof(edits) / sizeof(edits[0]));
}

int ctl_pusher_rotate(int argc, char **argv)
{
    struct ctl_pusher_ask a = {.grace_s = 86400};
    struct subject s = {.conf = NULL};
    int status = ctl_pusher_parse(argc, argv, "cegp", &a);
    status = status ? status : find(&a, stderr, &s);
    status = status ? status : rotate(&a, &s);
    status = status ? status : show(&s, a.is_password);
    done(&s);
    return status;
}
