/* SPDX-License-Identifier: Apache-2.0 */
#include "h2_rig.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* ---- harness ---- */

static char pattern(uint64_t at)
{
    return (char)((at * 131U) >> 3 & 0xff);
}

static void fill(char *p, size_t n, uint64_t at)
{
    for (size_t i = 0; i < n; i++) {
        p[i] = pattern(at + i);
    }
}

static void check(struct span data, uint64_t at)
{
    for (size_t i = 0; i < data.n; i++) {
        if (data.p[i] != pattern(at + i)) {
            fail_msg("octet %llu differs", (unsigned long long)(at + i));
        }
    }
}

static void look(struct later *x)
{
    struct env *e = list_entry(x, struct env, look);

    if (e->until && e->until(e)) {
        loop_stop(e->loop);
    }
}

static void guard(struct deadline *d)
{
    struct env *e = list_entry(d, struct env, guard);

    e->is_late = true;
    loop_stop(e->loop);
}

void rig_poke(struct env *e)
{
    later_arm(e->loop, &e->look);
}

void rig_spin(struct env *e, bool (*until)(struct env *e))
{
    e->until = until;
    e->is_late = false;
    if (until(e)) {
        return;
    }
    deadline_set(e->loop, &e->guard, GUARD_MS);
    loop_run(e->loop);
    deadline_clear(&e->guard);
    if (e->is_late) {
        fail_msg("waited in vain");
    }
}

/* Free the session whose event this is, if the test wants it here. */
static bool hit(struct env *e, struct side *side, enum spot spot)
{
    rig_poke(e);
    if (e->spot != spot || e->is_spot_hit) {
        return false;
    }
    e->is_spot_hit = true;
    h2_free(side->h);
    side->h = NULL;
    return true;
}

/* ---- served requests ---- */

void rig_push_answer(struct srv *r)
{
    while (r->served) {
        char chunk[7000];
        uint64_t left = r->to_send - r->sent;
        size_t n = left < sizeof(chunk) ? (size_t)left : sizeof(chunk);
        bool is_last = n == left;
        size_t taken;

        fill(chunk, n, r->sent);
        taken = r->served->ops->send_body(r->served, span_make(chunk, n), is_last);
        r->sent += taken;
        if (taken == n && is_last) {
            r->served = NULL;
        } else if (taken < n) {
            return;
        }
    }
}

void rig_answer(struct srv *r, unsigned status, enum head_body body, uint64_t n)
{
    struct head h = {
        .status = status,
        .body = body,
        .body_len_bytes = body == HEAD_BODY_LENGTH ? n : 0,
    };

    assert_int_equal(head_add(&h, SPAN_LIT("X-Kind"), SPAN_LIT("test")), FRUN_OK);
    if (strcmp(r->path, "/bighead") == 0) {
        assert_int_equal(head_add(&h, SPAN_LIT("x-big"), span_of(r->env->big)), FRUN_OK);
    }
    if (status == 204 || status == 304 || strncmp(r->path, "/head", 5) == 0) {
        assert_int_equal(head_add(&h, SPAN_LIT("Content-Length"), SPAN_LIT("77")), FRUN_OK);
    }
    r->head_err = r->served->ops->send_head(r->served, &h);
    if (r->head_err) {
        r->served->ops->abandon(r->served);
        r->served = NULL;
        rig_poke(r->env);
        return;
    }
    r->is_answered = true;
    r->to_send = n;
    rig_push_answer(r);
}

static size_t srv_body(void *owner, struct span data)
{
    struct srv *r = owner;
    size_t n = r->take_max && r->take_max < data.n ? r->take_max : data.n;

    if (hit(r->env, &r->env->server, SPOT_SERVED_BODY)) {
        return n;
    }
    if (r->take_max == 1) {
        return 0;
    }
    check(span_head(data, n), r->got);
    r->got += n;
    if (r->is_hungry) {
        r->served->ops->resume(r->served);
    }
    return n;
}

