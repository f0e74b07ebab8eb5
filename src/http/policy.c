/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/http/policy.h"

#include "chars_int.h"
#include "frun/base/mono.h"
#include "frun/base/text.h"
#include "policy_int.h"

#define REQUEST_ID_MAX_BYTES 128
#define TRACEPARENT_BYTES    55

/* What of the pusher's head reaches Focused Run, and what of Focused Run's head reaches the pusher.
 * First letters ascend; within a letter the first row that fits counts. */
#define NAME(s) s, sizeof(s) - 1

/* clang-format off */
static const struct policy_row table[] = {
    /* name                              prefix hop    request         answer           why */
    {NAME("authorization"),              false, false, POLICY_REPLACE, POLICY_PASS,     "the pusher's logon is for us; the endpoint has its own"},
    {NAME("clientprotocol"),             false, false, POLICY_REPLACE, POLICY_PASS,     "ABAP builds absolute URLs from it"},
    {NAME("connection"),                 false, true,  POLICY_DROP,    POLICY_DROP,     "made anew for each connection"},
    {NAME("content-length"),             false, false, POLICY_DROP,    POLICY_LENGTH,   "framing is made, never passed on"},
    {NAME("content-location"),           false, false, POLICY_PASS,    POLICY_LOCATION, "the virtual host means nothing outside"},
    {NAME("cookie"),                     false, false, POLICY_COOKIE,  POLICY_PASS,     "MYSAPSSO2 in it logs on"},
    {NAME("expect"),                     false, false, POLICY_DROP,    POLICY_PASS,     "answered by us"},
    {NAME("forwarded"),                  false, false, POLICY_REPLACE, POLICY_PASS,     "only we know who the client is"},
    {NAME("frun-"),                      true,  false, POLICY_DROP,    POLICY_DROP,     "between gateway and connector only"},
    {NAME("host"),                       false, false, POLICY_DROP,    POLICY_PASS,     "the virtual host stands in the head's authority"},
    {NAME("http2-settings"),             false, true,  POLICY_DROP,    POLICY_DROP,     "belongs to one connection"},
    {NAME("keep-alive"),                 false, true,  POLICY_DROP,    POLICY_DROP,     "belongs to one connection"},
    {NAME("location"),                   false, false, POLICY_PASS,    POLICY_LOCATION, "the virtual host means nothing outside"},
    {NAME("mysapsso2"),                  false, false, POLICY_DROP,    POLICY_PASS,     "a logon ticket"},
    {NAME("proxy-authenticate"),         false, true,  POLICY_DROP,    POLICY_DROP,     "between us and a proxy"},
    {NAME("proxy-authentication-info"),  false, true,  POLICY_DROP,    POLICY_DROP,     "between us and a proxy"},
    {NAME("proxy-authorization"),        false, true,  POLICY_DROP,    POLICY_DROP,     "between us and a proxy"},
    {NAME("proxy-connection"),           false, true,  POLICY_DROP,    POLICY_DROP,     "belongs to one connection"},
    {NAME("proxy-"),                     true,  false, POLICY_DROP,    POLICY_PASS,     "steers SAP's proxies and CGI; Proxy-Status may come back"},
    {NAME("sap-connectivity-"),          true,  false, POLICY_DROP,    POLICY_PASS,     "selects tunnel, tenant and principal"},
    {NAME("sap-cp-connectivity-"),       true,  false, POLICY_DROP,    POLICY_PASS,     "selects tunnel, tenant and principal"},
    {NAME("sap-password"),               false, false, POLICY_DROP,    POLICY_PASS,     "logs on to ABAP"},
    {NAME("sap-r3auth"),                 false, false, POLICY_DROP,    POLICY_PASS,     "logs on to ABAP"},
    {NAME("sap-user"),                   false, false, POLICY_DROP,    POLICY_PASS,     "logs on to ABAP"},
    {NAME("ssl-cipher-"),                true,  false, POLICY_DROP,    POLICY_PASS,     "only a trusted TLS terminator may say so"},
    {NAME("ssl-client-cert"),            true,  false, POLICY_DROP,    POLICY_PASS,     "only a trusted TLS terminator may say so"},
    {NAME("te"),                         false, true,  POLICY_DROP,    POLICY_DROP,     "belongs to one connection"},
    {NAME("traceparent"),                false, false, POLICY_REPLACE, POLICY_PASS,     "kept or begun"},
    {NAME("tracestate"),                 false, false, POLICY_TRACE,   POLICY_PASS,     "means nothing without its traceparent"},
    {NAME("trailer"),                    false, true,  POLICY_DROP,    POLICY_DROP,     "trailers are not passed on"},
    {NAME("transfer-encoding"),          false, true,  POLICY_DROP,    POLICY_DROP,     "framing is made, never passed on"},
    {NAME("upgrade"),                    false, true,  POLICY_DROP,    POLICY_DROP,     "belongs to one connection"},
    {NAME("via"),                        false, false, POLICY_REPLACE, POLICY_REPLACE,  "we append ourselves"},
    {NAME("x-forwarded-"),               true,  false, POLICY_REPLACE, POLICY_PASS,     "only we know who the client is"},
    {NAME("x-request-id"),               false, false, POLICY_REPLACE, POLICY_REPLACE,  "kept or made, once"},
    {NAME("x-sap-webdisp-"),             true,  false, POLICY_DROP,    POLICY_PASS,     "selects a system in the Web Dispatcher"},
    {NAME("x-zid"),                      false, false, POLICY_DROP,    POLICY_PASS,     "selects the tenant"},
};
/* clang-format on */

