/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/gateway/keyring.h"

#include "frun/base/log.h"
#include "frun/oauth/keydir.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct keyring {
    struct conf_gw *conf; /* its texts */
    struct keydir dir;
    struct keys *keys; /* what the workers have */
    struct loop *loop;
    struct gateway_shared *shared;
    struct deadline deadline;
    uint64_t reread_ms;
    bool is_owed;                                   /* some worker has not got the present keys */
    bool is_made;                                   /* a key of ours, not yet in the audit log */
    char told[sizeof(((struct diag *)NULL)->text)]; /* the last complaint: each is told once */
};

/* A set on its way to a worker. */
struct delivery {
    struct worker *w;
    struct keys *keys;
};

static void deliver(void *arg)
{
    struct delivery *x = arg;
    if (x->w->auth) { /* else the worker is being freed */
        auth_set_keys(x->w->auth, x->keys);
    }
    keys_unref(&x->keys);
    free(x);
}

static frun_err send_to(struct worker *w, struct keys *k)
{
    struct delivery *x = calloc(1, sizeof(*x));
    if (!x) {
        return FRUN_E_NOMEM;
    }
    x->w = w;
    x->keys = k ? keys_ref(k) : NULL;
    frun_err err = loop_post(w->loop, deliver, x);
    if (err) {
        keys_unref(&x->keys);
        free(x);
    }
    return err;
}

static frun_err send_all(const struct gateway_shared *sh, struct keys *k)
{
    frun_err err = FRUN_OK;
    for (size_t i = 0; !err && i < sh->n_workers; i++) {
        err = send_to(sh->workers[i], k);
    }
    return err;
}

static void complain(struct keyring *r, const char *text)
{
    if (strcmp(r->told, text) == 0) {
        return;
    }
    (void)snprintf(r->told, sizeof(r->told), "%s", text);
    if (text[0]) {
        log_warning("oauth", "%s", text);
    }
}

static void audit_key(const struct keyring *r, const char *event, const char *id)
{
    audit_tell(r->shared->audit, &(struct audit_event){.name = event,
                                                       .outcome = "ok",
                                                       .object = span_of(r->dir.path),
                                                       .detail = span_of(id)});
}

/* Once it is known who keeps the audit log. */
static void audit_keys(struct keyring *r, const struct keys *k)
{
    const struct keys_info *signer = keys_signer(k);
    if (r->is_made) {
        audit_key(r, "key.made", signer->id);
    }
    r->is_made = false;
    audit_key(r, "key.signs", signer->id);
}

static void report(struct keyring *r, const struct keys *k, const struct keydir_done *done)
{
    const struct keys_info *signer = keys_signer(k);
    complain(r, done->note.text);
    if (done->is_made) {
        log_info("oauth", "a new signing key has been made in %s", r->dir.path);
        r->is_made = true;
    }
    if (done->n_removed) {
        log_info("oauth", "%u signing key(s) removed: the last token of each has expired",
                 done->n_removed);
    }
    if (!keys_same(r->keys, k)) {
        log_info("oauth", "%zu signing key(s); %s signs", keys_count(k), signer->id);
    }
}

static void on_deadline(struct deadline *d)
{
    struct keyring *r = list_entry(d, struct keyring, deadline);
    struct keys *k = NULL;
    struct keydir_done done;
    struct diag e = {.text = ""};
    deadline_set(r->loop, d, r->reread_ms);
    if (keydir_tend(&r->dir, (uint64_t)time(NULL), &k, &done, &e)) {
        complain(r, e.text); /* the workers go on with what they have */
        return;
    }
    report(r, k, &done);
    if (keys_same(r->keys, k) && !r->is_owed) {
        keys_unref(&k);
        return;
    }
    frun_err err = send_all(r->shared, k);
    if (err) {
        keys_unref(&k); /* told again next time */
        return;
    }
    audit_keys(r, k);
    r->is_owed = false;
    keys_unref(&r->keys);
    r->keys = k;
}

/* All that a check may do: look. */
static frun_err look(const struct keydir *dir, struct keys **out, struct diag *d)
{
    frun_err err = keydir_read(dir, (uint64_t)time(NULL), out, NULL, d);
    return err == FRUN_E_NOT_FOUND ? FRUN_OK : err;
}

frun_err keyring_new(struct conf_gw *c, bool is_check, struct keyring **out, struct diag *d)
{
    const struct conf_oauth *o = c->oauth;
    struct keydir_done done;
    struct keyring *r = calloc(1, sizeof(*r));
    if (!r) {
        diag_set(d, "out of memory");
        return FRUN_E_NOMEM;
    }
    r->conf = conf_gw_ref(c);
    uint64_t longest_ms = o->token_lifetime_ms;
    for (size_t i = 0; i < c->n_pushers; i++) {
        uint64_t ms = c->pushers[i]->token_lifetime_ms;
        longest_ms = ms > longest_ms ? ms : longest_ms;
    }
    r->reread_ms = o->reread_ms;
    r->dir = (struct keydir){.path = o->key_directory,
                             .settle_s = (2 * o->reread_ms + 999) / 1000,
                             .rotate_after_s = o->rotate_after_ms / 1000,
                             .lifetime_s = (longest_ms + 999) / 1000};
    deadline_init(&r->deadline, on_deadline);
    struct keys *k = NULL;
    frun_err err =
        is_check ? look(&r->dir, &k, d) : keydir_tend(&r->dir, (uint64_t)time(NULL), &k, &done, d);
    if (!err && !is_check) {
        report(r, k, &done);
    }
    r->keys = k;
    if (err) {
        keyring_free(r);
        return err;
    }
    *out = r;
    return FRUN_OK;
}

void keyring_start(struct keyring *r, struct loop *main_loop, struct gateway_shared *shared)
{
    r->loop = main_loop;
    r->shared = shared;
    for (size_t i = 0; i < shared->n_workers; i++) {
        auth_set_keys(shared->workers[i]->auth, r->keys);
    }
    audit_keys(r, r->keys);
    deadline_set(main_loop, &r->deadline, r->reread_ms);
}

void keyring_replace(struct keyring *r, struct loop *main_loop, struct gateway_shared *shared,
                     const struct keyring *before)
{
    r->loop = main_loop;
    r->shared = shared;
    if (before && !before->is_owed && keys_same(before->keys, r->keys)) {
        deadline_set(main_loop, &r->deadline, r->reread_ms);
        return; /* nobody's tokens are forgotten for nothing */
    }
    r->is_owed = send_all(shared, r->keys) != FRUN_OK;
    audit_keys(r, r->keys);
    deadline_set(main_loop, &r->deadline, r->is_owed ? 1000 : r->reread_ms);
}

void keyring_end(struct keyring *r)
{
    if (r) {
        /* Without memory for that the keys stay, and nobody's client is known any more. */
        (void)!send_all(r->shared, NULL);
    }
    keyring_free(r);
}

void keyring_free(struct keyring *r)
{
    if (!r) {
        return;
    }
    deadline_clear(&r->deadline);
    keys_unref(&r->keys);
    conf_gw_unref(&r->conf);
    free(r);
}
