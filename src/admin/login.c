/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/admin/login.h"

#include "frun/base/log.h"
#include "frun/base/mono.h"
#include "frun/base/secret.h"
#include "frun/base/text.h"
#include "frun/loop/offload.h"

#include <crypt.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** Octets of a tag. */
#define TAG_BYTES 32

/** Right credentials remembered: the present one, and spellings of it. */
#define MAX_GOOD 4

/** Addresses whose failures are counted. */
#define MAX_SOURCES 256

/** Octets of an address. */
#define SOURCE_BYTES 64

struct good {
    unsigned char tag[TAG_BYTES];
    uint64_t until_ms;
};

struct source {
    char address[SOURCE_BYTES];
    unsigned failures;
    uint64_t until_ms; /* forgotten then; locked until then if there were too many */
};

struct login {
    struct loop *loop;
    struct offload *hasher;
    struct list jobs;
    size_t n_jobs;
    char *user;
    char *hash;
    unsigned serial; /* of user and hash */
    unsigned char key[TAG_BYTES];
    struct good good[MAX_GOOD];
    size_t next_good;
    struct source sources[MAX_SOURCES];
};

struct job {
    struct offload_job base;
    struct list node; /* in login.jobs */
    struct login *of; /* NULL: gone */
    login_fn fn;
    void *ctx;
    unsigned serial;
    unsigned char tag[TAG_BYTES];
    char address[SOURCE_BYTES];
    char *hash;
    struct secret *password;
    bool is_user;  /* the name is right */
    bool is_right; /* the password is; written by the helper thread */
};

frun_err login_new(struct loop *l, struct login **out)
{
    struct login *x = calloc(1, sizeof(*x));
    if (!x) {
        return FRUN_E_NOMEM;
    }
    x->loop = l;
    list_init(&x->jobs);
    mono_entropy(x->key, sizeof(x->key));
    frun_err err = offload_new(1, LOGIN_MAX_JOBS, &x->hasher);
    if (err) {
        free(x);
        return err;
    }
    *out = x;
    return FRUN_OK;
}

void login_free(struct login *x)
{
    if (!x) {
        return;
    }
    for (struct list *it; (it = list_first(&x->jobs)) != NULL;) {
        struct job *j = list_entry(it, struct job, node);
        list_remove(it);
        j->of = NULL;
        j->fn(j->ctx, LOGIN_BUSY);
    }
    offload_free(x->hasher);
    free(x->user);
    free(x->hash);
    secret_wipe(x, sizeof(*x));
    free(x);
}

frun_err login_set(struct login *x, const char *user, const char *hash)
{
    if (x->user && strcmp(x->user, user) == 0 && strcmp(x->hash, hash) == 0) {
        return FRUN_OK;
    }
    char *new_user = strdup(user);
    char *new_hash = strdup(hash);
    if (!new_user || !new_hash) {
        free(new_user);
        free(new_hash);
        return FRUN_E_NOMEM;
    }
    free(x->user);
    free(x->hash);
    x->user = new_user;
    x->hash = new_hash;
    x->serial++;
    secret_wipe(x->good, sizeof(x->good));
    return FRUN_OK;
}

/* -- what is remembered
 * ---------------------------------------------------------------------------------------- */

static bool make_tag(const struct login *x, struct span value, unsigned char tag[TAG_BYTES])
{
    unsigned n = TAG_BYTES;
    return HMAC(EVP_sha256(), x->key, (int)sizeof(x->key), (const unsigned char *)value.p, value.n,
                tag, &n) != NULL;
}

static bool is_known(struct login *x, const unsigned char tag[TAG_BYTES])
{
    uint64_t now_ms = loop_now_ms(x->loop);
    bool is_found = false;
    for (size_t i = 0; i < MAX_GOOD; i++) {
        struct good *g = &x->good[i];
        if (g->until_ms > now_ms &&
            secret_equal(span_make(g->tag, TAG_BYTES), span_make(tag, TAG_BYTES))) {
            g->until_ms = now_ms + LOGIN_REMEMBER_MS;
            is_found = true;
        }
    }
    return is_found;
}

/* The entry of an address; if there is none, a free one, or the one that would go first. */
static struct source *source_of(struct login *x, const char *address)
{
    uint64_t now_ms = loop_now_ms(x->loop);
    struct source *oldest = &x->sources[0];
    for (size_t i = 0; i < MAX_SOURCES; i++) {
        struct source *s = &x->sources[i];
        if (s->until_ms > now_ms && strcmp(s->address, address) == 0) {
            return s;
        }
        if (s->until_ms < oldest->until_ms) {
            oldest = s;
        }
    }
    *oldest = (struct source){0};
    (void)snprintf(oldest->address, sizeof(oldest->address), "%s", address);
    return oldest;
}

