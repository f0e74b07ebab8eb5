/**
 * A connection to the server: one request after the other. While a handler has one nothing is read;
 * an answer waits for its reader in pieces as large as the stream has room for.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "server_int.h"

#include "frun/http/problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/** Octets read at once. */
#define READ_BYTES 16384

/** Octets of the input buffer: a head, or a part of a body. */
#define BUFFER_BYTES 65536

/** Octets of a request's own memory besides its head. */
#define EXTRA_BYTES 65536

/** Octets of the largest head of an answer. */
#define HEAD_BYTES 8192

/** Octets of an error's text. */
#define DETAIL_BYTES 512

/** Octets that framing adds to a chunk at most. */
#define CHUNK_EXTRA (BODY_CHUNK_HEAD_BYTES + 2)

/** Where a connection stands. */
enum conn_state {
    CONN_STATE_IDLE,      /**< between requests */
    CONN_STATE_HEAD,      /**< part of a head received */
    CONN_STATE_BODY,      /**< head accepted, its body is being read */
    CONN_STATE_HANDLING,  /**< a handler has the request */
    CONN_STATE_STREAMING, /**< a handler sends an answer of unknown length */
    CONN_STATE_ANSWERING, /**< out goes to the peer as it reads */
    CONN_STATE_FINISHING, /**< the last answer is on its way out */
    CONN_STATE_GONE       /**< unlinked, freed after the pass */
};

struct admin_conn {
    struct list node; /* in server.conns; first */
    struct admin_server *server;
    struct stream *stream;
    enum conn_state state;
    struct admin_peer peer;
    struct admin_request *req; /* from its head to its answer */
    struct buf in;
    struct buf out; /* an answer's body */
    size_t scanned;
    struct body_reader body;
    struct deadline deadline;
    struct later work;
    unsigned minor;
    bool is_head_method;
    bool is_last; /* close behind this answer */
    bool is_chunked;
};

static void set_state(struct admin_conn *c, enum conn_state to)
{
    const struct admin_limits *lim = &c->server->limits;
    uint64_t in_ms = 0;
    c->state = to;
    switch (to) {
    case CONN_STATE_IDLE:
        in_ms = lim->idle_ms;
        break;
    case CONN_STATE_HEAD:
        in_ms = lim->head_ms;
        break;
    case CONN_STATE_BODY:
        in_ms = lim->body_ms;
        break;
    case CONN_STATE_ANSWERING:
    case CONN_STATE_FINISHING:
        in_ms = lim->write_ms;
        break;
    case CONN_STATE_HANDLING:
    case CONN_STATE_STREAMING:
    case CONN_STATE_GONE:
        break;
    }
    if (in_ms) {
        deadline_set(c->server->loop, &c->deadline, in_ms);
    } else {
        deadline_clear(&c->deadline);
    }
}

static bool is_reading(const struct admin_conn *c)
{
    return c->state <= CONN_STATE_BODY;
}

static void close_now(struct admin_conn *c)
{
    if (c->state == CONN_STATE_GONE) {
        return;
    }
    struct admin_request *r = c->req;
    bool is_held = c->state == CONN_STATE_HANDLING || c->state == CONN_STATE_STREAMING;
    set_state(c, CONN_STATE_GONE);
    later_cancel(&c->work);
    stream_free(c->stream);
    c->stream = NULL;
    c->req = NULL;
    if (r && is_held) {
        r->conn = NULL; /* freed when it is answered */
        if (r->on_room) {
            later_arm(c->server->loop, &r->gone);
        }
    } else if (r) {
        admin_server_drop(r);
    }
    buf_done(&c->in);
    buf_done(&c->out);
    list_remove(&c->node);
    c->server->n_conns--;
    loop_free_later(c->server->loop, free, c);
}

void admin_conn_kill(struct list *node)
{
    close_now(list_entry(node, struct admin_conn, node));
}

static void finish(struct admin_conn *c)
{
    buf_done(&c->in);
    set_state(c, CONN_STATE_FINISHING);
    stream_finish(c->stream);
}

/* -- answers
 * ---------------------------------------------------------------------------------------------------
 */

static bool add_field(struct head *h, const char *name, struct span value)
{
    return head_add(h, span_of(name), value) == FRUN_OK;
}

