/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/admin/web.h"

#include "frun/admin/audit.h"
#include "frun/admin/login.h"
#include "frun/admin/page.h"
#include "frun/base/log.h"
#include "frun/net/listener.h"
#include "frun/net/tls_files.h"
#include "server_int.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/** Octets of the address with its scheme. */
#define URL_BYTES (ADDR_TEXT_BYTES + 16)

struct admin_door {
    atomic_uint refs;
    struct tls_ctx *tls; /* NULL: plain */
    char *user;          /* NULL: no login */
    char *hash;
    char **names; /* it is called by */
    size_t n_names;
};

struct admin_web {
    struct loop *loop;
    struct admin_server *server;
    struct listener *listener;
    struct admin_door *door;
    struct login *login; /* NULL: there never was one */
    struct addr bound;
    char host[ADDR_TEXT_BYTES];
    char url[URL_BYTES];
    bool is_full_told;
};

/* -- what a configuration says
 * --------------------------------------------------------------------------------- */

static void door_free(struct admin_door *d)
{
    for (size_t i = 0; i < d->n_names; i++) {
        free(d->names[i]);
    }
    free(d->names);
    free(d->user);
    free(d->hash);
    tls_unref(&d->tls);
    free(d);
}

static frun_err copy_texts(struct admin_door *d, const struct conf_admin *conf)
{
    d->names = calloc(conf->host_name.n + 1, sizeof(char *));
    if (conf->user) {
        d->user = strdup(conf->user);
        d->hash = strdup(conf->password_hash);
    }
    if (!d->names || (conf->user && (!d->user || !d->hash))) {
        return FRUN_E_NOMEM;
    }
    for (size_t i = 0; i < conf->host_name.n; i++) {
        d->names[i] = strdup(conf->host_name.items[i]);
        if (!d->names[i]) {
            return FRUN_E_NOMEM;
        }
        d->n_names++;
    }
    return FRUN_OK;
}

static frun_err load_tls(struct admin_door *d, const struct conf_doc *doc,
                         const struct conf_admin *conf, FILE *report)
{
    const struct tls_source s = {
        .tls = {.certificate = conf->certificate,
                .private_key = conf->private_key,
                .alpn = "http/1.1",
                .label = "admin"},
        .certificate = {conf, "certificate"},
        .private_key = {conf, "private_key"},
    };
    return tls_files_load(&s, doc, true, report, &d->tls);
}

frun_err admin_door_new(const struct conf_doc *doc, const struct conf_admin *conf, FILE *report,
                        struct admin_door **out)
{
    struct admin_door *d = calloc(1, sizeof(*d));
    if (!d) {
        return FRUN_E_NOMEM;
    }
    atomic_init(&d->refs, 1);
    frun_err err = copy_texts(d, conf);
    if (!err && conf->certificate) {
        err = load_tls(d, doc, conf, report);
    }
    if (err) {
        door_free(d);
        return err;
    }
    *out = d;
    return FRUN_OK;
}

struct admin_door *admin_door_ref(struct admin_door *d)
{
    atomic_fetch_add_explicit(&d->refs, 1, memory_order_relaxed);
    return d;
}

void admin_door_unref(struct admin_door **d)
{
    struct admin_door *old = *d;
    *d = NULL;
    if (old && atomic_fetch_sub_explicit(&old->refs, 1, memory_order_acq_rel) == 1) {
        door_free(old);
    }
}

const struct tls_ctx *admin_door_tls(const struct admin_door *d)
{
    return d->tls;
}

int64_t admin_door_until(const struct admin_door *d)
{
    return d->tls ? tls_own_validity(d->tls).until : 0;
}

/* -- the gate
 * --------------------------------------------------------------------------------------------------
 */

/* Host without its port; absent if it is malformed. */
static struct span host_of(struct span authority)
{
    if (authority.n > 0 && authority.p[0] == '[') {
        size_t end = span_find(authority, ']');
        return end == authority.n ? (struct span){0} : span_head(authority, end + 1);
    }
    return span_head(authority, span_find(authority, ':'));
}

/* Without TLS a name proves nothing: who resolved it may be anybody. With TLS the browser has
 * compared it with the certificate. */
static bool is_our_name(const struct admin_web *w, struct span host)
{
    static const char *const always[] = {"localhost", "127.0.0.1", "[::1]"};
    for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++) {
        if (span_eq_nocase(host, span_of(always[i]))) {
            return true;
        }
    }
    for (size_t i = 0; i < w->door->n_names; i++) {
        if (span_eq_nocase(host, span_of(w->door->names[i]))) {
            return true;
        }
    }
    return span_eq(host, span_of(w->host));
}