static void srv_body_end(void *owner)
{
    struct srv *r = owner;

    assert_false(r->is_body_ended);
    r->is_body_ended = true;
    if (hit(r->env, &r->env->server, SPOT_SERVED_END)) {
        return;
    }
    if (strcmp(r->path, "/hold") != 0 && !r->is_answered) {
        rig_answer(r, 200, HEAD_BODY_LENGTH, 2);
    }
}

static void srv_room(void *owner)
{
    struct srv *r = owner;

    if (!hit(r->env, &r->env->server, SPOT_ROOM)) {
        rig_push_answer(r);
    }
}

static void srv_gone(void *owner, frun_err err, const char *why)
{
    struct srv *r = owner;

    assert_non_null(why);
    r->is_gone = true;
    r->gone_err = err;
    r->served = NULL;
    (void)hit(r->env, &r->env->server, SPOT_GONE);
}

static const struct served_events srv_events = {
    .on_body = srv_body,
    .on_body_end = srv_body_end,
    .on_room = srv_room,
    .on_gone = srv_gone,
};

static void on_request(void *ctx, struct served *v, const struct head *h)
{
    struct env *e = ctx;
    struct srv *r = &e->srv[e->n_srv];

    assert_true(e->n_srv < MAX_REQS);
    e->n_srv++;
    *r = (struct srv){.env = e, .served = v, .wants_continue = h->wants_continue};
    r->take_max = e->take_max;
    r->is_hungry = e->take_max > 1;
    (void)snprintf(r->path, sizeof(r->path), "%.*s", SPAN_FMT(h->target));
    assert_true(span_eq(h->authority, SPAN_LIT("fr1_frun:443")));
    assert_null(head_find(h, SPAN_LIT("connection")));
    assert_null(head_find(h, SPAN_LIT("x-hop")));
    assert_true(h->is_keep_alive && h->minor == 1);
    if (strcmp(r->path, "/cookies") == 0) {
        size_t cookies = 0;

        for (size_t i = 0; i < h->n_fields; i++) {
            cookies += span_eq(h->fields[i].name, SPAN_LIT("cookie"));
        }
        assert_int_equal(cookies, 1);
        assert_true(span_eq(head_find(h, SPAN_LIT("cookie"))->value, SPAN_LIT("a=1; b=2; c=3")));
        assert_non_null(head_find(h, SPAN_LIT("x-between")));
    }
    if (hit(e, &e->server, SPOT_REQUEST) || strcmp(r->path, "/refuse") == 0) {
        r->served = NULL;
        return;
    }
    v->ev = &srv_events;
    v->owner = r;
    if (strncmp(r->path, "/get/", 5) == 0) {
        uint64_t n = strtoull(r->path + 5, NULL, 10);

        v->ops->accept_body(v);
        rig_answer(r, 200, HEAD_BODY_LENGTH, n);
    } else if (strncmp(r->path, "/chunk/", 7) == 0) {
        v->ops->accept_body(v);
        rig_answer(r, 200, HEAD_BODY_CHUNKED, strtoull(r->path + 7, NULL, 10));
    } else if (strncmp(r->path, "/status/", 8) == 0) {
        rig_answer(r, (unsigned)strtoul(r->path + 8, NULL, 10), HEAD_BODY_NONE, 0);
    } else if (strcmp(r->path, "/head") == 0) {
        rig_answer(r, 200, HEAD_BODY_NONE, 0);
    } else if (strcmp(r->path, "/headlen") == 0) {
        rig_answer(r, 200, HEAD_BODY_LENGTH, 77);
    } else if (strcmp(r->path, "/early") == 0) {
        rig_answer(r, 413, HEAD_BODY_LENGTH, 10);
    } else if (strcmp(r->path, "/abandon") == 0) {
        struct head head = {.status = 200, .body = HEAD_BODY_LENGTH, .body_len_bytes = 100};

        assert_int_equal(v->ops->send_head(v, &head), FRUN_OK);
        assert_int_equal(v->ops->send_body(v, SPAN_LIT("0123456789"), false), 10);
        v->ops->abandon(v);
        r->served = NULL;
    } else if (strcmp(r->path, "/unread") != 0) {
        v->ops->accept_body(v);
    }
}

