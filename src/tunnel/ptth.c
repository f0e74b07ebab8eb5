/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/tunnel/ptth.h"

/* What a connector serves has no web origin; the location ID stands in for it behind this. */
#define ORIGIN_PREFIX "frun:"

/** Ceiling of subaccount, name and version, octets. */
#define MAX_TEXT_BYTES 256

/** Most tunnels a gateway may wish from one connector. */
#define MAX_TUNNELS 64

/** Longest Retry-After that is believed, seconds. */
#define MAX_RETRY_S 86400

#define FIELD_SUBACCOUNT "frun-subaccount"
#define FIELD_LOCATION   "frun-location-id"
#define FIELD_INSTANCE   "frun-instance"
#define FIELD_NAME       "frun-name"
#define FIELD_VERSION    "frun-version"
#define FIELD_WIRE       "frun-wire-version"
#define FIELD_TUNNELS    "frun-tunnels"

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

/* Write the path segment for a location ID; out has room for 3 * PTTH_MAX_LOCATION octets. */
static struct span encode_location(struct span location, char *out)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t n = 0;

    for (size_t i = 0; i < location.n; i++) {
        unsigned char c = (unsigned char)location.p[i];

        if (is_unreserved((char)c)) {
            out[n++] = (char)c;
        } else {
            out[n++] = '%';
            out[n++] = hex[c >> 4];
            out[n++] = hex[c & 15];
        }
    }
    return span_make(out, n);
}

static bool is_instance(struct span s)
{
    if (s.n != PTTH_INSTANCE_BYTES - 1) {
        return false;
    }
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];

        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) {
            return false;
        }
    }
    return true;
}

static bool is_text(struct span s)
{
    return s.n <= MAX_TEXT_BYTES && head_is_value(s);
}

static bool is_location(struct span s)
{
    return s.n <= PTTH_MAX_LOCATION && head_is_value(s);
}

frun_err ptth_write_hello(const struct ptth_hello *h, struct span host, struct buf *out)
{
    char segment[3 * PTTH_MAX_LOCATION];
    struct span loc;

    if (!is_text(h->subaccount) || !is_location(h->location_id) || !is_instance(h->instance) ||
        !is_text(h->name) || !is_text(h->version) || host.n == 0 || !is_text(host)) {
        return FRUN_E_SYNTAX;
    }
    loc = encode_location(h->location_id, segment);
    return buf_printf(
        out,
        "GET " PTTH_PATH ORIGIN_PREFIX "%.*s/ HTTP/1.1\r\n"
        "Host: %.*s\r\n"
        "Connection: upgrade\r\n"
        "Upgrade: ptth\r\n"
        "ALPN: h2\r\n" FIELD_SUBACCOUNT ": %.*s\r\n" FIELD_LOCATION ": %.*s\r\n" FIELD_INSTANCE
        ": %.*s\r\n" FIELD_NAME ": %.*s\r\n" FIELD_VERSION ": %.*s\r\n" FIELD_WIRE ": %u\r\n\r\n",
        SPAN_FMT(loc), SPAN_FMT(host), SPAN_FMT(h->subaccount), SPAN_FMT(h->location_id),
        SPAN_FMT(h->instance), SPAN_FMT(h->name), SPAN_FMT(h->version), h->wire_version);
}

/* The one value of a field; the absent span if there is none. False if the field is repeated. */
static bool one_value(const struct head *in, struct span name, struct span *out)
{
    *out = (struct span){NULL, 0};
    for (size_t i = 0; i < in->n_fields; i++) {
        if (!span_eq_nocase(in->fields[i].name, name)) {
            continue;
        }
        if (out->p) {
            return false;
        }
        *out = in->fields[i].value.p ? in->fields[i].value : SPAN_LIT("");
    }
    return true;
}

static bool is_upgrade_to_ptth(const struct head *in)
{
    struct span upgrade;

    return in->is_upgrade && in->minor == 1 && one_value(in, SPAN_LIT("Upgrade"), &upgrade) &&
           span_eq_nocase(upgrade, SPAN_LIT("ptth"));
}

static bool has_alpn_h2(const struct head *in)
{
    struct span alpn;

    return one_value(in, SPAN_LIT("ALPN"), &alpn) && alpn.p && head_list_has(alpn, SPAN_LIT("h2"));
}

static frun_err refuse(unsigned *status, const char **why, unsigned code, const char *text)
{
    *status = code;
    *why = text;
    return FRUN_E_SYNTAX;
}

/* The path must name the same location ID as the field: two readers must not see two. */
static bool is_path_of(struct span target, struct span location)
{
    char segment[3 * PTTH_MAX_LOCATION];
    struct span want = encode_location(location, segment);
    struct span rest = span_skip(target, sizeof(PTTH_PATH ORIGIN_PREFIX) - 1);

    return rest.n == want.n + 1 && span_eq(span_head(rest, want.n), want) && rest.p[want.n] == '/';
}