/* What the gate and the handler want in every answer, once. */
static bool add_extra(const struct admin_conn *c, struct head *h)
{
    const struct admin_gate *gate = c->peer.gate;
    bool is_good = true;
    for (size_t i = 0; c->req && i < c->req->n_extra; i++) {
        const struct admin_field *f = &c->req->extra[i];
        is_good &= add_field(h, f->name, span_of(f->value));
    }
    for (size_t i = 0; gate && i < gate->n_fields; i++) {
        if (!head_find(h, span_of(gate->fields[i].name))) {
            is_good &= add_field(h, gate->fields[i].name, span_of(gate->fields[i].value));
        }
    }
    return is_good;
}

/* Put the head of an answer; false: the connection is of no use any more. */
static bool put_head(struct admin_conn *c, struct head *h)
{
    struct buf text;
    bool unused = false;
    struct span method = c->is_head_method ? SPAN_LIT("HEAD") : SPAN_LIT("GET");
    h->is_keep_alive = !c->is_last;
    h->reason = span_of(problem_reason(h->status));
    if (!add_extra(c, h)) {
        return false;
    }
    buf_init(&text, HEAD_BYTES);
    frun_err err = head_write_answer(h, method, c->minor, &text, &unused);
    c->is_chunked = unused;
    if (!err) {
        err = stream_put(c->stream, buf_span(&text));
    }
    buf_done(&text);
    return !err;
}

/* The answer stands in out: let it go. The handler's request is done with. */
static void send_answer(struct admin_conn *c, struct head *h)
{
    bool is_good = put_head(c, h);
    if (c->req) {
        admin_server_drop(c->req);
        c->req = NULL;
    }
    if (!is_good) {
        close_now(c);
        return;
    }
    if (c->is_head_method) {
        buf_done(&c->out);
    }
    set_state(c, CONN_STATE_ANSWERING);
    later_arm(c->server->loop, &c->work);
}

/* Give the stream what it has room for; true: all has gone. */
static bool pump_answer(struct admin_conn *c)
{
    struct span rest = buf_span(&c->out);
    size_t room = stream_room(c->stream);
    struct span part = span_head(rest, rest.n < room ? rest.n : room);
    if (part.n > 0) {
        if (stream_put(c->stream, part) != FRUN_OK) {
            close_now(c);
            return false;
        }
        buf_consume(&c->out, part.n);
        set_state(c, CONN_STATE_ANSWERING);
    }
    if (buf_len(&c->out) > 0) {
        return false;
    }
    buf_done(&c->out);
    if (c->is_last) {
        finish(c);
        return false;
    }
    set_state(c, CONN_STATE_IDLE);
    stream_read_on(c->stream, true);
    return true;
}

/* An error of the connection's own or a handler's; fields beside the usual ones may be absent. */
static void send_problem(struct admin_conn *c, unsigned status, const char *detail,
                         struct span allow)
{
    struct arena a;
    struct span body = {0};
    struct head *h = NULL;
    const struct admin_gate *gate = c->peer.gate;
    struct problem p = {.status = status,
                        .proxy = "frunproxy",
                        .detail = span_of(detail),
                        .allow = allow,
                        .challenge = span_of(status == 401 && gate ? gate->challenge : NULL)};
    arena_init(&a, EXTRA_BYTES);
    h = arena_alloc(&a, sizeof(*h));
    buf_init(&c->out, EXTRA_BYTES);
    if (!h || problem_build(&p, &a, h, &body) != FRUN_OK || buf_put(&c->out, body) != FRUN_OK) {
        close_now(c);
    } else {
        send_answer(c, h);
    }
    arena_done(&a);
}

static bool is_set(const struct admin_request *r, const char *name)
{
    for (size_t i = 0; i < r->n_extra; i++) {
        if (span_eq(span_of(r->extra[i].name), span_of(name))) {
            return true;
        }
    }
    return false;
}

void admin_request_answer(struct admin_request *r, unsigned status, const char *type,
                          struct buf *body)
{
    struct admin_conn *c = r->conn;
    if (!c) {
        admin_server_tell(r, status, buf_span(body));
        buf_done(body);
        return;
    }
    struct head *h = arena_alloc(&r->arena, sizeof(*h));
    if (!h) {
        c->state = CONN_STATE_FINISHING; /* nobody holds the request any more */
        close_now(c);
        buf_done(body);
        return;
    }
    h->n_fields = 0;
    *h = (struct head){.status = status,
                       .minor = 1,
                       .body = buf_len(body) ? HEAD_BODY_LENGTH : HEAD_BODY_NONE,
                       .body_len_bytes = buf_len(body)};
    if (!add_field(h, "Content-Type", span_of(type)) ||
        (!is_set(r, "Cache-Control") && !add_field(h, "Cache-Control", SPAN_LIT("no-store"))) ||
        !add_field(h, "X-Content-Type-Options", SPAN_LIT("nosniff"))) {
        h->n_fields = 0; /* cannot happen: there is room for 128 */
    }
    buf_done(&c->out);
    c->out = *body;
    size_t max = body->max;
    *body = (struct buf){.max = max};
    send_answer(c, h);
}

