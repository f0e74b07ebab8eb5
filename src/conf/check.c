/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/conf/check.h"

#include "frun/base/cidr.h"
#include "frun/base/cpus.h"
#include "frun/conf/dn.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_alnum(char c)
{
    return is_digit(c) || is_upper(c) || (c >= 'a' && c <= 'z');
}

/* All octets alphanumeric or in extra? */
static bool is_all(struct span s, const char *extra)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!is_alnum(s.p[i]) && (s.p[i] == '\0' || !strchr(extra, s.p[i]))) {
            return false;
        }
    }
    return true;
}

static bool is_digits(struct span s, size_t min, size_t max)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!is_digit(s.p[i])) {
            return false;
        }
    }
    return s.n >= min && s.n <= max;
}

bool conf_check_token(struct span s)
{
    return s.n > 0 && is_all(s, "!#$%&'*+-.^_`|~");
}

static bool is_host(struct span s)
{
    if (s.n > 2 && s.p[0] == '[') {
        struct span inner = span_make(s.p + 1, s.n - 2);
        if (s.p[s.n - 1] != ']' || span_find(inner, ':') == inner.n || inner.n > 45) {
            return false;
        }
        for (size_t i = 0; i < inner.n; i++) {
            char c = inner.p[i];
            bool is_hex = is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
            if (!is_hex && c != ':' && c != '.') {
                return false;
            }
        }
        return true;
    }
    /* every label begins and ends with a letter, digit or '_', and none is empty */
    if (s.n == 0 || s.n > 253 || !is_all(s, "-._")) {
        return false;
    }
    for (size_t i = 0; i < s.n; i++) {
        bool is_edge = i == 0 || i + 1 == s.n || s.p[i - 1] == '.' || s.p[i + 1] == '.';
        if (s.p[i] == '.' ? i == 0 || i + 1 == s.n || s.p[i - 1] == '.'
                          : is_edge && s.p[i] == '-') {
            return false;
        }
    }
    return true;
}

bool conf_check_authority(struct span s, struct span *host, unsigned *port)
{
    size_t from = s.n && s.p[0] == '[' ? span_find(s, ']') : 0;
    size_t colon = from + span_find(span_skip(s, from), ':');
    struct span name = span_head(s, colon);
    uint64_t number = 0;
    if (colon < s.n) {
        struct span digits = span_skip(s, colon + 1);
        if (!is_digits(digits, 1, 5) || span_to_u64(digits, &number) || number == 0 ||
            number > 65535) {
            return false;
        }
    }
    if (!is_host(name)) {
        return false;
    }
    if (host) {
        *host = name;
    }
    if (port) {
        *port = (unsigned)number;
    }
    return true;
}

static const char *check_authority(struct span s)
{
    return conf_check_authority(s, NULL, NULL) ? NULL : "must be host or host:port, port 1..65535";
}

static const char *check_address(struct span s)
{
    unsigned port = 0;
    return conf_check_authority(s, NULL, &port) && port
               ? NULL
               : "must be host:port, IP:port or [IPv6]:port, port 1..65535";
}

/* As address, and port 0 lets the system choose one: for tests. */
static const char *check_listen(struct span s)
{
    if (s.n > 2 && s.p[s.n - 1] == '0' && s.p[s.n - 2] == ':') {
        return is_host(span_head(s, s.n - 2)) ? NULL : check_address(s);
    }
    return check_address(s);
}

static bool is_bare_ipv6(struct span s)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr out;
    if (s.n == 0 || s.n >= sizeof(text)) {
        return false;
    }
    memcpy(text, s.p, s.n);
    text[s.n] = 0;
    return inet_pton(AF_INET6, text, &out) == 1;
}

static const char *check_host(struct span s)
{
    return is_host(s) || is_bare_ipv6(s) ? NULL : "must be a host name or address without port";
}

static const char *check_cidr(struct span s)
{
    struct cidr unused;
    switch (cidr_parse(s, &unused)) {
    case FRUN_OK:
        return NULL;
    case FRUN_E_LIMIT:
        return "must be a network whose address ends where its bits end, like 10.0.0.0/8";
    default:
        return "must be an address or a network, like 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32";
    }
}

