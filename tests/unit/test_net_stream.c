/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/net/stream.h"

#include "../../src/net/stream_int.h"
#include "frun/base/mono.h"
#include "frun/loop/service.h"
#include "pair_fixture.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MIB (1024u * 1024u)

static struct tls_ctx *server;
static struct tls_ctx *client;

static int setup_all(void **state)
{
    (void)state;
    struct diag d = {0};
    fixture_init(&fix);
    const struct tls_settings s = {.certificate = fixture_path(&fix, "server.pem"),
                                   .private_key = fixture_path(&fix, "server.key"),
                                   .alpn = "http/1.1"};
    const struct tls_settings c = {.ca_file = fixture_path(&fix, "ca.pem"), .alpn = "http/1.1"};
    return tls_server_new(&s, &server, &d) || tls_client_new(&c, &client, &d);
}

static int teardown_all(void **state)
{
    (void)state;
    tls_unref(&server);
    tls_unref(&client);
    fixture_done(&fix);
    return 0;
}

/* How a connection is made. */
enum kind { PLAIN, TLS };

static void open_on(enum kind kind, int fd[2])
{
    assert_int_equal(end_open(&w, &a, fd[0], kind == TLS ? server : NULL, NULL), FRUN_OK);
    assert_int_equal(
        end_open(&w, &b, fd[1], kind == TLS ? client : NULL, kind == TLS ? "push.example.com" : ""),
        FRUN_OK);
}

static bool are_ready(void *arg)
{
    (void)arg;
    return a.is_ready && b.is_ready;
}

static void open_pair(enum kind kind)
{
    int fd[2];
    sockets_open(fd);
    open_on(kind, fd);
    assert_false(a.is_ready || b.is_ready); /* never from within stream_new() */
    assert_true(world_until(&w, are_ready, NULL));
}

static void tcp_sockets(int fd[2])
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(in);
    int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(l, (struct sockaddr *)&in, sizeof(in)), 0);
    assert_int_equal(listen(l, 1), 0);
    assert_int_equal(getsockname(l, (struct sockaddr *)&in, &len), 0);
    fd[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd[1], (struct sockaddr *)&in, sizeof(in)), 0);
    fd[0] = accept4(l, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(fd[0] >= 0);
    assert_int_equal(fcntl(fd[1], F_SETFL, O_NONBLOCK), 0);
    close(l);
}

static void open_tcp_pair(enum kind kind)
{
    int fd[2];
    tcp_sockets(fd);
    open_on(kind, fd);
    assert_true(world_until(&w, are_ready, NULL));
}

static void put(struct end *e, const char *text)
{
    assert_int_equal(stream_put(e->s, span_of(text)), FRUN_OK);
}

static bool all_got(void *arg)
{
    return a.got + b.got >= *(uint64_t *)arg;
}

static bool either_closed(void *arg)
{
    (void)arg;
    return a.is_closed || b.is_closed;
}

static bool both_closed(void *arg)
{
    (void)arg;
    return a.is_closed && b.is_closed;
}

/* ---- talking ---- */

static void hello(enum kind kind)
{
    uint64_t want = 10;
    open_pair(kind);
    put(&a, "hel");
    put(&a, "lo");
    put(&b, "world");
    assert_true(world_until(&w, all_got, &want));
    assert_string_equal(b.first, "hello");
    assert_string_equal(a.first, "world");
    assert_int_equal(stream_waiting(a.s), 0);
    assert_int_equal(stream_room(a.s), STREAM_BUFFER_BYTES);
    assert_string_equal(stream_why(a.s), "");
}

static void test_hello(void **state)
{
    (void)state;
    hello(PLAIN);
    assert_null(stream_tls(a.s));
    pair_again();
    hello(TLS);
    assert_ptr_equal(stream_tls(a.s), server);
    assert_ptr_equal(stream_tls(b.s), client);
    char name[64];
    assert_int_equal(stream_peer_subject(a.s, name, sizeof(name)), FRUN_E_NOT_FOUND);
    assert_int_equal(stream_peer_subject(b.s, name, sizeof(name)), FRUN_OK);
    assert_string_equal(name, "CN=push.example.com");
    assert_int_equal(stream_peer_subject(b.s, name, 8), FRUN_E_LIMIT);
}

