/* SPDX-License-Identifier: Apache-2.0 */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <zlib.h>

/** An answer being made. */
struct answer {
    unsigned status;     /**< HTTP status */
    const char *type;    /**< Content-Type */
    char *text;          /**< body, owned */
    size_t n;            /**< octets of it */
    char extra[1024];    /**< further field lines, each with CRLF */
    const char *network; /**< customer network of the fence */
};

static const char *reason(unsigned status)
{
    static const struct {
        unsigned status;
        const char *text;
    } rows[] = {
        {200, "OK"},
        {201, "Created"},
        {204, "No Content"},
        {302, "Found"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {500, "Internal Server Error"},
        {503, "Service Unavailable"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].status == status) {
            return rows[i].text;
        }
    }
    return "Status";
}

static void answer_json(struct answer *a, unsigned status, json_t *j)
{
    free(a->text);
    a->status = status;
    a->type = "application/json";
    a->text = j ? json_dumps(j, JSON_COMPACT) : NULL;
    a->n = a->text ? strlen(a->text) : 0;
    json_decref(j);
}

static void answer_refusal(struct answer *a, unsigned status, const char *why)
{
    answer_json(a, status, json_pack("{s:s}", "reason", why));
}

static void answer_extra(struct answer *a, const char *name, const char *value)
{
    size_t at = strlen(a->extra);
    (void)snprintf(a->extra + at, sizeof(a->extra) - at, "%s: %s\r\n", name, value);
}

/** Is the logon right? */
static bool judge_logon(const struct sim *s, const struct request *r, struct answer *a)
{
    size_t n = 0;
    char plain[1024] = "";
    const char *value = request_field(r, "authorization", &n);
    if (!s->opt.user) {
        return true;
    }
    if (n > 1) {
        answer_refusal(a, 400, "more than one Authorization field");
        return false;
    }
    bool is_basic = value && text_basic(value, plain, sizeof(plain));
    char *password = is_basic ? strchr(plain, ':') : NULL;
    if (password) {
        *password++ = '\0';
    }
    bool is_right = password && strcmp(plain, s->opt.user) == 0 &&
                    (!s->opt.password || strcmp(password, s->opt.password) == 0);
    OPENSSL_cleanse(plain, sizeof(plain));
    if (!is_right) {
        char realm[128];
        (void)snprintf(realm, sizeof(realm),
                       "Basic realm=\"SAP NetWeaver Application Server [%s/%s]\"", s->opt.system_id,
                       s->opt.client);
        answer_refusal(a, 401, "logon failed");
        answer_extra(a, "WWW-Authenticate", realm);
    }
    return is_right;
}

/** Which customer network does the request belong to? */
static bool judge_fence(const struct sim *s, const struct request *r, struct answer *a)
{
    char query[1024] = "";
    size_t n_field = 0;
    const char *field = request_field(r, s->opt.fence_header, &n_field);
    size_t n_query = text_query(r->query, s->opt.fence_query, query, sizeof(query));
    const char *value = field ? field : query;
    const char *why = NULL;
    if (s->opt.n_fences == 0) {
        return true;
    }
    if (n_field + n_query == 0) {
        why = "admin request parameter is missing";
    } else if (n_field > 1 || n_query > 1) {
        why = "admin request parameter appears more than once";
    } else if (n_field && n_query && strcmp(field, query) != 0) {
        why = "admin request parameter differs between field and query";
    }
    for (size_t i = 0; !why && i < s->opt.n_fences; i++) {
        if (strcmp(s->opt.fences[i].value, value) == 0) {
            a->network = s->opt.fences[i].network;
        }
    }
    if (!why && !a->network) {
        why = "admin request parameter is unknown";
    }
    if (why) {
        answer_refusal(a, 403, why);
    }
    return why == NULL;
}

static bool is_writing(const struct request *r)
{
    return strcmp(r->method, "POST") == 0 || strcmp(r->method, "PUT") == 0;
}

static void grant_csrf(const struct sim *s, const struct request *r, struct answer *a)
{
    char cookie[128];
    const char *token = request_field(r, "x-csrf-token", NULL);
    if (!token || strcasecmp(token, "fetch") != 0) {
        return;
    }
    answer_extra(a, "x-csrf-token", s->token);
    (void)snprintf(cookie, sizeof(cookie), "SAP_SESSIONID_%s_%s=%s; path=/; secure; HttpOnly",
                   s->opt.system_id, s->opt.client, s->token);
    answer_extra(a, "Set-Cookie", cookie);
}

static bool judge_csrf(const struct sim *s, const struct request *r, struct answer *a)
{
    const char *token = request_field(r, "x-csrf-token", NULL);
    if (!s->opt.wants_csrf || !is_writing(r) || (token && strcmp(token, s->token) == 0)) {
        return true;
    }
    answer_refusal(a, 403, "CSRF token validation failed");
    answer_extra(a, "x-csrf-token", "Required");
    return false;
}

