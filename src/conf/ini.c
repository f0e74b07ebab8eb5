/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/conf/ini.h"

#include <ini.h>
#include <stdlib.h>

/* Longest key that a fault names, octets with NUL. */
#define FAULT_KEY_BYTES 64

/* What inih's reader and handler share. */
struct scan {
    struct span rest;           /* not read yet */
    unsigned line;              /* number of the line inih has */
    bool is_cut;                /* that line has a comment behind its value */
    conf_ini_fn on_item;        /* the caller's */
    void *ctx;                  /* the caller's */
    struct conf_ini_item fault; /* storage of faults and heads */
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static void report(struct scan *s, enum conf_ini_kind kind, const char *name)
{
    s->fault = (struct conf_ini_item){.kind = kind, .line = s->line, .name = name};
    s->on_item(&s->fault, s->ctx);
}

/* Octets of the UTF-8 sequence at the front of t, 0 if it is none. The table is RFC 3629 4: the
 * first octet, and what the second may be; all further ones are 80..bf. */
static size_t utf8_len(struct span t)
{
    static const struct {
        unsigned char first, last, low, high;
        size_t n;
    } forms[] = {
        {0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};
    const unsigned char *p = (const unsigned char *)t.p;
    size_t form = 0;
    while (form < sizeof(forms) / sizeof(forms[0]) &&
           (p[0] < forms[form].first || p[0] > forms[form].last)) {
        form++;
    }
    if (form == sizeof(forms) / sizeof(forms[0]) || t.n < forms[form].n) {
        return 0;
    }
    if (forms[form].n > 1 && (p[1] < forms[form].low || p[1] > forms[form].high)) {
        return 0;
    }
    for (size_t i = 2; i < forms[form].n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return forms[form].n;
}

/* What is wrong with the octets of a line, or NULL. */
static const char *octets_fault(struct span line)
{
    while (line.n) {
        unsigned char c = (unsigned char)line.p[0];
        if (c == 0) {
            return "NUL octet in the line; is this a text file?";
        }
        if ((c < 0x20 && c != '\t') || c == 0x7f) {
            return "control character in the line; remove it";
        }
        size_t n = utf8_len(line);
        if (n == 0) {
            return "not UTF-8; save the file as UTF-8";
        }
        line = span_skip(line, n);
    }
    return NULL;
}

/* A section head: inih would cut its name at 49 octets and not tell of an empty section. */
static void scan_section(struct scan *s, struct span line)
{
    size_t end = span_find(line, ']');
    if (end == line.n) {
        report(s, CONF_INI_FAULT, "section head without ']'");
        return;
    }
    struct span behind = span_trim(span_skip(line, end + 1));
    if (behind.n && behind.p[0] != ';' && behind.p[0] != '#') {
        report(s, CONF_INI_FAULT, "text behind the section head; put it on a line of its own");
        return;
    }
    struct span name = span_trim(span_make(line.p + 1, end - 1));
    if (name.n > CONF_INI_MAX_SECTION) {
        report(s, CONF_INI_FAULT, "section name longer than 300 octets");
        return;
    }
    char text[CONF_INI_MAX_SECTION + 1];
    if (name.n) {
        memcpy(text, name.p, name.n);
    }
    text[name.n] = '\0';
    report(s, CONF_INI_SECTION, text);
}

/* A key as any schema would have it? */
static bool is_key(struct span key)
{
    for (size_t i = 0; i < key.n; i++) {
        char c = key.p[i];
        bool is_good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '_' || c == '-' || c == '.';
        if (!is_good) {
            return false;
        }
    }
    return key.n > 0;
}

/* Report a bad line, with its key if the damage is behind it. */
static void report_line(struct scan *s, struct span line, const char *fault)
{
    char text[FAULT_KEY_BYTES];
    struct span key = span_trim(span_head(line, span_find(line, '=')));
    bool is_told = key.n < line.n && key.n < sizeof(text) && is_key(key);
    if (is_told) {
        memcpy(text, key.p, key.n);
        text[key.n] = '\0';
    }
    s->fault = (struct conf_ini_item){
        .kind = CONF_INI_FAULT, .line = s->line, .name = fault, .value = is_told ? text : NULL};
    s->on_item(&s->fault, s->ctx);
}

/* What is wrong with a line that should be a pair, or NULL. */
static const char *pair_fault(struct span line, size_t room)
{
    size_t eq = span_find(line, '=');
    struct span key = span_trim(span_head(line, eq));
    if (eq == line.n) {
        return "neither a [section] nor 'key = value'; comments begin with ';' or '#'";
    }
    if (key.n == 0) {
        return "no key before '='";
    }
    if (!is_key(key)) {
        return "a key has letters, digits and '_' only and stands before '='";
    }
    if (line.n > room) {
        return "line too long; shorten it, or write a list on several lines 'key = value'";
    }
    return NULL;
}

/* A blank and ';' behind '=': inih cuts the value there. */
static bool has_comment(struct span line)
{
    for (size_t i = span_find(line, '=') + 1; i + 1 < line.n; i++) {
        if (is_blank(line.p[i]) && line.p[i + 1] == ';') {
            return true;
        }
    }
    return false;
}

/* Cut the next line off the rest, without its end. */
static struct span next_line(struct scan *s)
{
    size_t n = span_find(s->rest, '\n');
    struct span line = span_head(s->rest, n);
    s->rest = span_skip(s->rest, n < s->rest.n ? n + 1 : n);
    s->line++;
    if (line.n && line.p[line.n - 1] == '\r') {
        line.n--;
    }
    return line;
}

/* inih's reader: one good pair a call; everything else is dealt with here. */
static char *read_pair(char *out, int num, void *stream)
{
    struct scan *s = stream;
    /* inih wants room for the line end and NUL */
    size_t room = num > 3 ? (size_t)num - 3 : 0;
    if (room > CONF_INI_MAX_LINE) {
        room = CONF_INI_MAX_LINE;
    }
    while (s->rest.n) {
        struct span raw = next_line(s);
        struct span line = span_trim(raw);
        const char *fault = octets_fault(raw);
        if (fault) {
            report_line(s, line, fault);
            continue;
        }
        if (line.n == 0 || line.p[0] == ';' || line.p[0] == '#') {
            continue;
        }
        if (line.p[0] == '[') {
            scan_section(s, line);
            continue;
        }
        fault = pair_fault(line, room);
        if (fault) {
            report_line(s, line, fault);
            continue;
        }
        s->is_cut = has_comment(line);
        memcpy(out, line.p, line.n);
        out[line.n] = '\n';
        out[line.n + 1] = '\0';
        return out;
    }
    return NULL;
}

/* inih's handler. The section it names is ignored: inih never sees a section head. */
static int on_pair(void *user, const char *section, const char *name, const char *value)
{
    struct scan *s = user;
    (void)section;
    struct conf_ini_item it = {.kind = CONF_INI_PAIR,
                               .line = s->line,
                               .name = name,
                               .value = value ? value : "",
                               .is_cut = s->is_cut};
    s->on_item(&it, s->ctx);
    return 1;
}

frun_err conf_ini_scan(struct span text, conf_ini_fn on_item, void *ctx)
{
    struct scan s = {.rest = text, .on_item = on_item, .ctx = ctx};
    if (span_starts(s.rest, SPAN_LIT("\xef\xbb\xbf"))) {
        s.rest = span_skip(s.rest, 3);
    }
#ifdef FRUN_INIH_TUNABLE
    /* Debian's build takes these at run time; 200 octets a line are too few for a long fence value
     */
    ini_use_stack = false;
    ini_allow_realloc = false;
    ini_max_line = CONF_INI_MAX_LINE + 3;
    ini_initial_alloc = CONF_INI_MAX_LINE + 3;
    ini_allow_multiline = false;
    ini_allow_inline_comments = true;
#endif
    return ini_parse_stream(read_pair, &s, on_pair, &s) == -2 ? FRUN_E_NOMEM : FRUN_OK;
}