/* What is put before the handshake is over is sent after it. */
static void test_early_put(void **state)
{
    (void)state;
    for (int kind = PLAIN; kind <= TLS; kind++) {
        int fd[2];
        uint64_t want = 40000;
        sockets_open(fd);
        open_on((enum kind)kind, fd);
        b.to_send = want;
        end_feed(&b);
        assert_int_equal(b.to_send, 0);
        assert_true(world_until(&w, all_got, &want));
        assert_int_equal(a.sum, b.sent_sum);
        pair_again();
    }
}

static void bulk(enum kind kind, size_t per_event)
{
    uint64_t want = 20u * MIB;
    open_pair(kind);
    a.to_send = b.to_send = 10u * MIB;
    a.read_per_event = b.read_per_event = per_event;
    end_feed(&a);
    end_feed(&b);
    assert_true(world_until(&w, all_got, &want));
    assert_int_equal(a.sum, b.sent_sum);
    assert_int_equal(b.sum, a.sent_sum);
    assert_true(a.rooms > 10);
    /* Ceiling, and what records add to it. */
    assert_in_range(a.most_waiting, 1, STREAM_BUFFER_BYTES + 4096);
    assert_in_range(b.most_waiting, 1, STREAM_BUFFER_BYTES + 4096);
}

static void test_bulk(void **state)
{
    (void)state;
    static const size_t per_event[] = {0, 3000, 70000};
    for (size_t i = 0; i < 3; i++) {
        bulk(PLAIN, per_event[i]);
        pair_again();
        bulk(TLS, per_event[i]);
        pair_again();
    }
}

/* ---- back-pressure ---- */

static bool is_idle_full(void *arg)
{
    (void)arg;
    return a.to_send > 0 && stream_room(a.s) == 0;
}

static void slow_reader(enum kind kind)
{
    open_pair(kind);
    uint64_t want = 4u * MIB;
    stream_read_on(b.s, false);
    a.to_send = want;
    end_feed(&a);
    world_turn(&w, 3);
    assert_true(world_until(&w, is_idle_full, NULL));
    assert_true(a.to_send > 2u * MIB); /* it stopped early */
    assert_int_equal(b.got, 0);        /* nothing is handed over while reading is off */
    assert_false(b.is_closed);
    /* Off and on again, a little each time. */
    b.read_per_event = 1000;
    for (int i = 0; i < 20; i++) {
        uint64_t next = b.got + 1000;
        stream_read_on(b.s, true);
        assert_true(world_until(&w, all_got, &next));
        stream_read_on(b.s, false);
        uint64_t had = b.got;
        world_turn(&w, 1);
        assert_int_equal(b.got, had);
    }
    b.read_per_event = 0;
    stream_read_on(b.s, true);
    assert_true(world_until(&w, all_got, &want));
    assert_int_equal(b.sum, a.sent_sum);
}

static void test_slow_reader(void **state)
{
    (void)state;
    slow_reader(PLAIN);
    pair_again();
    slow_reader(TLS);
}

/* ---- gathering ---- */

static void test_one_send_per_pass(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        size_t pieces;
        size_t piece;
        unsigned records;
    } rows[] = {
        {"one octet", 1, 1, 1},          {"many small", 100, 50, 1},
        {"head and body", 2, 9000, 2},   {"one record", 1, 16384, 1},
        {"four records", 1, 65536, 4},   {"full in small pieces", 64, 1024, 4},
        {"one octet more", 1, 16385, 2},
    };
    static char zeros[65536];
    open_pair(TLS);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t want = b.got + rows[i].pieces * rows[i].piece;
        unsigned long sends = a.s->sends_count;
        for (size_t n = 0; n < rows[i].pieces; n++) {
            assert_int_equal(stream_put(a.s, span_make(zeros, rows[i].piece)), FRUN_OK);
        }
        if (a.s->sends_count != sends) {
            fail_msg("%s: sent before the end of the pass", rows[i].label);
        }
        size_t before_seal = stream_waiting(a.s);
        assert_int_equal(a.s->ops->seal(a.s), FRUN_OK);
        size_t plain = rows[i].pieces * rows[i].piece;
        /* A TLS 1.3 record adds 5 octets of header, 1 of type and 16 of tag. */
        if (stream_waiting(a.s) != plain + (size_t)22 * rows[i].records) {
            fail_msg("%s: %zu octets for %zu (%zu before)", rows[i].label, stream_waiting(a.s),
                     plain, before_seal);
        }
        assert_true(world_until(&w, all_got, &want));
        if (a.s->sends_count != sends + 1) {
            fail_msg("%s: %lu sends", rows[i].label, a.s->sends_count - sends);
        }
    }
}

