/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/connector/forward.h"

#include "frun/base/buf.h"
#include "frun/net/addr.h"
#include "frun/net/listener.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define BODY_BYTES    300000
#define RECORD_BYTES  1000000
#define MAX_PEERS     8
#define GUARD_MS      20000
#define GOOD_ANSWER   "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nfrun-origin: forged\r\n\r\nhi"
#define END_OF_CHUNKS "0\r\n\r\n"

/** What the origin does with a request. */
enum mode {
    MODE_ANSWER,     /**< sends the answer, keeps the connection */
    MODE_ANSWER_ONE, /**< one answer a connection; the next request closes it unanswered */
    MODE_SILENT,     /**< says nothing */
    MODE_CUT,        /**< sends the answer and closes */
    MODE_BLURT       /**< sends the answer at the first octet */
};

/** A connection of the origin. */
struct peer {
    struct io io;
    struct bench *bench;
    struct span out; /**< what is still to be sent */
    unsigned answered;
};

/** Everything of one test. */
struct bench {
    struct loop *loop;
    struct offload *offload;
    struct listener *listener;
    struct peer peers[MAX_PEERS];
    size_t n_peers;
    struct buf record;
    size_t request_at;
    enum mode mode;
    const char *answer;
    struct conf_connector connector;
    struct conf_resource resource;
    const struct conf_resource *resources[1];
    struct conf_mapping mapping;
    const struct conf_mapping *mappings[1];
    struct conf_cn conf;
    struct tls_ctx *ctx[1];
    struct trust trust;
    struct backends *backends;
    struct forward_env env;
    struct deadline guard;
    struct served served;
    struct head head;
    struct later pump;
    size_t to_send;
    size_t sent;
    bool is_end_said;
    bool is_accepted;
    size_t room;
    unsigned status;
    char fields[2048];
    struct buf body;
    bool is_over;
    bool is_abandoned;
};

/* Denials are logged. */
static const struct conf_audit audited = {.level = CONF_AUDIT_SECURITY};

static struct bench b;

static void end_peer(struct peer *p)
{
    int fd = p->io.fd;
    io_close(&p->io);
    (void)close(fd);
    p->bench = NULL;
}

static bool is_complete(struct span s)
{
    const char *end = memmem(s.p, s.n, "\r\n\r\n", 4);
    if (!end) {
        return false;
    }
    size_t head = (size_t)(end - s.p) + 4;
    if (memmem(s.p, head, "chunked", 7)) {
        return s.n >= 5 && memcmp(s.p + s.n - 5, END_OF_CHUNKS, 5) == 0;
    }
    const char *len = memmem(s.p, head, "Content-Length: ", 16);
    return s.n >= head + (len ? strtoul(len + 16, NULL, 10) : 0);
}

static void send_out(struct peer *p)
{
    ssize_t n = send(p->io.fd, p->out.p, p->out.n, MSG_NOSIGNAL);
    if (n > 0) {
        p->out = span_skip(p->out, (size_t)n);
    }
    if (p->out.n == 0 && b.mode == MODE_CUT) {
        end_peer(p);
        return;
    }
    assert_int_equal(io_want(&p->io, IO_READ | (p->out.n ? IO_WRITE : 0)), FRUN_OK);
}

static void answer_request(struct peer *p)
{
    if (b.mode == MODE_SILENT) {
        return;
    }
    if (b.mode == MODE_ANSWER_ONE && p->answered > 0) {
        end_peer(p);
        return;
    }
    p->answered++;
    p->out = span_of(b.answer);
    send_out(p);
}

static void on_peer(struct io *io, int what)
{
    struct peer *p = list_entry(io, struct peer, io);
    char part[4096];
    if (what & IO_WRITE) {
        send_out(p);
    }
    if (!p->bench || !(what & IO_READ)) {
        return;
    }
    ssize_t n = recv(io->fd, part, sizeof(part), 0);
    if (n <= 0) {
        end_peer(p);
        return;
    }
    assert_int_equal(buf_put(&b.record, span_make(part, (size_t)n)), FRUN_OK);
    struct span now = span_skip(buf_span(&b.record), b.request_at);
    if (is_complete(now) || b.mode == MODE_BLURT) {
        b.request_at = buf_len(&b.record);
        answer_request(p);
    }
}

