/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/connector/subaccount.h"

#include "frun/base/list.h"
#include "frun/base/log.h"
#include "frun/connector/dialer.h"
#include "frun/net/addr.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** How long octets may stay unacknowledged, in PING ceilings. */
enum { USER_TIMEOUT_PINGS = 2 };

/** HTTP/2 gives every stream this window before a word is said. */
enum { MIN_WINDOW_BYTES = 65535 };

struct site;

/** One tunnel of a site. */
struct member {
    struct list node;      /**< in site.active or site.draining */
    struct site *site;     /**< whose */
    struct dialer *dialer; /**< the tunnel */
};

/** One gateway address. */
struct site {
    struct subaccount *owner;   /**< membership */
    char *host;                 /**< of the address */
    const char *address;        /**< as configured */
    char *label;                /**< for the log */
    struct dialer_settings set; /**< of every tunnel */
    struct dialer_news news;    /**< what was said about it */
    struct list active;         /**< members that are or will be open */
    struct list draining;       /**< members that finish; oldest first */
    size_t n_active;            /**< length of active */
    size_t n_draining;          /**< length of draining */
    size_t wanted;              /**< length that active should have */
};

struct subaccount {
    struct subaccount_settings set; /**< as given */
    struct site *sites;             /**< one per gateway */
    size_t n_sites;                 /**< count */
    bool is_draining;               /**< nothing is dialled any more */
};

static void changed(struct subaccount *a)
{
    if (a->set.on_change) {
        a->set.on_change(a->set.ctx);
    }
}

/* The member that a node belongs to. */
static struct member *member_of(struct list *node)
{
    return list_entry(node, struct member, node);
}

static void drop_member(struct member *m, size_t *count)
{
    list_remove(&m->node);
    (*count)--;
    dialer_free(m->dialer);
    free(m);
}

static frun_err add_member(struct site *s, const struct dialer *before);

static void fill(struct site *s, const struct dialer *before)
{
    while (!s->owner->is_draining && s->n_active < s->wanted) {
        if (add_member(s, before)) {
            log_error(s->label, "no memory for another tunnel, %zu of %zu stand", s->n_active,
                      s->wanted);
            return;
        }
    }
}

static void to_draining(struct member *m);

/* What only waits ends at once, what stands or is about to when its last request has ended. */
static void give_up(struct member *m)
{
    dialer_drain(m->dialer);
    if (dialer_state(m->dialer) == DIALER_ENDED) {
        drop_member(m, &m->site->n_active);
    } else {
        to_draining(m);
    }
}

/* The gateway wants fewer: give up those that do not stand. */
static void trim(struct site *s)
{
    struct list *it;
    struct list *tmp;
    list_foreach_safe (it, tmp, &s->active) {
        struct member *m = member_of(it);
        if (s->n_active <= s->wanted) {
            return;
        }
        if (dialer_state(m->dialer) < DIALER_OPEN) {
            give_up(m);
        }
    }
}

static void on_open(void *ctx, struct dialer *d, unsigned tunnels)
{
    struct site *s = ((struct member *)ctx)->site;
    (void)d;
    if (s->owner->set.connector->tunnels == 0) {
        s->wanted = tunnels < 1                        ? 1
                    : tunnels > SUBACCOUNT_MAX_TUNNELS ? SUBACCOUNT_MAX_TUNNELS
                                                       : tunnels;
        trim(s);
        fill(s, NULL);
    }
    changed(s->owner);
}

static bool on_head(void *ctx, struct h2_place *place)
{
    struct member *m = ctx;
    return forward_lend(m->site->owner->set.env, m->site->owner->set.conf->place.name, place);
}

static void on_request(void *ctx, const char *scope, struct served *sv)
{
    (void)ctx;
    forward_begin(scope, sv);
}

static void on_head_lost(void *ctx, void *owner)
{
    (void)ctx;
    forward_lose(owner);
}

static void to_draining(struct member *m)
{
    struct site *s = m->site;
    list_remove(&m->node);
    s->n_active--;
    struct list *first = list_first(&s->draining);
    if (first && s->n_draining >= SUBACCOUNT_MAX_DRAINING) {
        struct member *oldest = member_of(first);
        log_warning(s->label,
                    "too many tunnels drain at once; the oldest is closed with %zu "
                    "requests in it",
                    dialer_in_flight(oldest->dialer));
        drop_member(oldest, &s->n_draining);
    }
    list_append(&s->draining, &m->node);
    s->n_draining++;
}

static void on_drain(void *ctx, struct dialer *d)
{
    struct member *m = ctx;
    to_draining(m);
    fill(m->site, d);
    changed(m->site->owner);
}

static void on_lost(void *ctx, struct dialer *d)
{
    struct member *m = ctx;
    struct subaccount *a = m->site->owner;
    (void)d;
    if (m->site->n_active > m->site->wanted) {
        drop_member(m, &m->site->n_active);
    }
    changed(a);
}