static const char *check_cpus(struct span s)
{
    cpu_set_t unused;
    return span_eq_nocase(s, SPAN_LIT("no")) || span_eq_nocase(s, SPAN_LIT("yes")) ||
                   cpus_parse(s, &unused) == FRUN_OK
               ? NULL
               : "must be no, yes or a list of CPUs like 0,2-5";
}

static const char *check_name(struct span s)
{
    return s.n >= 1 && s.n <= 64 && is_all(s, "._-")
               ? NULL
               : "a name has 1..64 letters, digits, '.', '_' or '-'";
}

static const char *check_sid(struct span s)
{
    bool is_good = s.n == 3 && is_upper(s.p[0]);
    for (size_t i = 1; is_good && i < s.n; i++) {
        is_good = is_upper(s.p[i]) || is_digit(s.p[i]);
    }
    return is_good ? NULL : "must be an SAP system ID: 3 capital letters or digits, a letter first";
}

static const char *check_client(struct span s)
{
    return is_digits(s, 3, 3) ? NULL : "must be an SAP client: 3 digits, like 100";
}

static const char *check_digits(struct span s)
{
    return is_digits(s, 1, 20) ? NULL : "must be 1..20 digits";
}

static const char *check_customer_network(struct span s)
{
    return s.n >= 1 && s.n <= 40 && is_all(s, "_ -")
               ? NULL
               : "must be 1..40 letters, digits, blanks, '_' or '-'; write it as in Focused Run";
}

static const char *check_fence(struct span s)
{
    return s.n >= 1 && s.n <= 255 && is_all(s, "._-")
               ? NULL
               : "must be 1..255 letters, digits, '.', '_' or '-'; copy it from Focused Run's "
                 "Network Administration";
}

static const char *check_user(struct span s)
{
    return s.n >= 1 && s.n <= 255 && span_find(s, ':') == s.n
               ? NULL
               : "must be 1..255 characters without ':' (Basic credentials cannot carry it)";
}

static const char *check_auth(struct span s)
{
    return span_eq(s, SPAN_LIT("basic")) || span_eq(s, SPAN_LIT("oauth2")) ||
                   span_eq(s, SPAN_LIT("certificate")) || span_eq(s, SPAN_LIT("jwt"))
               ? NULL
               : "the ways are basic, oauth2, certificate and jwt";
}

static bool is_printable(struct span s)
{
    bool is_it = s.n > 0;
    for (size_t i = 0; i < s.n; i++) {
        is_it = is_it && (unsigned char)s.p[i] > 0x20 && (unsigned char)s.p[i] < 0x7f;
    }
    return is_it;
}

/* A URL with most providers, but "iss" may be any text (RFC 7519 4.1.1). */
static const char *check_issuer(struct span s)
{
    return is_printable(s) ? NULL : "must be printable and without blanks, as in the token's iss";
}

static const char *check_signature(struct span s)
{
    static const char *const known[] = {"RS256", "RS384", "RS512", "PS256", "ES256", "ES384"};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (span_eq(s, span_of(known[i]))) {
            return NULL;
        }
    }
    return "signatures are RS256, RS384, RS512, PS256, ES256 and ES384";
}

static const char *check_claim(struct span s)
{
    size_t eq = span_find(s, '=');
    return eq < s.n && span_trim(span_head(s, eq)).n && span_trim(span_head(s, eq)).n < 100 &&
                   span_trim(span_skip(s, eq + 1)).n
               ? NULL
               : "must be NAME=VALUE";
}

static const char *check_client_id(struct span s)
{
    return s.n >= 1 && s.n <= 255 && is_all(s, "-._~!|$*@")
               ? NULL
               : "must be 1..255 letters, digits or -._~!|$*@";
}

/* Days since 1970 of a date of the Gregorian calendar, years beginning in March. */
static uint64_t days_of(uint64_t year, uint64_t month, uint64_t day)
{
    uint64_t y = month > 2 ? year : year - 1;
    uint64_t m = month > 2 ? month - 3 : month + 9;
    return y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 1 - 719468;
}