static void on_connection(void *ctx, int *fd, const struct addr *from)
{
    (void)ctx;
    (void)from;
    assert_true(b.n_peers < MAX_PEERS);
    struct peer *p = &b.peers[b.n_peers++];
    *p = (struct peer){.bench = &b};
    assert_int_equal(io_open(&p->io, b.loop, *fd, on_peer), FRUN_OK);
    assert_int_equal(io_want(&p->io, IO_READ), FRUN_OK);
    *fd = -1;
}

/* --- the served side --------------------------------------------------------------------- */

static void over(void)
{
    b.is_over = true;
    loop_stop(b.loop);
}

static void pump(struct later *l)
{
    static char data[16384];
    (void)l;
    if (!b.served.owner || b.is_over) {
        return;
    }
    size_t taken = 1;
    while (b.is_accepted && taken > 0 && b.sent < b.to_send) {
        size_t n = b.to_send - b.sent < sizeof(data) ? b.to_send - b.sent : sizeof(data);
        memset(data, 'q', sizeof(data));
        taken = b.served.ev->on_body(b.served.owner, span_make(data, n));
        b.sent += taken;
    }
    if (b.is_accepted && b.sent == b.to_send && !b.is_end_said && b.head.body != HEAD_BODY_NONE) {
        b.is_end_said = true;
        b.served.ev->on_body_end(b.served.owner);
    }
    if (b.room == 0 && !b.is_over) {
        b.room = 1000;
        b.served.ev->on_room(b.served.owner);
    }
}

static void op_accept_body(struct served *s)
{
    (void)s;
    b.is_accepted = true;
    later_arm(b.loop, &b.pump);
}

static frun_err op_send_head(struct served *s, const struct head *h)
{
    size_t n = 0;
    (void)s;
    b.status = h->status;
    for (size_t i = 0; i < h->n_fields && n < sizeof(b.fields); i++) {
        n += (size_t)snprintf(b.fields + n, sizeof(b.fields) - n, "%.*s: %.*s|",
                              SPAN_FMT(h->fields[i].name), SPAN_FMT(h->fields[i].value));
    }
    return FRUN_OK;
}

static size_t op_send_body(struct served *s, struct span data, bool is_last)
{
    size_t n = data.n < b.room ? data.n : b.room;
    (void)s;
    assert_int_equal(buf_put(&b.body, span_head(data, n)), FRUN_OK);
    b.room -= n;
    if (b.room == 0) {
        later_arm(b.loop, &b.pump);
    }
    if (is_last && n == data.n) {
        over();
    }
    return n;
}

static void op_resume(struct served *s)
{
    (void)s;
    later_arm(b.loop, &b.pump);
}

static void op_abandon(struct served *s)
{
    (void)s;
    b.is_abandoned = true;
    over();
}

static const struct served_ops ops = {
    .accept_body = op_accept_body,
    .send_head = op_send_head,
    .send_body = op_send_body,
    .resume = op_resume,
    .abandon = op_abandon,
};

static void on_guard(struct deadline *d)
{
    (void)d;
    fail_msg("the loop did not come to an end");
}

static void open_listener(void)
{
    struct addr any;
    struct addr bound;
    struct diag d;
    int fd = -1;
    assert_int_equal(addr_parse("127.0.0.1:0", &any), FRUN_OK);
    assert_int_equal(listener_socket(&any, &bound, &fd, &d), FRUN_OK);
    assert_int_equal(listener_new(b.loop, &fd, on_connection, NULL, &b.listener), FRUN_OK);
    b.mapping.internal_port = addr_port(&bound);
}

static int setup(void **state)
{
    (void)state;
    b = (struct bench){.mode = MODE_ANSWER, .answer = GOOD_ANSWER};
    b.connector = (struct conf_connector){.max_head = 65536,
                                          .connect_timeout_ms = 2000,
                                          .response_timeout_ms = 300,
                                          .body_timeout_ms = 2000,
                                          .backend_keepalive_ms = 5000};
    b.resource = (struct conf_resource){
        .place = {.name = "frun"}, .path = "/sap/frun", .policy = 1, .active = true};
    b.resources[0] = &b.resource;
    b.mapping = (struct conf_mapping){.place = {.name = "fr1_frun:443"},
                                      .virtual_host = "fr1_frun",
                                      .virtual_port = 443,
                                      .protocol = 1,
                                      .internal_host = "127.0.0.1",
                                      .resources = b.resources,
                                      .n_resources = 1};
    b.mappings[0] = &b.mapping;
    b.conf = (struct conf_cn){
        .connector = &b.connector, .audit = &audited, .mappings = b.mappings, .n_mappings = 1};
    b.trust = (struct trust){.mappings = b.ctx, .n_mappings = 1};
    buf_init(&b.record, RECORD_BYTES);
    buf_init(&b.body, RECORD_BYTES);
    assert_int_equal(loop_new(&b.loop), FRUN_OK);
    assert_int_equal(offload_new(1, 16, &b.offload), FRUN_OK);
    later_init(&b.pump, pump);
    deadline_init(&b.guard, on_guard);
    open_listener();
    return 0;
}

