/**
 * Formatting of access lines, without allocation and without printf: one line fits a fixed buffer,
 * longer values are cut. One table says what a line has, in whatever form.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/admin/accesslog.h"

#include "frun/base/log.h"
#include "frun/base/mono.h"
#include "frun/base/text.h"

#include <stddef.h>
#include <string.h>
#include <time.h>

/** Octets of the longest access line. */
#define ACCESSLOG_LINE_BYTES 8192

/** Octets of the longest single value in it, as written; a longer one is cut. All of them and their
 * names fit in a line. */
#define ACCESSLOG_VALUE_BYTES 1024

/** What combined lines have for an answer that was not sent, because programs that read them want
 * three digits; as nginx writes it. */
#define ACCESSLOG_NO_STATUS 499

/* A line under way; what does not fit is left out. */
struct line {
    size_t n;
    char text[ACCESSLOG_LINE_BYTES];
};

/* How a fact is kept, and when it is left out. */
enum kind {
    SPAN,     /* struct span; absent */
    TEXT,     /* const char *; NULL */
    NUMBER,   /* unsigned; never */
    COUNT,    /* unsigned; 0 */
    OCTETS,   /* uint64_t; never */
    MS,       /* uint64_t microseconds; never */
    MS_KNOWN, /* the same; 0 */
};

struct fact {
    struct span json; /* ,"name": */
    enum kind kind;
    size_t at; /* in the entry */
};

#define FACT(name, kind, member)                                                                   \
    {                                                                                              \
        {",\"" name "\":", sizeof(",\"" name "\":") - 1}, kind,                                    \
            offsetof(struct accesslog_entry, member)                                               \
    }

/* In the order of the line, behind its time. */
static const struct fact facts[] = {
    FACT("request_id", SPAN, request_id),
    FACT("traceparent", SPAN, traceparent),
    FACT("client", SPAN, client),
    FACT("endpoint", SPAN, endpoint),
    FACT("pusher", SPAN, pusher),
    FACT("auth", TEXT, auth),
    FACT("subaccount", TEXT, subaccount),
    FACT("system", TEXT, system),
    FACT("resource", TEXT, resource),
    FACT("route", TEXT, route),
    FACT("connector", TEXT, connector),
    FACT("tunnel", TEXT, tunnel),
    FACT("method", SPAN, method),
    FACT("path", SPAN, path),
    FACT("protocol", SPAN, protocol),
    FACT("status", NUMBER, status),
    FACT("by", TEXT, by),
    FACT("error", TEXT, error),
    FACT("note", SPAN, note),
    FACT("bytes_in", OCTETS, bytes_in),
    FACT("bytes_out", OCTETS, bytes_out),
    FACT("repeats", COUNT, repeats),
    FACT("ms", MS, total_us),
    FACT("wait_ms", MS, wait_us),
    FACT("upstream_ms", MS, upstream_us),
    FACT("backend_ms", MS_KNOWN, backend_us),
    FACT("user_agent", SPAN, user_agent),
};

#define FACTS (sizeof(facts) / sizeof(facts[0]))

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

static void put_ms(struct line *l, uint64_t us)
{
    unsigned rest = (unsigned)(us % 1000);
    char text[] = {'.', (char)('0' + rest / 100), (char)('0' + rest / 10 % 10),
                   (char)('0' + rest % 10)};
    put_number(l, us / 1000);
    put(l, span_make(text, sizeof(text)));
}

/* -- values
 * ----------------------------------------------------------------------------------------------------
 */

/* How octets are written that would break a value. */
enum quoting {
    JSON,   /* \u00XX, which JSON and people both read */
    APACHE, /* \" \\ and \xXX, as Apache's mod_log_config does */
    BARE    /* \xXX, quotation marks stand for themselves */
};

static bool is_plain(char c, enum quoting q)
{
    return c >= 0x20 && c < 0x7f && (q == BARE || c != '"') && c != '\\';
}