/* ---- calls ---- */

void rig_push_request(struct cli *c)
{
    while (c->call && c->sent < c->to_send) {
        char chunk[9000];
        uint64_t left = c->to_send - c->sent;
        size_t n = left < sizeof(chunk) ? (size_t)left : sizeof(chunk);
        size_t taken;

        fill(chunk, n, c->sent);
        taken = c->call->ops->send(c->call, span_make(chunk, n), n == left && !c->is_short_of_end);
        c->sent += taken;
        if (taken < n) {
            return;
        }
    }
}

static void cli_head(void *owner, const struct head *h)
{
    struct cli *c = owner;
    const struct field *f = head_find(h, SPAN_LIT("content-length"));

    assert_int_equal(c->status, 0);
    c->status = h->status;
    c->body = h->body;
    c->len = h->body_len_bytes;
    if (f) {
        (void)snprintf(c->field, sizeof(c->field), "%.*s", SPAN_FMT(f->value));
    }
    if (h->status == 200) {
        f = head_find(h, SPAN_LIT("x-kind"));
        assert_true(!f || span_eq(f->value, SPAN_LIT("test")));
    }
    (void)hit(c->env, &c->env->client, SPOT_HEAD);
}

static size_t cli_body(void *owner, struct span data)
{
    struct cli *c = owner;
    size_t n = c->take_max && c->take_max < data.n ? c->take_max : data.n;

    if (hit(c->env, &c->env->client, SPOT_CALL_BODY)) {
        return 0;
    }
    if (c->take_max == 1) {
        return 0;
    }
    check(span_head(data, n), c->got);
    c->got += n;
    if (c->is_hungry) {
        c->call->ops->resume(c->call);
    }
    return n;
}

static void cli_room(void *owner)
{
    struct cli *c = owner;

    if (!hit(c->env, &c->env->client, SPOT_ROOM)) {
        rig_push_request(c);
    }
}

static void cli_end(void *owner)
{
    struct cli *c = owner;

    assert_false(c->is_ended || c->is_failed);
    c->is_ended = true;
    c->call = NULL;
    c->env->n_done++;
    (void)hit(c->env, &c->env->client, SPOT_END);
}

static void cli_fail(void *owner, const struct call_failure *f)
{
    struct cli *c = owner;

    assert_false(c->is_ended || c->is_failed);
    assert_true(f->text[0]);
    c->is_failed = true;
    c->failure = *f;
    c->call = NULL;
    c->env->n_done++;
    (void)hit(c->env, &c->env->client, SPOT_FAIL);
}

static const struct call_events cli_events = {
    .on_head = cli_head,
    .on_body = cli_body,
    .on_room = cli_room,
    .on_end = cli_end,
    .on_fail = cli_fail,
};

frun_err rig_try_open(struct env *e, const char *method, const char *path, uint64_t body,
                      struct cli **out)
{
    struct head h = {0};
    struct cli *c = &e->cli[e->n_cli];
    frun_err err;