/* Does the Origin field name the authority that is asked for? */
static bool is_same_origin(struct span origin, struct span authority)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < 2; i++) {
        if (span_starts(origin, span_of(schemes[i]))) {
            return span_eq_nocase(span_skip(origin, strlen(schemes[i])), authority);
        }
    }
    return false;
}

static struct span field_of(const struct head *h, const char *name)
{
    const struct field *f = head_find(h, span_of(name));
    return f ? f->value : (struct span){0};
}

/* A browser says from where a request comes; what is no browser says nothing, and cannot be misled
 * by a foreign site. */
static const char *judge_origin(const struct head *h)
{
    struct span site = field_of(h, "Sec-Fetch-Site");
    struct span origin = field_of(h, "Origin");
    bool is_reading = span_eq(h->method, SPAN_LIT("GET")) || span_eq(h->method, SPAN_LIT("HEAD"));
    bool is_opening = is_reading && span_eq(field_of(h, "Sec-Fetch-Mode"), SPAN_LIT("navigate"));
    bool is_own = !site.p || span_eq(site, SPAN_LIT("same-origin")) ||
                  (is_reading && span_eq(site, SPAN_LIT("none")));
    if ((origin.p && !is_same_origin(origin, h->authority)) || (!is_own && !is_opening)) {
        return "a page of another origin asks for this";
    }
    if (!is_reading && !head_find(h, SPAN_LIT(ADMIN_WEB_FIELD))) {
        return "what changes something needs the field " ADMIN_WEB_FIELD ": 1";
    }
    return NULL;
}

/* Load balancers and the tools for SAP Cloud Connector ask here without a login: the answer is
 * whether the process lives, and whether it serves. */
static bool is_open(const struct admin_request *r)
{
    return span_eq(r->uri.path, SPAN_LIT("/exposed"));
}

static unsigned look(void *ctx, struct admin_request *r, const char **why)
{
    const struct admin_web *w = ctx;
    if (!w->door->tls && !is_our_name(w, host_of(r->head.authority))) {
        *why = "the page is not called by this name here: call it by its address, or name it in "
               "[admin] host_name";
        return 421;
    }
    *why = judge_origin(&r->head);
    if (*why) {
        return 403;
    }
    if (w->door->user && !is_open(r) && !field_of(&r->head, "Authorization").p) {
        *why = "log on as [admin] user";
        return 401;
    }
    return 0;
}

static void on_verdict(void *ctx, enum login_verdict verdict)
{
    struct admin_request *r = ctx;
    char name[sizeof(r->peer.name)];
    switch (verdict) {
    case LOGIN_GRANTED:
        (void)snprintf(name, sizeof(name), "the administrator at %.40s", r->peer.name);
        admin_request_admit(r, name);
        return;
    case LOGIN_REFUSED:
        admin_request_fail(r, 401, "wrong user or password");
        return;
    case LOGIN_LOCKED:
        admin_request_set(r, "Retry-After", SPAN_LIT("30"));
        admin_request_fail(r, 429, "too many wrong logins from this address");
        return;
    case LOGIN_PENDING:
    case LOGIN_BUSY:
        admin_request_set(r, "Retry-After", SPAN_LIT("1"));
        admin_request_fail(r, 503, "too many logins at the same time");
        return;
    }
}

static void audit_login(const struct admin_web *w, const struct admin_request *r,
                        enum login_verdict verdict)
{
    bool is_good = verdict == LOGIN_GRANTED;
    audit_tell(w->server->audit,
               &(struct audit_event){.name = "admin.login",
                                     .outcome = is_good ? "ok" : "denied",
                                     .who = span_of(is_good ? w->door->user : NULL),
                                     .from = span_of(r->peer.name),
                                     .object = SPAN_LIT("status page"),
                                     .is_frequent = !is_good});
}

/* A credential that is remembered is no new login. */
static void on_verified(void *ctx, enum login_verdict verdict)
{
    struct admin_request *r = ctx;
    if (verdict == LOGIN_GRANTED || verdict == LOGIN_REFUSED) {
        audit_login(r->peer.gate_ctx, r, verdict);
    }
    on_verdict(r, verdict);
}