/* A window's worth of a body, 64 KiB, has room whatever the head in front of it and the records
 * add, also when frames' heads cut it into unequal pieces: else its last octets would be a record,
 * and a send, of their own. */
static void test_room_for_a_window(void **state)
{
    (void)state;
    static const size_t heads[] = {0, 1, 500, 1500};
    static const size_t pieces[][5] = {{16384, 16384, 16384, 16384, 0},
                                       {16375, 16384, 16384, 16384, 9},
                                       {16000, 16384, 16384, 16380, 388}};
    static char zeros[16384];
    for (int kind = PLAIN; kind <= TLS; kind++) {
        open_pair((enum kind)kind);
        for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
            for (size_t k = 0; k < sizeof(pieces) / sizeof(pieces[0]); k++) {
                uint64_t want = b.got + heads[i] + STREAM_BUFFER_BYTES;
                unsigned long sends = a.s->sends_count;
                assert_int_equal(stream_put(a.s, span_make(zeros, heads[i])), FRUN_OK);
                for (size_t n = 0; n < 5; n++) {
                    size_t room = stream_room(a.s);
                    if (room < pieces[k][n]) {
                        fail_msg("piece %zu of %zu behind %zu: room for %zu", n, k, heads[i], room);
                    }
                    assert_in_range(room, 1, STREAM_BUFFER_BYTES);
                    assert_int_equal(stream_put(a.s, span_make(zeros, pieces[k][n])), FRUN_OK);
                }
                assert_in_range(stream_room(a.s), 0, STREAM_SLACK_BYTES);
                assert_true(world_until(&w, all_got, &want));
                assert_int_equal(stream_room(a.s), STREAM_BUFFER_BYTES);
                assert_in_range(a.s->sends_count, sends + 1,
                                sends + 2); /* the socket may be full */
            }
        }
        pair_again();
    }
}

/* Who makes a record also sends it: a wish of its own would cost a pass that finds nothing. */
static void test_a_record_asks_for_no_pass(void **state)
{
    (void)state;
    uint64_t want = 9;
    open_pair(TLS);
    assert_int_equal(stream_put(a.s, SPAN_LIT("a record")), FRUN_OK);
    assert_false(list_is_empty(&a.s->flush.node));
    later_cancel(&a.s->flush);
    assert_int_equal(a.s->ops->seal(a.s), FRUN_OK);
    assert_true(list_is_empty(&a.s->flush.node));
    assert_int_equal(stream_put(a.s, SPAN_LIT(".")), FRUN_OK);
    assert_true(world_until(&w, all_got, &want));
}

/* A long body behind a head: the head takes a record of its own, the body is not copied into the
 * stage; the few octets of a frame's head are not worth a record. */
static void test_full_records_pass_the_stage(void **state)
{
    (void)state;
    static char zeros[65536];
    static const struct {
        size_t head;
        unsigned records;
    } rows[] = {{0, 4}, {9, 5}, {255, 5}, {256, 5}, {700, 5}, {16384, 5}};
    open_pair(TLS);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t want = b.got + rows[i].head + sizeof(zeros);
        assert_int_equal(stream_put(a.s, span_make(zeros, rows[i].head)), FRUN_OK);
        assert_int_equal(stream_put(a.s, span_make(zeros, sizeof(zeros))), FRUN_OK);
        bool is_staged = rows[i].head > 0 && rows[i].head < 256;
        assert_int_equal(buf_len(&a.s->stage), is_staged ? rows[i].head : 0);
        assert_int_equal(a.s->ops->seal(a.s), FRUN_OK);
        assert_int_equal(stream_waiting(a.s),
                         rows[i].head + sizeof(zeros) + (size_t)22 * rows[i].records);
        assert_true(world_until(&w, all_got, &want));
    }
}