/* Opens the pools as late as the test has set the scene. */
static void open_backends(void)
{
    assert_int_equal(backends_new(b.loop, b.offload, &b.conf, &b.trust, &b.backends), FRUN_OK);
    forward_env_done(&b.env);
    b.env = (struct forward_env){.loop = b.loop, .conf = &b.conf, .backends = b.backends};
}

static int teardown(void **state)
{
    (void)state;
    assert_int_equal(b.env.in_flight, 0);
    deadline_clear(&b.guard);
    later_cancel(&b.pump);
    backends_free(b.backends);
    listener_free(b.listener);
    for (size_t i = 0; i < b.n_peers; i++) {
        if (b.peers[i].bench) {
            end_peer(&b.peers[i]);
        }
    }
    offload_free(b.offload);
    loop_free(b.loop);
    forward_env_done(&b.env);
    tls_unref(&b.ctx[0]);
    buf_done(&b.record);
    buf_done(&b.body);
    return 0;
}

/* As a session does it: the head is in the place before the request is told of. */
static void take_on(void)
{
    struct h2_place place;
    assert_true(forward_lend(&b.env, "provider", &place));
    *place.head = b.head;
    assert_int_equal(b.env.n_lent, 1);
    b.served.owner = place.owner;
    forward_begin("test", &b.served);
    assert_int_equal(b.env.n_lent, 0);
}

static void begin(const char *method, const char *target, size_t body_bytes, const char *field)
{
    b.head = (struct head){.method = span_of(method),
                           .target = span_of(target),
                           .authority = SPAN_LIT("fr1_frun:443"),
                           .body = body_bytes ? HEAD_BODY_CHUNKED : HEAD_BODY_NONE};
    if (field) {
        assert_int_equal(head_add(&b.head, span_of(field), SPAN_LIT("1")), FRUN_OK);
    }
    b.served = (struct served){.ops = &ops};
    b.to_send = body_bytes;
    b.sent = 0;
    b.is_end_said = b.is_over = b.is_abandoned = b.is_accepted = false;
    b.status = 0;
    b.room = RECORD_BYTES;
    b.fields[0] = '\0';
    buf_done(&b.body);
    take_on();
}

static void run(void)
{
    deadline_set(b.loop, &b.guard, GUARD_MS);
    if (!b.is_over) {
        loop_run(b.loop);
    }
    assert_true(b.is_over);
}

static void push(const char *method, const char *target, size_t body_bytes, const char *field)
{
    begin(method, target, body_bytes, field);
    run();
}

static bool said(const char *text)
{
    return memmem(buf_span(&b.body).p, buf_len(&b.body), text, strlen(text)) != NULL;
}

static bool received(const char *text)
{
    return memmem(buf_span(&b.record).p, buf_len(&b.record), text, strlen(text)) != NULL;
}

/* --- tests ------------------------------------------------------------------------------- */

static void passes(void **state)
{
    (void)state;
    open_backends();
    push("GET", "/sap/frun/x?a=%20", 0, "X-CSRF-Token");
    assert_int_equal(b.status, 200);
    assert_true(span_eq(buf_span(&b.body), SPAN_LIT("hi")));
    static const char wanted[] = "Content-Length: 2|frun-origin: backend|frun-backend-us: ";
    assert_memory_equal(b.fields, wanted, sizeof(wanted) - 1);
    assert_true(strtoull(b.fields + sizeof(wanted) - 1, NULL, 10) > 0);
    assert_true(received("GET /sap/frun/x?a=%20 HTTP/1.1\r\nHost: fr1_frun\r\n"));
    assert_true(received("X-CSRF-Token: 1\r\n"));
    assert_true(received("SSL_CLIENT_CERT:"));
}

struct denied_row {
    const char *label;
    const char *method;
    const char *target;
    const char *authority;
    unsigned status;
    const char *want;
};