    assert_true(e->n_cli < MAX_REQS);
    *c = (struct cli){.env = e, .to_send = body};
    h.method = span_of(method);
    h.target = span_of(path);
    h.authority = SPAN_LIT("fr1_frun:443");
    h.body = body ? HEAD_BODY_LENGTH : HEAD_BODY_NONE;
    h.body_len_bytes = body;
    assert_int_equal(head_add(&h, SPAN_LIT("Authorization"), SPAN_LIT("Basic x")), FRUN_OK);
    assert_int_equal(head_add(&h, SPAN_LIT("Connection"), SPAN_LIT("close, X-Hop")), FRUN_OK);
    assert_int_equal(head_add(&h, SPAN_LIT("X-Hop"), SPAN_LIT("1")), FRUN_OK);
    assert_int_equal(head_add(&h, SPAN_LIT("Transfer-Encoding"), SPAN_LIT("chunked")), FRUN_OK);
    assert_int_equal(head_add(&h, SPAN_LIT("TE"), SPAN_LIT("trailers, deflate")), FRUN_OK);
    if (strcmp(path, "/continue") == 0) {
        assert_int_equal(head_add(&h, SPAN_LIT("Expect"), SPAN_LIT("100-continue")), FRUN_OK);
    }
    if (strcmp(path, "/expect") == 0) {
        assert_int_equal(head_add(&h, SPAN_LIT("Expect"), SPAN_LIT("a-wonder")), FRUN_OK);
    }
    if (strcmp(path, "/cookies") == 0) {
        assert_int_equal(head_add(&h, SPAN_LIT("Cookie"), SPAN_LIT("a=1")), FRUN_OK);
        assert_int_equal(head_add(&h, SPAN_LIT("X-Between"), SPAN_LIT("1")), FRUN_OK);
        assert_int_equal(head_add(&h, SPAN_LIT("cookie"), SPAN_LIT("b=2")), FRUN_OK);
        assert_int_equal(head_add(&h, SPAN_LIT("COOKIE"), SPAN_LIT("c=3")), FRUN_OK);
    }
    if (strcmp(path, "/badhost") == 0) {
        h.authority = SPAN_LIT("fr1_frun:99999");
    }
    if (strcmp(path, "/bigfield") == 0) {
        assert_int_equal(head_add(&h, SPAN_LIT("X-Big"), span_of(e->big)), FRUN_OK);
    }
    err = h2_call(e->client.h, &h, &cli_events, c, &c->call);
    if (!err) {
        e->n_cli++;
    }
    *out = c;
    return err;
}

struct cli *rig_open_call(struct env *e, const char *method, const char *path, uint64_t body)
{
    struct cli *c = NULL;

    assert_int_equal(rig_try_open(e, method, path, body, &c), FRUN_OK);
    rig_push_request(c);
    return c;
}

/* ---- sessions ---- */

static struct side *side_of(void *ctx, bool is_client)
{
    struct env *e = ctx;

    return is_client ? &e->client : &e->server;
}

static void closed(struct env *e, struct side *s, frun_err err, const char *why)
{
    assert_false(s->is_closed);
    assert_non_null(why);
    s->is_closed = true;
    s->err = err;
    (void)snprintf(s->why, sizeof(s->why), "%s", why);
    h2_free(s->h);
    s->h = NULL;
    rig_poke(e);
}

static void client_closed(void *ctx, frun_err err, const char *why)
{
    closed(ctx, side_of(ctx, true), err, why);
}

static void server_closed(void *ctx, frun_err err, const char *why)
{
    closed(ctx, side_of(ctx, false), err, why);
}

static void client_drain(void *ctx)
{
    struct side *s = side_of(ctx, true);

    assert_false(s->is_drained);
    s->is_drained = true;
    (void)hit(ctx, s, SPOT_DRAIN);
}

static void server_drain(void *ctx)
{
    side_of(ctx, false)->is_drained = true;
    rig_poke(ctx);
}

void rig_client_capacity(void *ctx)
{
    struct env *e = ctx;

    while (e->to_open > 0 && h2_may_call(e->client.h)) {
        struct cli *c = rig_open_call(e, "POST", "/sink", 100 + e->to_open);

        (void)c;
        e->to_open--;
        if (h2_in_flight(e->client.h) > e->most_in_flight) {
            e->most_in_flight = h2_in_flight(e->client.h);
        }
    }
    rig_poke(e);
}

static const struct h2_events client_events = {
    .on_drain = client_drain,
    .on_capacity = rig_client_capacity,
    .on_closed = client_closed,
};

static const struct h2_events server_events = {
    .on_request = on_request,
    .on_drain = server_drain,
    .on_closed = server_closed,
};

