/**
 * Verification of passwords and client secrets off the worker, of tokens on it, and the memory of
 * what was verified.
 *
 * What was verified is remembered under a tag of 128 bits (keyed hash). A refused credential lives
 * in a small memory of its own, so that guessing never pushes out what is known to be good.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/access/auth.h"

#include "frun/access/bearer.h"
#include "frun/access/memo.h"
#include "frun/base/mono.h"
#include "frun/base/secret.h"
#include "frun/base/siphash.h"
#include "frun/base/text.h"

#include <crypt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/** Refused credentials remembered. */
#define AUTH_MAX_BAD 256

/** Verifications of one worker under way at once. */
#define AUTH_MAX_JOBS 64

/** Waiters of one verification; a burst of one tenant is below this. */
#define AUTH_MAX_WAITERS 4096

/** Verified in place of a real hash when the user is unknown, so that the time tells nothing:
 * yescrypt of a random text. */
static const char auth_dummy_hash[] =
    "$y$j9T$NPbTfZ80pQbPnKLo2.VY4.$AXubUOlaBmi7HdaxS3I1rrGrhdC1nH/Sr1hgZIQe2h/";

/** Stands for the token endpoint where a credential's endpoint does. */
#define AUTH_TOKEN_ENDPOINT UINT_MAX

struct job {
    struct offload_job base;
    struct list node;    /* in auth.jobs, or unlinked when the authenticator has gone */
    struct list waiters; /* struct auth_waiter */
    size_t n_waiters;
    struct auth *auth;         /* NULL when it has gone */
    struct registry *registry; /* pinned: who and hash live in it */
    struct memo_tag tag;
    const struct pusher *who;       /* NULL: unknown user */
    const struct conf_proof *proof; /* its hashes; NULL: unknown user */
    unsigned endpoint;              /* serial */
    unsigned way;
    bool is_listed;
    bool is_past; /* judged by a registry that is not the present one: not to be remembered */
    const char *old_hash; /* may still be tried; NULL: none */
    bool is_right;        /* the result; written by the helper thread */
    bool is_old;          /* by the old hash; as is_right */
    struct secret *password;
};

struct auth {
    struct loop *loop;
    struct offload *hashers;
    const struct registry *registry; /* what is remembered points into it; NULL: any */
    struct keys *keys;               /* NULL: no tokens */
    struct siphash keyed;            /* the beginning of every tag */
    struct list jobs;
    size_t n_jobs;
    struct memo *good;
    struct memo *bad;
    struct guests *guests; /* tokens of issuers */
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
    unsigned char key[SIPHASH_KEY_BYTES];
    mono_entropy(key, sizeof(key));
    siphash_init(&a->keyed, key);
    secret_wipe(key, sizeof(key));
    frun_err err = memo_new(AUTH_MAX_CACHED, &a->good);
    err = err ? err : memo_new(AUTH_MAX_BAD, &a->bad);
    err = err ? err : guests_new(l, &a->guests);
    if (err) {
        auth_free(a);
        return err;
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
    keys_unref(&a->keys);
    memo_free(a->good);
    memo_free(a->bad);
    guests_free(a->guests);
    secret_wipe(a, sizeof(*a));
    free(a);
}

/* -- the memory
 * ------------------------------------------------------------------------------------------------
 */

/* Way, endpoint and value together: what is right for one endpoint says nothing of another, and a
 * password shown as a token is none. The second value is a client's secret, or the certificate that
 * a token came with; its length keeps the two apart. */
static void make_tag(const struct auth *a, const unsigned where[2], struct span value,
                     struct span more, struct memo_tag *out)
{
    const size_t head[3] = {where[0], where[1], more.n};
    struct siphash h = a->keyed;

