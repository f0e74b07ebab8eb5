/**
 * frunctl doctor on the gateway: certificates, ports, name, tunnels, endpoints.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/conf/check.h"
#include "frun/conf/gateway.h"

#include "ctl_check.h"
#include "ctl_doctor.h"

#include <ifaddrs.h>
#include <jansson.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Endpoints that are checked one by one; above it their health is read. */
#define MAX_CHECKED 50

/* Host and port of public_url. */
static void public_name(const struct conf_gw *gw, char host[256], unsigned *port)
{
    struct span s = span_skip(span_of(gw->gateway->public_url), strlen("https://"));
    struct span name = s;
    *port = 0;
    (void)!conf_check_authority(s, &name, port);
    (void)snprintf(host, 256, "%.*s", SPAN_FMT(name));
    *port = *port ? *port : 443;
}

static void check_certificates(struct doctor *d, const char *host)
{
    const struct conf_gw *gw = d->gw;
    doctor_area(d, "certificates");
    doctor_certificate(d, "front door", gw->gateway->certificate, host);
    if (gw->tunnel) {
        doctor_certificate(d, "tunnel", gw->tunnel->certificate, NULL);
        doctor_certificate(d, "connectors' CA", gw->tunnel->client_ca, NULL);
    }
    for (size_t i = 0; i < gw->n_endpoints; i++) {
        const struct conf_endpoint *e = gw->endpoints[i];
        if (e->certificate) {
            doctor_certificate(d, e->place.name, e->certificate,
                               e->host_name.n ? e->host_name.items[0] : NULL);
        }
    }
}

/* A port of our own, by loopback if it listens everywhere. */
static void check_listener(struct doctor *d, const char *step, const char *address)
{
    struct span host;
    unsigned port = 0;
    char name[256];
    if (!conf_check_authority(span_of(address), &host, &port)) {
        return;
    }
    (void)snprintf(name, sizeof(name), "%.*s", SPAN_FMT(host));
    if (name[0] == '[') {
        size_t n = strlen(name);
        memmove(name, name + 1, n);
        name[n - 2] = '\0';
    }
    const char *to = strcmp(name, "0.0.0.0") == 0 ? "127.0.0.1"
                     : strcmp(name, "::") == 0    ? "::1"
                                                  : name;
    char text[8];
    struct addrinfo *list = NULL;
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM};
    (void)snprintf(text, sizeof(text), "%u", port);
    int fd = getaddrinfo(to, text, &hints, &list) == 0
                 ? socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0)
                 : -1;
    bool is_open = fd >= 0 && connect(fd, list->ai_addr, list->ai_addrlen) == 0;
    if (fd >= 0) {
        (void)close(fd);
    }
    if (list) {
        freeaddrinfo(list);
    }
    doctor_say(d, step, is_open ? STEPS_OK : STEPS_FAIL, "%s %s", address,
               is_open ? "listens" : "does not listen");
    if (!is_open) {
        doctor_remedy(d, "start frunproxyd; with systemd the port must stand in frunproxyd.socket "
                         "or the service must be allowed to take it");
    }
}

/* Is one of a name's addresses ours? */
static bool is_ours(const struct addrinfo *list)
{
    struct ifaddrs *all = NULL;
    char a[NI_MAXHOST];
    char b[NI_MAXHOST];
    bool found = false;
    if (getifaddrs(&all)) {
        return false;
    }
    for (const struct addrinfo *x = list; x && !found; x = x->ai_next) {
        for (const struct ifaddrs *i = all; i && !found; i = i->ifa_next) {
            if (i->ifa_addr && i->ifa_addr->sa_family == x->ai_family &&
                getnameinfo(x->ai_addr, x->ai_addrlen, a, sizeof(a), NULL, 0, NI_NUMERICHOST) ==
                    0 &&
                getnameinfo(i->ifa_addr, x->ai_addrlen, b, sizeof(b), NULL, 0, NI_NUMERICHOST) ==
                    0) {
                found = strcmp(a, b) == 0;
            }
        }
    }
    freeifaddrs(all);
    return found;
}