bool conf_check_time(struct span s, uint64_t *out)
{
    static const char form[] = "dddd-dd-ddTdd:dd:ddZ";
    static const struct {
        size_t at, n;
        uint64_t min, max;
    } parts[] = {{0, 4, 1970, 9999}, {5, 2, 1, 12},  {8, 2, 1, 31},
                 {11, 2, 0, 23},     {14, 2, 0, 59}, {17, 2, 0, 59}};
    uint64_t v[6] = {0};
    if (s.n != sizeof(form) - 1) {
        return false;
    }
    for (size_t i = 0; i < s.n; i++) {
        if (form[i] == 'd' ? !is_digit(s.p[i]) : s.p[i] != form[i]) {
            return false;
        }
    }
    for (size_t i = 0; i < 6; i++) {
        if (span_to_u64(span_make(s.p + parts[i].at, parts[i].n), &v[i]) || v[i] < parts[i].min ||
            v[i] > parts[i].max) {
            return false;
        }
    }
    uint64_t days = days_of(v[0], v[1], v[2]);
    if (days >= days_of(v[1] == 12 ? v[0] + 1 : v[0], v[1] == 12 ? 1 : v[1] + 1, 1)) {
        return false; /* 31 April */
    }
    if (out) {
        *out = ((days * 24 + v[3]) * 60 + v[4]) * 60 + v[5];
    }
    return true;
}

static const char *check_time(struct span s)
{
    return conf_check_time(s, NULL) ? NULL : "must be a time in UTC like 2026-11-22T10:00:00Z";
}

static const char *check_method(struct span s)
{
    static const char *const known[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (span_eq(s, span_of(known[i]))) {
            return NULL;
        }
    }
    return "methods are GET, HEAD, POST, PUT, PATCH, DELETE and OPTIONS, in capitals";
}

/* scheme://authority[/] for one of two schemes */
static bool is_base_url(struct span s, bool is_https_allowed)
{
    bool is_https = span_starts(s, SPAN_LIT("https://"));
    if (!(is_https && is_https_allowed) && !span_starts(s, SPAN_LIT("http://"))) {
        return false;
    }
    return conf_check_authority(span_skip(s, is_https ? 8 : 7), NULL, NULL);
}

static const char *check_public_url(struct span s)
{
    return is_base_url(s, true) ? NULL
                                : "must be https://host[:port] without path and final '/', as the "
                                  "managed services will call it";
}

static const char *check_proxy(struct span s)
{
    unsigned port = 0;
    return span_starts(s, SPAN_LIT("http://")) &&
                   conf_check_authority(span_skip(s, 7), NULL, &port) && port
               ? NULL
               : "must be http://host:port of an HTTP CONNECT proxy; user and password have keys "
                 "of their own";
}

static const char *check_url(struct span s)
{
    bool is_good = span_starts(s, SPAN_LIT("https://")) || span_starts(s, SPAN_LIT("http://"));
    for (size_t i = 0; i < s.n; i++) {
        is_good = is_good && (unsigned char)s.p[i] > 0x20 && (unsigned char)s.p[i] < 0x7f;
    }
    return is_good ? NULL : "must be a URL that begins with https:// or http://";
}

/* "https://user:password@host" would put a secret where it is shown. */
static bool has_user(struct span url)
{
    struct span host = span_skip(url, 8);
    return span_find(span_head(host, span_find(host, '/')), '@') < span_find(host, '/');
}

static const char *check_https_url(struct span s)
{
    if (!span_starts(s, SPAN_LIT("https://")) || s.n <= 8 || check_url(s)) {
        return "must be a URL that begins with https://: a secret, or keys, go that way";
    }
    return has_user(s) ? "must not hold user or password; they have keys of their own" : NULL;
}

static const char *check_subject(struct span s)
{
    size_t eq = span_find(s, '=');
    return eq > 0 && eq + 1 < s.n
               ? NULL
               : "must be a subject like CN=dc1-a; 'openssl x509 -noout -subject -nameopt RFC2253 "
                 "-in FILE' prints it";
}

static const char *check_dn(struct span s)
{
    struct dn dn;
    const char *why = NULL;
    return dn_parse(s, &dn, &why) ? why : NULL;
}