static bool read_identity(const struct head *in, struct ptth_hello *out)
{
    if (!one_value(in, SPAN_LIT(FIELD_SUBACCOUNT), &out->subaccount) ||
        !one_value(in, SPAN_LIT(FIELD_LOCATION), &out->location_id) ||
        !one_value(in, SPAN_LIT(FIELD_INSTANCE), &out->instance) ||
        !one_value(in, SPAN_LIT(FIELD_NAME), &out->name) ||
        !one_value(in, SPAN_LIT(FIELD_VERSION), &out->version)) {
        return false;
    }
    return is_text(out->subaccount) && is_location(out->location_id) &&
           is_instance(out->instance) && is_text(out->name) && is_text(out->version);
}

frun_err ptth_read_hello(const struct head *in, struct ptth_hello *out, unsigned *status,
                         const char **why)
{
    struct ptth_hello hello = {0};
    struct span wire;
    uint64_t version = 0;

    if (!span_starts(in->target, SPAN_LIT(PTTH_PATH))) {
        return refuse(status, why, 404, "not a tunnel path");
    }
    if (!span_eq(in->method, SPAN_LIT("GET")) || in->body != HEAD_BODY_NONE) {
        return refuse(status, why, 400, "a tunnel begins with GET without a body");
    }
    if (!is_upgrade_to_ptth(in)) {
        return refuse(status, why, 426, "a tunnel begins with Upgrade: ptth");
    }
    if (!one_value(in, SPAN_LIT(FIELD_WIRE), &wire) || !wire.p || span_to_u64(wire, &version)) {
        return refuse(status, why, 400, "missing or odd " FIELD_WIRE);
    }
    if (version != PTTH_WIRE_VERSION) {
        return refuse(status, why, 426, "this gateway speaks another wire version");
    }
    if (!has_alpn_h2(in)) {
        return refuse(status, why, 501, "the tunnel must offer ALPN h2");
    }
    if (!span_starts(in->target, SPAN_LIT(PTTH_PATH ORIGIN_PREFIX))) {
        return refuse(status, why, 404, "not an origin of this gateway");
    }
    if (!read_identity(in, &hello)) {
        return refuse(status, why, 400, "identity fields are missing, repeated or malformed");
    }
    if (!is_path_of(in->target, hello.location_id)) {
        return refuse(status, why, 400, "path and " FIELD_LOCATION " disagree");
    }
    hello.wire_version = (unsigned)version;
    *out = hello;
    return FRUN_OK;
}

frun_err ptth_write_welcome(unsigned tunnels, struct buf *out)
{
    unsigned n = tunnels < 1 ? 1 : tunnels > MAX_TUNNELS ? MAX_TUNNELS : tunnels;

    return buf_printf(out,
                      "HTTP/1.1 101 Switching Protocols\r\n"
                      "Connection: upgrade\r\n"
                      "Upgrade: ptth\r\n"
                      "ALPN: h2\r\n" FIELD_TUNNELS ": %u\r\n\r\n",
                      n);
}

/* Seconds of Retry-After; the date form counts as nothing said, our back-off then decides. */
static unsigned retry_after(const struct head *in)
{
    struct span value;
    uint64_t s = 0;

    if (!one_value(in, SPAN_LIT("Retry-After"), &value) || !value.p) {
        return 0;
    }
    switch (span_to_u64(value, &s)) {
    case FRUN_OK:
        return s > MAX_RETRY_S ? MAX_RETRY_S : (unsigned)s;
    case FRUN_E_LIMIT:
        return MAX_RETRY_S;
    default:
        return 0;
    }
}

static frun_err read_refusal(const struct head *in, const char **why)
{
    switch (in->status) {
    case 401:
    case 403:
        *why = "the gateway does not allow this connector or location ID";
        return FRUN_E_DENIED;
    case 404:
        *why = "this is no tunnel port: dial [tunnel] listen of the gateway, or set server_name to "
               "that of its [tunnel]";
        return FRUN_E_AGAIN;
    case 426:
        *why = "the gateway speaks another wire version";
        return FRUN_E_UNSUPPORTED;
    case 409:
        *why = "the gateway reports a conflict";
        return FRUN_E_AGAIN;
    case 429:
        *why = "the gateway asks for fewer attempts";
        return FRUN_E_AGAIN;
    case 503:
        *why = "the gateway is not ready";
        return FRUN_E_AGAIN;
    default:
        *why = "the gateway refused the tunnel";
        return in->status >= 300 ? FRUN_E_AGAIN : FRUN_E_SYNTAX;
    }
}

frun_err ptth_read_welcome(const struct head *in, unsigned *tunnels, unsigned *retry_after_s,
                           const char **why)
{
    struct span value;
    uint64_t n = 1;

    *retry_after_s = 0;
    if (in->status != 101) {
        *retry_after_s = retry_after(in);
        return read_refusal(in, why);
    }
    if (!is_upgrade_to_ptth(in) || !has_alpn_h2(in)) {
        *why = "the gateway switched to something else than PTTH with h2";
        return FRUN_E_SYNTAX;
    }
    /* A PTTH gateway of another make does not know the field: one tunnel then. */
    if (!one_value(in, SPAN_LIT(FIELD_TUNNELS), &value) ||
        (value.p && (span_to_u64(value, &n) != FRUN_OK || n == 0))) {
        *why = "odd " FIELD_TUNNELS " of the gateway";
        return FRUN_E_SYNTAX;
    }
    *tunnels = n > MAX_TUNNELS ? MAX_TUNNELS : (unsigned)n;
    return FRUN_OK;
}