/* What pushers call must lead here, by whatever stands in front of us. */
static void check_front_door(struct doctor *d, const char *host, unsigned port)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    char request[512];
    char head[4096];
    doctor_area(d, "public URL %.40s", d->gw->gateway->public_url);
    int code = getaddrinfo(host, NULL, &hints, &list);
    if (code) {
        doctor_say(d, "dns", STEPS_WARN, "%s: %s", host, gai_strerror(code));
        doctor_remedy(d, "pushers must be able to resolve it; from here it was not");
        return;
    }
    if (!is_ours(list)) {
        doctor_say(d, "dns", STEPS_WARN, "%s leads to none of this machine's addresses", host);
        doctor_remedy(d, "right if a load balancer or address translation stands in front; else "
                         "correct the DNS entry");
    }
    freeaddrinfo(list);
    struct doctor_line l;
    const struct doctor_peer p = {.host = host, .port = port, .alpn = "http/1.1", .ca = d->ca};
    if (!doctor_dial(d, &p, &l)) {
        return;
    }
    int n = snprintf(request, sizeof(request),
                     "GET /sap/bc/ping HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", host);
    bool is_there = doctor_exchange(&l, span_make(request, (size_t)n), head, sizeof(head));
    unsigned status = is_there ? doctor_status(head) : 0;
    doctor_say(d, "answer",
               status == 200   ? STEPS_OK
               : status == 503 ? STEPS_WARN
                               : STEPS_FAIL,
               "GET /sap/bc/ping: %u", status);
    if (status != 200) {
        doctor_remedy(d, "%s",
                      status == 503 ? "no endpoint has a road at the moment: see the tunnels below"
                                    : "something else answers at this name: correct DNS, or the "
                                      "load balancer's target");
    }
    doctor_close(&l);
}

static void check_tunnels(struct doctor *d)
{
    json_t *v = NULL;
    size_t wanted = 0;
    doctor_area(d, "tunnels");
    for (size_t i = 0; i < d->gw->n_endpoints; i++) {
        wanted += d->gw->endpoints[i]->route == CONF_ROUTE_TUNNEL;
    }
    if (!wanted || !d->is_running ||
        ctl_control_ask(&d->control, "GET", "/api/v1/tunnels", NULL, &v)) {
        doctor_say(d, "tunnels", STEPS_SKIPPED, "%s",
                   wanted ? "the daemon does not answer" : "no endpoint needs one");
        return;
    }
    size_t n = json_array_size(json_object_get(v, "tunnels"));
    doctor_say(d, "tunnels", n ? STEPS_OK : STEPS_FAIL, "%zu open, %zu endpoints need them", n,
               wanted);
    if (!n) {
        doctor_remedy(d, "run 'frunctl doctor' on the connector's machine");
    }
    json_decref(v);
}

static void check_endpoint(struct doctor *d, const char *name)
{
    char coded[CTL_TARGET_BYTES / 2];
    char target[CTL_TARGET_BYTES];
    struct steps s;
    json_t *v = NULL;
    doctor_area(d, "endpoint %.50s", name);
    if (!ctl_control_encode(name, coded, sizeof(coded))) {
        return;
    }
    (void)snprintf(target, sizeof(target), "/api/v1/endpoints/%s/check", coded);
    if (ctl_control_ask(&d->control, "POST", target, NULL, &v)) {
        doctor_say(d, "check", STEPS_SKIPPED, "the daemon cannot check it now");
        return;
    }
    ctl_check_steps(json_object_get(v, "steps"), &s);
    const struct step *worst = steps_worst(&s);
    const char *verdict = ctl_check_text(v, "verdict");
    bool is_up = strcmp(verdict, "up") == 0;
    doctor_say(d, "check",
               is_up                                ? STEPS_OK
               : strcmp(verdict, "unverified") == 0 ? STEPS_WARN
                                                    : STEPS_FAIL,
               "%s by %s%s%.100s%s%.300s", verdict, ctl_check_text(v, "road"), worst ? ": " : "",
               worst ? worst->name : "", worst ? ": " : "", worst ? worst->found : "");
    if (worst && worst->remedy[0]) {
        doctor_remedy(d, "%s", worst->remedy);
    }
    json_decref(v);
}

void doctor_gateway(struct doctor *d)
{
    const struct conf_gw *gw = d->gw;
    char host[256];
    unsigned port;
    doctor_host(d, gw->gateway->state_directory, gw->gateway->max_connections);
    public_name(gw, host, &port);
    check_certificates(d, host);
    doctor_area(d, "ports");
    for (size_t i = 0; i < gw->gateway->listen.n; i++) {
        check_listener(d, "front door", gw->gateway->listen.items[i]);
    }
    for (size_t i = 0; gw->tunnel && i < gw->tunnel->listen.n; i++) {
        check_listener(d, "tunnel", gw->tunnel->listen.items[i]);
    }
    check_front_door(d, host, port);
    check_tunnels(d);
    for (size_t i = 0; d->is_running && i < gw->n_endpoints && i < MAX_CHECKED; i++) {
        check_endpoint(d, gw->endpoints[i]->place.name);
    }
    if (gw->n_endpoints > MAX_CHECKED) {
        doctor_area(d, "endpoints");
        doctor_say(d, "check", STEPS_SKIPPED, "only the first %d were checked", MAX_CHECKED);
        doctor_remedy(d, "frunctl endpoint check --all");
    }
}
