/**
 * frunctl doctor: findings about both ends of the road, each with one remedy.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_BIN_CTL_DOCTOR_H
#define FRUN_BIN_CTL_DOCTOR_H

#include "frun/base/buf.h"
#include "frun/base/steps.h"

#include "ctl_control.h"

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conf_cn;
struct conf_gw;
struct secret;

/* Milliseconds for each step on the network. */
#define DOCTOR_WAIT_MS 5000

/* One finding. */
struct doctor_finding {
    char area[64];          /* "gateway push.example.com:8444" */
    char step[24];          /* "tls" */
    enum steps_state state; /* how it went */
    char found[STEPS_TEXT_BYTES];
    char remedy[STEPS_TEXT_BYTES]; /* "" if nothing is to be done */
};

/* The examination. */
struct doctor {
    struct ctl_control control; /* --config, --socket, --json */
    const char *bundle;         /* --bundle, or NULL */
    const char *ca;             /* --ca: who signed the front door's certificate, or NULL */
    bool is_connector;          /* whose file it is */
    bool is_running;            /* the daemon answers */
    struct conf_gw *gw;         /* gateway's configuration, or NULL */
    struct conf_cn *cn;         /* connector's configuration, or NULL */
    char area[64];              /* of what is found next */
    struct doctor_finding *items;
    size_t n;
};

/* Begin a new area. */
void doctor_area(struct doctor *d, const char *fmt, ...) FRUN_PRINTF(2, 3);

/* Something was found. */
void doctor_say(struct doctor *d, const char *step, enum steps_state state, const char *fmt, ...)
    FRUN_PRINTF(4, 5);

/* What to do about what was found last. */
void doctor_remedy(struct doctor *d, const char *fmt, ...) FRUN_PRINTF(2, 3);

/* Everything about one end. */
void doctor_gateway(struct doctor *d);
void doctor_connector(struct doctor *d);

/* A certificate file: life, chain, name (NULL: none is expected). */
void doctor_certificate(struct doctor *d, const char *step, const char *path, const char *name);

/* The machine: clock, folder of state (may be NULL), disk, descriptors. */
void doctor_host(struct doctor *d, const char *state_folder, uint64_t connections);

/* Where a connection goes and what it trusts. */
struct doctor_peer {
    const char *host;
    unsigned port;
    const char *proxy; /* http://host:port, or NULL */
    const char *proxy_user;
    const struct secret *proxy_password;
    const char *server_name; /* in the certificate; NULL: host */
    const char *ca;          /* PEM file; NULL: the system's */
    const char *certificate; /* shown, or NULL */
    const char *key;
    const char *alpn; /* or NULL */
    bool is_plain;    /* no TLS */
};

/* A connection that has been made. */
struct doctor_line {
    int fd;
    SSL_CTX *ctx;
    SSL *ssl;
};

/* DNS, proxy, TCP, TLS: each a finding. false: the road ends there. */
bool doctor_dial(struct doctor *d, const struct doctor_peer *p, struct doctor_line *l);

/* DNS, proxy, TCP. The socket, or -1. */
int doctor_tcp(struct doctor *d, const struct doctor_peer *p);

/* Send a request and take its answer's head, or what there is of it. false: none came. */
bool doctor_exchange(const struct doctor_line *l, struct span request, char *head, size_t room);

/* Status of a head, 0: none. */
unsigned doctor_status(const char *head);

/* Compare the Date of an answer with our clock. */
void doctor_clock(struct doctor *d, const char *head);

void doctor_close(struct doctor_line *l);

/* Write the archive; redacted. 0, or an exit status. */
int doctor_bundle(struct doctor *d, struct json_t *findings);

/* -- parts of the archive */

/* Append a configuration file without secrets, hashes, comments. false: no memory. */
bool doctor_redact(struct span text, bool is_connector, struct buf *out);

/* Replace every secret of the configuration that stands in a text by stars. */
void doctor_scrub(const struct doctor *d, char *text, size_t n);

#endif