static void verify(void *ctx, struct admin_request *r)
{
    const struct admin_web *w = ctx;
    if (!w->door->user || is_open(r)) {
        admin_request_admit(r, NULL);
        return;
    }
    enum login_verdict v =
        login_check(w->login, field_of(&r->head, "Authorization"), r->peer.name, on_verified, r);
    if (v == LOGIN_LOCKED) {
        audit_login(w, r, v);
    }
    if (v != LOGIN_PENDING) {
        on_verdict(r, v);
    }
}

static const struct admin_field fields[] = {
    {"Content-Security-Policy",
     "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
     "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
    {"X-Content-Type-Options", "nosniff"},
    {"X-Frame-Options", "DENY"},
    {"Referrer-Policy", "no-referrer"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"Cross-Origin-Opener-Policy", "same-origin"},
};

static const struct admin_gate gate = {
    .look = look,
    .verify = verify,
    .fields = fields,
    .n_fields = sizeof(fields) / sizeof(fields[0]),
    .challenge = "Basic realm=\"frunproxy administration\", charset=\"UTF-8\"",
};

/* -- the listener
 * ----------------------------------------------------------------------------------------------
 */

static void on_came(void *ctx, int *fd, const struct addr *from)
{
    struct admin_web *w = ctx;
    struct admin_peer peer = {
        .may_read = true, .may_write = w->door->user != NULL, .gate = &gate, .gate_ctx = w};
    addr_host_text(from, peer.name);
    frun_err err = admin_server_take(w->server, fd, from, w->door->tls, &peer);
    if (err && !w->is_full_told) {
        log_warning("admin", "connections to %s are refused: %s", w->url, err_text(err));
    }
    w->is_full_told = err != FRUN_OK;
}

static frun_err listen_there(struct admin_web *w, const char *text, struct diag *d)
{
    struct addr a;
    int fd = -1;
    if (addr_parse(text, &a) != FRUN_OK) {
        diag_set(d, "%s: not an IP address with a port", text);
        return FRUN_E_IO;
    }
    /* Alone: two daemons with one address would each get every other request. */
    frun_err err = listener_socket_alone(&a, &w->bound, &fd, d);
    if (!err) {
        err = listener_new(w->loop, &fd, on_came, w, &w->listener);
        if (err) {
            diag_set(d, "%s", err_text(err));
            (void)close(fd);
        }
    }
    addr_host_text(&w->bound, w->host);
    return err;
}

frun_err admin_web_use(struct admin_web *w, struct admin_door *door)
{
    frun_err err = FRUN_OK;
    if (!w) {
        return FRUN_OK;
    }
    if (door->user && !w->login) {
        err = login_new(w->loop, &w->login);
    }
    if (!err && door->user) {
        err = login_set(w->login, door->user, door->hash);
    }
    if (err) {
        return err;
    }
    struct admin_door *old = w->door;
    char text[ADDR_TEXT_BYTES];
    w->door = admin_door_ref(door);
    admin_door_unref(&old);
    addr_text(&w->bound, text);
    (void)snprintf(w->url, sizeof(w->url), "%s://%s/", door->tls ? "https" : "http", text);
    return FRUN_OK;
}

frun_err admin_web_start(struct loop *l, struct admin_server *s, const struct conf_admin *conf,
                         struct admin_door *door, struct admin_web **out, struct diag *d)
{
    struct diag why = {.text = ""};
    *out = NULL;
    if (!conf->listen || !conf->listen[0]) {
        return FRUN_OK;
    }
    struct admin_web *w = calloc(1, sizeof(*w));
    frun_err err = w ? admin_page_add(s) : FRUN_E_NOMEM;
    if (!err) {
        w->loop = l;
        w->server = s;
        err = listen_there(w, conf->listen, &why);
        err = err ? err : admin_web_use(w, door);
    }
    if (!err) {
        log_info("admin", "the status page is at %s", w->url);
        *out = w;
        return FRUN_OK;
    }
    admin_web_stop(w);
    admin_web_free(w);
    if (!conf->is_listen_given) {
        log_warning("admin", "no status page: %s; [admin] listen chooses another address",
                    why.text[0] ? why.text : err_text(err));
        return FRUN_OK;
    }
    diag_set(d, "admin.listen: %s", why.text[0] ? why.text : err_text(err));
    return err;
}

void admin_web_stop(struct admin_web *w)
{
    if (w) {
        listener_free(w->listener);
        w->listener = NULL;
        login_free(w->login); /* its waiters' requests are answered, the connections still there */
        w->login = NULL;
    }
}

void admin_web_free(struct admin_web *w)
{
    if (w) {
        admin_door_unref(&w->door);
        free(w);
    }
}