#define TABLE_ROWS (sizeof(table) / sizeof(table[0]))

/* Eight octets in lower case, '-' for '_', as ABAP and CGI read names. */
static inline uint64_t fold8(uint64_t w)
{
    const uint64_t ones = 0x0101010101010101U;
    const uint64_t low = ones * 0x7f;
    uint64_t other = w ^ (ones * '_');
    uint64_t is_line = ~(((other & low) + low) | other | low);

    return span_lower8(w) ^ ((is_line >> 7) * ('_' ^ '-'));
}

/* First row of each letter; 0 for letters without rows, where the letter itself does not fit. */
static const unsigned char first_row['z' - 'a' + 1] = {
    ['a' - 'a'] = 0,  ['c' - 'a'] = 1,  ['e' - 'a'] = 6,  ['f' - 'a'] = 7,  ['h' - 'a'] = 9,
    ['k' - 'a'] = 11, ['l' - 'a'] = 12, ['m' - 'a'] = 13, ['p' - 'a'] = 14, ['s' - 'a'] = 19,
    ['t' - 'a'] = 26, ['u' - 'a'] = 31, ['v' - 'a'] = 32, ['x' - 'a'] = 33,
};

/* first is the name's beginning, folded. */
static inline bool row_fits(const struct policy_row *row, struct span name, uint64_t first)
{
    size_t n = row->name_len;

    if (n != name.n && (!row->is_prefix || n > name.n)) {
        return false;
    }
    if ((first ^ span_load8(row->name, 8)) << (n < 8 ? 64 - 8 * n : 0)) {
        return false;
    }
    for (size_t i = 8; i < n; i += 8) {
        size_t at = i + 8 <= n ? i : n - 8;

        if (fold8(span_load8(name.p + at, 8)) != span_load8(row->name + at, 8)) {
            return false;
        }
    }
    return true;
}

const struct policy_row *policy_row_find(struct span name)
{
    uint64_t first = fold8(span_load8(name.p, name.n));
    unsigned letter = first & 0xff;

    if (letter < 'a' || letter > 'z') {
        return NULL;
    }
    for (size_t i = first_row[letter - 'a'];
         i < TABLE_ROWS && (unsigned char)table[i].name[0] == letter; i++) {
        if (row_fits(&table[i], name, first)) {
            return &table[i];
        }
    }
    return NULL;
}

const struct policy_row *policy_row_at(size_t i)
{
    return i < TABLE_ROWS ? &table[i] : NULL;
}

bool policy_same_name(struct span a, struct span b)
{
    if (a.n != b.n || fold8(span_load8(a.p, a.n)) != fold8(span_load8(b.p, b.n))) {
        return false;
    }
    for (size_t i = 8; i < a.n; i += 8) {
        size_t at = i + 8 <= a.n ? i : a.n - 8;

        if (fold8(span_load8(a.p + at, 8)) != fold8(span_load8(b.p + at, 8))) {
            return false;
        }
    }
    return true;
}

static bool is_connection(const struct field *f)
{
    return f->name.n == 10 && span_eq_nocase(f->name, SPAN_LIT("connection"));
}

bool policy_names_fields(const struct head *h)
{
    for (size_t i = 0; i < h->n_fields; i++) {
        const struct field *f = &h->fields[i];

        if (is_connection(f) && !span_eq_nocase(f->value, SPAN_LIT("keep-alive")) &&
            !span_eq_nocase(f->value, SPAN_LIT("close"))) {
            return true;
        }
    }
    return false;
}

/* Most names begin with another letter than those of hop fields, or have another length. */
static bool is_hop_name(struct span name)
{
    static const uint32_t letters = 1U << ('c' & 31) | 1U << ('h' & 31) | 1U << ('k' & 31) |
                                    1U << ('p' & 31) | 1U << ('t' & 31) | 1U << ('u' & 31);
    static const uint32_t lengths = 1U << 2 | 1U << 7 | 1U << 10 | 1U << 14 | 1U << 16 | 1U << 17 |
                                    1U << 18 | 1U << 19 | 1U << 25;
    const struct policy_row *row;

    if (name.n == 0 || name.n > 31 || !(lengths >> name.n & letters >> (name.p[0] & 31) & 1)) {
        return false;
    }
    row = policy_row_find(name);
    return row && row->is_hop;
}

bool policy_is_hop_field(const struct head *h, struct span name)
{
    if (is_hop_name(name)) {
        return true;
    }
    for (size_t i = 0; i < h->n_fields; i++) {
        if (is_connection(&h->fields[i]) && head_list_has(h->fields[i].value, name)) {
            return true;
        }
    }
    return false;
}