/** The usual answer. */
static void judge(const struct sim *s, const struct request *r, const struct body *b,
                  struct answer *a)
{
    if (!judge_logon(s, r, a)) {
        return;
    }
    bool is_reading = strcmp(r->method, "GET") == 0 || strcmp(r->method, "HEAD") == 0;
    if (strcmp(r->path, "/sap/bc/ping") == 0 && is_reading) {
        a->status = 200;
        a->type = "text/html; charset=utf-8";
        a->text = strdup("<html><body>Server reached.</body></html>\n");
        a->n = a->text ? strlen(a->text) : 0;
        grant_csrf(s, r, a);
        return;
    }
    if (strncmp(r->path, "/sap/frun/", 10) != 0 && strcmp(r->path, "/sap/frun") != 0) {
        answer_refusal(a, 404, "no such service");
        return;
    }
    if (!judge_fence(s, r, a)) {
        return;
    }
    if (!is_reading && !is_writing(r)) {
        answer_refusal(a, 405, "method not allowed");
        answer_extra(a, "Allow", "GET, HEAD, POST, PUT");
        return;
    }
    if (!judge_csrf(s, r, a)) {
        return;
    }
    if (!b->is_complete) {
        answer_refusal(a, 400, "body is not what its fields say");
        return;
    }
    answer_json(a, 200,
                json_pack("{s:s, s:o, s:I, s:s}", "status", is_writing(r) ? "accepted" : "ready",
                          "network", a->network ? json_string(a->network) : json_null(), "bytes",
                          (json_int_t)b->bytes, "sha256", b->sha256));
    if (is_reading) {
        grant_csrf(s, r, a);
    }
}

