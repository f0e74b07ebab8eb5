/* SPDX-License-Identifier: Apache-2.0 */
#include "h2_rig.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* ---- a stranger made by hand ---- */

#define MAX_ID 512

/* What came back on one stream. */
struct seen {
    unsigned heads;
    size_t body;
    uint32_t window; /* given back */
    bool is_ended;
    bool is_reset;
    uint32_t code; /* of the reset */
};

struct peer {
    struct env *env;
    int fd;
    char in[200000];
    size_t n;
    struct seen at[MAX_ID];
    bool has_goaway;
    uint32_t goaway_code;
};

static void put(struct peer *p, struct span octets)
{
    while (octets.n > 0) {
        ssize_t w = send(p->fd, octets.p, octets.n, MSG_NOSIGNAL);

        if (w <= 0) {
            return; /* it has closed: the test sees that */
        }
        octets = span_skip(octets, (size_t)w);
    }
}

static void put_frame(struct peer *p, uint8_t type, uint8_t flags, uint32_t id, struct span payload)
{
    const unsigned char hd[9] = {(unsigned char)(payload.n >> 16),
                                 (unsigned char)(payload.n >> 8),
                                 (unsigned char)payload.n,
                                 type,
                                 flags,
                                 (unsigned char)(id >> 24),
                                 (unsigned char)(id >> 16),
                                 (unsigned char)(id >> 8),
                                 (unsigned char)id};
    char octets[9 + 16384];

    assert_true(payload.n <= 16384);
    memcpy(octets, hd, sizeof(hd));
    if (payload.n > 0) {
        memcpy(octets + sizeof(hd), payload.p, payload.n);
    }
    put(p, span_make(octets, sizeof(hd) + payload.n));
}

static struct peer *begin(struct peer *p, const struct h2_settings *set)
{
    int fd[2];

    *p = (struct peer){.env = rig_env_new()};
    rig_tcp_pair(fd);
    rig_begin_side(p->env, &fd[1], set, (struct span){0});
    p->fd = fd[0];
    put(p, SPAN_LIT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    put_frame(p, NGHTTP2_SETTINGS, 0, 0, (struct span){0});
    put_frame(p, NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, (struct span){0});
    return p;
}

static void end(struct peer *p)
{
    (void)close(p->fd);
    rig_env_free(p->env);
}

/* The head of a request as a field block, without table and Huffman. */
static struct span block(char *out, size_t max, const char *path)
{
    int n = snprintf(out, max, "\x83\x87\x01%cfr1_frun:443\x04%c%s", 12, (int)strlen(path), path);