static void on_ended(void *ctx, struct dialer *d)
{
    struct member *m = ctx;
    struct subaccount *a = m->site->owner;
    (void)d;
    drop_member(m, &m->site->n_draining);
    changed(a);
}

static const struct dialer_events dialer_table = {
    .on_open = on_open,
    .on_head = on_head,
    .on_request = on_request,
    .on_head_lost = on_head_lost,
    .on_drain = on_drain,
    .on_lost = on_lost,
    .on_ended = on_ended,
};

static frun_err add_member(struct site *s, const struct dialer *before)
{
    struct member *m = calloc(1, sizeof(*m));
    if (!m) {
        return FRUN_E_NOMEM;
    }
    m->site = s;
    frun_err err = dialer_new(&s->set, before, &dialer_table, m, &m->dialer);
    if (err) {
        free(m);
        return err;
    }
    list_append(&s->active, &m->node);
    s->n_active++;
    return FRUN_OK;
}

static void set_hello(struct site *s)
{
    const struct subaccount_settings *x = &s->owner->set;
    s->set.hello = (struct ptth_hello){
        .subaccount = span_of(x->conf->place.name),
        .location_id = x->conf->location_id ? span_of(x->conf->location_id) : SPAN_LIT(""),
        .instance = span_of(x->instance),
        .name = span_of(x->connector->name),
        .version = span_of(FRUN_VERSION),
        .wire_version = PTTH_WIRE_VERSION,
    };
}

static void set_target(struct site *s, unsigned port)
{
    const struct subaccount_settings *x = &s->owner->set;
    s->set.target = (struct dial_target){
        .host = s->host,
        .port = port,
        .tls = x->tls,
        .server_name = x->conf->server_name,
        .proxy = x->conf->proxy,
        .proxy_user = x->conf->proxy_user,
        .proxy_password = x->conf->proxy_password,
        .timeout_ms = x->connector->connect_timeout_ms,
        .user_timeout_ms = (unsigned)(x->connector->ping_timeout_ms * USER_TIMEOUT_PINGS),
    };
}

static void set_session(struct site *s)
{
    const struct subaccount *a = s->owner;
    const struct conf_connector *c = a->set.connector;
    s->set.loop = a->set.loop;
    s->set.offload = a->set.offload;
    s->set.label = s->label;
    s->set.news = &s->news;
    s->set.retry_min_ms = c->retry_min_ms;
    s->set.retry_max_ms = c->retry_max_ms;
    s->set.greeting_ms = DIALER_GREETING_MS;
    s->set.h2 = (struct h2_settings){
        .max_streams = (uint32_t)c->max_streams,
        .stream_window =
            (uint32_t)(c->stream_window < MIN_WINDOW_BYTES ? MIN_WINDOW_BYTES : c->stream_window),
        .budget = a->set.env->windows,
        .max_frame_bytes = EXCHANGE_BUFFER_BYTES,
        .max_head_bytes = (uint32_t)c->max_head,
        .ping_interval_ms = c->ping_interval_ms,
        .ping_timeout_ms = c->ping_timeout_ms,
    };
}

static frun_err open_site(struct subaccount *a, struct site *s, const char *address)
{
    const struct conf_connector *c = a->set.connector;
    struct span host = {0};
    unsigned port = 0;
    s->owner = a;
    s->address = address;
    list_init(&s->active);
    list_init(&s->draining);
    if (addr_split(span_of(address), &host, &port)) {
        return FRUN_E_SYNTAX;
    }
    s->host = strndup(host.p, host.n);
    size_t label_bytes = strlen(a->set.conf->place.name) + strlen(address) + sizeof(" at ");
    s->label = malloc(label_bytes);
    if (!s->host || !s->label) {
        return FRUN_E_NOMEM;
    }
    (void)snprintf(s->label, label_bytes, "%s at %s", a->set.conf->place.name, address);
    set_session(s);
    set_hello(s);
    set_target(s, port);
    s->wanted = c->tunnels == 0                       ? 1
                : c->tunnels > SUBACCOUNT_MAX_TUNNELS ? SUBACCOUNT_MAX_TUNNELS
                                                      : (size_t)c->tunnels;
    while (s->n_active < s->wanted) {
        if (add_member(s, NULL)) {
            return FRUN_E_NOMEM;
        }
    }
    return FRUN_OK;
}

frun_err subaccount_new(const struct subaccount_settings *s, struct subaccount **out)
{
    struct subaccount *a = calloc(1, sizeof(*a));
    if (!a) {
        return FRUN_E_NOMEM;
    }
    a->set = *s;
    a->sites = calloc(s->conf->gateway.n + 1, sizeof(struct site));
    if (!a->sites) {
        subaccount_free(a);
        return FRUN_E_NOMEM;
    }
    for (size_t i = 0; i < s->conf->gateway.n; i++) {
        a->n_sites++;
        frun_err err = open_site(a, &a->sites[i], s->conf->gateway.items[i]);
        if (err) {
            subaccount_free(a);
            return err;
        }
    }
    *out = a;
    return FRUN_OK;
}