void admin_request_fail(struct admin_request *r, unsigned status, const char *fmt, ...)
{
    char detail[DETAIL_BYTES];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(detail, sizeof(detail), fmt, ap);
    va_end(ap);
    if (!r->conn) {
        admin_server_tell(r, status, span_of(detail));
        return;
    }
    struct admin_conn *c = r->conn;
    c->state = CONN_STATE_ANSWERING; /* nobody holds the request any more */
    send_problem(c, status, detail, (struct span){0});
}

void admin_request_begin(struct admin_request *r, const char *type)
{
    struct admin_conn *c = r->conn;
    struct head *h = c ? arena_alloc(&r->arena, sizeof(*h)) : NULL;
    if (!c) {
        return;
    }
    if (h) {
        *h = (struct head){.status = 200, .minor = 1, .body = HEAD_BODY_CHUNKED};
    }
    if (!h || !add_field(h, "Content-Type", span_of(type)) ||
        !add_field(h, "Cache-Control", SPAN_LIT("no-store")) || !put_head(c, h)) {
        close_now(c);
        return;
    }
    set_state(c, CONN_STATE_STREAMING);
}

size_t admin_request_room(const struct admin_request *r)
{
    size_t room = r->conn && r->conn->stream ? stream_room(r->conn->stream) : 0;
    return room > CHUNK_EXTRA ? room - CHUNK_EXTRA : 0;
}

void admin_request_on_room(struct admin_request *r, void (*fn)(void *ctx), void *ctx)
{
    r->on_room = fn;
    r->on_room_ctx = ctx;
    if (r->conn) {
        list_append(&r->conn->server->waiting, &r->waiting);
    }
}

static void on_gone(struct later *l)
{
    struct admin_request *r = list_entry(l, struct admin_request, gone);
    r->on_room(r->on_room_ctx);
}

void admin_request_abort(struct admin_request *r)
{
    if (r->conn) {
        r->on_room = NULL;
        close_now(r->conn);
    }
    admin_server_tell(r, 500, (struct span){0});
}

void admin_request_admit(struct admin_request *r, const char *name)
{
    if (!r->conn) {
        admin_server_drop(r); /* nobody waits for what it would do */
        return;
    }
    if (name) {
        (void)snprintf(r->peer.name, sizeof(r->peer.name), "%s", name);
    }
    if (r->is_command) {
        admin_server_audit_command(r->conn->server, r, true);
    }
    r->fn(r->ctx, r);
}

frun_err admin_request_send(struct admin_request *r, struct span data)
{
    struct admin_conn *c = r->conn;
    char line[BODY_CHUNK_HEAD_BYTES];
    if (!c) {
        return FRUN_E_CLOSED;
    }
    if (data.n == 0 || c->is_head_method) {
        return FRUN_OK;
    }
    if (stream_room(c->stream) < data.n + CHUNK_EXTRA) {
        close_now(c); /* whoever reads so slowly has lost the thread */
        return FRUN_E_CLOSED;
    }
    frun_err err = FRUN_OK;
    if (c->is_chunked) {
        err = stream_put(c->stream, span_make(line, body_chunk_head(data.n, line)));
    }
    err = err ? err : stream_put(c->stream, data);
    if (!err && c->is_chunked) {
        err = stream_put(c->stream, SPAN_LIT("\r\n"));
    }
    if (err) {
        close_now(c);
        return FRUN_E_CLOSED;
    }
    return FRUN_OK;
}

void admin_request_end(struct admin_request *r)
{
    struct admin_conn *c = r->conn;
    if (!c) {
        admin_server_tell(r, 500, (struct span){0}); /* what streams is not for readers within */
        return;
    }
    c->req = NULL;
    bool is_open = !c->is_chunked && !c->is_head_method;
    frun_err err = c->is_chunked ? stream_put(c->stream, BODY_CHUNK_LAST) : FRUN_OK;
    admin_server_drop(r);
    if (err) {
        close_now(c);
        return;
    }
    c->is_last |= is_open;
    set_state(c, CONN_STATE_ANSWERING);
    later_arm(c->server->loop, &c->work);
}

/* -- requests
 * --------------------------------------------------------------------------------------------------
 */