static void note_failure(struct login *x, const char *address)
{
    struct source *s = source_of(x, address);
    s->failures++;
    s->until_ms = loop_now_ms(x->loop) + LOGIN_LOCK_MS;
    if (s->failures == LOGIN_MAX_FAILURES) {
        log_warning("admin",
                    "%u wrong logins from %s: nothing of it is verified for %d s; if that is you, "
                    "look at [admin] user and password_hash",
                    s->failures, address, LOGIN_LOCK_MS / 1000);
    }
}

/* -- one verification
 * ------------------------------------------------------------------------------------------ */

static void job_free(struct job *j)
{
    secret_free(j->password);
    free(j->hash);
    free(j);
}

/* On the helper thread: touches the job only. */
static void job_work(struct offload_job *base)
{
    struct job *j = (struct job *)base;
    struct crypt_data *data = calloc(1, sizeof(*data));
    if (!data) {
        return;
    }
    const char *made = crypt_r(secret_span(j->password).p, j->hash, data);
    j->is_right = made && secret_equal(span_of(made), span_of(j->hash));
    secret_wipe(data, sizeof(*data));
    free(data);
}

static void job_done(struct offload_job *base)
{
    struct job *j = (struct job *)base;
    struct login *x = j->of;
    if (x) {
        bool is_good = j->is_right && j->is_user && j->serial == x->serial;
        list_remove(&j->node);
        x->n_jobs--;
        if (is_good) {
            struct good *g = &x->good[x->next_good++ % MAX_GOOD];
            memcpy(g->tag, j->tag, TAG_BYTES);
            g->until_ms = loop_now_ms(x->loop) + LOGIN_REMEMBER_MS;
            source_of(x, j->address)->until_ms = 0;
            log_info("admin", "login from %s", j->address);
        } else {
            note_failure(x, j->address);
        }
        j->fn(j->ctx, is_good ? LOGIN_GRANTED : LOGIN_REFUSED);
    }
    job_free(j);
}

/* "user:password" behind "Basic "; a NUL in it would cut what crypt() sees. */
static bool decode(struct login *x, struct span value, struct job *j)
{
    char plain[LOGIN_MAX_VALUE];
    size_t n = 0;
    bool is_good = false;
    if (!span_starts_nocase(value, SPAN_LIT("Basic ")) || value.n > sizeof(plain)) {
        return false;
    }
    if (text_base64_decode(span_trim(span_skip(value, 6)), plain, &n) == FRUN_OK &&
        !memchr(plain, 0, n)) {
        struct span both = span_make(plain, n);
        size_t colon = span_find(both, ':');
        is_good = colon < both.n && secret_new(span_skip(both, colon + 1), &j->password) == FRUN_OK;
        j->is_user = secret_equal(span_head(both, colon), span_of(x->user));
    }
    secret_wipe(plain, sizeof(plain));
    return is_good;
}

static enum login_verdict begin(struct login *x, struct job *j, struct span value)
{
    j->hash = strdup(x->hash);
    if (!j->hash) {
        return LOGIN_BUSY;
    }
    if (!decode(x, value, j)) {
        return LOGIN_REFUSED;
    }
    return offload_submit(x->hasher, x->loop, &j->base) == FRUN_OK ? LOGIN_PENDING : LOGIN_BUSY;
}

enum login_verdict login_check(struct login *x, struct span authorization, const char *from,
                               login_fn fn, void *ctx)
{
    unsigned char tag[TAG_BYTES];
    if (!x->hash || !make_tag(x, authorization, tag)) {
        return LOGIN_BUSY;
    }
    if (is_known(x, tag)) {
        return LOGIN_GRANTED;
    }
    const struct source *s = source_of(x, from);
    if (s->failures >= LOGIN_MAX_FAILURES) {
        return LOGIN_LOCKED;
    }
    struct job *j = x->n_jobs < LOGIN_MAX_JOBS ? calloc(1, sizeof(*j)) : NULL;
    if (!j) {
        return LOGIN_BUSY;
    }
    *j = (struct job){.base = {.work = job_work, .done = job_done},
                      .of = x,
                      .fn = fn,
                      .ctx = ctx,
                      .serial = x->serial};
    memcpy(j->tag, tag, TAG_BYTES);
    (void)snprintf(j->address, sizeof(j->address), "%s", from);
    enum login_verdict v = begin(x, j, authorization);
    if (v != LOGIN_PENDING) {
        job_free(j);
        return v;
    }
    list_append(&x->jobs, &j->node);
    x->n_jobs++;
    return LOGIN_PENDING;
}