static const struct denied_row denied_rows[] = {
    {"other path", "GET", "/sap/frunX", "fr1_frun", 403, "Access denied to resource /sap/frunX"},
    {"other system", "POST", "/sap/frun", "fr2", 403, "Access denied to system fr2:443"},
    {"dot segments", "GET", "/sap/frun/../bc", "fr1_frun", 400, "\"status\":400"},
    {"encoded dot segments", "GET", "/sap/frun/%2e%2e/bc", "fr1_frun", 400, "\"status\":400"},
    {"encoded slash", "GET", "/sap/frun%2fx", "fr1_frun", 400, "\"status\":400"},
    {"no path", "OPTIONS", "*", "fr1_frun", 400, "\"status\":400"},
};

static void denies(void **state)
{
    (void)state;
    open_backends();
    for (size_t i = 0; i < sizeof(denied_rows) / sizeof(denied_rows[0]); i++) {
        const struct denied_row *r = &denied_rows[i];
        b.head = (struct head){.method = span_of(r->method),
                               .target = span_of(r->target),
                               .authority = span_of(r->authority)};
        b.served = (struct served){.ops = &ops};
        b.room = RECORD_BYTES;
        b.is_over = false;
        buf_done(&b.body);
        take_on();
        if (!b.is_over || b.status != r->status || !said(r->want)) {
            fail_msg("%s: %u %.*s", r->label, b.status, SPAN_FMT(buf_span(&b.body)));
        }
        assert_non_null(strstr(b.fields, "|frun-origin: connector|"));
        assert_non_null(strstr(b.fields, "frunconnector"));
        assert_false(b.is_accepted);
    }
    assert_int_equal(b.n_peers, 0);
}

static void head_is_denied_without_body(void **state)
{
    (void)state;
    open_backends();
    push("HEAD", "/", 0, NULL);
    assert_int_equal(b.status, 403);
    assert_int_equal(buf_len(&b.body), 0);
}

static void bodies_stream(void **state)
{
    static char answer[BODY_BYTES + 200];
    (void)state;
    int n = snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n",
                     BODY_BYTES);
    memset(answer + n, 'r', BODY_BYTES);
    answer[n + BODY_BYTES] = '\0';
    b.answer = answer;
    b.connector.response_timeout_ms = 5000;
    open_backends();
    begin("POST", "/sap/frun", BODY_BYTES, NULL);
    b.room = 1000;
    run();
    assert_int_equal(b.status, 200);
    assert_int_equal(b.sent, BODY_BYTES);
    assert_int_equal(buf_len(&b.body), BODY_BYTES);
    assert_true(buf_len(&b.record) > BODY_BYTES);
    assert_true(received("Transfer-Encoding: chunked"));
}

struct broken_row {
    const char *label;
    enum mode mode;
    const char *answer;
    unsigned status;
    const char *type;
};

static const struct broken_row broken_rows[] = {
    {"silent", MODE_SILENT, "", 504, "http_response_timeout"},
    {"no HTTP", MODE_CUT, "SSH-2.0-OpenSSH_9\r\n\r\n", 502, "http_protocol_error"},
    {"smuggling answer", MODE_CUT,
     "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 502,
     "http_protocol_error"},
    {"closed without an answer", MODE_CUT, "", 502, "connection_terminated"},
};

static void broken_back_ends(void **state)
{
    (void)state;
    open_backends();
    for (size_t i = 0; i < sizeof(broken_rows) / sizeof(broken_rows[0]); i++) {
        const struct broken_row *r = &broken_rows[i];
        b.mode = r->mode;
        b.answer = r->answer;
        push("POST", "/sap/frun", 10, NULL);
        if (b.status != r->status || !strstr(b.fields, r->type) || !said("fr1_frun:443")) {
            fail_msg("%s: %u %s %.*s", r->label, b.status, b.fields, SPAN_FMT(buf_span(&b.body)));
        }
        assert_non_null(strstr(b.fields, "|frun-origin: connector|"));
        assert_false(said("127.0.0.1")); /* what stands inside is not told outside */
    }
}

static void refused_connection(void **state)
{
    (void)state;
    listener_free(b.listener);
    b.listener = NULL;
    open_backends();
    push("GET", "/sap/frun", 0, NULL);
    assert_int_equal(b.status, 502);
    assert_non_null(strstr(b.fields, "connection_refused"));
}

static void untrusted_back_end(void **state)
{
    struct tls_settings none = {0};
    struct diag d;
    (void)state;
    assert_int_equal(tls_client_new(&none, &b.ctx[0], &d), FRUN_OK);
    b.mapping.protocol = 0;
    b.mode = MODE_BLURT;
    b.answer = "this is not TLS, whatever the client may have hoped for";
    open_backends();
    push("GET", "/sap/frun", 0, NULL);
    assert_int_equal(b.status, 502);
    assert_non_null(strstr(b.fields, "tls_certificate_error"));
    assert_true(said("backend_ca is not set"));
}