static void test_idle_holds_no_buffer(void **state)
{
    (void)state;
    uint64_t want = 300000;
    open_pair(TLS);
    a.to_send = b.to_send = want / 2;
    end_feed(&a);
    end_feed(&b);
    assert_true(world_until(&w, all_got, &want));
    world_turn(&w, 1);
    assert_int_equal(a.s->out.cap, 0);
    assert_int_equal(a.s->stage.cap, 0);
    assert_int_equal(b.s->out.cap, 0);
    assert_int_equal(b.s->stage.cap, 0);
    assert_true(SSL_get_mode(a.s->ssl) & SSL_MODE_RELEASE_BUFFERS);
    assert_true(sizeof(struct stream) <= 640);
}

/* ---- ending ---- */

static void finish(enum kind kind)
{
    open_tcp_pair(kind);
    uint64_t want = 60000;
    a.to_send = want;
    end_feed(&a);
    stream_finish(a.s);
    stream_finish(a.s); /* twice is once */
    assert_int_equal(stream_put(a.s, SPAN_LIT("x")), FRUN_E_CLOSED);
    assert_true(world_until(&w, all_got, &want));
    assert_int_equal(b.sum, a.sent_sum);
    while (!b.is_eof) {
        world_turn(&w, 1);
    }
    /* Half closed: the other direction still lives until b ends too. What b says now is dropped,
     * and no reset comes of it. */
    assert_false(b.is_closed);
    put(&b, "still here");
    world_turn(&w, 1);
    assert_false(b.is_closed);
    stream_finish(b.s);
    assert_true(world_until(&w, both_closed, NULL));
    assert_int_equal(a.closed, FRUN_E_EOF);
    assert_int_equal(b.closed, FRUN_E_EOF);
    assert_int_equal(b.read_err, FRUN_OK);
}

static void test_finish(void **state)
{
    (void)state;
    finish(PLAIN);
    pair_again();
    finish(TLS);
}

static void test_finish_during_handshake(void **state)
{
    (void)state;
    int fd[2];
    uint64_t want = 5;
    sockets_open(fd);
    open_on(TLS, fd);
    put(&b, "hello");
    stream_finish(b.s);
    assert_true(world_until(&w, all_got, &want));
    assert_string_equal(a.first, "hello");
    while (!a.is_eof) {
        world_turn(&w, 1);
    }
    end_free(&a);
    assert_true(world_until(&w, either_closed, NULL));
    assert_int_equal(b.closed, FRUN_E_EOF);
}

static void test_linger_is_bounded(void **state)
{
    (void)state;
    open_tcp_pair(TLS);
    uint64_t t0 = mono_now_ms();
    stream_finish(a.s);
    assert_true(world_until(&w, either_closed, NULL)); /* b never ends */
    assert_true(a.is_closed);
    assert_int_equal(a.closed, FRUN_E_EOF);
    assert_in_range(mono_now_ms() - t0, 2000, 3500);
}

static void test_truncation(void **state)
{
    (void)state;
    uint64_t want = 4;
    open_pair(TLS);
    put(&a, "half");
    assert_true(world_until(&w, all_got, &want));
    end_free(&a); /* no close_notify */
    assert_true(world_until(&w, either_closed, NULL));
    assert_int_equal(b.read_err, FRUN_E_CLOSED);
    assert_int_equal(b.closed, FRUN_E_CLOSED);
    assert_false(b.is_eof);

    pair_again();
    open_pair(PLAIN); /* plain knows no better */
    end_free(&a);
    world_turn(&w, 1);
    assert_true(b.is_eof);
    assert_false(b.is_closed);
}

static void test_reset(void **state)
{
    (void)state;
    for (int kind = PLAIN; kind <= TLS; kind++) {
        open_tcp_pair((enum kind)kind);
        stream_reset(a.s);
        a.s = NULL;
        assert_true(world_until(&w, either_closed, NULL));
        assert_int_equal(b.read_err, FRUN_E_CLOSED);
        assert_int_equal(b.closed, FRUN_E_CLOSED);
        assert_false(b.is_eof);
        pair_again();
    }
}

