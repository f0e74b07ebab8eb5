/* SPDX-License-Identifier: Apache-2.0 */
#include "h2_rig.h"

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

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

/* Octets for the other end. */
struct wire {
    char p[8192];
    size_t n;
};

static void put(struct wire *w, const void *p, size_t n)
{
    assert_true(w->n + n <= sizeof(w->p));
    memcpy(w->p + w->n, p, n);
    w->n += n;
}

static void put_frame_head(struct wire *w, size_t n, uint8_t type, uint8_t flags)
{
    const uint8_t hd[] = {(uint8_t)(n >> 16),
                          (uint8_t)(n >> 8),
                          (uint8_t)n,
                          type,
                          flags,
                          0,
                          0,
                          0,
                          type == NGHTTP2_SETTINGS ? 0 : 1};

    put(w, hd, sizeof(hd));
}

/* HEADERS with the fields of "name=value|name=value", not compressed. */
static void put_list(struct wire *w, const char *text, uint8_t flags)
{
    struct wire block = {.n = 0};

    while (*text) {
        size_t all = strcspn(text, "|");
        size_t name = strcspn(text, "=");
        const uint8_t lens[] = {0, (uint8_t)name, (uint8_t)(all - name - 1)};

        assert_true(name < all && name < 127 && all - name - 1 < 127);
        put(&block, lens, 2);
        put(&block, text, name);
        put(&block, lens + 2, 1);
        put(&block, text + name + 1, all - name - 1);
        text += all + (text[all] == '|');
    }
    put_frame_head(w, block.n, NGHTTP2_HEADERS, (uint8_t)(flags | NGHTTP2_FLAG_END_HEADERS));
    put(w, block.p, block.n);
}

/* "H..." a list, "h..." one that ends the message; "D5" that many octets, "d5" the last ones. */
static void put_message(struct wire *w, const char *const frames[])
{
    /* What the rig's owners expect. */
    static const char octets[] = {0, 0x10, 0x20, 0x31, 0x41, 0x51};
    size_t at = 0;

    for (size_t i = 0; frames[i]; i++) {
        const char *f = frames[i];
        bool is_end = f[0] == 'h' || f[0] == 'd';

        if (f[0] == 'H' || f[0] == 'h') {
            put_list(w, f + 1, is_end ? NGHTTP2_FLAG_END_STREAM : 0);
        } else {
            size_t n = (size_t)(f[1] - '0');

            put_frame_head(w, n, NGHTTP2_DATA, is_end ? NGHTTP2_FLAG_END_STREAM : 0);
            assert_true(at + n <= sizeof(octets));
            put(w, octets + at, n);
            at += n;
        }
    }
}

struct row {
    const char *label;
    const char *frames[5];
    bool want;       /* it is sound */
    bool is_by_head; /* the answer is to HEAD */
};

#define POST ":method=POST|:scheme=https|:authority=fr1_frun:443|:path=/x"
#define GET  ":method=GET|:scheme=https|:authority=fr1_frun:443|:path=/x"