static void answer_gzip(struct answer *a)
{
    z_stream z = {0};
    unsigned char *out = malloc(a->n + 1024);
    if (!out || deflateInit2(&z, 9, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
        free(out);
        return;
    }
    z.next_in = (unsigned char *)a->text;
    z.avail_in = (unsigned)a->n;
    z.next_out = out;
    z.avail_out = (unsigned)(a->n + 1024);
    (void)deflate(&z, Z_FINISH);
    free(a->text);
    a->text = (char *)out;
    a->n = z.total_out;
    (void)deflateEnd(&z);
    answer_extra(a, "Content-Encoding", "gzip");
}

/** Send @p n octets of the body, from the text or made up. */
static bool send_body(struct wire *w, const struct answer *a, const struct fault *f, uint64_t n)
{
    char filler[8192];
    char line[32];
    memset(filler, 'x', sizeof(filler));
    for (uint64_t at = 0; at < n;) {
        size_t part = n - at < sizeof(filler) ? (size_t)(n - at) : sizeof(filler);
        int head = snprintf(line, sizeof(line), "%zx\r\n", part);
        if ((f->is_chunked && !wire_write(w, line, (size_t)head)) ||
            !wire_write_paced(w, f->has_big ? filler : a->text + at, part, f->slow_answer) ||
            (f->is_chunked && !wire_write(w, "\r\n", 2))) {
            return false;
        }
        at += part;
    }
    return !f->is_chunked || f->is_half || wire_write(w, "0\r\n\r\n", 5);
}

static size_t answer_head(const struct sim *s, const struct answer *a, const struct fault *f,
                          bool is_last, char *head, size_t room)
{
    bool has_body = a->status != 204 && a->status != 304;
    uint64_t n = (f->has_big ? f->big : a->n) + (f->is_half ? 1000 : 0);
    size_t at = (size_t)snprintf(head, room,
                                 "HTTP/1.1 %u %s\r\nServer: SAP NetWeaver Application Server / ABAP"
                                 "\r\nsap-server: %s\r\n%s%s",
                                 a->status, reason(a->status), s->opt.is_plain ? "false" : "true",
                                 a->extra, is_last ? "Connection: close\r\n" : "");
    if (f->location[0]) {
        at += (size_t)snprintf(head + at, room - at, "Location: %s\r\n", f->location);
    }
    for (unsigned i = 0; i < f->headers && at + 64 < room; i++) {
        at += (size_t)snprintf(head + at, room - at, "X-Sim-%05u: value %u\r\n", i, i);
    }
    if (!has_body) {
        return at + (size_t)snprintf(head + at, room - at, "\r\n");
    }
    at += (size_t)snprintf(head + at, room - at, "Content-Type: %s\r\n",
                           a->type ? a->type : "text/plain");
    if (f->is_chunked) {
        return at + (size_t)snprintf(head + at, room - at, "Transfer-Encoding: chunked\r\n\r\n");
    }
    return at + (size_t)snprintf(head + at, room - at, "Content-Length: %llu\r\n\r\n",
                                 (unsigned long long)n);
}

/** Send the answer. Returns false if the connection ends with it. */
static bool answer_send(const struct sim *s, struct wire *w, const struct request *r,
                        struct answer *a, const struct fault *f)
{
    if (f->delay_ms) {
        sim_sleep(f->delay_ms);
    }
    if (f->raw[0]) {
        (void)wire_write(w, f->raw, strlen(f->raw));
        return false;
    }
    static const char hints[] = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n";
    if (f->is_hinted && !wire_write(w, hints, sizeof(hints) - 1)) {
        return false;
    }
    const char *connection = request_field(r, "connection", NULL);
    bool is_last = f->is_early || (connection && strcasecmp(connection, "close") == 0) ||
                   strcmp(r->version, "HTTP/1.0") == 0;
    if (f->is_gzip && !f->has_big) {
        answer_gzip(a);
    }
    size_t room = 1024U * 1024U;
    char *head = malloc(room);
    if (!head) {
        return false;
    }
    size_t n = answer_head(s, a, f, is_last, head, room);
    bool is_ok = wire_write(w, head, n);
    free(head);
    bool has_body = strcmp(r->method, "HEAD") != 0 && a->status != 204 && a->status != 304;
    if (is_ok && has_body) {
        uint64_t len = f->has_big ? f->big : a->n;
        is_ok = send_body(w, a, f, f->is_half ? len / 2 : len);
    }
    if (f->is_half) {
        wire_cut(w);
    }
    return is_ok && !f->is_half && !f->is_close && !is_last;
}

/** Our own resources: what was received. */
static bool serve_control(struct sim *s, struct wire *w, const struct request *r)
{
    struct body b;
    struct answer a = {.status = 200, .type = "application/json"};
    const struct fault none = {0};
    if (!body_read(w, r, 0, &b)) {
        return false;
    }
    if (strcmp(r->path, "/_sim/received") != 0) {
        answer_refusal(&a, 404, "no such resource");
    } else if (strcmp(r->method, "GET") == 0) {
        bool is_plain = strcmp(r->query, "form=text") == 0;
        a.type = is_plain ? "text/plain; charset=utf-8" : a.type;
        a.text = is_plain ? store_plain_text(s) : store_text(s);
        a.n = a.text ? strlen(a.text) : 0;
    } else if (strcmp(r->method, "DELETE") == 0) {
        store_clear(s);
        a.status = 204;
    } else {
        answer_refusal(&a, 405, "method not allowed");
        answer_extra(&a, "Allow", "GET, DELETE");
    }
    bool goes_on = answer_send(s, w, r, &a, &none);
    free(a.text);
    return goes_on;
}

static bool collect_faults(const struct sim *s, const struct request *r, struct fault *f)
{
    char spec[8192] = "";
    *f = (struct fault){0};
    if (s->opt.fault && !fault_parse(s->opt.fault, f)) {
        return false;
    }
    return text_query(r->query, "_sim", spec, sizeof(spec)) == 0 || fault_parse(spec, f);
}

static bool serve_one(struct sim *s, struct wire *w, const struct request *r)
{
    struct fault f;
    struct body b = {0};
    struct answer a = {0};
    if (strncmp(r->path, "/_sim/", 6) == 0) {
        return serve_control(s, w, r);
    }
    bool is_understood = collect_faults(s, r, &f);
    bool is_framed = true;
    if (!f.is_reset_early && !f.is_early) {
        is_framed = body_read(w, r, f.slow_read, &b);
    } else {
        b.is_complete = f.is_early;
    }
    judge(s, r, &b, &a);
    if (!is_understood) {
        answer_refusal(&a, 400, "unknown word in _sim");
    } else if (a.status < 400) {
        a.status = f.status ? f.status : f.location[0] ? 302 : a.status;
    }
    bool is_silent = !is_framed || f.is_reset || f.is_reset_early;
    const struct receipt got = {w, r, &b, a.network, is_silent ? 0 : a.status};
    store_add(s, &got);
    bool goes_on = false;
    if (f.is_reset || f.is_reset_early) {
        wire_reset(w);
    } else if (is_framed) {
        goes_on = answer_send(s, w, r, &a, &f);
    }
    if (f.is_early) {
        /* Closing with unread octets would reset the connection and could destroy the answer. */
        for (int i = 0; i < 4096 && wire_fill(w) > 0; i++) {
            w->head = w->tail = 0;
        }
    }
    free(a.text);
    return goes_on;
}

void sim_serve(struct sim *s, struct wire *w)
{
    static const char refusal[] =
        "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    bool goes_on = true;
    while (goes_on && !atomic_load(&s->is_stopping)) {
        struct request r;
        int rc = request_read(w, &r);
        if (rc > 0) {
            goes_on = serve_one(s, w, &r);
        } else {
            goes_on = false;
            if (rc < 0) {
                (void)wire_write(w, refusal, sizeof(refusal) - 1);
            }
        }
        request_done(&r);
    }
}