struct admin_request *admin_request_new(void)
{
    struct admin_request *r = calloc(1, sizeof(*r));
    if (r) {
        arena_init(&r->arena, ADMIN_MAX_HEAD_BYTES * 4 + EXTRA_BYTES);
        buf_init(&r->body, ADMIN_MAX_BODY_BYTES);
        list_init(&r->asked);
        list_init(&r->waiting);
        later_init(&r->gone, on_gone);
    }
    return r;
}

static const char *refusal_text(const struct admin_conn *c, unsigned status)
{
    switch (status) {
    case 400:
        return "the path is badly encoded";
    case 403:
        return c->peer.gate       ? "to change anything a login is needed: user and password_hash "
                                    "in [admin]; or use frunctl on the daemon's host"
               : c->peer.may_read ? "you may look, but not change anything"
                                  : "this is for root, the daemon's user and the group named in "
                                    "[admin] group";
    case 404:
        return "this daemon has no such resource; endpoints, pushers and connectors are "
               "frunproxyd's, subaccounts frunconnector's: ask that one (frunctl takes --config "
               "FILE or --socket PATH)";
    case 405:
        return "the resource does not know this method";
    case 413:
        return "the body is too large";
    default:
        return "out of memory";
    }
}

/* What is left of the request is not read: the connection ends behind the answer. */
static void refuse(struct admin_conn *c, unsigned status, const char *why, struct span allow)
{
    c->is_last = true;
    send_problem(c, status, why, allow);
}

static void accept_head(struct admin_conn *c, struct admin_request *r)
{
    struct span allow = {0};
    const char *why = NULL;
    unsigned status = 0;
    if (uri_parse(r->head.target, r->head.authority, &r->uri, &why) != FRUN_OK) {
        refuse(c, 400, why, allow);
        return;
    }
    const struct admin_gate *gate = c->peer.gate;
    status = gate ? gate->look(c->peer.gate_ctx, r, &why) : 0;
    if (status) {
        refuse(c, status, why, allow);
        return;
    }
    status = admin_server_match(c->server, r, &allow);
    if (!status && r->head.body == HEAD_BODY_LENGTH &&
        r->head.body_len_bytes > ADMIN_MAX_BODY_BYTES) {
        status = 413;
    }
    if (status) {
        refuse(c, status, refusal_text(c, status), allow);
        return;
    }
    body_begin(&c->body, &r->head);
    if (r->head.wants_continue && c->minor > 0 && !body_is_done(&c->body) && buf_len(&c->in) == 0 &&
        stream_put(c->stream, SPAN_LIT("HTTP/1.1 100 Continue\r\n\r\n")) != FRUN_OK) {
        close_now(c);
        return;
    }
    set_state(c, CONN_STATE_BODY);
}

/* false: more octets are needed, or the connection is of no use any more. */
static bool take_head(struct admin_conn *c)
{
    const struct head_limits lim = {ADMIN_MAX_HEAD_BYTES, HEAD_LIMITS_DEFAULT.max_target_bytes,
                                    HEAD_LIMITS_DEFAULT.max_fields};
    struct head_fault fault = {.status = 400, .why = "malformed request"};
    struct span copy = {0};
    size_t len = 0;
    frun_err err = head_cut(buf_span(&c->in), &lim, &c->scanned, &len, &fault);
    if (err == FRUN_E_AGAIN) {
        return false;
    }
    c->minor = 1;
    c->is_head_method = c->is_last = c->is_chunked = false;
    if (err) {
        refuse(c, fault.status, fault.why, (struct span){0});
        return true;
    }
    struct admin_request *r = c->req = admin_request_new();
    if (r) {
        r->conn = c;
        r->peer = c->peer;
    }
    if (!r || arena_copy(&r->arena, span_head(buf_span(&c->in), len), &copy) != FRUN_OK) {
        close_now(c);
        return false;
    }
    buf_consume(&c->in, len);
    if (head_parse_request(copy, &lim, &r->head, &fault) != FRUN_OK) {
        refuse(c, fault.status, fault.why, (struct span){0});
        return true;
    }
    c->minor = r->head.minor;
    c->is_head_method = span_eq(r->head.method, SPAN_LIT("HEAD"));
    c->is_last = !r->head.is_keep_alive;
    accept_head(c, r);
    return true;
}