/* clang-format off */
static const struct row requests[] = {
    {"nothing special", {"h" GET}, true, false},
    {"a body", {"H" POST "|content-length=5", "D3", "d2"}, true, false},
    {"a body of no told length", {"H" POST, "D3", "d2"}, true, false},
    {"an empty last frame", {"H" POST "|content-length=5", "D5", "d0"}, true, false},
    {"trailers", {"H" POST "|content-length=5", "D5", "hx=y"}, true, false},
    {"no body, and told so", {"h" POST "|content-length=0"}, true, false},
    {"unusual names", {"h" GET "|x-1.b_c~!#$%&'*+^`=1|a=2|" "abcdefgh=3|" "abcdefghi=4"}, true, false},
    {"unusual values", {"h" GET "|a=\t|b= |c=d\te|f=\x80\xff"}, false, false},
    {"tabs and octets above ASCII", {"h" GET "|c=d\te|f=\x80\xff|g="}, true, false},
    {"host as well", {"h" GET "|host=fr1_frun:443"}, true, false},
    {"te: trailers", {"h" GET "|te=trailers"}, true, false},
    {"longer than told", {"H" POST "|content-length=5", "D3", "d3"}, false, false},
    {"shorter than told", {"H" POST "|content-length=5", "D3", "d1"}, false, false},
    {"shorter, with trailers", {"H" POST "|content-length=5", "D3", "hx=y"}, false, false},
    {"a length, and no body", {"h" POST "|content-length=5"}, false, false},
    {"trailers that end nothing", {"H" POST, "Hx=y", "d1"}, false, false},
    {"two lengths", {"H" POST "|content-length=5|content-length=5", "d5"}, false, false},
    {"a length that is no number", {"H" POST "|content-length=+5", "d5"}, false, false},
    {"a length and nothing behind it", {"H" POST "|content-length=", "d5"}, false, false},
    {"no :method", {"h:scheme=https|:authority=fr1_frun:443|:path=/x"}, false, false},
    {"no :scheme", {"h:method=GET|:authority=fr1_frun:443|:path=/x"}, false, false},
    {"no :authority", {"h:method=GET|:scheme=https|:path=/x"}, false, false},
    {"no :path", {"h:method=GET|:scheme=https|:authority=fr1_frun:443"}, false, false},
    {":method twice", {"h" GET "|:method=GET"}, false, false},
    {":scheme twice", {"h" GET "|:scheme=https"}, false, false},
    {":authority twice", {"h" GET "|:authority=fr1_frun:443"}, false, false},
    {":path twice", {"h" GET "|:path=/x"}, false, false},
    {":path empty", {"h:method=GET|:scheme=https|:authority=fr1_frun:443|:path="}, false, false},
    {":authority empty", {"h:method=GET|:scheme=https|:authority=|:path=/x"}, false, false},
    {":status", {"h" GET "|:status=200"}, false, false},
    {":protocol", {"h" GET "|:protocol=websocket"}, false, false},
    {"an unknown one", {"h" GET "|:new=1"}, false, false},
    {"one of them behind a field", {"h:method=GET|:scheme=https|:authority=fr1_frun:443|a=b|:path=/x"}, false, false},
    {"CONNECT", {"H:method=CONNECT|:authority=fr1_frun:443"}, false, false},
    {":path=*", {"h:method=GET|:scheme=https|:authority=fr1_frun:443|:path=*"}, false, false},
    {"two hosts", {"h" GET "|host=fr1_frun:443|host=fr1_frun:443"}, false, false},
    {"an empty host", {"h" GET "|host="}, false, false},
    {"upper case", {"h" GET "|Abc=1"}, false, false},
    {"upper case in a long name", {"h" GET "|abcdefghijklmnOp=1"}, false, false},
    {"upper case at its end", {"h" GET "|abcdefghiJ=1"}, false, false},
    {"upper case beside an unusual octet", {"h" GET "|a_B=1"}, false, false},
    {"no name", {"h" GET "|=1"}, false, false},
    {"a blank in a name", {"h" GET "|a b=1"}, false, false},
    {"a blank in a long name", {"h" GET "|abcdefgh ijklmnop=1"}, false, false},
    {"a colon in a name", {"h" GET "|a:b=1"}, false, false},
    {"a name with an octet above ASCII", {"h" GET "|a\xe1=1"}, false, false},
    {"a line end in a name", {"h" GET "|a\r\nb=1"}, false, false},
    {"CR in a value", {"h" GET "|a=x\ry"}, false, false},
    {"LF in a value", {"h" GET "|a=longer than eight\nx"}, false, false},
    {"a control in a value", {"h" GET "|a=x\x01y"}, false, false},
    {"DEL in a value", {"h" GET "|a=x\x7fy"}, false, false},
    {"LF in :path", {"h:method=GET|:scheme=https|:authority=fr1_frun:443|:path=/x\ny"}, false, false},
    {"a blank in :path", {"h:method=GET|:scheme=https|:authority=fr1_frun:443|:path=/x y"}, false, false},
    {"a blank in :method", {"h:method=G T|:scheme=https|:authority=fr1_frun:443|:path=/x"}, false, false},
    {"a foreign :scheme", {"h:method=GET|:scheme=ftp|:authority=fr1_frun:443|:path=/x"}, false, false},
    {"connection", {"h" GET "|connection=close"}, false, false},
    {"keep-alive", {"h" GET "|keep-alive=1"}, false, false},
    {"proxy-connection", {"h" GET "|proxy-connection=close"}, false, false},
    {"transfer-encoding", {"H" POST "|transfer-encoding=chunked", "d5"}, false, false},
    {"upgrade", {"h" GET "|upgrade=h2c"}, false, false},
    {"te: gzip", {"h" GET "|te=gzip"}, false, false},
};

