/**
 * frunctl push: send a payload through the front door as a managed cloud service would.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/fetch/fetch.h"

#include "ctl.h"
#include "ctl_token.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

/* Most --header options. */
#define MAX_FIELDS 32

/* What the command line asks for. */
struct ask {
    struct fetch_request request;
    const char *fields[MAX_FIELDS + 1];
    const char *password_file;
    const char *file;
    const char *service_key; /* instead of user and password */
    bool has_type;           /* a Content-Type was given */
};

static int set_option(struct ask *a, int c, const char *value)
{
    switch (c) {
    case 'U':
        a->request.url = value;
        break;
    case 'u':
        a->request.user = value;
        break;
    case 'p':
        a->password_file = value;
        break;
    case 'k':
        a->service_key = value;
        break;
    case 'f':
        a->file = value;
        break;
    case 'a':
        a->request.ca_file = value;
        break;
    case 'm':
        a->request.method = value;
        break;
    case 'x':
        a->request.proxy = value;
        break;
    case 'H':
        if (a->request.n_fields == MAX_FIELDS) {
            return ctl_misuse("at most %d --header", MAX_FIELDS);
        }
        a->has_type |= span_starts_nocase(span_of(value), SPAN_LIT("content-type:"));
        a->fields[a->request.n_fields++] = value;
        break;
    default:
        return EX_USAGE;
    }
    return 0;
}

static int parse(int argc, char **argv, struct ask *a)
{
    static const struct option options[] = {{"url", required_argument, NULL, 'U'},
                                            {"user", required_argument, NULL, 'u'},
                                            {"password-file", required_argument, NULL, 'p'},
                                            {"service-key", required_argument, NULL, 'k'},
                                            {"file", required_argument, NULL, 'f'},
                                            {"ca", required_argument, NULL, 'a'},
                                            {"method", required_argument, NULL, 'm'},
                                            {"header", required_argument, NULL, 'H'},
                                            {"proxy", required_argument, NULL, 'x'},
                                            {NULL, 0, NULL, 0}};
    int c;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        int status = set_option(a, c, optarg);
        if (status) {
            return status;
        }
    }
    if (optind < argc) {
        return ctl_misuse("'%s' is one argument too many", argv[optind]);
    }
    if (a->service_key) {
        return a->request.user ? ctl_misuse("--user and --service-key are two ways; take one") : 0;
    }
    if (!a->request.url) {
        return ctl_misuse("--url is missing: the root URL ('frunctl endpoint root-url') and a path "
                          "like /sap/frun/metrics");
    }
    return a->request.user ? 0 : ctl_misuse("--user is missing: user of a [pusher NAME]");
}

static frun_err fetch_password(const struct ask *a, struct secret **out)
{
    char where[4200];
    struct diag d = {.text = ""};
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
    const char *from_env = getenv("FRUN_PASSWORD");
    frun_err err;
    if (a->password_file) {
        (void)snprintf(where, sizeof(where), "file:%s", a->password_file);
        err = secret_fetch(where, NULL, out, NULL, &d);
    } else if (from_env && from_env[0]) {
        err = secret_fetch("env:FRUN_PASSWORD", NULL, out, NULL, &d);
    } else {
        return ctl_password("Password of the pusher", false, out);
    }
    if (err) {
        (void)ctl_fail("no password: %s", d.text[0] ? d.text : err_text(err));
    }
    return err;
}

/* What to look at; the gateway's own answers carry Proxy-Status. */
static const char *remedy(int status)
{
    static const struct {
        int status;
        const char *text;
    } table[] = {
        {400, "a bare root URL is answered 400 after a good logon; give a path below /sap/frun"},
        {401, "user or password is wrong, or this pusher may not use the endpoint; with an SAP "
              "realm: the endpoint's own user was refused by Focused Run"},
        {403, "only /sap/frun and /sap/bc/ping are let through, and the connector must allow the "
              "path in a resource section"},
        {404, "no endpoint has this root path; 'frunctl endpoint list' shows all"},
        {405, "the endpoint's methods do not allow it"},
        {413, "raise max_body, or send less"},
        {502, "Focused Run was not reached; look at address, port and certificate of the system"},
        {503, "no connector is there for the location ID; look at the connector's log"},
        {504, "Focused Run did not answer in time"},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (table[i].status == status) {
            return table[i].text;
        }
    }
    return "look at the gateway's access line of this request";
}

static int print_answer(const struct fetch_answer *a)
{
    struct span by = fetch_answer_field(a, SPAN_LIT("Proxy-Status"));
    struct span id = fetch_answer_field(a, SPAN_LIT("X-Request-ID"));
    (void)printf("status:       %d\n", a->status);
    (void)printf("proxy-status: %.*s\n", SPAN_FMT(by.p ? by : SPAN_LIT("-")));
    (void)printf("request-id:   %.*s\n", SPAN_FMT(id.p ? id : SPAN_LIT("-")));
    (void)printf("time:         %.1f ms\n\n", (double)a->time_us / 1000.0);
    struct span body = buf_span(&a->body);
    if (body.n) {
        (void)fwrite(body.p, 1, body.n, stdout);
        (void)puts("");
    }
    return a->status >= 200 && a->status < 300 ? EXIT_SUCCESS : ctl_fail("%s", remedy(a->status));
}

static int send_payload(struct ask *a, struct span payload, const struct secret *password)
{
    struct fetch_answer answer;
    struct diag d = {.text = ""};
    if (!a->has_type) {
        a->fields[a->request.n_fields++] = "Content-Type: application/json";
    }
    a->request.fields = a->fields;
    a->request.password = password;
    bool has_body = !a->request.method || (strcmp(a->request.method, "GET") != 0 &&
                                           strcmp(a->request.method, "HEAD") != 0);
    if (has_body) {
        a->request.body = payload;
    }
    frun_err err = fetch_run(&a->request, &answer, &d);
    if (err) {
        return ctl_fail("%s: %s", err_text(err), d.text);
    }
    int status = print_answer(&answer);
    fetch_answer_done(&answer);
    return status;
}

/* With the service key: a token first, then as everybody. */
static int send_by_key(struct ask *a, struct span payload)
{
    struct ctl_token t;
    int status = ctl_token_get(a->service_key, a->request.ca_file, a->request.proxy, &t);
    if (status) {
        return status;
    }
    if (a->request.n_fields + 1 >= MAX_FIELDS) {
        status = ctl_misuse("at most %d --header", MAX_FIELDS - 2);
    } else {
        a->fields[a->request.n_fields++] = t.field;
        a->request.url = a->request.url ? a->request.url : t.url;
        status = send_payload(a, payload, NULL);
    }
    ctl_token_done(&t);
    return status;
}

static int send_by_password(struct ask *a, struct span payload)
{
    struct secret *password = NULL;
    if (fetch_password(a, &password)) {
        return EXIT_FAILURE;
    }
    int status = send_payload(a, payload, password);
    secret_free(password);
    return status;
}

int ctl_push(int argc, char **argv)
{
    struct ask a = {.file = NULL};
    size_t n = 0;
    int status = parse(argc, argv, &a);
    if (status) {
        return status;
    }
    char *payload = a.file ? ctl_payload_file(a.file, &n) : ctl_payload_sample();
    if (!payload) {
        return a.file && n == 0 ? EXIT_FAILURE : ctl_fail("out of memory");
    }
    n = a.file ? n : strlen(payload);
    struct span content = span_make(payload, n);
    fetch_start();
    status = a.service_key ? send_by_key(&a, content) : send_by_password(&a, content);
    fetch_stop();
    free(payload);
    return status;
}
