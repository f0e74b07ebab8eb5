/**
 * Verification of Basic credentials off the worker, and the memory of what was verified.
 *
 * The cache is set-associative with a fixed size: a tag of 128 bits (keyed hash), a verdict and a
 * time. A refused credential lives in a small table of its own, so that guessing never pushes out
 * what is known to be good.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/gateway/auth.h"

#include "frun/base/mono.h"
#include "frun/base/secret.h"
#include "frun/base/text.h"

#include <crypt.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

/** Entries that share one place in a table. */
#define AUTH_WAYS 4

/** Refused credentials remembered. */
#define AUTH_MAX_BAD 256

/** Verifications of one worker under way at once. */
#define AUTH_MAX_JOBS 64

/** Waiters of one verification; a burst of one tenant is below this. */
#define AUTH_MAX_WAITERS 4096

/** Octets of a tag. */
#define AUTH_TAG_BYTES 16

/** Verified in place of a real hash when the user is unknown, so that the time tells nothing:
 * yescrypt of a random text. */
static const char auth_dummy_hash[] =
    "$y$j9T$NPbTfZ80pQbPnKLo2.VY4.$AXubUOlaBmi7HdaxS3I1rrGrhdC1nH/Sr1hgZIQe2h/";

struct tag {
    unsigned char octets[AUTH_TAG_BYTES];
};

struct entry {
    struct tag tag;
    uint64_t until_ms; /* 0: free */
    enum auth_verdict verdict;
    const struct pusher *who;
};

struct job {
    struct offload_job base;
    struct list node;    /* in auth.jobs, or unlinked when the authenticator has gone */
    struct list waiters; /* struct auth_waiter */
    size_t n_waiters;
    struct auth *auth;         /* NULL when it has gone */
    struct registry *registry; /* pinned: who and hash live in it */
    struct tag tag;
    const struct pusher *who; /* NULL: unknown user */
    bool is_listed;
    bool is_right; /* the result; written by the helper thread */
    struct secret *password;
};

struct auth {
    struct loop *loop;
    struct offload *hashers;
    EVP_MAC *mac;
    EVP_MAC_CTX *mac_ctx;
    unsigned char key[16];
    struct list jobs;
    size_t n_jobs;
    struct entry good[AUTH_MAX_CACHED];
    struct entry bad[AUTH_MAX_BAD];
};

frun_err auth_new(struct loop *l, struct offload *o, struct auth **out)
{
    struct auth *a = calloc(1, sizeof(*a));
    if (!a) {
        return FRUN_E_NOMEM;
    }
    a->loop = l;
    a->hashers = o;
    list_init(&a->jobs);
    mono_entropy(a->key, sizeof(a->key));
    a->mac = EVP_MAC_fetch(NULL, "SIPHASH", NULL);
    a->mac_ctx = a->mac ? EVP_MAC_CTX_new(a->mac) : NULL;
    if (!a->mac_ctx) {
        auth_free(a);
        return FRUN_E_TLS;
    }
    *out = a;
    return FRUN_OK;
}

void auth_free(struct auth *a)
{
    if (!a) {
        return;
    }
    for (struct list *it; (it = list_first(&a->jobs)) != NULL;) {
        struct job *j = list_entry(it, struct job, node);
        list_remove(it);
        j->auth = NULL;
        while (list_first(&j->waiters)) {
            list_remove(list_first(&j->waiters));
        }
    }
    EVP_MAC_CTX_free(a->mac_ctx);
    EVP_MAC_free(a->mac);
    secret_wipe(a, sizeof(*a));
    free(a);
}

/* -- the memory
 * ------------------------------------------------------------------------------------------------
 */

/* Endpoint and value together: what is right for one endpoint says nothing of another. */
static bool make_tag(struct auth *a, const struct endpoint *e, struct span value, struct tag *out)
{
    size_t size = AUTH_TAG_BYTES;
    unsigned endpoint = (unsigned)e->index;
    OSSL_PARAM params[] = {OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size),
                           OSSL_PARAM_construct_end()};
    size_t n = 0;
    return EVP_MAC_init(a->mac_ctx, a->key, sizeof(a->key), params) == 1 &&
           EVP_MAC_update(a->mac_ctx, (const unsigned char *)&endpoint, sizeof(endpoint)) == 1 &&
           EVP_MAC_update(a->mac_ctx, (const unsigned char *)value.p, value.n) == 1 &&
           EVP_MAC_final(a->mac_ctx, out->octets, &n, sizeof(out->octets)) == 1 &&
           n == AUTH_TAG_BYTES;
}

static struct entry *table_set(struct entry *table, size_t size, const struct tag *tag)
{
    uint32_t x = 0;
    memcpy(&x, tag->octets, sizeof(x));
    return &table[(x % (size / AUTH_WAYS)) * AUTH_WAYS];
}

static struct entry *recall(struct entry *table, size_t size, const struct tag *tag,
                            uint64_t now_ms)
{
    struct entry *set = table_set(table, size, tag);
    for (size_t i = 0; i < AUTH_WAYS; i++) {
        if (set[i].until_ms > now_ms && secret_equal(span_make(set[i].tag.octets, AUTH_TAG_BYTES),
                                                     span_make(tag->octets, AUTH_TAG_BYTES))) {
            return &set[i];
        }
    }
    return NULL;
}