static const struct row answers[] = {
    {"nothing special", {"h:status=200"}, true, false},
    {"a body", {"H:status=200|content-length=5", "D3", "d2"}, true, false},
    {"a body of no told length", {"H:status=200", "D3", "d2"}, true, false},
    {"an empty last frame", {"H:status=200|content-length=5", "D5", "d0"}, true, false},
    {"1xx before", {"H:status=103|a=b", "H:status=200", "d1"}, true, false},
    {"trailers", {"H:status=200|content-length=5", "D5", "hx=y"}, true, false},
    {"204", {"h:status=204"}, true, false},
    {"204 of told length 0", {"h:status=204|content-length=0"}, true, false},
    {"304 with the length it would have", {"h:status=304|content-length=5"}, true, false},
    {"to HEAD, with the length it would have", {"h:status=200|content-length=5"}, true, true},
    {"to HEAD, with a body", {"H:status=200|content-length=5", "d5"}, false, true},
    {"204 with a length", {"h:status=204|content-length=5"}, false, false},
    {"204 with a body", {"H:status=204", "d5"}, false, false},
    {"304 with a body", {"H:status=304", "d5"}, false, false},
    {"longer than told", {"H:status=200|content-length=5", "D3", "d3"}, false, false},
    {"shorter than told", {"H:status=200|content-length=5", "D3", "d1"}, false, false},
    {"shorter, with trailers", {"H:status=200|content-length=5", "D3", "hx=y"}, false, false},
    {"a length, and no body", {"h:status=200|content-length=5"}, false, false},
    {"two lengths", {"H:status=200|content-length=5|content-length=5", "d5"}, false, false},
    {"trailers that end nothing", {"H:status=200", "Hx=y", "d1"}, false, false},
    {"nothing but 1xx", {"h:status=103"}, false, false},
    {"1xx with a length", {"H:status=103|content-length=5", "h:status=200"}, false, false},
    {"a body behind 1xx", {"H:status=103", "d5"}, false, false},
    {"an end behind 1xx", {"H:status=103", "d0"}, false, false},
    {"101", {"H:status=101", "h:status=200"}, false, false},
    {"no :status", {"ha=b"}, false, false},
    {":status twice", {"h:status=200|:status=200"}, false, false},
    {":status behind a field", {"ha=b|:status=200"}, false, false},
    {":status empty", {"h:status="}, false, false},
    {":status of two figures", {"h:status=20"}, false, false},
    {":status of four figures", {"h:status=0200"}, false, false},
    {":status in words", {"h:status=abc"}, false, false},
    {":path", {"h:status=200|:path=/x"}, false, false},
    {"upper case", {"h:status=200|Abc=1"}, false, false},
    {"CR in a value", {"h:status=200|a=x\ry"}, false, false},
    {"connection", {"h:status=200|connection=close"}, false, false},
    {"transfer-encoding", {"H:status=200|transfer-encoding=chunked", "d5"}, false, false},
    {"te", {"h:status=200|te=gzip"}, false, false},
};
/* clang-format on */

static void send_all(int fd, const struct wire *w)
{
    assert_int_equal(send(fd, w->p, w->n, MSG_NOSIGNAL), (ssize_t)w->n);
}

/* With rules of ours in the tunnel, and by nghttp2 with a stranger: the same is sound for both. */
static void test_requests(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * sizeof(requests) / sizeof(requests[0]); i++) {
        const struct row *row = &requests[i / 2];
        struct h2_settings set = rig_settings(false);
        struct env *e = rig_env_new();
        struct wire w = {.n = 0};
        int fd[2];

        set.is_stranger = i % 2;
        rig_tcp_pair(fd);
        rig_begin_side(e, &fd[1], &set, SPAN_LIT(PREFACE));
        put_frame_head(&w, 0, NGHTTP2_SETTINGS, 0);
        put_message(&w, row->frames);
        send_all(fd[0], &w);
        rig_turn(e, 8);
        if ((e->n_srv == 1 && e->srv[0].is_body_ended) != row->want) {
            fail_msg("%s%s: %zu requests, ended %d, gone %d", row->label,
                     set.is_stranger ? " of a stranger" : "", e->n_srv, e->srv[0].is_body_ended,
                     e->srv[0].is_gone);
        }
        assert_false(e->server.is_closed); /* it is the message that fails, not the tunnel */
        (void)close(fd[0]);
        rig_spin(e, rig_server_is_closed);
        rig_env_free(e);
    }
}

static void test_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * sizeof(answers) / sizeof(answers[0]); i++) {
        const struct row *row = &answers[i / 2];
        struct h2_settings set = rig_settings(true);
        struct env *e = rig_env_new();
        struct wire w = {.n = 0};
        struct cli *c;
        int fd[2];

        set.is_stranger = i % 2;
        rig_tcp_pair(fd);
        rig_begin_side(e, &fd[1], &set, (struct span){0});
        c = rig_open_call(e, row->is_by_head ? "HEAD" : "POST", "/x", 0);
        rig_turn(e, 4);
        put_frame_head(&w, 0, NGHTTP2_SETTINGS, 0);
        put_message(&w, row->frames);
        send_all(fd[0], &w);
        rig_spin(e, rig_all_done);
        if (c->is_ended != row->want ||
            (c->is_failed && (c->failure.err != FRUN_E_SYNTAX || c->failure.is_unprocessed))) {
            fail_msg("%s%s: ended %d, status %u, err %d %s", row->label,
                     set.is_stranger ? " of a stranger" : "", c->is_ended, c->status,
                     c->failure.err, c->failure.text);
        }
        assert_false(e->client.is_closed);
        (void)close(fd[0]);
        rig_spin(e, rig_client_is_closed);
        rig_env_free(e);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_answers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
