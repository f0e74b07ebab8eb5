/**
 * frunctl doctor on the connector: the road to each gateway up to the tunnel, and to each back-end
 * system.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/mono.h"
#include "frun/base/text.h"
#include "frun/conf/check.h"
#include "frun/conf/connector.h"
#include "frun/tunnel/ptth.h"

#include "ctl_check.h"
#include "ctl_doctor.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What we say in the first octets of the tunnel that we do not want: SETTINGS, and GOAWAY with no
 * stream. A request that the gateway has sent by then provably was not processed: it sends it by
 * another tunnel (RFC 9113 6.8). */
static const char goodbye[] = "\0\0\0\4\0\0\0\0\0\0\0\x8\7\0\0\0\0\0\0\0\0\0\0\0\0\0";

/* Tunnels that the running daemon has for a membership. */
static long open_tunnels(struct doctor *d, const char *name)
{
    json_t *v = NULL;
    long n = -1;
    if (!d->is_running || ctl_control_ask(&d->control, "GET", "/api/v1/subaccounts", NULL, &v)) {
        return n;
    }
    const json_t *list = json_object_get(v, "subaccounts");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        if (strcmp(ctl_check_text(one, "name"), name) == 0) {
            n = (long)json_integer_value(json_object_get(one, "tunnels"));
        }
    }
    json_decref(v);
    return n;
}

static void say_answer(struct doctor *d, const char *head)
{
    unsigned status = doctor_status(head);
    int n = (int)strcspn(head, "\r\n");
    if (status == 101 && strcasestr(head, "ptth")) {
        doctor_say(d, "upgrade", STEPS_OK, "the gateway opens the tunnel");
    } else if (status == 401 || status == 403) {
        doctor_say(d, "identity", STEPS_FAIL, "the gateway does not know us: %.*s", n, head);
        doctor_remedy(d, "in the gateway's [connector ...]: certificate_subject must be that of "
                         "our certificate, location_id must list ours");
    } else if (status == 426) {
        doctor_say(d, "upgrade", STEPS_FAIL, "the gateway speaks another version: %.*s", n, head);
        doctor_remedy(d, "bring both programs to the same version");
    } else if (status == 429 || status == 503 || status == 409) {
        doctor_say(d, "upgrade", STEPS_WARN, "the gateway refuses for now: %.*s", n, head);
        doctor_remedy(d, "see max_tunnels at the gateway, and its log");
    } else if (status) {
        doctor_say(d, "upgrade", STEPS_FAIL, "no 101 but: %.*s", n > 100 ? 100 : n, head);
        doctor_remedy(d, "something between takes the upgrade away, or this is no tunnel port of "
                         "frunproxyd: correct the address, have the middlebox pass it through");
    } else {
        doctor_say(d, "upgrade", STEPS_FAIL, "the gateway closes without an answer");
        doctor_remedy(d, "it does not accept our certificate (signed by its client_ca?), or a "
                         "middlebox cuts what it does not know");
    }
}

static void try_upgrade(struct doctor *d, const struct conf_subaccount *a, const char *host,
                        const struct doctor_line *l)
{
    unsigned char octets[16];
    char instance[PTTH_INSTANCE_BYTES];
    char head[8192] = "";
    struct buf hello;
    mono_entropy(octets, sizeof(octets));
    text_hex(span_make(octets, sizeof(octets)), instance);
    const struct ptth_hello h = {.subaccount = span_of(a->place.name),
                                 .location_id = span_of(a->location_id),
                                 .instance = span_of(instance),
                                 .name = span_of("frunctl-doctor"),
                                 .version = SPAN_LIT(FRUN_VERSION),
                                 .wire_version = PTTH_WIRE_VERSION};
    buf_init(&hello, 8192);
    if (ptth_write_hello(&h, span_of(host), &hello) == FRUN_OK) {
        (void)doctor_exchange(l, buf_span(&hello), head, sizeof(head));
        if (doctor_status(head) == 101) {
            (void)SSL_write(l->ssl, goodbye, (int)sizeof(goodbye) - 1);
            (void)SSL_shutdown(l->ssl);
        }
        say_answer(d, head);
        doctor_clock(d, head);
    }
    buf_done(&hello);
}