void rig_tcp_pair(int fd[2])
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t n = sizeof(a);
    int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(l >= 0);
    assert_int_equal(bind(l, (struct sockaddr *)&a, n), 0);
    assert_int_equal(listen(l, 1), 0);
    assert_int_equal(getsockname(l, (struct sockaddr *)&a, &n), 0);
    fd[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd[0], (struct sockaddr *)&a, n), 0);
    fd[1] = accept4(l, NULL, NULL, SOCK_CLOEXEC);
    assert_true(fd[1] >= 0);
    (void)close(l);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(fcntl(fd[i], F_SETFL, fcntl(fd[i], F_GETFL) | O_NONBLOCK), 0);
    }
}

struct h2_settings rig_settings(bool is_client)
{
    return (struct h2_settings){
        .is_client = is_client,
        .max_streams = 64,
        .stream_window = WINDOW,
        .connection_window = 0,
        .max_head_bytes = 16384,
        .ping_interval_ms = 15000,
        .ping_timeout_ms = 10000,
    };
}

void rig_begin_side(struct env *e, int *fd, const struct h2_settings *set, struct span first)
{
    static const struct stream_events none = {0};
    struct stream_settings ss = {.handshake_ms = 1000};
    struct stream *s = NULL;
    struct side *side = side_of(e, set->is_client);

    assert_int_equal(stream_new(e->loop, fd, &ss, &none, NULL, &s), FRUN_OK);
    assert_int_equal(
        h2_new(&s, first, set, set->is_client ? &client_events : &server_events, e, &side->h),
        FRUN_OK);
    assert_null(s);
}

struct env *rig_env_new(void)
{
    struct env *e = calloc(1, sizeof(*e));

    assert_non_null(e);
    e->cli = calloc(MAX_REQS, sizeof(*e->cli));
    e->srv = calloc(MAX_REQS, sizeof(*e->srv));
    assert_true(e->cli && e->srv);
    memset(e->big, 'b', FIELD_MAX);
    assert_int_equal(loop_new(&e->loop), FRUN_OK);
    later_init(&e->look, look);
    deadline_init(&e->guard, guard);
    return e;
}

struct env *rig_env_pair(const struct h2_settings *client, const struct h2_settings *server)
{
    struct h2_settings c = client ? *client : rig_settings(true);
    struct h2_settings s = server ? *server : rig_settings(false);
    struct env *e = rig_env_new();
    int fd[2];

    rig_tcp_pair(fd);
    rig_begin_side(e, &fd[0], &c, (struct span){0});
    rig_begin_side(e, &fd[1], &s, (struct span){0});
    return e;
}

void rig_env_free(struct env *e)
{
    h2_free(e->client.h);
    h2_free(e->server.h);
    later_cancel(&e->look);
    deadline_clear(&e->guard);
    loop_free(e->loop);
    free(e->cli);
    free(e->srv);
    free(e);
}

bool rig_all_done(struct env *e)
{
    return e->n_done == e->n_cli && e->to_open == 0;
}

bool rig_both_closed(struct env *e)
{
    return e->client.is_closed && e->server.is_closed;
}

bool rig_server_is_closed(struct env *e)
{
    return e->server.is_closed;
}

bool rig_client_is_closed(struct env *e)
{
    return e->client.is_closed;
}

static bool is_quiet(struct env *e)
{
    (void)e;
    return false;
}

/* Run until nothing moves any more, as told by a short guard. */
void rig_settle(struct env *e, uint64_t ms)
{
    e->until = is_quiet;
    deadline_set(e->loop, &e->guard, ms);
    loop_run(e->loop);
    deadline_clear(&e->guard);
}

static bool has_turned(struct env *e)
{
    if (e->passes == 0) {
        return true;
    }
    e->passes--;
    rig_poke(e);
    return false;
}

void rig_turn(struct env *e, unsigned passes)
{
    e->passes = passes;
    rig_spin(e, has_turned);
}
