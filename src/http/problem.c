/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/http/problem.h"

/* Longest detail after escaping, and what stands around it. */
#define BODY_MAX_BYTES 16384

struct reason {
    unsigned status;
    const char *text;
};

static const struct reason reasons[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {103, "Early Hints"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {203, "Non-Authoritative Information"},
    {204, "No Content"},
    {205, "Reset Content"},
    {206, "Partial Content"},
    {300, "Multiple Choices"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {407, "Proxy Authentication Required"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
};

const char *problem_reason(unsigned status)
{
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        if (reasons[i].status == status) {
            return reasons[i].text;
        }
    }
    return "";
}

/* A JSON string with its quotes: six octets at most for each. */
static frun_err json_text(struct span s, struct arena *a, struct span *out)
{
    static const char digits[] = "0123456789abcdef";
    size_t max = BODY_MAX_BYTES / 6;
    size_t n = s.n < max ? s.n : max;
    char *to = arena_alloc(a, n * 6 + 2);
    size_t len = 0;

    if (!to) {
        return FRUN_E_NOMEM;
    }
    to[len++] = '"';
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c == '"' || c == '\\') {
            to[len++] = '\\';
            to[len++] = (char)c;
        } else if (c < 0x20 || c == 0x7f) {
            memcpy(to + len, "\\u00", 4);
            to[len + 4] = digits[c >> 4];
            to[len + 5] = digits[c & 15];
            len += 6;
        } else {
            to[len++] = (char)c;
        }
    }
    to[len++] = '"';
    *out = span_make(to, len);
    return FRUN_OK;
}

static frun_err build_body(const struct problem *p, struct arena *a, struct span *body)
{
    struct span detail;
    struct span id;
    frun_err err = json_text(p->detail, a, &detail);

    err = err ? err : json_text(p->request_id, a, &id);
    if (err) {
        return err;
    }
    return arena_printf(a, body,
                        "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%u,"
                        "\"detail\":%.*s%s%.*s}\n",
                        problem_reason(p->status), p->status, SPAN_FMT(detail),
                        p->request_id.n ? ",\"instance\":" : "", p->request_id.n ? (int)id.n : 0,
                        id.p);
}

static frun_err add(struct head *h, struct span name, struct span value)
{
    return value.n ? head_add(h, name, value) : FRUN_OK;
}

frun_err problem_build(const struct problem *p, struct arena *a, struct head *head,
                       struct span *body)
{
    struct span proxy_status = {0};
    struct span retry = {0};
    struct span text = {0};
    frun_err err = build_body(p, a, &text);

    err = err ? err
              : arena_printf(a, &proxy_status, "%s%s%s%s%s%s", p->proxy, p->error ? "; error=" : "",
                             p->error ? p->error : "", p->kind ? "; details=\"" : "",
                             p->kind ? p->kind : "", p->kind ? "\"" : "");
    if (!err && p->retry_after_s > 0) {
        err = arena_printf(a, &retry, "%u", p->retry_after_s);
    }
    if (err) {
        return err;
    }
    *head = (struct head){
        .status = p->status,
        .reason = span_of(problem_reason(p->status)),
        .minor = 1,
        .body = HEAD_BODY_LENGTH,
        .body_len_bytes = text.n,
        .is_keep_alive = true,
    };
    err = add(head, SPAN_LIT("Content-Type"), SPAN_LIT("application/problem+json"));
    err = err ? err : add(head, SPAN_LIT("Cache-Control"), SPAN_LIT("no-store"));
    err = err ? err : add(head, SPAN_LIT("Proxy-Status"), proxy_status);
    err = err ? err : add(head, SPAN_LIT("X-Request-ID"), p->request_id);
    err = err ? err : add(head, SPAN_LIT("Retry-After"), retry);
    err = err ? err : add(head, SPAN_LIT("Allow"), p->allow);
    err = err ? err : add(head, SPAN_LIT("WWW-Authenticate"), p->challenge);
    *body = text;
    return err;
}