static void remember(struct auth *a, const struct tag *tag, enum auth_verdict verdict,
                     const struct pusher *who)
{
    bool is_good = verdict == AUTH_GRANTED || verdict == AUTH_FOREIGN;
    struct entry *set =
        is_good ? table_set(a->good, AUTH_MAX_CACHED, tag) : table_set(a->bad, AUTH_MAX_BAD, tag);
    struct entry *oldest = &set[0];
    for (size_t i = 1; i < AUTH_WAYS; i++) {
        if (set[i].until_ms < oldest->until_ms) {
            oldest = &set[i];
        }
    }
    *oldest =
        (struct entry){.tag = *tag,
                       .until_ms = loop_now_ms(a->loop) + (is_good ? AUTH_GOOD_MS : AUTH_BAD_MS),
                       .verdict = verdict,
                       .who = who};
}

/* -- one verification
 * ------------------------------------------------------------------------------------------ */

static void job_free(struct job *j)
{
    secret_free(j->password);
    registry_unref(&j->registry);
    free(j);
}

/* On a helper thread: touches the job only. */
static void job_work(struct offload_job *base)
{
    struct job *j = (struct job *)base;
    const char *hash = j->who ? j->who->conf->password_hash : auth_dummy_hash;
    struct crypt_data *data = calloc(1, sizeof(*data));
    if (!data) {
        return;
    }
    const char *made = crypt_r(secret_span(j->password).p, hash, data);
    j->is_right = j->who && made && secret_equal(span_of(made), span_of(hash));
    secret_wipe(data, sizeof(*data));
    free(data);
}

static void job_done(struct offload_job *base)
{
    struct job *j = (struct job *)base;
    struct auth *a = j->auth;
    if (a) {
        enum auth_verdict verdict = !j->is_right   ? AUTH_REFUSED
                                    : j->is_listed ? AUTH_GRANTED
                                                   : AUTH_FOREIGN;
        const struct pusher *who = j->is_right ? j->who : NULL;
        list_remove(&j->node);
        a->n_jobs--;
        remember(a, &j->tag, verdict, who);
        for (struct list *it; (it = list_first(&j->waiters)) != NULL;) {
            list_remove(it);
            struct auth_waiter *w = list_entry(it, struct auth_waiter, node);
            w->fn(w, verdict, who);
        }
    }
    job_free(j);
}

static struct job *find_job(struct auth *a, const struct tag *tag)
{
    struct list *it;
    list_foreach (it, &a->jobs) {
        struct job *j = list_entry(it, struct job, node);
        if (memcmp(&j->tag, tag, sizeof(*tag)) == 0) {
            return j;
        }
    }
    return NULL;
}

/* "user:password" of the value; the password is copied into a secret. A NUL in it would cut the
 * text that crypt() sees. */
static bool decode(struct span coded, char *plain, struct span *user, struct secret **password)
{
    size_t n = 0;
    if (text_base64_decode(coded, plain, &n) != FRUN_OK || memchr(plain, 0, n)) {
        return false;
    }
    struct span both = span_make(plain, n);
    size_t colon = span_find(both, ':');
    if (colon == both.n) {
        return false;
    }
    *user = span_head(both, colon);
    return secret_new(span_skip(both, colon + 1), password) == FRUN_OK;
}

static enum auth_verdict job_begin(struct auth *a, struct registry *r, const struct endpoint *e,
                                   struct span coded, const struct tag *tag, struct auth_waiter *w)
{
    if (a->n_jobs >= AUTH_MAX_JOBS) {
        return AUTH_BUSY;
    }
    struct job *j = calloc(1, sizeof(*j));
    if (!j) {
        return AUTH_BUSY;
    }
    char plain[AUTH_MAX_VALUE];
    struct span user = {0};
    bool is_decoded = decode(coded, plain, &user, &j->password);
    if (is_decoded) {
        j->who = registry_pusher(r, user, e, &j->is_listed);
    }
    secret_wipe(plain, sizeof(plain));
    if (!is_decoded) {
        free(j);
        return AUTH_MISSING;
    }
    j->base.work = job_work;
    j->base.done = job_done;
    j->registry = registry_ref(r);
    j->tag = *tag;
    list_init(&j->waiters);
    if (offload_submit(a->hashers, a->loop, &j->base) != FRUN_OK) {
        job_free(j);
        return AUTH_BUSY;
    }
    j->auth = a;
    list_append(&a->jobs, &j->node);
    a->n_jobs++;
    list_append(&j->waiters, &w->node);
    j->n_waiters = 1;
    return AUTH_PENDING;
}

enum auth_verdict auth_check(struct auth *a, struct registry *r, const struct endpoint *e,
                             struct span authorization, struct auth_waiter *w,
                             const struct pusher **who)
{
    struct span scheme = SPAN_LIT("Basic ");
    if (!span_starts_nocase(authorization, scheme) || authorization.n > AUTH_MAX_VALUE) {
        return AUTH_MISSING;
    }
    struct span coded = span_trim(span_skip(authorization, scheme.n));
    struct tag tag;
    if (!make_tag(a, e, coded, &tag)) {
        return AUTH_BUSY;
    }
    uint64_t now_ms = loop_now_ms(a->loop);
    struct entry *known = recall(a->good, AUTH_MAX_CACHED, &tag, now_ms);
    if (known) {
        known->until_ms = now_ms + AUTH_GOOD_MS; /* who keeps pushing is never verified again */
    }
    if (!known) {
        known = recall(a->bad, AUTH_MAX_BAD, &tag, now_ms);
    }
    if (known) {
        *who = known->who;
        return known->verdict;
    }
    struct job *j = find_job(a, &tag);
    if (!j) {
        return job_begin(a, r, e, coded, &tag, w);
    }
    if (j->n_waiters >= AUTH_MAX_WAITERS) {
        return AUTH_BUSY;
    }
    list_append(&j->waiters, &w->node);
    j->n_waiters++;
    return AUTH_PENDING;
}

void auth_forget(struct auth_waiter *w)
{
    list_remove(&w->node);
}
