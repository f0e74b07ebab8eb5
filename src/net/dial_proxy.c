/* SPDX-License-Identifier: Apache-2.0 */
#include "dial_int.h"

#include "frun/base/text.h"
#include "frun/http/head.h"

#include <stdio.h>
#include <string.h>

/* Longest proxy user name. */
#define MAX_USER_BYTES 256

#define MAX_LOGON_BYTES (MAX_USER_BYTES + 1 + SECRET_MAX_BYTES)

static frun_err put_logon(const struct dial_target *t, struct buf *out)
{
    char plain[MAX_LOGON_BYTES];
    char coded[TEXT_BASE64_BYTES(MAX_LOGON_BYTES)];
    struct span user = span_of(t->proxy_user);
    struct span password = secret_span(t->proxy_password);
    if (user.n > MAX_USER_BYTES || password.n > SECRET_MAX_BYTES) {
        return FRUN_E_LIMIT;
    }
    memcpy(plain, user.p, user.n);
    plain[user.n] = ':';
    if (password.n > 0) {
        memcpy(plain + user.n + 1, password.p, password.n);
    }
    size_t n = text_base64(span_make(plain, user.n + 1 + password.n), coded);
    frun_err err = buf_put(out, SPAN_LIT("Proxy-Authorization: Basic "));
    if (!err) {
        err = buf_put(out, span_make(coded, n));
    }
    if (!err) {
        err = buf_put(out, SPAN_LIT("\r\n"));
    }
    secret_wipe(plain, sizeof(plain));
    secret_wipe(coded, sizeof(coded));
    return err;
}

frun_err dial_proxy_request(const struct dial_target *t, struct buf *out)
{
    const char *open = strchr(t->host, ':') ? "[" : "";
    const char *close = *open ? "]" : "";
    char *at;
    /* In one piece from the start: growing would leave copies of the password behind. */
    frun_err err = buf_reserve(out, DIAL_PROXY_REQUEST_BYTES, &at);
    if (!err) {
        err = buf_printf(out, "CONNECT %s%s%s:%u HTTP/1.1\r\nHost: %s%s%s:%u\r\n", open, t->host,
                         close, t->port, open, t->host, close, t->port);
    }
    if (!err && t->proxy_user) {
        err = put_logon(t, out);
    }
    if (!err) {
        err = buf_put(out, SPAN_LIT("\r\n"));
    }
    return err;
}

static void say_status(const struct dial_target *t, const struct head *h, char *why)
{
    const char *remedy;
    char reason[64] = "";
    for (size_t i = 0; i < h->reason.n && i < sizeof(reason) - 1; i++) {
        char c = h->reason.p[i];
        reason[i] = c >= ' ' && c < 0x7f ? c : '?';
    }
    switch (h->status) {
    case 407:
        remedy = t->proxy_user ? "user or password refused: check proxy_user and proxy_password"
                               : "it wants a logon: set proxy_user and proxy_password";
        break;
    case 403:
    case 405:
        remedy = "it does not allow this target: have host and port allowed on the proxy";
        break;
    case 502:
    case 503:
    case 504:
        remedy = "it cannot reach the target: check host and port, and the proxy's own way out";
        break;
    default:
        remedy = "check that it is an HTTP proxy that allows CONNECT";
        break;
    }
    (void)snprintf(why, DIAL_WHY_BYTES,
                   "proxy %s refused the connection to %.253s:%u with %u %s; %s", t->proxy, t->host,
                   t->port, h->status, reason, remedy);
}

frun_err dial_proxy_answer(const struct dial_target *t, struct span in, size_t *scanned, char *why)
{
    const struct head_limits limits = {DIAL_PROXY_ANSWER_BYTES, DIAL_PROXY_ANSWER_BYTES, 100};
    struct head_fault fault = {0};
    struct head head;
    size_t len = 0;
    frun_err err = head_cut(in, &limits, scanned, &len, &fault);
    if (err == FRUN_E_AGAIN) {
        return err;
    }
    if (!err) {
        err = head_parse_answer(span_head(in, len), &limits, SPAN_LIT("CONNECT"), &head, &fault);
    }
    if (err) {
        (void)snprintf(why, DIAL_WHY_BYTES,
                       "proxy %s gave no proper HTTP answer (%s); check that it is an HTTP proxy",
                       t->proxy, fault.why ? fault.why : "malformed");
        return FRUN_E_PROXY;
    }
    if (head.status < 200 || head.status > 299) {
        say_status(t, &head, why);
        return FRUN_E_PROXY;
    }
    if (len < in.n) {
        /* The target cannot have spoken: we have not said a word to it yet. */
        (void)snprintf(why, DIAL_WHY_BYTES,
                       "proxy %s sent data of its own into the connection; check the proxy",
                       t->proxy);
        return FRUN_E_PROXY;
    }
    return FRUN_OK;
}
