/**
 * SAP's SOCKS5: RFC 1928 with a method of its own, 0x80, that logs on by an access token and names
 * the Cloud Connector.
 *
 *     we                                            proxy
 *     05 01 80                                      05 80
 *     01 | u32 n | token | u8 m | base64(location)  01 00
 *     05 01 00 | 01 IPv4 or 03 u8 n name | u16 port 05 reply 00 | address | u16 port
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "dial_int.h"

#include "frun/base/text.h"

#include <arpa/inet.h>
#include <string.h>

enum {
    VERSION = 5,
    METHOD_TOKEN = 0x80,
    LOGON_VERSION = 1,
    COMMAND_CONNECT = 1,
    ADDRESS_IPV4 = 1,
    ADDRESS_NAME = 3,
    ADDRESS_IPV6 = 4
};

static frun_err ask_logon(const struct dial_socks *s, struct buf *out)
{
    unsigned char head[5];
    char coded[1 + TEXT_BASE64_BYTES(DIAL_SOCKS_LOCATION_BYTES)];
    size_t n = s->token.n;
    size_t coded_len = 0;
    char *at;
    if (n == 0 || n > DIAL_SOCKS_TOKEN_BYTES || s->location_id.n > DIAL_SOCKS_LOCATION_BYTES) {
        return FRUN_E_LIMIT;
    }
    if (s->location_id.n > 0) {
        coded_len = text_base64(s->location_id, coded + 1);
    }
    coded[0] = (char)coded_len;
    head[0] = LOGON_VERSION;
    for (size_t i = 0; i < 4; i++) {
        head[1 + i] = (unsigned char)(n >> (24 - 8 * i));
    }
    /* Room for all of it first: growing would leave copies of the token behind. */
    frun_err err = buf_reserve(out, sizeof(head) + n + 1 + coded_len, &at);
    err = err ? err : buf_put(out, span_make(head, sizeof(head)));
    err = err ? err : buf_put(out, s->token);
    return err ? err : buf_put(out, span_make(coded, 1 + coded_len));
}

static frun_err ask_connect(const struct dial_target *t, struct buf *out)
{
    struct span host = span_of(t->host);
    unsigned char head[3 + 1 + 4] = {VERSION, COMMAND_CONNECT, 0, ADDRESS_IPV4};
    size_t head_len = sizeof(head);
    const unsigned char port[2] = {(unsigned char)(t->port >> 8), (unsigned char)t->port};
    if (inet_pton(AF_INET, t->host, head + 4) == 1) {
        host.n = 0;
    } else if (host.n > 0 && host.n <= 255) {
        head[3] = ADDRESS_NAME;
        head[4] = (unsigned char)host.n;
        head_len = 5;
    } else {
        return FRUN_E_LIMIT;
    }
    frun_err err = buf_put(out, span_make(head, head_len));
    err = err ? err : buf_put(out, host);
    return err ? err : buf_put(out, span_make(port, sizeof(port)));
}

frun_err dial_socks_ask(enum dial_socks_state state, const struct dial_target *t,
                        const struct dial_socks *s, struct buf *out)
{
    static const unsigned char hello[] = {VERSION, 1, METHOD_TOKEN};
    switch (state) {
    case DIAL_SOCKS_METHOD:
        return buf_put(out, span_make(hello, sizeof(hello)));
    case DIAL_SOCKS_LOGON:
        return ask_logon(s, out);
    case DIAL_SOCKS_CONNECT:
        return ask_connect(t, out);
    case DIAL_SOCKS_OPEN:
        break;
    }
    return FRUN_OK;
}

static enum dial_refusal refusal_of(unsigned char reply)
{
    switch (reply) {
    case 1: /* general failure: the back-end system closed */
    case 4:
        return DIAL_REFUSAL_BACKEND;
    case 2:
        return DIAL_REFUSAL_SYSTEM;
    case 3:
        return DIAL_REFUSAL_TUNNEL;
    case 5:
        return DIAL_REFUSAL_LOGON;
    default:
        return DIAL_REFUSAL_FORM;
    }
}

/* Behind the reply comes an address that means nothing to us; it has to be read all the same. */
static frun_err judge_connect(struct span in, size_t *used, enum dial_refusal *refusal)
{
    const unsigned char *p = (const unsigned char *)in.p;
    size_t len = 4;
    if (p[1] != 0) {
        *refusal = refusal_of(p[1]);
        return FRUN_E_PROXY;
    }
    if (in.n < 5) {
        return FRUN_E_AGAIN;
    }
    switch (p[3]) {
    case ADDRESS_IPV4:
        len += 4;
        break;
    case ADDRESS_IPV6:
        len += 16;
        break;
    case ADDRESS_NAME:
        len += (size_t)1 + p[4];
        break;
    default:
        *refusal = DIAL_REFUSAL_FORM;
        return FRUN_E_PROXY;
    }
    *used = len + 2;
    return in.n < *used ? FRUN_E_AGAIN : FRUN_OK;
}

frun_err dial_socks_answer(enum dial_socks_state state, struct span in, size_t *used,
                           enum dial_refusal *refusal)
{
    const unsigned char *p = (const unsigned char *)in.p;
    unsigned char version = state == DIAL_SOCKS_LOGON ? LOGON_VERSION : VERSION;
    if (in.n > 0 && p[0] != version) {
        *refusal = DIAL_REFUSAL_FORM;
        return FRUN_E_PROXY;
    }
    if (in.n < 2) {
        return FRUN_E_AGAIN;
    }
    if (state == DIAL_SOCKS_CONNECT) {
        return judge_connect(in, used, refusal);
    }
    bool is_logon = state == DIAL_SOCKS_LOGON;
    if (p[1] != (is_logon ? 0 : METHOD_TOKEN)) {
        *refusal = is_logon ? DIAL_REFUSAL_LOGON : DIAL_REFUSAL_FORM;
        return FRUN_E_PROXY;
    }
    *used = 2;
    return FRUN_OK;
}

const char *dial_socks_words(enum dial_refusal refusal)
{
    switch (refusal) {
    case DIAL_REFUSAL_LOGON:
        return "it does not accept the access token: check service key and tenant";
    case DIAL_REFUSAL_SYSTEM:
        return "the SAP Cloud Connector has no TCP mapping for this virtual host and port: add it "
               "there under Cloud To On-Premise";
    case DIAL_REFUSAL_TUNNEL:
        return "no SAP Cloud Connector is connected for this subaccount and location ID";
    case DIAL_REFUSAL_BACKEND:
        return "the SAP Cloud Connector cannot connect to the back-end system: check internal host "
               "and port there";
    case DIAL_REFUSAL_NONE:
    case DIAL_REFUSAL_FORM:
        break;
    }
    return "it is no SOCKS5 proxy of SAP BTP: check proxy_host and proxy_port, 20004 as a rule";
}