/* Does any of eight octets not stand for itself? Exact below 0x80, and all others do not. */
static bool has_special(uint64_t w, enum quoting q)
{
    const uint64_t ones = 0x0101010101010101U;
    uint64_t quote = w ^ (ones * (q == BARE ? '\\' : '"'));
    uint64_t slash = w ^ (ones * '\\');
    uint64_t del = w ^ (ones * 0x7f);
    uint64_t zeros = (quote - ones) | (slash - ones) | (del - ones) | (w - ones * 0x20) | w;

    return (zeros & (ones * 0x80)) != 0;
}

/* Octets at the front that stand for themselves, at most max. */
static size_t plain_run(struct span s, size_t max, enum quoting q)
{
    size_t end = s.n < max ? s.n : max;
    size_t n = 0;
    while (end - n >= 8 && !has_special(span_load8(s.p + n, 8), q)) {
        n += 8;
    }
    while (n < end && is_plain(s.p[n], q)) {
        n++;
    }
    return n;
}

static struct span escaped(unsigned char c, enum quoting q, char out[6])
{
    static const char hex[] = "0123456789abcdef";
    size_t n = 0;
    out[n++] = '\\';
    if (q != JSON && (c == '\\' || c == '"')) {
        out[n++] = (char)c;
        return span_make(out, n);
    }
    out[n++] = q == JSON ? 'u' : 'x';
    if (q == JSON) {
        out[n++] = '0';
        out[n++] = '0';
    }
    out[n++] = hex[c >> 4];
    out[n++] = hex[c & 15];
    return span_make(out, n);
}

static void put_value(struct line *l, struct span s, enum quoting q)
{
    size_t room = ACCESSLOG_VALUE_BYTES;
    while (s.n > 0 && room > 0) {
        size_t run = plain_run(s, room, q);
        put(l, span_head(s, run));
        s = span_skip(s, run);
        room -= run;
        if (s.n > 0 && !is_plain(s.p[0], q)) {
            char text[6];
            struct span esc = escaped((unsigned char)s.p[0], q, text);
            if (room < esc.n) {
                break;
            }
            put(l, esc);
            s = span_skip(s, 1);
            room -= esc.n;
        }
    }
}

static void put_quoted(struct line *l, struct span s, enum quoting q)
{
    put(l, SPAN_LIT("\""));
    put_value(l, s, q);
    put(l, SPAN_LIT("\""));
}

/* -- facts
 * -----------------------------------------------------------------------------------------------------
 */

/* A fact on its way into a line. */
struct value {
    struct span text; /* of SPAN and TEXT */
    uint64_t number;  /* of the others */
};

/* False: it is left out. */
static bool read_fact(const struct accesslog_entry *e, const struct fact *f, struct value *out)
{
    const char *at = (const char *)e + f->at;
    const char *text;
    unsigned n;

    switch (f->kind) {
    case SPAN:
        memcpy(&out->text, at, sizeof(out->text));
        return out->text.p != NULL;
    case TEXT:
        memcpy(&text, at, sizeof(text));
        out->text = span_of(text);
        return text != NULL;
    case NUMBER:
    case COUNT:
        memcpy(&n, at, sizeof(n));
        out->number = n;
        return n > 0 || f->kind == NUMBER;
    case OCTETS:
    case MS:
    case MS_KNOWN:
        memcpy(&out->number, at, sizeof(out->number));
        return out->number > 0 || f->kind != MS_KNOWN;
    }
    return false;
}

static bool is_text(const struct fact *f)
{
    return f->kind == SPAN || f->kind == TEXT;
}

static void put_figure(struct line *l, const struct fact *f, uint64_t number)
{
    if (f->kind == MS || f->kind == MS_KNOWN) {
        put_ms(l, number);
    } else {
        put_number(l, number);
    }
}

static void write_json(struct line *l, const struct accesslog_entry *e, uint64_t at_ms)
{
    char now[MONO_WALL_TEXT_BYTES];
    struct value v;
    mono_wall_text_of(at_ms, now);
    put(l, SPAN_LIT("{\"time\":\""));
    put(l, span_of(now));
    put(l, SPAN_LIT("\""));
    for (size_t i = 0; i < FACTS; i++) {
        const struct fact *f = &facts[i];
        if (!read_fact(e, f, &v)) {
            continue;
        }
        put(l, f->json);
        if (is_text(f)) {
            put_quoted(l, v.text, JSON);
        } else {
            put_figure(l, f, v.number);
        }
    }
    put(l, SPAN_LIT("}"));
}

