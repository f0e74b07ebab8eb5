/**
 * Formatting of access lines, without allocation: one line fits a fixed buffer, longer values are
 * cut.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/gateway/accesslog.h"

#include "frun/base/log.h"
#include "frun/base/mono.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/** Octets of the longest access line. */
#define ACCESSLOG_LINE_BYTES 8192

/** Octets of the longest single value in it, as written; a longer one is cut. All of them and their
 * names fit in a line. */
#define ACCESSLOG_VALUE_BYTES 1024

/* A line under way; what does not fit is left out. */
struct line {
    size_t n;
    char text[ACCESSLOG_LINE_BYTES];
};

static void put(struct line *l, struct span s)
{
    if (s.n && s.n <= sizeof(l->text) - l->n) {
        memcpy(l->text + l->n, s.p, s.n);
        l->n += s.n;
    }
}

static void put_number(struct line *l, uint64_t v)
{
    char digits[24];
    int n = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)v);
    put(l, span_make(digits, n > 0 ? (size_t)n : 0));
}

/* Octets that would break a quoted text are written as \u00XX, which JSON and people both read. */
static void put_quoted(struct line *l, struct span s)
{
    static const char hex[] = "0123456789abcdef";
    size_t room = ACCESSLOG_VALUE_BYTES;
    put(l, SPAN_LIT("\""));
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        char esc[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
        bool is_plain = c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
        struct span part = is_plain ? span_make(s.p + i, 1) : span_make(esc, sizeof(esc));
        if (part.n > room) {
            break;
        }
        put(l, part);
        room -= part.n;
    }
    put(l, SPAN_LIT("\""));
}

static void json_text(struct line *l, struct span key, struct span value)
{
    if (value.p) {
        put(l, SPAN_LIT(",\""));
        put(l, key);
        put(l, SPAN_LIT("\":"));
        put_quoted(l, value);
    }
}

static void json_number(struct line *l, struct span key, uint64_t value)
{
    put(l, SPAN_LIT(",\""));
    put(l, key);
    put(l, SPAN_LIT("\":"));
    put_number(l, value);
}

static void json_ms(struct line *l, struct span key, uint64_t us)
{
    char text[32];
    int n = snprintf(text, sizeof(text), "%llu.%03llu", (unsigned long long)(us / 1000),
                     (unsigned long long)(us % 1000));
    put(l, SPAN_LIT(",\""));
    put(l, key);
    put(l, SPAN_LIT("\":"));
    put(l, span_make(text, n > 0 ? (size_t)n : 0));
}

static void write_json(struct line *l, const struct accesslog_entry *e)
{
    char now[MONO_WALL_TEXT_BYTES];
    mono_wall_text(now);
    put(l, SPAN_LIT("{\"time\":"));
    put_quoted(l, span_of(now));
    json_text(l, SPAN_LIT("request_id"), e->request_id);
    json_text(l, SPAN_LIT("client"), e->client);
    json_text(l, SPAN_LIT("endpoint"), e->endpoint);
    json_text(l, SPAN_LIT("pusher"), e->pusher);
    json_text(l, SPAN_LIT("auth"), span_of(e->auth));
    json_text(l, SPAN_LIT("route"), span_of(e->route));
    json_text(l, SPAN_LIT("connector"), span_of(e->connector));
    json_text(l, SPAN_LIT("method"), e->method);
    json_text(l, SPAN_LIT("path"), e->path);
    json_text(l, SPAN_LIT("protocol"), e->protocol);
    json_number(l, SPAN_LIT("status"), e->status);
    json_text(l, SPAN_LIT("by"), span_of(e->by));
    json_text(l, SPAN_LIT("error"), span_of(e->error));
    json_text(l, SPAN_LIT("note"), e->note);
    json_number(l, SPAN_LIT("bytes_in"), e->bytes_in);
    json_number(l, SPAN_LIT("bytes_out"), e->bytes_out);
    if (e->repeats) {
        json_number(l, SPAN_LIT("repeats"), e->repeats);
    }
    json_ms(l, SPAN_LIT("ms"), e->total_us);
    json_ms(l, SPAN_LIT("wait_ms"), e->wait_us);
    json_ms(l, SPAN_LIT("upstream_ms"), e->upstream_us);
    json_text(l, SPAN_LIT("user_agent"), e->user_agent);
    put(l, SPAN_LIT("}"));
}

static void word(struct line *l, struct span key, struct span value)
{
    put(l, SPAN_LIT(" "));
    put(l, key);
    put(l, SPAN_LIT("="));
    if (value.p) {
        put_quoted(l, value);
    } else {
        put(l, SPAN_LIT("-"));
    }
}

/* Apache's combined format; our facts follow as key="value". */
static void write_combined(struct line *l, const struct accesslog_entry *e)
{
    char now[64];
    struct tm parts;
    time_t seconds = time(NULL);
    if (!gmtime_r(&seconds, &parts) ||
        strftime(now, sizeof(now), "%d/%b/%Y:%H:%M:%S +0000", &parts) == 0) {
        now[0] = 0;
    }
    struct span dash = SPAN_LIT("-");
    put(l, e->client.p ? e->client : dash);
    put(l, SPAN_LIT(" - "));
    put(l, e->pusher.p ? e->pusher : dash);
    put(l, SPAN_LIT(" ["));
    put(l, span_of(now));
    put(l, SPAN_LIT("] "));
    char request[ACCESSLOG_VALUE_BYTES];
    int n = snprintf(request, sizeof(request), "%.*s %.*s %.*s", SPAN_FMT(e->method),
                     SPAN_FMT(e->path), SPAN_FMT(e->protocol));
    size_t len = n < 0 ? 0 : (size_t)n < sizeof(request) ? (size_t)n : sizeof(request) - 1;
    put_quoted(l, span_make(request, len));
    put(l, SPAN_LIT(" "));
    put_number(l, e->status);
    put(l, SPAN_LIT(" "));
    put_number(l, e->bytes_out);
    put(l, SPAN_LIT(" \"-\" "));
    put_quoted(l, e->user_agent.p ? e->user_agent : dash);
    word(l, SPAN_LIT("id"), e->request_id);
    word(l, SPAN_LIT("endpoint"), e->endpoint);
    word(l, SPAN_LIT("auth"), span_of(e->auth));
    word(l, SPAN_LIT("route"), span_of(e->route));
    word(l, SPAN_LIT("connector"), span_of(e->connector));
    word(l, SPAN_LIT("by"), span_of(e->by));
    word(l, SPAN_LIT("error"), span_of(e->error));
    put(l, SPAN_LIT(" in="));
    put_number(l, e->bytes_in);
    put(l, SPAN_LIT(" us="));
    put_number(l, e->total_us);
}

void accesslog_write(const struct accesslog_entry *e, enum conf_access form)
{
    if (form == CONF_ACCESS_OFF) {
        return;
    }
    struct line l;
    l.n = 0;
    if (form == CONF_ACCESS_JSON) {
        write_json(&l, e);
    } else {
        write_combined(&l, e);
    }
    log_access(span_make(l.text, l.n));
}