/* The peer leaves while nobody reads. */
static void test_gone_unread(void **state)
{
    (void)state;
    for (int kind = PLAIN; kind <= TLS; kind++) {
        for (int is_orderly = 0; is_orderly < 2; is_orderly++) {
            open_tcp_pair((enum kind)kind);
            stream_read_on(b.s, false);
            if (is_orderly) {
                stream_finish(a.s);
            } else {
                stream_reset(a.s);
                a.s = NULL;
            }
            assert_true(world_until(&w, either_closed, NULL));
            assert_true(b.is_closed);
            assert_int_equal(b.closed, FRUN_E_CLOSED);
            pair_again();
        }
    }
}

/* ... but not while octets wait to be read. */
static void test_gone_with_octets_left(void **state)
{
    (void)state;
    for (int kind = PLAIN; kind <= TLS; kind++) {
        uint64_t want = 6;
        open_tcp_pair((enum kind)kind);
        stream_read_on(b.s, false);
        put(&a, "unread");
        stream_finish(a.s);
        world_turn(&w, 3);
        assert_false(b.is_closed);
        stream_read_on(b.s, true);
        assert_true(world_until(&w, all_got, &want));
        while (!b.is_eof) {
            world_turn(&w, 1);
        }
        assert_string_equal(b.first, "unread");
        pair_again();
    }
}

static void test_write_to_gone(void **state)
{
    (void)state;
    open_pair(PLAIN);
    end_free(&a);
    stream_read_on(b.s, false);
    put(&b, "nobody hears");
    assert_true(world_until(&w, either_closed, NULL));
    assert_int_equal(b.closed, FRUN_E_CLOSED);
    assert_int_equal(stream_put(b.s, SPAN_LIT("x")), FRUN_E_CLOSED);
    size_t n;
    char c;
    assert_int_equal(stream_read(b.s, &c, 1, &n), FRUN_E_CLOSED);
}

static void test_handshake_timeout(void **state)
{
    (void)state;
    int fd[2];
    sockets_open(fd);
    const struct stream_settings set = {.tls = server, .handshake_ms = 300};
    a = (struct end){.w = &w};
    assert_int_equal(stream_new(w.l, &fd[0], &set, &end_events, &a, &a.s), FRUN_OK);
    assert_true(world_until(&w, either_closed, NULL));
    assert_int_equal(a.closed, FRUN_E_TIMEOUT);
    close(fd[1]);
}