/* Each as "name=value" and a line end, as the log wants them for targets that keep facts apart. */
static void write_fields(struct line *l, const struct accesslog_entry *e)
{
    struct value v;
    for (size_t i = 0; i < FACTS; i++) {
        const struct fact *f = &facts[i];
        struct span name = span_make(f->json.p + 2, f->json.n - 4);
        if (!read_fact(e, f, &v) || sizeof(l->text) - l->n < name.n + 2 + ACCESSLOG_VALUE_BYTES) {
            continue;
        }
        put(l, name);
        put(l, SPAN_LIT("="));
        if (is_text(f)) {
            put_value(l, v.text, BARE);
        } else {
            put_figure(l, f, v.number);
        }
        put(l, SPAN_LIT("\n"));
    }
}

/* -- Apache's combined format
 * ----------------------------------------------------------------------------------
 */

/* "21/Nov/2026:06:36:00 +0000" */
static void put_apache_time(struct line *l, uint64_t at_ms)
{
    /* Calendars are dear, and most lines of a busy second share it. */
    static _Thread_local char text[64];
    static _Thread_local time_t second;
    time_t now = (time_t)(at_ms / 1000);
    struct tm parts;
    if ((now != second || !text[0]) &&
        (!gmtime_r(&now, &parts) ||
         strftime(text, sizeof(text), "%d/%b/%Y:%H:%M:%S +0000", &parts) == 0)) {
        text[0] = 0;
    }
    second = now;
    put(l, span_of(text));
}

static void put_or_dash(struct line *l, struct span s)
{
    if (s.n > 0) {
        put_value(l, s, APACHE);
    } else {
        put(l, SPAN_LIT("-"));
    }
}

/* Names stand without quotation marks: a blank would end them. */
static void put_word_or_dash(struct line *l, struct span s)
{
    size_t from = l->n;
    put_or_dash(l, s);
    for (; from < l->n; from++) {
        l->text[from] = l->text[from] == ' ' ? '_' : l->text[from];
    }
}

/* host ident user [time] "request" status octets "referer" "user agent"; nothing else, so that
 * programs that know the format know the line. Source: Apache's mod_log_config. */
static void write_combined(struct line *l, const struct accesslog_entry *e, uint64_t at_ms)
{
    put_word_or_dash(l, e->client);
    put(l, SPAN_LIT(" - "));
    put_word_or_dash(l, e->pusher);
    put(l, SPAN_LIT(" ["));
    put_apache_time(l, at_ms);
    put(l, SPAN_LIT("] \""));
    put_or_dash(l, e->method);
    if (e->method.n > 0) {
        put(l, SPAN_LIT(" "));
        put_or_dash(l, e->path);
        put(l, SPAN_LIT(" "));
        put_or_dash(l, e->protocol);
    }
    put(l, SPAN_LIT("\" "));
    put_number(l, e->status ? e->status : ACCESSLOG_NO_STATUS);
    put(l, SPAN_LIT(" "));
    if (e->bytes_out) {
        put_number(l, e->bytes_out);
    } else {
        put(l, SPAN_LIT("-"));
    }
    put(l, SPAN_LIT(" \"-\" \""));
    put_or_dash(l, e->user_agent);
    put(l, SPAN_LIT("\""));
}

void accesslog_write(const struct accesslog_entry *e, enum conf_access form)
{
    if (form == CONF_ACCESS_OFF) {
        return;
    }
    struct line l;
    struct line fields;
    uint64_t at_ms = mono_wall_ms();
    l.n = fields.n = 0;
    if (form == CONF_ACCESS_JSON) {
        write_json(&l, e, at_ms);
    } else {
        write_combined(&l, e, at_ms);
    }
    if (log_access_has_fields()) {
        write_fields(&fields, e);
    }
    log_access(at_ms, span_make(l.text, l.n), span_make(fields.text, fields.n));
}
