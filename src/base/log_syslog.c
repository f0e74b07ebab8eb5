/**
 * Lines for a syslog daemon: RFC 5424, to its UNIX socket or by UDP (RFC 5426).
 *
 * Facts of an access line are structured data; the text is cut first if all of it is too long.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "log_int.h"

#include "frun/base/mono.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Where the daemon of this host listens. */
#define LOCAL_SOCKET "/dev/log"

/* Of one message. A receiver should take 2048 octets (RFC 5424 6.1), and larger datagrams travel in
 * pieces; daemons of the same host take this much unless told otherwise. */
#define UDP_BYTES   2048
#define LOCAL_BYTES 8192

/* 32473 is the number for those who have none of their own (RFC 5612). */
#define DATA_ID "frun@32473"

struct message {
    char *p;
    size_t n;
    size_t room;
};

static bool put(struct message *m, struct span s)
{
    if (s.n > m->room - m->n) {
        return false;
    }
    if (s.n > 0) {
        memcpy(m->p + m->n, s.p, s.n);
        m->n += s.n;
    }
    return true;
}

/* A value ends at '"', an element at ']'. Source: RFC 5424 6.3.3. */
static bool put_value(struct message *m, struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool is_special = c == '"' || c == '\\' || c == ']';
        if ((is_special && !put(m, SPAN_LIT("\\"))) || !put(m, span_make(s.p + i, 1))) {
            return false;
        }
    }
    return true;
}

/* One that does not fit is left out. */
static void put_param(struct message *m, struct span name, struct span value)
{
    size_t before = m->n;
    if (!put(m, SPAN_LIT(" ")) || !put(m, name) || !put(m, SPAN_LIT("=\"")) ||
        !put_value(m, value) || !put(m, SPAN_LIT("\""))) {
        m->n = before;
    }
}

static void put_data(struct message *m, const struct log_record *r)
{
    struct span rest = r->fields;
    struct span name;
    struct span value;

    if (rest.n == 0 && r->scope.n == 0) {
        (void)put(m, SPAN_LIT("-"));
        return;
    }
    (void)put(m, SPAN_LIT("[" DATA_ID));
    m->room--; /* for the end */
    if (r->scope.n > 0) {
        put_param(m, SPAN_LIT("scope"), r->scope);
    }
    while (log_field_next(&rest, &name, &value)) {
        put_param(m, name, value);
    }
    m->room++;
    (void)put(m, SPAN_LIT("]"));
}

/* As much as fits, without half a character of UTF-8 at the end. */
static void put_text(struct message *m, struct span s)
{
    size_t n = s.n;
    if (!put(m, SPAN_LIT(" "))) {
        return;
    }
    if (n > m->room - m->n) {
        n = m->room - m->n;
        while (n > 0 && ((unsigned char)s.p[n] & 0xc0) == 0x80) {
            n--;
        }
    }
    (void)put(m, span_head(s, n));
}

static size_t syslog_write(const struct log_datagram *g, const struct log_record *r, char *out,
                           size_t room)
{
    struct message m = {.p = out, .room = room};
    char at[MONO_WALL_TEXT_BYTES];

    mono_wall_text_of(r->at_ms, at);
    int n = snprintf(out, room, "<%u>1 %s %s %s ", log_facility(g, r) * 8 + r->severity, at,
                     g->identity, r->is_access ? "access" : "event");
    m.n = n < 0 ? 0 : (size_t)n < room ? (size_t)n : room - 1;
    put_data(&m, r);
    put_text(&m, r->text);
    return m.n;
}

/* Printable ASCII without blanks, or "-". Source: RFC 5424 6. */
static void put_name(char *out, size_t room, const char *s)
{
    size_t n = 0;
    for (; *s && n < room - 1; s++) {
        out[n++] = *s > ' ' && *s < 0x7f ? *s : '?';
    }
    if (n == 0) {
        out[n++] = '-';
    }
    out[n] = '\0';
}

static void set_identity(struct log_datagram *g)
{
    char raw[256] = "";
    char host[256];
    char program[49];
    if (gethostname(raw, sizeof(raw) - 1) != 0) {
        raw[0] = '\0';
    }
    put_name(host, sizeof(host), raw);
    put_name(program, sizeof(program), program_invocation_short_name);
    (void)snprintf(g->identity, sizeof(g->identity), "%s %s %ld", host, program, (long)getpid());
}

/* "host:port", "[IPv6]:port"; the configuration has checked it. */
static void set_peer(struct log_datagram *g)
{
    const char *name = g->base.where.name;
    const char *colon = strrchr(name, ':');
    size_t n = colon ? (size_t)(colon - name) : strlen(name);
    if (n >= 2 && name[0] == '[' && name[n - 1] == ']') {
        name++;
        n -= 2;
    }
    (void)snprintf(g->host, sizeof(g->host), "%.*s", (int)n, name);
    (void)snprintf(g->port, sizeof(g->port), "%.7s", colon ? colon + 1 : "514");
}

frun_err log_syslog_open(const struct log_where *w, struct log_sender **out, struct diag *d)
{
    struct log_where at = *w;
    struct log_datagram *g = NULL;

    (void)d;
    at.name = w->name ? w->name : LOCAL_SOCKET;
    frun_err err = log_datagram_new(&at, &g);
    if (!err) {
        g->path = g->base.where.name[0] == '/' ? g->base.where.name : NULL;
        g->max_bytes = g->path ? LOCAL_BYTES : UDP_BYTES;
        g->write = syslog_write;
        set_identity(g);
        set_peer(g);
        *out = &g->base;
    }
    return err;
}
