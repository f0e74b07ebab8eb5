/**
 * frunctl mass-setup: drafting sections and secrets, and the passwords that are handed over.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/conf/gateway.h"

#include "ctl.h"
#include "ctl_mass.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Largest section that is made, octets. */
#define SECTION_MAX_BYTES 65536

/* The pusher's password: of the list, handed over before, or made now; and its hash, once. */
static int make_hash(struct ctl_mass *m, struct ctl_mass_line *l)
{
    const char *given = l->fields[CTL_COL_PUSHER_PASSWORD];
    const char *known = ctl_mass_known_password(m, l->fields[CTL_COL_PUSHER]);
    struct secret *password = NULL;
    if (l->hash[0]) {
        return 0;
    }
    if (!given[0] && !m->handover && m->is_applied) {
        return ctl_misuse("line %u: the pusher's password is empty: --handover FILE says where "
                          "one that is made goes",
                          l->no);
    }
    if (!given[0] && !known) {
        password = ctl_random_password();
    } else if (secret_new(span_of(given[0] ? given : known), &password)) {
        password = NULL;
    }
    if (!password) {
        return ctl_fail("out of memory");
    }
    int status = given[0] ? ctl_hash("$y$", password, l->hash, sizeof(l->hash))
                          : ctl_hash_random(password, l->hash, sizeof(l->hash));
    if (given[0] || known) {
        secret_free(password);
    } else {
        l->password = password;
    }
    return status;
}

static frun_err put_pusher(const struct ctl_mass_line *l, struct buf *out)
{
    return buf_printf(out,
                      "[pusher %s]\nendpoint = %s\nauth = basic\nuser = %s\n"
                      "password_hash = %s\n",
                      l->fields[CTL_COL_PUSHER], l->name, ctl_mass_pusher_user(l), l->hash);
}

/* Keys of [endpoint] that a line gives. */
static bool is_key(int col)
{
    return col != CTL_COL_PASSWORD && col != CTL_COL_PUSHER && col != CTL_COL_PUSHER_USER &&
           col != CTL_COL_PUSHER_PASSWORD && col != CTL_COL_ENDPOINT;
}

/* The technical user's password into its file. reference: out, "" if none is given. */
static int plan_password(struct ctl_mass *m, const struct ctl_mass_line *l,
                         char reference[PATH_MAX])
{
    char path[PATH_MAX];
    reference[0] = '\0';
    if (!l->fields[CTL_COL_PASSWORD][0]) {
        return 0;
    }
    int status = ctl_wish_secret(&m->wish, l->name, path, reference);
    return status ? status
                  : ctl_change_secret(&m->wish.change, path, span_of(l->fields[CTL_COL_PASSWORD]),
                                      m->wish.is_update);
}

static int plan_new(struct ctl_mass *m, struct ctl_mass_line *l)
{
    struct buf text;
    char reference[PATH_MAX];
    int status = plan_password(m, l, reference);
    buf_init(&text, SECTION_MAX_BYTES);
    frun_err err = buf_printf(&text, "[endpoint %s]\n", l->name);
    for (int i = 0; !err && i < CTL_COLS; i++) {
        if (is_key(i) && l->fields[i][0]) {
            err = buf_printf(&text, "%s = %s\n", ctl_mass_column((enum ctl_col)i), l->fields[i]);
        }
    }
    if (!err && !l->fields[CTL_COL_SYSTEM][0]) {
        err = buf_printf(&text, "system = %s\n", m->wish.gw->systems[0]->place.name);
    }
    if (!err && reference[0]) {
        err = buf_printf(&text, "password = %s\n", reference);
    }
    if (!err && !status && l->needs_pusher) {
        status = make_hash(m, l);
        err = status ? FRUN_OK : buf_printf(&text, "\n");
        err = status || err ? err : put_pusher(l, &text);
    }
    if (err && !status) {
        status = ctl_fail("%s", err_text(err));
    }
    ctl_wish_file(&m->wish, l->name, l->file);
    status = status ? status : ctl_change_append(&m->wish.change, l->file, buf_span(&text));
    buf_done(&text);
    return status;
}

/* A pusher that is there: its user and its password. */
static int change_pusher(struct ctl_mass *m, struct ctl_mass_line *l)
{
    const struct conf_pusher *p = ctl_find_pusher(m->wish.gw, l->fields[CTL_COL_PUSHER]);
    struct ctl_edit edits[2];
    char title[CTL_TITLE_BYTES];
    size_t n = 0;
    int status = 0;
    if (l->fields[CTL_COL_PUSHER_PASSWORD][0]) {
        status = make_hash(m, l);
        edits[n++] = (struct ctl_edit){"password_hash", l->hash};
    }
    if (l->fields[CTL_COL_PUSHER_USER][0]) {
        edits[n++] = (struct ctl_edit){"user", l->fields[CTL_COL_PUSHER_USER]};
    }
    if (status || !n || !p) {
        return status;
    }
    (void)snprintf(title, sizeof(title), "pusher %s", p->place.name);
    const struct ctl_place at = {p->place.file, p->place.line, title};
    return ctl_change_set(&m->wish.change, &at, edits, n);
}

static int add_pusher(struct ctl_mass *m, struct ctl_mass_line *l)
{
    struct buf text;
    int status = make_hash(m, l);
    buf_init(&text, SECTION_MAX_BYTES);
    if (!status && put_pusher(l, &text)) {
        status = ctl_fail("out of memory");
    }
    if (!status) {
        status = ctl_change_append(&m->wish.change, l->e->place.file, buf_span(&text));
    }
    buf_done(&text);
    return status;
}

static int plan_changed(struct ctl_mass *m, struct ctl_mass_line *l)
{
    struct ctl_edit edits[CTL_COLS + 1];
    char title[CTL_TITLE_BYTES];
    char reference[PATH_MAX];
    size_t n = 0;
    struct span password = span_of(l->fields[CTL_COL_PASSWORD]);
    bool is_same = secret_equal(secret_span(l->e->password), password);
    int status = is_same ? 0 : plan_password(m, l, reference);
    /* what is the same may be inherited, or the first of several: it stays as it is written */
    for (int i = 0; i < CTL_COLS; i++) {
        if (ctl_mass_key_differs(l, (enum ctl_col)i)) {
            edits[n++] = (struct ctl_edit){ctl_mass_column((enum ctl_col)i), l->fields[i]};
        }
    }
    if (!is_same && password.n) {
        edits[n++] = (struct ctl_edit){"password", reference};
    }
    (void)snprintf(title, sizeof(title), "endpoint %s", l->name);
    const struct ctl_place at = {l->e->place.file, l->e->place.line, title};
    status = status || !n ? status : ctl_change_set(&m->wish.change, &at, edits, n);
    if (status || !l->fields[CTL_COL_PUSHER][0]) {
        return status;
    }
    return l->needs_pusher ? add_pusher(m, l) : change_pusher(m, l);
}

int ctl_mass_plan(struct ctl_mass *m)
{
    int status = 0;
    ctl_change_done(&m->wish.change);
    for (size_t i = 0; !status && i < m->n; i++) {
        struct ctl_mass_line *l = &m->lines[i];
        if (l->result == CTL_MASS_NEW) {
            status = plan_new(m, l);
        } else if (l->result == CTL_MASS_CHANGED) {
            status = plan_changed(m, l);
        }
    }
    return status;
}