static void test_not_tls(void **state)
{
    (void)state;
    int fd[2];
    sockets_open(fd);
    assert_int_equal(end_open(&w, &a, fd[0], server, NULL), FRUN_OK);
    assert_int_equal(write(fd[1], "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27), 27);
    assert_true(world_until(&w, either_closed, NULL));
    assert_int_equal(a.closed, FRUN_E_TLS);
    assert_non_null(strstr(stream_why(a.s), "plain HTTP"));
    close(fd[1]);
}

/* ---- freeing inside events ---- */

static struct end *victim;

static void free_in_event(void *ctx)
{
    (void)ctx;
    end_free(victim);
    loop_stop(w.l);
}

static void free_in_closed(void *ctx, frun_err err)
{
    (void)err;
    free_in_event(ctx);
}

static const struct stream_events freeing = {.on_ready = free_in_event,
                                             .on_readable = free_in_event,
                                             .on_room = free_in_event,
                                             .on_closed = free_in_closed};

static void test_free_in_events(void **state)
{
    (void)state;
    for (int kind = PLAIN; kind <= TLS; kind++) {
        for (int event = 0; event < 4; event++) {
            int fd[2];
            victim = &b;
            if (event == 0) {
                sockets_open(fd);
                open_on((enum kind)kind, fd);
                stream_set_events(b.s, &freeing, &b);
            } else {
                open_pair((enum kind)kind);
                stream_set_events(b.s, &freeing, &b);
            }
            if (event == 1) {
                put(&a, "wake");
            } else if (event == 2) {
                b.to_send = STREAM_BUFFER_BYTES;
                end_feed(&b);
            } else if (event == 3) {
                stream_finish(b.s);
                stream_finish(a.s);
            }
            loop_run(w.l);
            assert_null(b.s);
            pair_again();
        }
    }
}

/* ---- moving to another thread ---- */

static struct loop *other;
static struct end c; /* b after its move; belongs to the other thread */
static atomic_uint echoed;

static void echo_readable(void *ctx)
{
    struct end *e = ctx;
    char part[4096];
    size_t n;
    frun_err err;
    while ((err = stream_read(e->s, part, sizeof(part), &n)) == FRUN_OK) {
        if (stream_put(e->s, span_make(part, n))) {
            return;
        }
        atomic_fetch_add(&echoed, (unsigned)n);
    }
}

static void echo_closed(void *ctx, frun_err err)
{
    (void)err;
    end_free(ctx);
    loop_stop(other);
}

static const struct stream_events echo_events = {.on_readable = echo_readable,
                                                 .on_closed = echo_closed};

static void arrive(void *arg)
{
    struct stream *s = arg;
    c = (struct end){.s = s};
    stream_set_events(s, &echo_events, &c);
    if (stream_attach(s, other) == FRUN_OK) {
        stream_read_on(s, true);
    }
}

static void move_when_readable(void *ctx)
{
    struct end *e = ctx;
    struct stream *s = e->s;
    e->s = NULL;
    stream_detach(s);
    /* From here on the other thread may already be at work on it. */
    assert_int_equal(loop_post(other, arrive, s), FRUN_OK);
}

static const struct stream_events moving = {.on_readable = move_when_readable,
                                            .on_closed = end_on_closed};

static void test_move_to_thread(void **state)
{
    (void)state;
    for (int kind = PLAIN; kind <= TLS; kind++) {
        struct loop_thread *t = NULL;
        uint64_t want = 50000;
        atomic_store(&echoed, 0);
        assert_int_equal(loop_new(&other), FRUN_OK);
        assert_int_equal(loop_thread_start(other, "other", &t), FRUN_OK);
        open_pair((enum kind)kind);
        stream_set_events(b.s, &moving, &b);
        a.to_send = want;
        end_feed(&a);
        assert_true(world_until(&w, all_got, &want));
        assert_int_equal(a.sum, a.sent_sum); /* came back as an echo */
        assert_int_equal(atomic_load(&echoed), want);
        end_free(&a);
        if (kind == PLAIN) {
            loop_stop(other); /* plain: an end, not a failure */
        }
        loop_thread_join(t);
        end_free(&c);
        loop_free(other);
        pair_again();
    }
}

static void test_socket_options(void **state)
{
    (void)state;
    int fd[2];
    tcp_sockets(fd);
    const struct stream_settings set = {.handshake_ms = 1000, .user_timeout_ms = 20000};
    int raw = fd[0];
    assert_int_equal(stream_new(w.l, &fd[0], &set, &end_events, &a, &a.s), FRUN_OK);
    a.w = &w;
    int on = 0;
    socklen_t len = sizeof(on);
    assert_int_equal(getsockopt(raw, IPPROTO_TCP, TCP_NODELAY, &on, &len), 0);
    assert_true(on);
    unsigned ms = 0;
    len = sizeof(ms);
    assert_int_equal(getsockopt(raw, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, &len), 0);
    assert_int_equal(ms, 20000);
    assert_true(fcntl(raw, F_GETFD) & FD_CLOEXEC);
    char text[ADDR_TEXT_BYTES];
    addr_host_text(stream_peer(a.s), text);
    assert_string_equal(text, "127.0.0.1");
    close(fd[1]);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, pair_setup, pair_teardown)
    const struct CMUnitTest tests[] = {
        T(test_hello),
        T(test_early_put),
        T(test_bulk),
        T(test_slow_reader),
        T(test_one_send_per_pass),
        T(test_a_record_asks_for_no_pass),
        T(test_room_for_a_window),
        T(test_full_records_pass_the_stage),
        T(test_idle_holds_no_buffer),
        T(test_finish),
        T(test_finish_during_handshake),
        T(test_linger_is_bounded),
        T(test_truncation),
        T(test_reset),
        T(test_gone_unread),
        T(test_gone_with_octets_left),
        T(test_write_to_gone),
        T(test_handshake_timeout),
        T(test_not_tls),
        T(test_free_in_events),
        T(test_move_to_thread),
        T(test_socket_options),
    };
    return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