/* Compared as it stands, but for the case of dns and of a mail address' domain. */
static const char *check_san(struct span s)
{
    static const char *const kinds[] = {"dns:", "email:", "uri:"};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct span kind = span_of(kinds[i]);
        if (span_starts(s, kind) && s.n > kind.n && span_find(s, ' ') == s.n) {
            return NULL;
        }
    }
    return "must be dns:NAME, email:ADDRESS or uri:URI, as it stands in the certificate";
}

bool conf_check_sha256(struct span s, unsigned char out[CONF_SHA256_BYTES])
{
    unsigned char room[CONF_SHA256_BYTES] = {0};
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == ':' && n % 2 == 0 && n > 0 && s.p[i - 1] != ':' && i + 1 < s.n) {
            continue;
        }
        int v = is_digit(c)            ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
        if (v < 0 || n == 2 * sizeof(room)) {
            return false;
        }
        room[n / 2] = (unsigned char)(room[n / 2] << 4 | v);
        n++;
    }
    if (n == 2 * sizeof(room) && out) {
        memcpy(out, room, sizeof(room));
    }
    return n == 2 * sizeof(room);
}

static const char *check_sha256(struct span s)
{
    return conf_check_sha256(s, NULL) ? NULL
                                      : "must be a SHA-256 of 64 hexadecimal digits; 'openssl x509 "
                                        "-noout -fingerprint -sha256 -in FILE' prints it";
}

/* What a UNIX socket's name has room for, with the NUL behind it. */
#define MAX_SOCKET 107

static const char *check_target(struct span s)
{
    static const char wrong[] = "must be stderr, journal, file:PATH, syslog, syslog:/SOCKET or "
                                "syslog:host:port";
    struct span kind = span_head(s, span_find(s, ':'));
    struct span rest = span_skip(s, kind.n < s.n ? kind.n + 1 : s.n);
    bool is_socket = rest.n > 1 && rest.p[0] == '/' && rest.n <= MAX_SOCKET;
    if (kind.n == s.n) {
        return span_eq(s, SPAN_LIT("stderr")) || span_eq(s, SPAN_LIT("journal")) ||
                       span_eq(s, SPAN_LIT("syslog"))
                   ? NULL
                   : wrong;
    }
    if (span_eq(kind, SPAN_LIT("file"))) {
        return rest.n > 0 ? NULL : wrong;
    }
    if (span_eq(kind, SPAN_LIT("journal"))) {
        return is_socket ? NULL : "behind journal: stands the name of a socket, from '/' on";
    }
    if (span_eq(kind, SPAN_LIT("syslog"))) {
        return is_socket || !check_address(rest)
                   ? NULL
                   : "behind syslog: stands a socket from '/' on, or host:port for UDP";
    }
    return wrong;
}

/* A dot segment at s? Its end is at '/', or at the end. */
static bool is_dot_segment(struct span segment)
{
    return span_eq(segment, SPAN_LIT(".")) || span_eq(segment, SPAN_LIT(".."));
}

static const char *check_path(struct span s)
{
    if (s.n == 0 || s.p[0] != '/') {
        return "a path begins with '/'";
    }
    if (span_find(s, '*') < s.n) {
        return "wildcards are not used; set policy = path-and-all-sub-paths";
    }
    if (span_find(s, '?') < s.n || span_find(s, '#') < s.n) {
        return "a path without query and fragment is wanted";
    }
    if (!is_all(s, "/-._~!$&'()+,=:@")) {
        return "letters, digits and -._~!$&'()+,=:@ only, nothing percent-encoded";
    }
    if (s.n == 1) {
        return NULL;
    }
    struct span rest = span_skip(s, 1);
    struct span segment;
    while (span_split(&rest, '/', &segment)) {
        if (segment.n == 0) {
            return "no final '/' and no '//'; sub-paths are a matter of policy";
        }
        if (is_dot_segment(segment)) {
            return "no '.' and '..' segments";
        }
    }
    return NULL;
}

