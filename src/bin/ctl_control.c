/**
 * frunctl's way to a running daemon: find its control socket, ask, print.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/admin/client.h"
#include "frun/conf/connector.h"
#include "frun/conf/gateway.h"

#include "ctl.h"
#include "ctl_control.h"

#include <getopt.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

/* How long a daemon may take to answer, milliseconds. */
#define TIMEOUT_MS 60000

/* Octets of an answer at most. */
#define MAX_ANSWER_BYTES ((size_t)64 << 20)

int ctl_control_parse(int argc, char **argv, size_t max_words, struct ctl_control *c)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"socket", required_argument, NULL, 's'},
                                            {NULL, 0, NULL, 0}};
    *c = (struct ctl_control){0};
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
    for (int o; (o = getopt_long(argc, argv, "c:js:", options, NULL)) != -1;) {
        switch (o) {
        case 'c':
            c->config = optarg;
            break;
        case 'j':
            c->is_json = true;
            break;
        case 's':
            c->socket = optarg;
            break;
        default:
            return EX_USAGE;
        }
    }
    for (; optind < argc; optind++) {
        if (c->n_words >= max_words || c->n_words >= CTL_MAX_WORDS) {
            return ctl_misuse("'%s' is one argument too many", argv[optind]);
        }
        c->words[c->n_words++] = argv[optind];
    }
    return EXIT_SUCCESS;
}

/* The socket that a configuration names, whichever daemon's it is; "" for none. Nothing else in the
 * file matters: it may have errors, which the daemon tells best, and secrets that are out of reach
 * here, as systemd's credentials are for ExecReload=. */
static bool find_in_config(struct ctl_control *c)
{
    bool is_connector = false;
    size_t n_kinds = 0;
    struct conf_doc *d = NULL;
    const struct conf_admin *admin = NULL;
    if (access(c->config, R_OK) != 0 || ctl_config_side(c->config, &is_connector)) {
        return false;
    }
    const struct conf_kind *kinds =
        is_connector ? conf_cn_kinds(&n_kinds) : conf_gw_kinds(&n_kinds);
    if (conf_admin_load(c->config, kinds, n_kinds, &d, &admin)) {
        return false;
    }
    (void)snprintf(c->found, sizeof(c->found), "%s", admin->socket_path ? admin->socket_path : "");
    c->socket = c->found;
    conf_free(d);
    return true;
}

static int complain(const struct ctl_control *c, int status, const char *fmt, ...)
    FRUN_PRINTF(3, 4);

/* Why there is no daemon to ask, unless that is no concern. */
static int complain(const struct ctl_control *c, int status, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (!c->is_quiet) {
        (void)ctl_fail("%s", text);
    }
    return status;
}

static int find_socket(struct ctl_control *c)
{
    if (c->socket) {
        return EXIT_SUCCESS;
    }
    if (!c->config) {
        bool is_connector = access(CONF_ADMIN_GATEWAY_SOCKET, F_OK) != 0 &&
                            access(CONF_ADMIN_CONNECTOR_SOCKET, F_OK) == 0;
        c->socket = is_connector ? CONF_ADMIN_CONNECTOR_SOCKET : CONF_ADMIN_GATEWAY_SOCKET;
        return EXIT_SUCCESS;
    }
    if (!find_in_config(c)) {
        return complain(
            c, EX_CONFIG,
            "%s cannot be read or is no configuration; 'frunctl config check %s' tells why, and "
            "--socket does without it",
            c->config, c->config);
    }
    if (!c->socket[0]) {
        return complain(c, EX_UNAVAILABLE, "%s has no control socket ([admin] control_socket)",
                        c->config);
    }
    return EXIT_SUCCESS;
}

/* What a daemon that refuses says. */
static int refused(unsigned status, const json_t *value)
{
    const char *detail = json_string_value(json_object_get(value, "detail"));
    (void)ctl_fail("%s", detail ? detail : "the daemon refuses");
    return status == 403 || status == 401 ? EX_NOPERM : EXIT_FAILURE;
}

static int exit_of(frun_err err)
{
    switch (err) {
    case FRUN_E_DENIED:
        return EX_NOPERM;
    case FRUN_E_CONNECT:
    case FRUN_E_TIMEOUT:
    case FRUN_E_CLOSED:
    case FRUN_E_LIMIT:
        return EX_UNAVAILABLE;
    default:
        return EXIT_FAILURE;
    }
}

int ctl_control_ask(struct ctl_control *c, const char *method, const char *target, const char *body,
                    struct json_t **value)
{
    struct diag d = {.text = ""};
    struct buf text;
    unsigned http = 0;
    int status = find_socket(c);
    if (status) {
        return status;
    }
    struct admin_call call = {.socket = c->socket,
                              .method = method,
                              .target = target,
                              .body = span_of(body),
                              .timeout_ms = TIMEOUT_MS};
    buf_init(&text, MAX_ANSWER_BYTES);
    frun_err err = admin_client_call(&call, &http, &text, &d);
    if (err) {
        buf_done(&text);
        return complain(c, exit_of(err), "%s", d.text);
    }
    struct span raw = buf_span(&text);
    json_t *v = raw.n ? json_loadb(raw.p, raw.n, 0, NULL) : json_object();
    if (http >= 300) {
        status = refused(http, v);
    } else if (!v) {
        status = ctl_fail("%s: the answer is no JSON", c->socket);
    }
    buf_done(&text);
    if (status) {
        json_decref(v);
        return status;
    }
    *value = v;
    return EXIT_SUCCESS;
}

bool ctl_control_encode(const char *name, char *out, size_t room)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t n = 0;
    for (; *name; name++) {
        unsigned char c = (unsigned char)*name;
        bool is_plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
                        (c >= 'a' && c <= 'z') || (c && strchr("-_.~", c));
        if (n + 4 > room) {
            return false;
        }
        if (is_plain) {
            out[n++] = (char)c;
        } else {
            out[n++] = '%';
            out[n++] = hex[c >> 4];
            out[n++] = hex[c & 15];
        }
    }
    out[n] = '\0';
    return true;
}