frun_err policy_join(struct arena *a, const struct span *parts, size_t n, struct span *out)
{
    size_t len = 0;
    char *to;
    char *at;

    for (size_t i = 0; i < n; i++) {
        len += parts[i].n;
    }
    to = at = arena_alloc(a, len + 1);
    if (!to) {
        return FRUN_E_NOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        if (parts[i].n > 0) {
            memcpy(at, parts[i].p, parts[i].n);
            at += parts[i].n;
        }
    }
    *out = span_make(to, len);
    return FRUN_OK;
}

frun_err policy_add_via(const struct head *in, struct span name, struct arena *a, struct head *out)
{
    struct span value = {0};
    frun_err err = FRUN_OK;

    for (size_t i = 0; i < in->n_fields && !err; i++) {
        const struct field *f = &in->fields[i];

        if (f->value.n > 0 && policy_same_name(f->name, SPAN_LIT("via"))) {
            const struct span parts[] = {value, value.n ? SPAN_LIT(", ") : value, f->value};

            err = value.n ? policy_join(a, parts, 3, &value) : FRUN_OK;
            value = value.n ? value : f->value;
        }
    }
    if (!err) {
        const struct span parts[] = {value, value.n ? SPAN_LIT(", ") : value,
                                     in->is_http2 ? SPAN_LIT("2.0 ")
                                     : in->minor  ? SPAN_LIT("1.1 ")
                                                  : SPAN_LIT("1.0 "),
                                     name};

        err = policy_join(a, parts, 4, &value);
    }
    return err ? err : head_add(out, SPAN_LIT("Via"), value);
}

/* The value of the one field of that name; absent if there is none, or more than one. */
static struct span only_value(const struct head *in, struct span name)
{
    struct span value = {0};

    for (size_t i = 0; i < in->n_fields; i++) {
        if (policy_same_name(in->fields[i].name, name)) {
            if (value.p) {
                return (struct span){0};
            }
            value = in->fields[i].value;
        }
    }
    return value;
}

static bool is_request_id(struct span s)
{
    static const char marks[] = "._~+/=-";

    if (s.n < 1 || s.n > REQUEST_ID_MAX_BYTES) {
        return false;
    }
    for (size_t i = 0; i < s.n; i++) {
        bool is_alnum = chars_is(s.p[i], CHARS_UNRESERVED);

        if (!is_alnum && !memchr(marks, s.p[i], sizeof(marks) - 1)) {
            return false;
        }
    }
    return true;
}

struct span policy_request_id(const struct head *in, char made[POLICY_ID_BYTES])
{
    struct span sent = only_value(in, SPAN_LIT("x-request-id"));
    unsigned char raw[16];

    if (is_request_id(sent)) {
        return sent;
    }
    mono_entropy(raw, sizeof(raw));
    text_hex(span_make(raw, sizeof(raw)), made);
    return span_make(made, 2 * sizeof(raw));
}

/* Lower-case hexadecimal; *is_zero if all digits are '0'. */
static bool is_hex(struct span s, bool *is_zero)
{
    *is_zero = true;
    for (size_t i = 0; i < s.n; i++) {
        if (!chars_is(s.p[i], CHARS_HEX) || (s.p[i] >= 'A' && s.p[i] <= 'F')) {
            return false;
        }
        *is_zero = *is_zero && s.p[i] == '0';
    }
    return true;
}

static bool is_traceparent(struct span s)
{
    bool is_version_zero;
    bool is_zero;

    if (s.n < TRACEPARENT_BYTES || s.p[2] != '-' || s.p[35] != '-' || s.p[52] != '-') {
        return false;
    }
    if (!is_hex(span_head(s, 2), &is_version_zero) || span_starts(s, SPAN_LIT("ff"))) {
        return false;
    }
    if (!is_hex(span_make(s.p + 3, 32), &is_zero) || is_zero ||
        !is_hex(span_make(s.p + 36, 16), &is_zero) || is_zero ||
        !is_hex(span_make(s.p + 53, 2), &is_zero)) {
        return false;
    }
    /* Later versions may say more behind a further hyphen. */
    return s.n == TRACEPARENT_BYTES || (!is_version_zero && s.p[TRACEPARENT_BYTES] == '-');
}

struct span policy_traceparent(const struct head *in, char made[POLICY_ID_BYTES])
{
    struct span sent = only_value(in, SPAN_LIT("traceparent"));
    unsigned char raw[24];

    if (is_traceparent(sent)) {
        return sent;
    }
    mono_entropy(raw, sizeof(raw));
    /* Neither id may be all zeros. */
    raw[0] |= 1;
    raw[16] |= 1;
    memcpy(made, "00-", 3);
    text_hex(span_make(raw, 16), made + 3);
    made[35] = '-';
    text_hex(span_make(raw + 16, 8), made + 36);
    memcpy(made + 52, "-00", 4);
    return span_make(made, TRACEPARENT_BYTES);
}