    siphash_update(&h, head, sizeof(head));
    siphash_update(&h, value.p, value.n);
    siphash_update(&h, more.p, more.n);
    siphash_final(&h, out->octets);
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Fill in tag and time of @p e and keep it. */
static void remember(struct auth *a, const struct memo_tag *tag, struct memo_entry e)
{
    uint64_t now_ms = loop_now_ms(a->loop);
    bool is_good = e.verdict == AUTH_GRANTED || e.verdict == AUTH_FOREIGN;
    e.tag = *tag;
    e.until_ms = least(now_ms + (is_good ? AUTH_GOOD_MS : AUTH_BAD_MS), e.limit_ms);
    memo_put(is_good ? a->good : a->bad, &e, now_ms);
}

/* A time of the wall clock as one of the loop's; in the past it is 0. The two clocks drift apart
 * when the wall clock is set or the machine is suspended, so the wall clock is asked again after
 * AUTH_GOOD_MS, however often the credential is used. */
static uint64_t limit_of(const struct auth *a, uint64_t wall_s)
{
    uint64_t now_s = (uint64_t)time(NULL);
    uint64_t left_s = wall_s > now_s ? wall_s - now_s : 0;
    return left_s ? loop_now_ms(a->loop) + least(left_s, AUTH_GOOD_MS / 1000) * 1000 : 0;
}

static enum auth_verdict hand_out(const struct memo_entry *e, struct auth_waiter *w,
                                  const struct pusher **who)
{
    w->way = e->way;
    w->is_old = e->is_old;
    w->why = e->why;
    *who = e->who;
    return (enum auth_verdict)e->verdict;
}

static bool is_present(const struct auth *a, const struct registry *r)
{
    return !a->registry || a->registry == r;
}

/* What is remembered of a credential; AUTH_PENDING: nothing. */
static enum auth_verdict known(struct auth *a, const struct registry *r, const struct memo_tag *tag,
                               struct auth_waiter *w, const struct pusher **who)
{
    if (!is_present(a, r)) {
        return AUTH_PENDING; /* what is remembered points into another */
    }
    uint64_t now_ms = loop_now_ms(a->loop);
    struct memo_entry *e = memo_find(a->good, tag, now_ms);
    if (e) {
        /* who keeps pushing is never verified again */
        e->until_ms = least(now_ms + AUTH_GOOD_MS, e->limit_ms);
    } else {
        e = memo_find(a->bad, tag, now_ms);
    }
    return e ? hand_out(e, w, who) : AUTH_PENDING;
}

void auth_set_keys(struct auth *a, struct keys *k)
{
    struct keys *mine = k ? keys_ref(k) : NULL;
    keys_unref(&a->keys);
    a->keys = mine;
    memo_forget(a->good, CONF_AUTH_OAUTH2);
    memo_forget(a->bad, CONF_AUTH_OAUTH2);
}

struct keys *auth_keys(const struct auth *a)
{
    return a->keys;
}

/* -- another registry
 * ------------------------------------------------------------------------------------------ */

/* What was shown proves the same as before if the hash that it was verified with still counts. */
static bool is_proof(struct auth *a, struct memo_entry *e, const struct conf_proof *before,
                     const struct conf_proof *now)
{
    const char *hash = e->is_old ? before->old_hash : before->hash;
    if (!hash) {
        return false;
    }
    e->is_old = !now->hash || strcmp(hash, now->hash) != 0;
    e->limit_ms = UINT64_MAX;
    if (e->is_old) {
        e->limit_ms = limit_of(a, now->until_s);
        return now->old_hash && strcmp(hash, now->old_hash) == 0;
    }
    return true;
}

struct review {
    struct auth *a;
    const struct registry *r;
};

static bool is_still_known(void *ctx, struct memo_entry *e)
{
    const struct review *x = ctx;
    const struct conf_pusher *before = e->who ? e->who->conf : NULL;
    bool is_listed = true;
    if (before && e->way == CONF_AUTH_BASIC) {
        const struct endpoint *at = registry_endpoint_of(x->r, e->endpoint);
        e->who = at ? registry_pusher(x->r, span_of(before->user), at, &is_listed) : NULL;
        e->verdict = is_listed ? AUTH_GRANTED : AUTH_FOREIGN;
        return e->who && is_proof(x->a, e, &before->password, &e->who->conf->password);
    }
    if (before && e->way == CONF_AUTH_OAUTH2 && e->endpoint == AUTH_TOKEN_ENDPOINT) {
        e->who = registry_client(x->r, span_of(before->client_id));
        return e->who && is_proof(x->a, e, &before->secret, &e->who->conf->secret);
    }
    return false; /* a token costs little to look at again */
}

static bool is_not(void *ctx, struct memo_entry *e)
{
    (void)ctx;
    (void)e;
    return false;
}

void auth_set_registry(struct auth *a, const struct registry *r)
{
    struct review x = {a, r};
    struct list *it;
    if (a->registry == r) {
        return;
    }
    a->registry = r;
    memo_review(a->good, loop_now_ms(a->loop), is_still_known, &x);
    memo_review(a->bad, loop_now_ms(a->loop), is_not, NULL);
    list_foreach (it, &a->jobs) {
        list_entry(it, struct job, node)->is_past = true;
    }
}

/* -- one verification
 * ------------------------------------------------------------------------------------------ */

static void job_free(struct job *j)
{
    secret_free(j->password);
    registry_unref(&j->registry);
    free(j);
}

static bool is_hash_of(const struct secret *password, const char *hash, struct crypt_data *data)
{
    const char *made = crypt_r(secret_span(password).p, hash, data);
    return made && secret_equal(span_of(made), span_of(hash));
}

/* On a helper thread: touches the job only. */
static void job_work(struct offload_job *base)
{
    struct job *j = (struct job *)base;
    struct crypt_data *data = calloc(1, sizeof(*data));
    if (!data) {
        return;
    }
    const char *hash = j->proof && j->proof->hash ? j->proof->hash : auth_dummy_hash;
    j->is_right = is_hash_of(j->password, hash, data) && hash != auth_dummy_hash;
    if (!j->is_right && j->old_hash) {
        j->is_right = j->is_old = is_hash_of(j->password, j->old_hash, data);
    }
    secret_wipe(data, sizeof(*data));
    free(data);
}

static void job_done(struct offload_job *base)
{
    struct job *j = (struct job *)base;
    struct auth *a = j->auth;
    if (a) {
        struct memo_entry e = {.endpoint = j->endpoint,
                               .verdict = !j->is_right   ? AUTH_REFUSED
                                          : j->is_listed ? AUTH_GRANTED
                                                         : AUTH_FOREIGN,
                               .limit_ms = j->is_old ? limit_of(a, j->proof->until_s) : UINT64_MAX,
                               .way = (uint16_t)j->way,
                               .is_old = j->is_old,
                               .who = j->is_right ? j->who : NULL};
        list_remove(&j->node);
        a->n_jobs--;
        if (!j->is_past) {
            remember(a, &j->tag, e);
        }
        for (struct list *it; (it = list_first(&j->waiters)) != NULL;) {
            list_remove(it);
            struct auth_waiter *w = list_entry(it, struct auth_waiter, node);
            const struct pusher *who = NULL;
            (void)hand_out(&e, w, &who);
            w->fn(w, (enum auth_verdict)e.verdict, who);
        }
    }
    job_free(j);
}

static struct job *find_job(struct auth *a, const struct registry *r, const struct memo_tag *tag)
{
    struct list *it;
    if (!is_present(a, r)) {
        return NULL;
    }
    list_foreach (it, &a->jobs) {
        struct job *j = list_entry(it, struct job, node);
        if (!j->is_past && memcmp(&j->tag, tag, sizeof(*tag)) == 0) {
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

/* What is to be verified; the password is taken on success. */
struct question {
    struct memo_tag tag;
    const struct pusher *who; /* NULL: unknown user */
    const struct conf_proof *proof;
    unsigned endpoint; /* serial */
    unsigned way;
    bool is_listed;
    struct secret *password;
};

static enum auth_verdict job_begin(struct auth *a, struct registry *r, struct question *q,
                                   struct auth_waiter *w)
{
    struct job *j = a->n_jobs < AUTH_MAX_JOBS ? calloc(1, sizeof(*j)) : NULL;
    if (!j) {
        return AUTH_BUSY;
    }
    j->base.work = job_work;
    j->base.done = job_done;
    j->registry = registry_ref(r);
    j->tag = q->tag;
    j->who = q->who;
    j->proof = q->proof;
    j->endpoint = q->endpoint;
    j->way = q->way;
    j->is_past = !is_present(a, r);
    j->is_listed = q->is_listed;
    if (q->proof && q->proof->until_s > (uint64_t)time(NULL)) {
        j->old_hash = q->proof->old_hash;
    }
    j->password = q->password;
    q->password = NULL;
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

/* The same credential is being verified: wait with the others. */
static enum auth_verdict job_join(struct job *j, struct auth_waiter *w)
{
    if (j->n_waiters >= AUTH_MAX_WAITERS) {
        return AUTH_BUSY;
    }
    list_append(&j->waiters, &w->node);
    j->n_waiters++;
    return AUTH_PENDING;
}

static enum auth_verdict check_basic(struct auth *a, struct registry *r, const struct endpoint *e,
                                     struct span coded, struct auth_waiter *w,
                                     const struct pusher **who)
{
    struct question q = {.way = CONF_AUTH_BASIC, .endpoint = e->serial};
    char plain[AUTH_MAX_VALUE];
    struct span user = {0};
    w->way = CONF_AUTH_BASIC;
    make_tag(a, (unsigned[]){CONF_AUTH_BASIC, e->serial}, coded, (struct span){0}, &q.tag);
    enum auth_verdict verdict = known(a, r, &q.tag, w, who);
    if (verdict != AUTH_PENDING) {
        return verdict;
    }
    struct job *j = find_job(a, r, &q.tag);
    if (j) {
        return job_join(j, w);
    }
    bool is_decoded = decode(coded, plain, &user, &q.password);
    if (is_decoded) {
        q.who = registry_pusher(r, user, e, &q.is_listed);
        q.proof = q.who ? &q.who->conf->password : NULL;
    }
    secret_wipe(plain, sizeof(plain));
    verdict = is_decoded ? job_begin(a, r, &q, w) : AUTH_MISSING;
    secret_free(q.password);
    return verdict;
}

/* A token as it was shown. */
struct shown {
    struct memo_tag tag;
    struct registry *r;
    const struct endpoint *e;
    struct span text;
};

/* A token of our own. */
static enum auth_verdict check_own(struct auth *a, const struct shown *x, struct auth_waiter *w,
                                   const struct pusher **who)
{
    struct bearer_verdict t;
    w->way = CONF_AUTH_OAUTH2;
    frun_err err = bearer_check(a->keys, x->r, x->text, w->shown, &t);
    if (err == FRUN_E_NOMEM) {
        return AUTH_BUSY;
    }
    struct memo_entry made = {.endpoint = x->e->serial,
                              .verdict = err                         ? AUTH_BAD_TOKEN
                                         : registry_may(t.who, x->e) ? AUTH_GRANTED
                                                                     : AUTH_FOREIGN,
                              .limit_ms = err ? UINT64_MAX : limit_of(a, t.until_s),
                              .way = CONF_AUTH_OAUTH2,
                              .is_old = !err && t.is_old,
                              .why = err ? t.why : NULL,
                              .who = err ? NULL : t.who};
    if (is_present(a, x->r)) {
        remember(a, &x->tag, made);
    }
    return hand_out(&made, w, who);
}

/* A token of an issuer. */
static enum auth_verdict check_foreign(struct auth *a, const struct shown *x, struct auth_waiter *w,
                                       const struct pusher **who)
{
    struct guests_verdict t = {.who = NULL};
    w->way = CONF_AUTH_JWT;
    frun_err err = guests_check(a->guests, x->r, x->e, x->text, &w->guest, &t);
    if (err == FRUN_E_CLOSED && a->registry &&
        !guests_is_ours(registry_issuers(a->registry), x->text)) {
        err = FRUN_E_DENIED; /* else its new section is having keys fetched */
        t.why = "the token's issuer is not accepted any more";
    }
    if (err == FRUN_E_AGAIN && guests_wait(a->guests, &w->guest, x->r, x->e, x->text)) {
        return AUTH_PENDING;
    }
    if (err == FRUN_E_NOMEM) {
        return AUTH_BUSY;
    }
    if (err && err != FRUN_E_DENIED) {
        return AUTH_NO_KEYS; /* says nothing of the token: not to be remembered */
    }
    struct memo_entry made = {.endpoint = x->e->serial,
                              .verdict = err           ? AUTH_BAD_TOKEN
                                         : t.is_listed ? AUTH_GRANTED
                                                       : AUTH_FOREIGN,
                              .limit_ms = err ? UINT64_MAX : limit_of(a, t.until_s),
                              .way = CONF_AUTH_JWT,
                              .why = err ? t.why : NULL,
                              .who = err ? NULL : t.who};
    if (is_present(a, x->r) && !t.may_change) {
        remember(a, &x->tag, made);
    }
    return hand_out(&made, w, who);
}

/* On the worker, because it is short, and so that a flood of passwords at the helper threads keeps
 * no token waiting. */
static enum auth_verdict check_bearer(struct auth *a, struct registry *r, const struct endpoint *e,
                                      struct span text, struct auth_waiter *w,
                                      const struct pusher **who)
{
    struct shown x = {.r = r, .e = e, .text = text};
    const struct issuers *issuers = registry_issuers(r);
    if (issuers->n && guests_look(a->guests, issuers)) {
        memo_forget(a->good, CONF_AUTH_JWT);
        memo_forget(a->bad, CONF_AUTH_JWT);
    }
    struct span shown = span_make(w->shown, w->shown ? CERT_SHA256_BYTES : 0);
    make_tag(a, (unsigned[]){CONF_AUTH_OAUTH2, e->serial}, text, shown, &x.tag);
    enum auth_verdict verdict = known(a, r, &x.tag, w, who);
    if (verdict != AUTH_PENDING) {
        return verdict;
    }
    if (issuers->n && (!a->keys || guests_is_ours(issuers, text))) {
        return check_foreign(a, &x, w, who);
    }
    return check_own(a, &x, w, who);
}

static void on_guest(struct guest *g)
{
    struct auth_waiter *w = list_entry(g, struct auth_waiter, guest);
    const struct pusher *who = NULL;
    enum auth_verdict verdict = check_bearer(w->auth, g->registry, g->e, g->text, w, &who);
    if (verdict != AUTH_PENDING) {
        w->fn(w, verdict, who);
    }
}

void auth_on_issuers(struct auth *a)
{
    guests_wake(a->guests);
}

enum auth_verdict auth_check(struct auth *a, struct registry *r, const struct endpoint *e,
                             struct span authorization, struct auth_waiter *w,
                             const struct pusher **who)
{
    struct span basic = SPAN_LIT("Basic ");
    struct span bearer = SPAN_LIT("Bearer ");
    w->way = 0;
    w->why = NULL;
    if (span_starts_nocase(authorization, basic) && authorization.n <= AUTH_MAX_VALUE) {
        return check_basic(a, r, e, span_trim(span_skip(authorization, basic.n)), w, who);
    }
    if ((a->keys || registry_issuers(r)->n) && span_starts_nocase(authorization, bearer)) {
        w->auth = a;
        w->guest = (struct guest){.fn = on_guest, .source = guests_source(w->from)};
        return check_bearer(a, r, e, span_trim(span_skip(authorization, bearer.n)), w, who);
    }
    return AUTH_MISSING;
}

enum auth_verdict auth_client(struct auth *a, struct registry *r, struct span client_id,
                              struct span secret, struct auth_waiter *w, const struct pusher **who)
{
    struct question q = {
        .way = CONF_AUTH_OAUTH2, .endpoint = AUTH_TOKEN_ENDPOINT, .is_listed = true};
    w->way = CONF_AUTH_OAUTH2;
    w->why = NULL;
    make_tag(a, (unsigned[]){CONF_AUTH_OAUTH2, AUTH_TOKEN_ENDPOINT}, client_id, secret, &q.tag);
    enum auth_verdict verdict = known(a, r, &q.tag, w, who);
    if (verdict != AUTH_PENDING) {
        return verdict;
    }
    struct job *j = find_job(a, r, &q.tag);
    if (j) {
        return job_join(j, w);
    }
    q.who = registry_client(r, client_id);
    q.proof = q.who ? &q.who->conf->secret : NULL;
    if (secret_new(secret, &q.password) != FRUN_OK) {
        return secret.n > SECRET_MAX_BYTES ? AUTH_REFUSED : AUTH_BUSY;
    }
    verdict = job_begin(a, r, &q, w);
    secret_free(q.password);
    return verdict;
}

void auth_forget(struct auth_waiter *w)
{
    list_remove(&w->node);
    guests_forget(&w->guest);
}