    assert_true(n > 0 && (size_t)n < max);
    return span_make(out, (size_t)n);
}

static void ask(struct peer *p, uint32_t id, const char *path, bool is_end)
{
    char octets[256];

    put_frame(p, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | (is_end ? NGHTTP2_FLAG_END_STREAM : 0),
              id, block(octets, sizeof(octets), path));
}

static void put_data(struct peer *p, uint32_t id, size_t n, bool is_end)
{
    static const char zeros[16384];

    for (; n > sizeof(zeros); n -= sizeof(zeros)) {
        put_frame(p, NGHTTP2_DATA, 0, id, span_make(zeros, sizeof(zeros)));
    }
    put_frame(p, NGHTTP2_DATA, is_end ? NGHTTP2_FLAG_END_STREAM : 0, id, span_make(zeros, n));
}

static uint32_t u32(const char *p)
{
    const unsigned char *u = (const unsigned char *)p;

    return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

static void note(struct peer *p, const char *hd, struct span payload)
{
    uint32_t id = u32(hd + 5) & 0x7fffffffU;
    struct seen *s = &p->at[id];

    assert_true(id < MAX_ID);
    switch (hd[3]) {
    case NGHTTP2_HEADERS:
        s->heads++;
        s->is_ended |= (hd[4] & NGHTTP2_FLAG_END_STREAM) != 0;
        break;
    case NGHTTP2_DATA:
        s->body += payload.n;
        s->is_ended |= (hd[4] & NGHTTP2_FLAG_END_STREAM) != 0;
        break;
    case NGHTTP2_RST_STREAM:
        assert_false(s->is_reset);
        s->is_reset = true;
        s->code = u32(payload.p);
        break;
    case NGHTTP2_WINDOW_UPDATE:
        s->window += u32(payload.p);
        break;
    case NGHTTP2_GOAWAY:
        p->has_goaway = true;
        p->goaway_code = u32(payload.p + 4);
        break;
    default:
        break;
    }
}

/* Let time pass and take what comes. */
static void turn(struct peer *p, uint64_t ms)
{
    size_t at = 0;
    ssize_t n;

    rig_settle(p->env, ms);
    while ((n = recv(p->fd, p->in + p->n, sizeof(p->in) - p->n, 0)) > 0) {
        p->n += (size_t)n;
    }
    while (p->n - at >= 9) {
        size_t len = u32(p->in + at) >> 8;

        if (p->n - at < 9 + len) {
            break;
        }
        note(p, p->in + at, span_make(p->in + at + 9, len));
        at += 9 + len;
    }
    memmove(p->in, p->in + at, p->n - at);
    p->n -= at;
}

static struct h2_settings stranger(void)
{
    struct h2_settings set = rig_settings(false);

    set.is_stranger = true;
    set.connection_window = WINDOW;
    return set;
}

/* ---- an answer before the request is complete ---- */

/* The stream is not reset under the hands of a client that is about to send its body. */
static void test_linger_until_end(void **state)
{
    static struct peer p;
    struct h2_settings set = stranger();

    (void)state;
    begin(&p, &set);
    ask(&p, 1, "/early", false);
    turn(&p, 300);
    assert_true(p.at[1].is_ended && p.at[1].body == 10);
    assert_int_equal(h2_in_flight(p.env->server.h), 0);
    put_data(&p, 1, 60000, false);
    turn(&p, 300);
    put_data(&p, 1, 5000, true);
    turn(&p, 2500);
    assert_false(p.at[1].is_reset || p.has_goaway);
    /* Dropped octets count for the connection only. */
    assert_int_equal(p.at[1].window, 0);
    assert_true(p.at[0].window >= WINDOW / 2);
    /* Nothing of it is left. */
    ask(&p, 3, "/get/5", true);
    turn(&p, 100);
    assert_true(p.at[3].is_ended && p.at[3].body == 5 && !p.at[3].is_reset);
    end(&p);
}

/* Trailers are an end, too. */
static void test_linger_until_trailers(void **state)
{
    static struct peer p;
    struct h2_settings set = stranger();

    (void)state;
    begin(&p, &set);
    ask(&p, 1, "/early", false);
    turn(&p, 100);
    put_frame(&p, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 1,
              SPAN_LIT("\x00\x01"
                       "a\x01"
                       "b"));
    turn(&p, 2500);
    assert_true(p.at[1].is_ended);
    assert_false(p.at[1].is_reset || p.has_goaway);
    end(&p);
}

/* Who never ends is told that nobody listens, the streams in their own time each. */
static void test_linger_is_bounded_in_time(void **state)
{
    static struct peer p;
    struct h2_settings set = stranger();

    (void)state;
    begin(&p, &set);
    ask(&p, 1, "/early", false);
    turn(&p, 800);
    ask(&p, 3, "/early", false);
    turn(&p, 800);
    assert_false(p.at[1].is_reset);
    turn(&p, 800);
    assert_true(p.at[1].is_reset && p.at[1].code == NGHTTP2_NO_ERROR);
    assert_false(p.at[3].is_reset);
    turn(&p, 800);
    assert_true(p.at[3].is_reset && p.at[3].code == NGHTTP2_NO_ERROR);
    assert_false(p.has_goaway);
    end(&p);
}

/* A window's worth is all that a client can make us read for nothing. */
static void test_linger_is_bounded_in_octets(void **state)
{
    static struct peer p;
    struct h2_settings set = stranger();

    (void)state;
    set.connection_window = 2 * WINDOW;
    begin(&p, &set);
    ask(&p, 1, "/early", false);
    turn(&p, 100);
    put_data(&p, 1, WINDOW + 1, false);
    turn(&p, 100);
    assert_true(p.at[1].is_reset && p.at[1].code == NGHTTP2_FLOW_CONTROL_ERROR);
    ask(&p, 3, "/get/5", true);
    turn(&p, 100);
    assert_true(p.at[3].is_ended && !p.has_goaway);
    end(&p);
}

/* Lingering streams count: nobody opens new ones without end. */
static void test_linger_counts(void **state)
{
    static struct peer p;
    struct h2_settings set = stranger();

    (void)state;
    set.max_streams = 2;
    begin(&p, &set);
    turn(&p, 50);
    ask(&p, 1, "/early", false);
    ask(&p, 3, "/early", false);
    turn(&p, 100);
    assert_true(p.at[1].is_ended && p.at[3].is_ended);
    put_data(&p, 1, 1, true);
    ask(&p, 5, "/early", false);
    turn(&p, 100);
    assert_true(p.at[5].is_ended && !p.has_goaway);
    ask(&p, 7, "/early", false);
    turn(&p, 100);
    assert_true(!p.at[7].is_ended && p.has_goaway && p.goaway_code == NGHTTP2_PROTOCOL_ERROR);
    end(&p);
}

/* The connection may end, in any way, while a stream lingers. */
static void test_linger_and_end_of_connection(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) {
        static struct peer p;
        struct h2_settings set = stranger();

        begin(&p, &set);
        ask(&p, 1, "/early", false);
        turn(&p, 100);
        if (how == 0) {
            h2_drain(p.env->server.h);
            turn(&p, 1500);
            assert_false(p.env->server.is_closed);
            turn(&p, 1000);
            assert_true(p.at[1].is_reset && p.has_goaway && p.goaway_code == NGHTTP2_NO_ERROR);
        } else if (how == 1) {
            put_frame(&p, NGHTTP2_RST_STREAM, 0, 1, SPAN_LIT("\0\0\0\x08"));
            turn(&p, 2200);
            assert_false(p.at[1].is_reset || p.env->server.is_closed);
        } else {
            (void)shutdown(p.fd, SHUT_RDWR);
            turn(&p, 100);
            assert_true(p.env->server.is_closed);
        }
        end(&p);
    }
}

/* In the tunnel both ends are ours: the other one stops at once. */
static void test_no_linger_in_the_tunnel(void **state)
{
    static struct peer p;
    struct h2_settings set = stranger();

    (void)state;
    set.is_stranger = false;
    begin(&p, &set);
    ask(&p, 1, "/early", false);
    turn(&p, 100);
    assert_true(p.at[1].is_ended && p.at[1].is_reset && p.at[1].code == NGHTTP2_NO_ERROR);
    end(&p);
}

/* ---- what a stranger owes us ---- */

static void test_body_that_stops(void **state)
{
    static struct peer p;
    struct h2_settings set = stranger();

    (void)state;
    set.body_timeout_ms = 300;
    begin(&p, &set);
    ask(&p, 1, "/sink", false);
    put_data(&p, 1, 0, false);
    turn(&p, 1000);
    assert_true(p.at[1].heads == 1 && p.at[1].is_ended && p.at[1].body == 0); /* 408 */
    assert_true(p.env->srv[0].is_gone);
    assert_int_equal(p.env->srv[0].gone_err, FRUN_E_TIMEOUT);
    assert_false(p.has_goaway);
    /* Whoever owes us nothing may take its time. */
    ask(&p, 3, "/hold", true);
    turn(&p, 1000);
    assert_false(p.env->srv[1].is_gone || p.at[3].is_reset);
    end(&p);
}

static void test_answer_that_is_not_taken(void **state)
{
    static struct peer p;
    struct h2_settings set = stranger();

    (void)state;
    set.body_timeout_ms = 500;
    begin(&p, &set);
    ask(&p, 1, "/get/300000", true);
    turn(&p, 300);
    assert_int_equal(p.at[1].body, 65535);
    put_frame(&p, NGHTTP2_WINDOW_UPDATE, 0, 1, SPAN_LIT("\0\0\0\x01"));
    put_frame(&p, NGHTTP2_WINDOW_UPDATE, 0, 0, SPAN_LIT("\0\0\0\x01"));
    turn(&p, 300);
    assert_true(p.at[1].body == 65536 && !p.at[1].is_reset);
    turn(&p, 1000);
    assert_true(p.at[1].is_reset && p.at[1].code == NGHTTP2_CANCEL);
    assert_int_equal(p.env->srv[0].gone_err, FRUN_E_TIMEOUT);
    end(&p);
}

static void test_no_request(void **state)
{
    static struct peer p;
    struct h2_settings set = stranger();

    (void)state;
    set.idle_timeout_ms = 400;
    begin(&p, &set);
    ask(&p, 1, "/hold", true);
    turn(&p, 900);
    assert_false(p.has_goaway); /* a request is under way */
    rig_answer(&p.env->srv[0], 200, HEAD_BODY_LENGTH, 2);
    turn(&p, 200);
    assert_false(p.has_goaway);
    turn(&p, 2000);
    assert_true(p.has_goaway && p.goaway_code == NGHTTP2_NO_ERROR);
    (void)shutdown(p.fd, SHUT_WR);
    turn(&p, 100);
    assert_true(p.env->server.is_closed);
    end(&p);
}

/* ---- floods ---- */

static void flood_reset(struct peer *p, uint32_t i)
{
    uint32_t id = 3 + 2 * i;

    ask(p, id, "/hold", true);
    put_frame(p, NGHTTP2_RST_STREAM, 0, id, SPAN_LIT("\0\0\0\x08"));
}

static void flood_continuation(struct peer *p, uint32_t i)
{
    char octets[256];

    if (i == 0) {
        put_frame(p, NGHTTP2_HEADERS, 0, 3, block(octets, sizeof(octets), "/hold"));
    }
    put_frame(p, NGHTTP2_CONTINUATION, 0, 3, (struct span){0});
}

static void flood_window(struct peer *p, uint32_t i)
{
    (void)i;
    put_frame(p, NGHTTP2_WINDOW_UPDATE, 0, 0, SPAN_LIT("\0\0\0\x01"));
}

static void flood_empty(struct peer *p, uint32_t i)
{
    (void)i;
    put_frame(p, NGHTTP2_DATA, 0, 1, (struct span){0});
}

static void flood_ping(struct peer *p, uint32_t i)
{
    (void)i;
    put_frame(p, NGHTTP2_PING, 0, 0, SPAN_LIT("12345678"));
}

static void test_floods(void **state)
{
    static const struct {
        const char *label;
        void (*send)(struct peer *p, uint32_t i);
        uint32_t n_good; /* that a second must allow */
        uint32_t n;      /* twice what is allowed, as a second may end in between */
    } rows[] = {
        {"resets", flood_reset, 50, 210},     {"CONTINUATION", flood_continuation, 50, 210},
        {"empty DATA", flood_empty, 50, 210}, {"PING", flood_ping, 50, 210},
        {"windows", flood_window, 900, 2100},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        static struct peer p;
        struct h2_settings set = stranger();

        begin(&p, &set);
        ask(&p, 1, "/hold", false);
        turn(&p, 50);
        for (uint32_t k = 0; k < rows[i].n; k++) {
            if (k == rows[i].n_good) {
                turn(&p, 1);
                assert_false(p.has_goaway);
            }
            rows[i].send(&p, k);
        }
        turn(&p, 300);
        (void)shutdown(p.fd, SHUT_WR); /* it waits for us to have read its last word */
        turn(&p, 100);
        if (!p.has_goaway || p.goaway_code != NGHTTP2_ENHANCE_YOUR_CALM ||
            p.env->server.err != FRUN_E_LIMIT) {
            fail_msg("%s: goaway %d code %u end %d", rows[i].label, p.has_goaway, p.goaway_code,
                     p.env->server.err);
        }
        assert_true(p.env->srv[0].is_gone);
        end(&p);
    }
}

/* ---- lent heads ---- */

struct lender {
    struct head head;
    struct arena arena;
    unsigned n_lent;
    unsigned n_requests;
    unsigned n_refused;
    unsigned n_lost;
    unsigned status; /* of the fault */
    const char *why; /* it was lost */
    bool is_poor;    /* has no memory to lend */
    bool is_closed;
};

static bool lend(void *ctx, struct h2_place *place)
{
    struct lender *l = ctx;

    assert_int_equal(l->n_lent, l->n_requests + l->n_refused + l->n_lost);
    if (l->is_poor) {
        return false;
    }
    l->n_lent++;
    *place = (struct h2_place){.head = &l->head, .arena = &l->arena, .owner = l};
    return true;
}

static void lent_request(void *ctx, struct served *v, const struct head *h)
{
    struct lender *l = ctx;

    assert_ptr_equal(h, &l->head);
    assert_ptr_equal(v->owner, l);
    assert_true(span_eq(h->target, SPAN_LIT("/x")) && h->is_http2);
    l->n_requests++; /* not taken on */
}

static void lent_refused(void *ctx, struct served *v, const struct head_fault *fault)
{
    struct lender *l = ctx;

    assert_ptr_equal(v->owner, l);
    assert_non_null(fault->why);
    l->status = fault->status;
    l->n_refused++;
}

static void lent_lost(void *ctx, void *owner, const char *why)
{
    struct lender *l = ctx;

    assert_ptr_equal(owner, l);
    l->why = why;
    l->n_lost++;
}

static void lent_closed(void *ctx, frun_err err, const char *why)
{
    (void)err;
    (void)why;
    ((struct lender *)ctx)->is_closed = true;
}

static const struct h2_events lender_events = {.on_head = lend,
                                               .on_request = lent_request,
                                               .on_refused = lent_refused,
                                               .on_head_lost = lent_lost,
                                               .on_closed = lent_closed};

/* One that leaves refusing to the session. */
static const struct h2_events mute_lender_events = {.on_head = lend,
                                                    .on_request = lent_request,
                                                    .on_head_lost = lent_lost,
                                                    .on_closed = lent_closed};

/* A session whose owner lends, and the connection's first octets. */
static struct h2 *begin_lent(struct peer *p, struct lender *l, const struct h2_events *ev)
{
    static const struct stream_events none = {0};
    struct h2_settings set = stranger();
    struct stream_settings ss = {.handshake_ms = 1000};
    struct stream *s = NULL;
    struct h2 *h = NULL;
    int fd[2];