/* Parts behind the "$id$" of a hash: count, and octets of the last one. */
static const char *check_hash(struct span s)
{
    static const struct {
        const char *prefix; /* crypt(5) identifier */
        size_t last;        /* octets of the last part */
        size_t min_parts;   /* parts behind the identifier */
        size_t max_parts;
    } forms[] = {{"$y$", 43, 3, 3}, {"$6$", 86, 2, 3}, {"$5$", 43, 2, 3}, {"$2b$", 53, 2, 2}};
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (!span_starts(s, span_of(forms[i].prefix))) {
            continue;
        }
        struct span rest = span_skip(s, strlen(forms[i].prefix));
        struct span part = {NULL, 0};
        size_t parts = 0;
        while (span_split(&rest, '$', &part)) {
            parts++;
            if (part.n == 0 || !is_all(part, "./=")) {
                return "damaged password hash; make one with 'frunctl passwd'";
            }
        }
        return parts >= forms[i].min_parts && parts <= forms[i].max_parts && part.n == forms[i].last
                   ? NULL
                   : "incomplete password hash; make one with 'frunctl passwd'";
    }
    return "must be a crypt(5) hash ($y$, $6$, $5$ or $2b$), never a password; make one with "
           "'frunctl passwd'";
}

/* Fields that the proxy sets, drops or frames a message with: no place for a fence. */
static bool is_own_field(struct span name)
{
    static const char *const own[] = {"Accept-Encoding",
                                      "Authorization",
                                      "Clientprotocol",
                                      "Connection",
                                      "Content-Encoding",
                                      "Content-Length",
                                      "Content-Type",
                                      "Cookie",
                                      "Date",
                                      "Expect",
                                      "Forwarded",
                                      "Host",
                                      "Keep-Alive",
                                      "MYSAPSSO2",
                                      "SAP-R3AUTH",
                                      "TE",
                                      "Trailer",
                                      "Transfer-Encoding",
                                      "Traceparent",
                                      "Tracestate",
                                      "Upgrade",
                                      "Via",
                                      "X-CSRF-Token",
                                      "X-Request-ID",
                                      "X-zid",
                                      "sap-client",
                                      "sap-language",
                                      "sap-passport",
                                      "sap-password",
                                      "sap-user"};
    static const char *const families[] = {
        "Proxy-",      "X-Forwarded-", "SAP-Connectivity-", "SAP-CP-",        "SSL-CLIENT-",
        "SSL_CLIENT_", "SSL-CIPHER-",  "SSL_CIPHER_",       "x-sap-webdisp-", "Frun-"};
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        if (span_eq_nocase(name, span_of(own[i]))) {
            return true;
        }
    }
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        if (span_starts_nocase(name, span_of(families[i]))) {
            return true;
        }
    }
    return false;
}

static const char *carrier_field(struct span name)
{
    if (!conf_check_token(name) || name.n > 64) {
        return "the field's name must be a token of 1..64 characters";
    }
    return is_own_field(name) ? "this field belongs to HTTP or to the proxy itself; take another, "
                                "like X-Admin-Request-Parameter"
                              : NULL;
}

static const char *carrier_query(struct span name)
{
    static const char *const own[] = {"sap-client", "sap-user", "sap-password", "sap-language"};
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        if (span_eq_nocase(name, span_of(own[i]))) {
            return "this query parameter belongs to SAP's logon; take another";
        }
    }
    return name.n >= 1 && name.n <= 64 && is_all(name, "._-")
               ? NULL
               : "the query parameter's name must be 1..64 letters, digits, '.', '_' or '-'";
}

/* Blank separated words of a text; @return their number, above 3 if there are more than three. */
static size_t cut_words(struct span s, struct span words[3])
{
    size_t n = 0;
    struct span rest = span_trim(s);
    while (rest.n && n < 4) {
        size_t end = 0;
        while (end < rest.n && rest.p[end] != ' ' && rest.p[end] != '\t') {
            end++;
        }
        if (n < 3) {
            words[n] = span_head(rest, end);
        }
        n++;
        rest = span_trim(span_skip(rest, end));
    }
    return n;
}