static bool take_body(struct admin_conn *c)
{
    while (!body_is_done(&c->body)) {
        size_t framing = 0;
        struct span content = {0};
        if (body_look(&c->body, buf_span(&c->in), &framing, &content) != FRUN_OK) {
            refuse(c, 400, "the body breaks its framing", (struct span){0});
            return true;
        }
        buf_consume(&c->in, framing);
        frun_err err = content.n ? buf_put(&c->req->body, content) : FRUN_OK;
        if (err) {
            refuse(c, err == FRUN_E_LIMIT ? 413 : 500,
                   refusal_text(c, err == FRUN_E_LIMIT ? 413 : 500), (struct span){0});
            return true;
        }
        body_take(&c->body, content.n);
        buf_consume(&c->in, content.n);
        if (content.n == 0 && !body_is_done(&c->body)) {
            return false;
        }
    }
    stream_read_on(c->stream, false);
    set_state(c, CONN_STATE_HANDLING);
    if (c->peer.gate) {
        c->peer.gate->verify(c->peer.gate_ctx, c->req);
    } else {
        c->req->fn(c->req->ctx, c->req);
    }
    return true;
}

static void process(struct admin_conn *c)
{
    for (bool is_going = true; is_going;) {
        switch (c->state) {
        case CONN_STATE_IDLE:
            is_going = buf_len(&c->in) > 0;
            if (is_going) {
                c->scanned = 0;
                set_state(c, CONN_STATE_HEAD);
            } else {
                buf_trim(&c->in);
            }
            break;
        case CONN_STATE_HEAD:
            is_going = take_head(c);
            break;
        case CONN_STATE_BODY:
            is_going = take_body(c);
            break;
        case CONN_STATE_ANSWERING:
            is_going = pump_answer(c);
            break;
        case CONN_STATE_STREAMING:
            is_going = false;
            if (c->req->on_room) {
                c->req->on_room(c->req->on_room_ctx);
            }
            break;
        case CONN_STATE_HANDLING:
        case CONN_STATE_FINISHING:
        case CONN_STATE_GONE:
            is_going = false;
            break;
        }
    }
}

static void work(struct later *l)
{
    process(list_entry(l, struct admin_conn, work));
}

/* -- events of the stream
 * -------------------------------------------------------------------------------------- */

static void on_readable(void *ctx)
{
    struct admin_conn *c = ctx;
    char *at = NULL;
    size_t n = 0;
    if (!is_reading(c)) {
        stream_read_on(c->stream, false);
        return;
    }
    size_t room = buf_room(&c->in);
    size_t want = room < READ_BYTES ? room : READ_BYTES;
    frun_err err = want ? buf_reserve(&c->in, want, &at) : FRUN_E_LIMIT;
    if (!err) {
        err = stream_read(c->stream, at, want, &n);
    }
    if (err == FRUN_E_AGAIN) {
        buf_trim(&c->in);
        return;
    }
    if (err == FRUN_E_EOF && c->state == CONN_STATE_IDLE) {
        finish(c);
        return;
    }
    if (err) {
        close_now(c);
        return;
    }
    buf_commit(&c->in, n);
    process(c);
}

static void on_room(void *ctx)
{
    struct admin_conn *c = ctx;
    later_arm(c->server->loop, &c->work);
}

static void on_closed(void *ctx, frun_err err)
{
    (void)err;
    close_now(ctx);
}

static const struct stream_events stream_events = {
    .on_readable = on_readable,
    .on_room = on_room,
    .on_closed = on_closed,
};

static void on_deadline(struct deadline *d)
{
    struct admin_conn *c = list_entry(d, struct admin_conn, deadline);
    if (c->state == CONN_STATE_IDLE) {
        finish(c);
    } else if (c->state == CONN_STATE_HEAD || c->state == CONN_STATE_BODY) {
        refuse(c, 408, "the request did not arrive in time", (struct span){0});
    } else {
        close_now(c);
    }
}

frun_err admin_conn_new(struct admin_server *s, int *fd, const struct addr *from,
                        struct tls_ctx *tls, const struct admin_peer *peer)
{
    struct admin_conn *c = calloc(1, sizeof(*c));
    if (!c) {
        return FRUN_E_NOMEM;
    }
    c->server = s;
    c->peer = *peer;
    buf_init(&c->in, BUFFER_BYTES);
    buf_init(&c->out, ADMIN_MAX_ANSWER_BYTES);
    deadline_init(&c->deadline, on_deadline);
    later_init(&c->work, work);
    struct stream_settings set = {.tls = tls, .handshake_ms = s->limits.head_ms, .accepted = from};
    frun_err err = stream_new(s->loop, fd, &set, &stream_events, c, &c->stream);
    if (err) {
        free(c);
        return err;
    }
    list_append(&s->conns, &c->node);
    s->n_conns++;
    set_state(c, CONN_STATE_IDLE);
    stream_read_on(c->stream, true);
    return FRUN_OK;
}
