/* SPDX-License-Identifier: Apache-2.0 */
#include "sim.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static char folded(char c)
{
    return c == '_' ? '-' : (char)tolower((unsigned char)c);
}

bool text_same_name(const char *a, const char *b)
{
    while (*a && folded(*a) == folded(*b)) {
        a++;
        b++;
    }
    return *a == '\0' && *b == '\0';
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void text_unescape(char *s)
{
    char *to = s;
    for (; *s; s++) {
        int hi = *s == '%' ? hex_value(s[1]) : -1;
        int lo = hi >= 0 ? hex_value(s[2]) : -1;
        if (lo >= 0) {
            *to++ = (char)(hi * 16 + lo);
            s += 2;
        } else {
            *to++ = *s;
        }
    }
    *to = '\0';
}

json_t *text_json(const void *p, size_t n)
{
    json_t *j = json_stringn(p, n);
    if (j) {
        return j;
    }
    const unsigned char *in = p;
    char *wide = malloc(2 * n + 1);
    if (!wide) {
        return json_null();
    }
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        if (in[i] < 0x80) {
            wide[at++] = (char)in[i];
        } else {
            wide[at++] = (char)(0xC0 | (in[i] >> 6));
            wide[at++] = (char)(0x80 | (in[i] & 0x3F));
        }
    }
    j = json_stringn(wide, at);
    free(wide);
    return j ? j : json_null();
}

bool text_size(const char *s, uint64_t *out)
{
    uint64_t n = 0;
    const char *p = s;
    while (*p >= '0' && *p <= '9' && n < UINT64_MAX / 100) {
        n = n * 10 + (uint64_t)(*p++ - '0');
    }
    if (p == s) {
        return false;
    }
    static const char units[] = "KMG";
    const char *unit = *p ? strchr(units, *p) : NULL;
    if (unit) {
        n <<= 10 * (unit - units + 1);
        p++;
    }
    *out = n;
    return *p == '\0';
}

bool text_basic(const char *value, char *out, size_t room)
{
    static const char scheme[] = "basic ";
    for (size_t i = 0; i < sizeof(scheme) - 1; i++) {
        if (tolower((unsigned char)value[i]) != scheme[i]) {
            return false;
        }
    }
    value += sizeof(scheme) - 1;
    size_t n = strlen(value);
    if (n == 0 || n % 4 != 0 || n / 4 * 3 + 1 > room) {
        return false;
    }
    int got = EVP_DecodeBlock((unsigned char *)out, (const unsigned char *)value, (int)n);
    if (got < 0) {
        return false;
    }
    size_t pad = value[n - 1] != '=' ? 0 : value[n - 2] != '=' ? 1 : 2;
    out[(size_t)got - pad] = '\0';
    return strchr(out, ':') != NULL;
}

size_t text_query(const char *query, const char *name, char *value, size_t room)
{
    size_t hits = 0;
    char part[8192];
    while (*query) {
        size_t n = strcspn(query, "&;");
        size_t cut = n < sizeof(part) ? n : sizeof(part) - 1;
        memcpy(part, query, cut);
        part[cut] = '\0';
        char *eq = strchr(part, '=');
        if (eq) {
            *eq++ = '\0';
        }
        text_unescape(part);
        if (text_same_name(part, name)) {
            hits++;
            value[0] = '\0';
            if (eq && strlen(eq) < room) {
                text_unescape(eq);
                memcpy(value, eq, strlen(eq) + 1);
            }
        }
        query += n + (query[n] != '\0');
    }
    return hits;
}

static bool parse_ms(const char *s, unsigned *out)
{
    char *end = NULL;
    unsigned long n = strtoul(s, &end, 10);
    if (end == s || n > 3600000UL) {
        return false;
    }
    if (strcmp(end, "ms") == 0) {
        *out = (unsigned)n;
        return true;
    }
    *out = (unsigned)n * 1000U;
    return *end == '\0' || strcmp(end, "s") == 0;
}

static bool copy_text(char *to, size_t room, const char *from)
{
    size_t n = strlen(from);
    if (n >= room) {
        return false;
    }
    memcpy(to, from, n + 1);
    return true;
}

static bool fault_flag(const char *word, struct fault *f)
{
    const struct {
        const char *word;
        bool *flag;
    } flags[] = {
        {"reset", &f->is_reset},      {"reset-early", &f->is_reset_early},
        {"half-answer", &f->is_half}, {"close", &f->is_close},
        {"chunked", &f->is_chunked},  {"gzip", &f->is_gzip},
        {"early", &f->is_early},      {"hints", &f->is_hinted},
    };
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        if (strcmp(word, flags[i].word) == 0) {
            *flags[i].flag = true;
            return true;
        }
    }
    return false;
}

static bool fault_number(const char *word, const char *value, struct fault *f)
{
    uint64_t n = 0;
    if (strcmp(word, "delay") == 0) {
        return parse_ms(value, &f->delay_ms);
    }
    if (!text_size(value, &n)) {
        return false;
    }
    if (strcmp(word, "status") == 0 && n >= 200 && n <= 599) {
        f->status = (unsigned)n;
    } else if (strcmp(word, "headers") == 0 && n <= 10000) {
        f->headers = (unsigned)n;
    } else if (strcmp(word, "big") == 0) {
        f->big = n;
        f->has_big = true;
    } else if (strcmp(word, "slow-read") == 0 && n > 0) {
        f->slow_read = n;
    } else if (strcmp(word, "slow-answer") == 0 && n > 0) {
        f->slow_answer = n;
    } else {
        return false;
    }
    return true;
}

bool fault_parse(const char *spec, struct fault *f)
{
    char word[2048];
    while (*spec) {
        /* Raw octets may hold commas, so they come last. */
        if (strncmp(spec, "raw:", 4) == 0) {
            return copy_text(f->raw, sizeof(f->raw), spec + 4);
        }
        size_t n = strcspn(spec, ",");
        if (n >= sizeof(word)) {
            return false;
        }
        memcpy(word, spec, n);
        word[n] = '\0';
        spec += n + (spec[n] != '\0');
        char *value = strchr(word, ':');
        if (value) {
            *value++ = '\0';
        }
        bool is_known = !value ? fault_flag(word, f)
                        : strcmp(word, "location") == 0
                            ? copy_text(f->location, sizeof(f->location), value)
                            : fault_number(word, value, f);
        if (!is_known) {
            return false;
        }
    }
    return true;
}