const char *conf_check_carrier(struct span s, struct span *header, struct span *query)
{
    /* which word is the field's name and which the parameter's; 0: neither */
    static const struct {
        const char *word;
        size_t n, header, query;
    } forms[] = {{"header", 2, 1, 0}, {"query", 2, 0, 1}, {"both", 3, 1, 2}, {"none", 1, 0, 0}};
    struct span words[3] = {{NULL, 0}, {NULL, 0}, {NULL, 0}};
    const struct span none = {NULL, 0};
    size_t n = cut_words(s, words);
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (n != forms[i].n || !span_eq(words[0], span_of(forms[i].word))) {
            continue;
        }
        const char *why = forms[i].header ? carrier_field(words[forms[i].header]) : NULL;
        if (!why && forms[i].query) {
            why = carrier_query(words[forms[i].query]);
        }
        if (!why) {
            *header = forms[i].header ? words[forms[i].header] : none;
            *query = forms[i].query ? words[forms[i].query] : none;
        }
        return why;
    }
    return "must be 'header NAME', 'query NAME', 'both HEADER QUERY' or 'none'";
}

const char *conf_check_map(struct span s, struct span *from, struct span *to)
{
    struct span words[3];
    struct span root = SPAN_LIT("/sap/frun");
    if (cut_words(s, words) != 2) {
        return "must be two paths, 'FROM TO'";
    }
    const char *why = check_path(words[0]);
    why = why ? why : check_path(words[1]);
    if (why) {
        return why;
    }
    if (!span_starts(words[1], root) || (words[1].n > root.n && words[1].p[root.n] != '/')) {
        return "TO must be /sap/frun or below it: nothing else is open in Focused Run";
    }
    *from = words[0];
    *to = words[1];
    return NULL;
}

static const char *check_map(struct span s)
{
    struct span from;
    struct span to;
    return conf_check_map(s, &from, &to);
}

static const char *check_carrier(struct span s)
{
    struct span header;
    struct span query;
    return conf_check_carrier(s, &header, &query);
}

const char *conf_check(const char *check, struct span value)
{
    static const struct {
        const char *name;
        const char *(*fn)(struct span s);
    } checks[] = {{"address", check_address},
                  {"auth", check_auth},
                  {"authority", check_authority},
                  {"carrier", check_carrier},
                  {"cidr", check_cidr},
                  {"client", check_client},
                  {"claim", check_claim},
                  {"client_id", check_client_id},
                  {"cpus", check_cpus},
                  {"customer_network", check_customer_network},
                  {"digits", check_digits},
                  {"dn", check_dn},
                  {"fence", check_fence},
                  {"hash", check_hash},
                  {"host", check_host},
                  {"https_url", check_https_url},
                  {"issuer", check_issuer},
                  {"listen", check_listen},
                  {"map", check_map},
                  {"method", check_method},
                  {"name", check_name},
                  {"path", check_path},
                  {"proxy", check_proxy},
                  {"public_url", check_public_url},
                  {"san", check_san},
                  {"sha256", check_sha256},
                  {"sid", check_sid},
                  {"signature", check_signature},
                  {"subject", check_subject},
                  {"target", check_target},
                  {"time", check_time},
                  {"url", check_url},
                  {"user", check_user}};
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        if (strcmp(check, checks[i].name) == 0) {
            return checks[i].fn(value);
        }
    }
    return "no such check: an error in the schema";
}

/* Longest word that is compared; longer ones have no neighbour. */
#define NEAR_MAX 64

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Edit distance of two short words, row by row (Levenshtein). */
static size_t distance(const char *a, const char *b)
{
    size_t n = strlen(b);
    size_t row[NEAR_MAX + 1];
    for (size_t j = 0; j <= n; j++) {
        row[j] = j;
    }
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t above = row[j];
            size_t change = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            row[j] = least(change, least(above, row[j - 1]) + 1);
            diagonal = above;
        }
    }
    return row[n];
}

const char *conf_check_nearest(const char *word, const char *const *known, size_t n)
{
    const char *best = NULL;
    size_t len = strlen(word);
    size_t best_distance = len / 3 + 2;
    for (size_t i = 0; i < n && len <= NEAR_MAX; i++) {
        if (strlen(known[i]) > NEAR_MAX) {
            continue;
        }
        size_t d = distance(word, known[i]);
        if (d < best_distance) {
            best_distance = d;
            best = known[i];
        }
    }
    return best;
}
