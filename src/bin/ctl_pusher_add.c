/**
 * frunctl pusher add: a managed cloud service that may push.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/conf/gateway.h"

#include "ctl.h"
#include "ctl_pusher.h"
#include "ctl_wish.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* Largest section that is made, octets. */
#define SECTION_MAX_BYTES 65536

/* Does it prove itself by a password? */
static bool is_basic(const struct ctl_wish *w)
{
    const char *auth = ctl_wish_value(w, "auth");
    return !auth || strstr(auth, "basic");
}

/* User and hash; the password itself is for the pusher's administrator alone. */
static int add_password(const struct ctl_wish *w, const struct secret *password, struct buf *out)
{
    char hash[CTL_HASH_BYTES];
    int status = ctl_hash("$y$", password, hash, sizeof(hash));
    frun_err err = FRUN_OK;
    if (!status && !ctl_wish_value(w, "auth")) {
        err = buf_printf(out, "auth = basic\n");
    }
    if (!status && !err && !ctl_wish_value(w, "user")) {
        err = buf_printf(out, "user = %s\n", w->name);
    }
    if (!status && !err) {
        err = buf_printf(out, "password_hash = %s\n", hash);
    }
    return err ? ctl_fail("%s", err_text(err)) : status;
}

static int ask_password(const struct ctl_wish *w, struct secret **out)
{
    if (ctl_wish_value(w, "password") || ctl_wish_value(w, "password_hash")) {
        return ctl_misuse("neither a password nor its hash is an argument; it is asked for, read "
                          "from --password-file FILE, or made with --generate");
    }
    if (!is_basic(w)) {
        return w->is_generated || w->password_file ? ctl_misuse("a password belongs to auth=basic")
                                                   : 0;
    }
    return ctl_wish_password(w, "Password of the pusher", out);
}

/* The file of its first endpoint: they belong together. */
static int add(struct ctl_wish *w, struct secret **password)
{
    struct buf section;
    const char *list = ctl_wish_value(w, "endpoint");
    struct span first;
    char name[128];
    if (!list) {
        return ctl_misuse("endpoint=NAME is missing: the endpoints it may use");
    }
    if (ctl_find_pusher(w->gw, w->name)) {
        return ctl_fail("there is a [pusher %s] already, in %s", w->name,
                        ctl_find_pusher(w->gw, w->name)->place.file);
    }
    first = span_trim(span_head(span_of(list), strcspn(list, ",")));
    (void)snprintf(name, sizeof(name), "%.*s", SPAN_FMT(first));
    const struct conf_endpoint *e = ctl_find_endpoint(w->gw, name);
    if (!e) {
        return ctl_fail("there is no [endpoint %s]; 'frunctl endpoint list' shows all", name);
    }
    int status = ask_password(w, password);
    buf_init(&section, SECTION_MAX_BYTES);
    if (!status && ctl_wish_section(w, "pusher", &section)) {
        status = ctl_fail("out of memory");
    }
    if (!status && *password) {
        status = add_password(w, *password, &section);
    }
    if (!status) {
        status = ctl_change_append(&w->change, e->place.file, buf_span(&section));
    }
    buf_done(&section);
    return status;
}

int ctl_pusher_add(int argc, char **argv)
{
    struct ctl_wish w = {.name = NULL};
    struct secret *password = NULL;
    char what[256];
    int status = ctl_wish_parse(argc, argv, "pgs", true, &w);
    status = status ? status : ctl_wish_load(&w);
    status = status ? status : add(&w, &password);
    if (!status) {
        (void)snprintf(what, sizeof(what), "%s [pusher %s]",
                       w.change.is_dry ? "would add" : "added", w.name);
        json_t *v = json_pack("{s:s}", "pusher", w.name);
        bool is_shown = w.is_generated && !w.change.is_dry;
        const char *user = ctl_wish_value(&w, "user") ? ctl_wish_value(&w, "user") : w.name;
        if (is_shown && w.change.is_json) {
            (void)json_object_set_new(v, "user", json_string(user));
            (void)json_object_set_new(v, "password", json_string(secret_span(password).p));
        }
        status = ctl_change_finish(&w.change, what, v);
        if (!status && is_shown && !w.change.is_json) {
            (void)printf("user:     %s\npassword: %s\n", user, secret_span(password).p);
        }
    }
    secret_free(password);
    ctl_wish_done(&w);
    return status;
}