static void check_gateway(struct doctor *d, const struct conf_subaccount *a, const char *address)
{
    struct span name;
    struct doctor_line l;
    unsigned port = 0;
    char host[256];
    doctor_area(d, "gateway %.40s", address);
    if (!conf_check_authority(span_of(address), &name, &port)) {
        return;
    }
    (void)snprintf(host, sizeof(host), "%.*s", SPAN_FMT(name));
    const struct doctor_peer p = {.host = host,
                                  .port = port,
                                  .proxy = a->proxy,
                                  .proxy_user = a->proxy_user,
                                  .proxy_password = a->proxy_password,
                                  .server_name = a->server_name,
                                  .ca = a->gateway_ca,
                                  .certificate = a->certificate,
                                  .key = a->private_key,
                                  .alpn = "http/1.1"};
    if (!doctor_dial(d, &p, &l)) {
        return;
    }
    long n = open_tunnels(d, a->place.name);
    if (n > 0) {
        doctor_say(d, "upgrade", STEPS_OK, "the daemon has %ld tunnels open", n);
    } else {
        try_upgrade(d, a, host, &l);
    }
    doctor_close(&l);
}

static void check_backend(struct doctor *d, const struct conf_mapping *m)
{
    struct doctor_line l;
    char request[512];
    char head[8192] = "";
    doctor_area(d, "system %.50s", m->place.name);
    const struct doctor_peer p = {.host = m->internal_host,
                                  .port = (unsigned)m->internal_port,
                                  .server_name = m->server_name,
                                  .ca = m->backend_ca,
                                  .certificate = m->system_certificate,
                                  .key = m->system_private_key,
                                  .is_plain = m->protocol != 0};
    if (!doctor_dial(d, &p, &l)) {
        return;
    }
    int n = snprintf(request, sizeof(request),
                     "GET /sap/bc/ping HTTP/1.1\r\nHost: %s:%u\r\nConnection: close\r\n\r\n",
                     m->host_in_request_header ? m->internal_host : m->virtual_host,
                     m->host_in_request_header ? (unsigned)m->internal_port : m->virtual_port);
    bool is_there = doctor_exchange(&l, span_make(request, (size_t)n), head, sizeof(head));
    unsigned status = is_there ? doctor_status(head) : 0;
    if (status == 401) {
        doctor_say(d, "logon", STEPS_OK, "GET /sap/bc/ping asks for a logon, as it should (401)");
    } else if (status == 403 || status == 404) {
        doctor_say(d, "logon", STEPS_FAIL, "GET /sap/bc/ping: %u", status);
        doctor_remedy(d, "activate /sap/bc/ping in transaction SICF, and permit it in a Web "
                         "Dispatcher that stands before");
    } else if (status >= 200 && status < 300) {
        doctor_say(d, "logon", STEPS_WARN, "GET /sap/bc/ping answers %u without a logon", status);
        doctor_remedy(d, "a logon page or an anonymous service: check the SICF node's logon "
                         "procedure");
    } else {
        doctor_say(d, "logon", STEPS_FAIL, "GET /sap/bc/ping: %u", status);
        doctor_remedy(d, "%s",
                      status ? "see the ICM's log" : "HTTPS or HTTP: does protocol fit the port?");
    }
    doctor_clock(d, head);
    doctor_close(&l);
}

void doctor_connector(struct doctor *d)
{
    const struct conf_cn *cn = d->cn;
    doctor_host(d, NULL, 0);
    doctor_area(d, "certificates");
    doctor_certificate(d, "connector", cn->connector->certificate, NULL);
    for (size_t i = 0; i < cn->n_subaccounts; i++) {
        doctor_area(d, "certificates");
        doctor_certificate(d, "gateway_ca", cn->subaccounts[i]->gateway_ca, NULL);
    }
    for (size_t i = 0; i < cn->n_subaccounts; i++) {
        for (size_t k = 0; k < cn->subaccounts[i]->gateway.n; k++) {
            check_gateway(d, cn->subaccounts[i], cn->subaccounts[i]->gateway.items[k]);
        }
    }
    for (size_t i = 0; i < cn->n_mappings; i++) {
        check_backend(d, cn->mappings[i]);
    }
}