    set.head_timeout_ms = 400;
    arena_init(&l->arena, 65536);
    *p = (struct peer){.env = rig_env_new()};
    rig_tcp_pair(fd);
    p->fd = fd[0];
    assert_int_equal(stream_new(p->env->loop, &fd[1], &ss, &none, NULL, &s), FRUN_OK);
    assert_int_equal(h2_new(&s, (struct span){0}, &set, ev, l, &h), FRUN_OK);
    put(p, SPAN_LIT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    put_frame(p, NGHTTP2_SETTINGS, 0, 0, (struct span){0});
    return h;
}

/* Each head that was begun is delivered, refused or lost: once. */
static void test_lent_heads(void **state)
{
    static const char good[] = "\x83\x87\x01\x01"
                               "a\x04\x02/x";
    static const char bad_value[] = "\x83\x87\x01\x01"
                                    "a\x04\x02/x\x00\x01"
                                    "n\x03"
                                    "a\nb";
    static const char bad_rule[] = "\x83\x87\x01\x01"
                                   "a\x04\x02/x\x00\x0a"
                                   "connection\x01"
                                   "x";
    static const struct {
        const char *label;
        struct span block;
        uint8_t flags;
        bool is_poor;
        char then; /* C: the peer closes; F: we free it; W: time passes; M: no on_refused */
        unsigned want_requests;
        unsigned want_refused;
        unsigned want_lost;
        const char *want_why;
    } rows[] = {
        {"good", {good, sizeof(good) - 1}, 5, false, 0, 1, 0, 0, NULL},
        {"bad value", {bad_value, sizeof(bad_value) - 1}, 5, false, 0, 0, 1, 0, NULL},
        {"bad value, mute", {bad_value, sizeof(bad_value) - 1}, 5, false, 'M', 0, 0, 1, "grammar"},
        {"against the rules", {bad_rule, sizeof(bad_rule) - 1}, 5, false, 0, 0, 0, 1, "rules"},
        {"no memory", {good, sizeof(good) - 1}, 5, true, 0, 0, 0, 0, NULL},
        {"cut off by the peer", {good, 5}, 1, false, 'C', 0, 0, 1, "ended in the middle"},
        {"cut off by us", {good, 5}, 1, false, 'F', 0, 0, 1, "closed by us"},
        {"not in time", {good, 5}, 1, false, 'W', 0, 0, 1, "head_timeout"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        static struct peer p;
        struct lender l = {.is_poor = rows[i].is_poor};
        struct h2 *h =
            begin_lent(&p, &l, rows[i].then == 'M' ? &mute_lender_events : &lender_events);

        put_frame(&p, NGHTTP2_HEADERS, rows[i].flags, 1, rows[i].block);
        turn(&p, 100);
        if (rows[i].then == 'C') {
            (void)shutdown(p.fd, SHUT_WR);
        } else if (rows[i].then == 'F') {
            h2_free(h);
            h = NULL;
        }
        turn(&p, rows[i].then == 'W' ? 1000 : 100);
        if (l.n_requests != rows[i].want_requests || l.n_refused != rows[i].want_refused ||
            l.n_lost != rows[i].want_lost ||
            (rows[i].want_why && !(l.why && strstr(l.why, rows[i].want_why)))) {
            fail_msg("%s: %u requests, %u refused, %u lost (%s)", rows[i].label, l.n_requests,
                     l.n_refused, l.n_lost, l.why ? l.why : "-");
        }
        assert_int_equal(l.status, l.n_refused ? 400 : 0);
        if (rows[i].is_poor) {
            assert_true(p.at[1].is_reset && !p.has_goaway);
            l.is_poor = false;
            put_frame(&p, NGHTTP2_HEADERS, 5, 3, rows[i].block);
            turn(&p, 100);
            assert_int_equal(l.n_requests, 1);
        }
        assert_true(!p.at[1].is_reset || rows[i].is_poor ||
                    p.at[1].code == (l.n_lost ? NGHTTP2_PROTOCOL_ERROR : NGHTTP2_REFUSED_STREAM));
        h2_free(h);
        turn(&p, 10);
        arena_done(&l.arena);
        end(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linger_until_end),
        cmocka_unit_test(test_linger_until_trailers),
        cmocka_unit_test(test_linger_is_bounded_in_time),
        cmocka_unit_test(test_linger_is_bounded_in_octets),
        cmocka_unit_test(test_linger_counts),
        cmocka_unit_test(test_linger_and_end_of_connection),
        cmocka_unit_test(test_no_linger_in_the_tunnel),
        cmocka_unit_test(test_body_that_stops),
        cmocka_unit_test(test_answer_that_is_not_taken),
        cmocka_unit_test(test_no_request),
        cmocka_unit_test(test_floods),
        cmocka_unit_test(test_lent_heads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
