/**
 * Formatting of access lines, without allocation: one line fits a fixed buffer, longer values are
 * cut.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/gateway/accesslog.h"

#include "frun/base/log.h"
#include "frun/base/mono.h"
#include "frun/base/text.h"

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
    char digits[TEXT_NUMBER_BYTES];
    put(l, span_make(digits, text_number(v, digits)));
}

static bool is_plain(char c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

/* Octets at the front that stand for themselves, at most max. */
static size_t plain_run(struct span s, size_t max)
{
    size_t n = 0;
    while (n < s.n && n < max && is_plain(s.p[n])) {
        n++;
    }
    return n;
}

/* Octets that would break a quoted text are written as \u00XX, which JSON and people both read. */
static void put_quoted(struct line *l, struct span s)
{
    static const char hex[] = "0123456789abcdef";
    size_t room = ACCESSLOG_VALUE_BYTES;
    put(l, SPAN_LIT("\""));
    while (s.n > 0 && room > 0) {
        size_t run = plain_run(s, room);
        put(l, span_head(s, run));
        s = span_skip(s, run);
        room -= run;
        if (s.n > 0 && !is_plain(s.p[0])) {
            unsigned char c = (unsigned char)s.p[0];
            char esc[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
            if (room < sizeof(esc)) {
                break;
            }
            put(l, span_make(esc, sizeof(esc)));
            s = span_skip(s, 1);
            room -= sizeof(esc);
        }
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
    unsigned rest = (unsigned)(us % 1000);
    char text[] = {'.', (char)('0' + rest / 100), (char)('0' + rest / 10 % 10),
                   (char)('0' + rest % 10)};
    json_number(l, key, us / 1000);
    put(l, span_make(text, sizeof(text)));
}

static void write_json(struct line *l, const struct accesslog_entry *e)
{
    char now[MONO_WALL_TEXT_BYTES];
    mono_wall_text(now);
    put(l, SPAN_LIT("{\"time\":"));
    put_quoted(l, span_of(now));
    json_text(l, SPAN_LIT("request_id"), e->request_id);
    json_text(l, SPAN_LIT("traceparent"), e->traceparent);
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
    /* Calendars are dear, and most lines of a busy second share it. */
    static _Thread_local char now[64];
    static _Thread_local time_t second;
    time_t seconds = time(NULL);
    struct tm parts;
    if ((seconds != second || !now[0]) &&
        (!gmtime_r(&seconds, &parts) ||
         strftime(now, sizeof(now), "%d/%b/%Y:%H:%M:%S +0000", &parts) == 0)) {
        now[0] = 0;
    }
    second = seconds;
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