struct stale_row {
    const char *method;
    size_t body_bytes;
    const char *field;
    unsigned status;
};

static const struct stale_row stale_rows[] = {
    {"GET", 0, NULL, 200},      {"PUT", 100, NULL, 200},
    {"POST", 100, NULL, 502},   {"POST", 100, "frun-repeatable", 200},
    {"PUT", 100000, NULL, 502}, /* too long to be kept */
};

static void stale_connections(void **state)
{
    (void)state;
    open_backends();
    b.mode = MODE_ANSWER_ONE;
    for (size_t i = 0; i < sizeof(stale_rows) / sizeof(stale_rows[0]); i++) {
        const struct stale_row *r = &stale_rows[i];
        b.n_peers = 0;
        push("GET", "/sap/frun", 0, NULL); /* leaves a kept connection behind */
        assert_int_equal(b.status, 200);
        assert_int_equal(upstream_idle(backends_get(b.backends, 0)), 1);
        push(r->method, "/sap/frun", r->body_bytes, r->field);
        if (b.status != r->status) {
            fail_msg("%s %zu %s: %u", r->method, r->body_bytes, r->field ? r->field : "", b.status);
        }
        b.mode = MODE_ANSWER_ONE;
        backends_free(b.backends);
        for (size_t p = 0; p < b.n_peers; p++) {
            if (b.peers[p].bench) {
                end_peer(&b.peers[p]);
            }
        }
        b.request_at = 0;
        buf_done(&b.record);
        open_backends();
    }
}

static void cut_answer_is_abandoned(void **state)
{
    (void)state;
    b.mode = MODE_CUT;
    b.answer = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart";
    open_backends();
    push("GET", "/sap/frun", 0, NULL);
    assert_int_equal(b.status, 200);
    assert_true(b.is_abandoned);
}

static void on_leave(struct deadline *d)
{
    (void)d;
    b.served.ev->on_gone(b.served.owner, FRUN_E_CLOSED, "reset");
    b.served.owner = NULL;
    over();
}

static void pusher_leaves(void **state)
{
    struct deadline leave;
    (void)state;
    b.mode = MODE_SILENT;
    b.connector.response_timeout_ms = 5000;
    open_backends();
    begin("POST", "/sap/frun", 10, NULL);
    deadline_init(&leave, on_leave);
    deadline_set(b.loop, &leave, 100);
    run();
    assert_int_equal(b.env.in_flight, 0);
    assert_int_equal(b.status, 0);
}

static void location_comes_back_virtual(void **state)
{
    char answer[200];
    (void)state;
    (void)snprintf(answer, sizeof(answer),
                   "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:%u/sap/frun/y\r\n"
                   "Content-Length: 0\r\n\r\n",
                   (unsigned)b.mapping.internal_port);
    b.answer = answer;
    open_backends();
    push("GET", "/sap/frun", 0, NULL);
    assert_int_equal(b.status, 302);
    assert_non_null(strstr(b.fields, "Location: https://fr1_frun/sap/frun/y|"));
}

/* Whoever frees what requests share can see that a head is still on its way. */
static void loses_heads(void **state)
{
    (void)state;
    struct h2_place place;
    struct h2_place again;
    open_backends();
    assert_true(forward_lend(&b.env, "provider", &place));
    assert_int_equal(b.env.n_lent, 1);
    assert_int_equal(b.env.in_flight, 0);
    forward_lose(place.owner);
    assert_int_equal(b.env.n_lent, 0);
    assert_true(forward_lend(&b.env, "provider", &again));
    assert_ptr_equal(again.owner, place.owner);
    forward_lose(again.owner);
}

int main(void)
{
#define IN_BENCH(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        IN_BENCH(passes),
        IN_BENCH(denies),
        IN_BENCH(head_is_denied_without_body),
        IN_BENCH(bodies_stream),
        IN_BENCH(broken_back_ends),
        IN_BENCH(refused_connection),
        IN_BENCH(untrusted_back_end),
        IN_BENCH(stale_connections),
        IN_BENCH(cut_answer_is_abandoned),
        IN_BENCH(pusher_leaves),
        IN_BENCH(location_comes_back_virtual),
        IN_BENCH(loses_heads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