static void free_later(void *obj)
{
    struct subaccount *a = obj;
    for (size_t i = 0; i < a->n_sites; i++) {
        free(a->sites[i].host);
        free(a->sites[i].label);
    }
    free(a->sites);
    free(a);
}

static void update_dialers(const struct list *members, const struct dialer_settings *set)
{
    struct list *it;
    list_foreach (it, members) {
        dialer_update(member_of(it)->dialer, set);
    }
}

void subaccount_update(struct subaccount *a, const struct subaccount_settings *s)
{
    a->set = *s;
    for (size_t i = 0; i < a->n_sites; i++) {
        struct site *x = &a->sites[i];
        x->address = s->conf->gateway.items[i]; /* the former text goes with its configuration */
        set_session(x);
        set_hello(x);
        set_target(x, x->set.target.port);
        update_dialers(&x->active, &x->set);
        update_dialers(&x->draining, &x->set);
    }
}

void subaccount_set_env(struct subaccount *a, struct forward_env *env)
{
    a->set.env = env;
}

/* The analyzer does not know that a member's counter is its list's length.
 * NOLINTBEGIN(clang-analyzer-core.NullDereference,clang-analyzer-unix.Malloc) */
static void drop_all(const struct list *members, size_t *count)
{
    while (*count > 0) {
        drop_member(member_of(members->next), count);
    }
}
/* NOLINTEND(clang-analyzer-core.NullDereference,clang-analyzer-unix.Malloc) */

void subaccount_free(struct subaccount *a)
{
    if (!a) {
        return;
    }
    for (size_t i = 0; i < a->n_sites; i++) {
        struct site *s = &a->sites[i];
        drop_all(&s->active, &s->n_active);
        drop_all(&s->draining, &s->n_draining);
    }
    loop_free_later(a->set.loop, free_later, a);
}

void subaccount_drain(struct subaccount *a)
{
    a->is_draining = true;
    for (size_t i = 0; i < a->n_sites; i++) {
        struct site *s = &a->sites[i];
        struct list *it;
        struct list *tmp;
        s->wanted = 0;
        list_foreach_safe (it, tmp, &s->active) {
            give_up(member_of(it));
        }
    }
    changed(a);
}

bool subaccount_is_done(const struct subaccount *a)
{
    for (size_t i = 0; i < a->n_sites; i++) {
        if (a->sites[i].n_active + a->sites[i].n_draining > 0) {
            return false;
        }
    }
    return a->is_draining;
}

void subaccount_count(const struct subaccount *a, struct subaccount_count *out)
{
    for (size_t i = 0; i < a->n_sites; i++) {
        const struct site *s = &a->sites[i];
        struct list *it;
        list_foreach (it, &a->sites[i].active) {
            const struct member *m = member_of(it);
            if (dialer_state(m->dialer) == DIALER_OPEN) {
                out->open++;
                out->in_flight += dialer_in_flight(m->dialer);
                out->max_in_flight += dialer_max_in_flight(m->dialer);
            }
        }
        out->wanted += s->wanted;
        out->draining += s->n_draining;
        out->opened += s->news.opened;
        out->failed += s->news.failed;
    }
}

static void look(const struct site *s, const struct list *members, subaccount_tunnel_fn fn,
                 void *ctx)
{
    struct list *it;
    list_foreach (it, members) {
        const struct dialer *d = member_of(it)->dialer;
        const struct subaccount_tunnel t = {
            .gateway = s->address,
            .state = dialer_state_name(dialer_state(d)),
            .in_flight = dialer_in_flight(d),
            .max_in_flight = dialer_max_in_flight(d),
            .open_since = dialer_open_since_ms(d),
            .since = dialer_open_since(d),
            .rtt_us = dialer_rtt_us(d),
            .why = s->news.last,
            .why_at = s->news.last_at,
        };
        fn(ctx, &t);
    }
}

void subaccount_look(const struct subaccount *a, subaccount_tunnel_fn fn, void *ctx)
{
    for (size_t i = 0; i < a->n_sites; i++) {
        look(&a->sites[i], &a->sites[i].active, fn, ctx);
        look(&a->sites[i], &a->sites[i].draining, fn, ctx);
    }
}

void subaccount_certificates(const struct subaccount *a, subaccount_certificate_fn fn, void *ctx)
{
    for (size_t i = 0; i < a->n_sites; i++) {
        if (a->sites[i].news.until_s) {
            fn(ctx, a->sites[i].address, a->sites[i].news.until_s);
        }
    }
}

const struct conf_subaccount *subaccount_conf(const struct subaccount *a)
{
    return a->set.conf;
}
