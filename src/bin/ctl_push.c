/**
 * frunctl push: send a payload through the front door as a managed cloud service would.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/fetch/fetch.h"

#include "ctl.h"
#include "ctl_push.h"
#include "ctl_token.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

/* Most --header options. */
#define MAX_FIELDS 32

/* For a payload of no size, milliseconds. */
#define SEND_WAIT_MS 60000

/* What the command line asks for. */
struct ask {
    struct fetch_request request;
    const char *fields[MAX_FIELDS + 1];
    const char *password_file;
    const char *file;
    const char *service_key; /* instead of user and password */
    bool has_type;           /* a Content-Type was given */
    bool is_json;            /* --json */
    struct ctl_push_progress progress;
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
    case 'j':
        a->is_json = true;
        break;
    case 'P':
        a->progress.is_wanted = true;
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
                                            {"json", no_argument, NULL, 'j'},
                                            {"progress", no_argument, NULL, 'P'},
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
        a->progress.total = payload.n;
        /* a slow line is no fault: 64 KiB in each second are enough */
        a->request.timeout_ms = SEND_WAIT_MS + payload.n / 64;
    }
    if (has_body && ctl_push_is_watched(&a->progress)) {
        a->request.on_sent = ctl_push_on_sent;
        a->request.ctx = &a->progress;
    }
    frun_err err = fetch_run(&a->request, &answer, &d);
    if (err) {
        return ctl_fail("%s: %s", err_text(err), d.text);
    }
    int status = ctl_push_show(&answer, a->is_json, a->request.body.n);
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
