/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/fetch/fetch.h"

#include "frun/base/mono.h"

#include "curl_lib_int.h"

#include <assert.h>
#include <jansson.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

/* One exchange under way. */
struct fetch {
    const struct curl_lib *lib;
    CURL *curl;
    struct curl_slist *fields;
    struct fetch_answer answer;
    frun_err err; /* why a callback stopped the transfer */
    const struct fetch_request *request;
    char text[CURL_ERROR_SIZE];
};

/* jansson copies texts as it reads; each copy is wiped, so its length stands before it. */
#define SIZE_BYTES alignof(max_align_t)

static void *wiping_malloc(size_t n)
{
    char *p = n < SIZE_MAX - SIZE_BYTES ? malloc(SIZE_BYTES + n) : NULL;
    if (!p) {
        return NULL;
    }
    memcpy(p, &n, sizeof(n));
    return p + SIZE_BYTES;
}

static void wiping_free(void *at)
{
    size_t n;
    if (!at) {
        return;
    }
    char *p = (char *)at - SIZE_BYTES;
    memcpy(&n, p, sizeof(n));
    secret_wipe(p, SIZE_BYTES + n);
    free(p);
}

void fetch_start(void)
{
    json_set_alloc_funcs(wiping_malloc, wiping_free);
}

frun_err fetch_load(struct diag *d)
{
    const struct curl_lib *lib;
    return curl_lib_get(&lib, d);
}

void fetch_stop(void)
{
    curl_lib_stop();
}

/* libcurl hands over one head line a call, also those of interim answers. */
static size_t on_head(char *p, size_t size, size_t n, void *ctx)
{
    struct fetch *f = ctx;
    struct span line = span_make(p, size * n);
    if (span_starts(line, SPAN_LIT("HTTP/"))) {
        buf_consume(&f->answer.head, buf_len(&f->answer.head));
        return line.n;
    }
    f->err = buf_put(&f->answer.head, line);
    return f->err ? 0 : line.n;
}

static size_t on_body(char *p, size_t size, size_t n, void *ctx)
{
    struct fetch *f = ctx;
    f->err = buf_put(&f->answer.body, span_make(p, size * n));
    return f->err ? 0 : size * n;
}

/* libcurl asks at least once a second. */
static int on_progress(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t sent)
{
    const struct fetch *f = ctx;
    (void)a;
    (void)b;
    (void)c;
    if (f->request->on_sent) {
        f->request->on_sent(f->request->ctx, (uint64_t)sent);
    }
    return f->request->stop && atomic_load(f->request->stop) ? 1 : 0;
}

static frun_err add_field(struct fetch *f, const char *line)
{
    struct curl_slist *longer = f->lib->slist_append(f->fields, line);
    if (!longer) {
        return FRUN_E_NOMEM;
    }
    f->fields = longer;
    return FRUN_OK;
}

/* A line end in a field would let a caller's data begin a second one. */
static frun_err add_fields(struct fetch *f, const struct fetch_request *r, struct diag *d)
{
    for (size_t i = 0; i < r->n_fields; i++) {
        if (strpbrk(r->fields[i], "\r\n") || !strchr(r->fields[i], ':')) {
            diag_set(d, "'%.60s' is not a field; write 'Name: value'", r->fields[i]);
            return FRUN_E_SYNTAX;
        }
        frun_err err = add_field(f, r->fields[i]);
        if (err) {
            return err;
        }
    }
    return FRUN_OK;
}

/* One setter for each kind of value: libcurl takes any, and its header can check the type only
 * where it is called by its own name. */

static CURLcode set_number(const struct fetch *f, CURLoption option, long value)
{
    assert(option < CURLOPTTYPE_OBJECTPOINT);
    return f->lib->easy_setopt(f->curl, option, value);
}

static CURLcode set_text(const struct fetch *f, CURLoption option, const char *value)
{
    assert(option > CURLOPTTYPE_OBJECTPOINT && option < CURLOPTTYPE_FUNCTIONPOINT);
    return f->lib->easy_setopt(f->curl, option, value);
}

static CURLcode set_object(const struct fetch *f, CURLoption option, void *value)
{
    assert(option > CURLOPTTYPE_OBJECTPOINT && option < CURLOPTTYPE_FUNCTIONPOINT);
    return f->lib->easy_setopt(f->curl, option, value);
}

static CURLcode set_reader(const struct fetch *f, CURLoption option, curl_write_callback value)
{
    assert(option > CURLOPTTYPE_FUNCTIONPOINT && option < CURLOPTTYPE_OFF_T);
    return f->lib->easy_setopt(f->curl, option, value);
}

/* Options that take text or numbers never fail but for memory. */
static bool set_common(struct fetch *f, const struct fetch_request *r)
{
    uint64_t connect_ms = r->connect_timeout_ms ? r->connect_timeout_ms : 10000;
    uint64_t whole_ms = r->timeout_ms ? r->timeout_ms : 60000;
    CURLcode rc = CURLE_OK;
    rc |= set_object(f, CURLOPT_ERRORBUFFER, f->text);
    rc |= set_text(f, CURLOPT_URL, r->url);
    rc |= set_number(f, CURLOPT_NOSIGNAL, 1);
    /* A name server that does not answer is not waited for at the end: its thread ends by itself.
     */
    rc |= set_number(f, CURLOPT_QUICK_EXIT, 1);
    rc |= set_number(f, CURLOPT_PATH_AS_IS, 1);
    rc |= set_text(f, CURLOPT_PROTOCOLS_STR, "http,https");
    rc |= set_number(f, CURLOPT_FOLLOWLOCATION, 0);
    /* "" turns the proxies and exceptions of the environment off */
    rc |= set_text(f, CURLOPT_PROXY, r->proxy ? r->proxy : "");
    rc |= set_text(f, CURLOPT_NOPROXY, "");
    rc |= set_number(f, CURLOPT_SSL_VERIFYPEER, 1);
    rc |= set_number(f, CURLOPT_SSL_VERIFYHOST, 2);
    rc |= set_number(f, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
    if (r->ca_file) {
        rc |= set_text(f, CURLOPT_CAINFO, r->ca_file);
        rc |= set_text(f, CURLOPT_CAPATH, NULL);
    }
    rc |= set_number(f, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);
    rc |= set_number(f, CURLOPT_TIMEOUT_MS, (long)whole_ms);
    rc |= set_reader(f, CURLOPT_HEADERFUNCTION, on_head);
    rc |= set_object(f, CURLOPT_HEADERDATA, f);
    rc |= set_reader(f, CURLOPT_WRITEFUNCTION, on_body);
    rc |= set_object(f, CURLOPT_WRITEDATA, f);
    rc |= set_number(f, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1);
    return rc == CURLE_OK;
}

static CURLcode set_blob(const struct fetch *f, CURLoption type, CURLoption option, const char *pem)
{
    struct curl_blob blob = {.data = (char *)(uintptr_t)pem, /* only read: see flags */
                             .len = strlen(pem),
                             .flags = CURL_BLOB_NOCOPY};
    CURLcode rc = set_text(f, type, "PEM");
    return rc | f->lib->easy_setopt(f->curl, option, &blob);
}

static bool set_credentials(struct fetch *f, const struct fetch_request *r)
{
    CURLcode rc = CURLE_OK;
    if (r->user) {
        rc |= set_number(f, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        rc |= set_text(f, CURLOPT_USERNAME, r->user);
        rc |= set_text(f, CURLOPT_PASSWORD, r->password ? secret_span(r->password).p : "");
    }
    if (r->proxy_user) {
        const char *password = r->proxy_password ? secret_span(r->proxy_password).p : "";
        rc |= set_number(f, CURLOPT_PROXYAUTH, (long)CURLAUTH_BASIC);
        rc |= set_text(f, CURLOPT_PROXYUSERNAME, r->proxy_user);
        rc |= set_text(f, CURLOPT_PROXYPASSWORD, password);
    }
    if (r->certificate && r->private_key) {
        rc |= set_blob(f, CURLOPT_SSLCERTTYPE, CURLOPT_SSLCERT_BLOB, r->certificate);
        rc |= set_blob(f, CURLOPT_SSLKEYTYPE, CURLOPT_SSLKEY_BLOB, r->private_key);
        /* Else an encrypted key would be asked for at the terminal. */
        rc |= set_text(f, CURLOPT_KEYPASSWD, "");
    }
    if (r->stop || r->on_sent) {
        curl_xferinfo_callback progress = on_progress;
        rc |= set_number(f, CURLOPT_NOPROGRESS, 0);
        rc |= f->lib->easy_setopt(f->curl, CURLOPT_XFERINFOFUNCTION, progress);
        rc |= set_object(f, CURLOPT_XFERINFODATA, f);
    }
    return rc == CURLE_OK;
}

static bool set_message(struct fetch *f, const struct fetch_request *r)
{
    CURLcode rc = CURLE_OK;
    if (r->body.p) {
        rc |= set_text(f, CURLOPT_POSTFIELDS, r->body.p); /* not copied */
        rc |= f->lib->easy_setopt(f->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body.n);
    }
    if (r->method && strcmp(r->method, "HEAD") == 0) {
        rc |= set_number(f, CURLOPT_NOBODY, 1);
    } else if (r->method) {
        rc |= set_text(f, CURLOPT_CUSTOMREQUEST, r->method);
    }
    rc |= set_object(f, CURLOPT_HTTPHEADER, f->fields);
    return rc == CURLE_OK;
}

/* Our code and a remedy for what libcurl reports. */
static frun_err explain(const struct fetch *f, CURLcode rc, const char **remedy)
{
    static const struct {
        CURLcode code;
        frun_err err;
        const char *remedy;
    } table[] = {
        {CURLE_URL_MALFORMAT, FRUN_E_SYNTAX, "write https://host[:port]/path"},
        {CURLE_UNSUPPORTED_PROTOCOL, FRUN_E_SYNTAX, "write https://host[:port]/path"},
        {CURLE_COULDNT_RESOLVE_HOST, FRUN_E_RESOLVE, "check the host name and DNS"},
        {CURLE_COULDNT_RESOLVE_PROXY, FRUN_E_PROXY, "check the proxy's host name"},
        {CURLE_COULDNT_CONNECT, FRUN_E_CONNECT, "check host, port, firewall, and that it runs"},
        {CURLE_OPERATION_TIMEDOUT, FRUN_E_TIMEOUT, "check firewall and load, or wait longer"},
        {CURLE_PEER_FAILED_VERIFICATION, FRUN_E_TLS,
         "give the CA of the server's certificate, and call it by a name in that certificate"},
        {CURLE_SSL_CACERT_BADFILE, FRUN_E_TLS, "the CA file must be a readable PEM file"},
        {CURLE_SSL_CONNECT_ERROR, FRUN_E_TLS, "does the port speak TLS?"},
        {CURLE_SSL_CERTPROBLEM, FRUN_E_TLS, "check the certificate"},
        {CURLE_SSL_CIPHER, FRUN_E_TLS, "check the TLS versions and ciphers"},
        {CURLE_PROXY, FRUN_E_PROXY, "check the proxy"},
        {CURLE_GOT_NOTHING, FRUN_E_CLOSED, "does the port speak this protocol?"},
        {CURLE_RECV_ERROR, FRUN_E_CLOSED, "look at the server's log"},
        {CURLE_SEND_ERROR, FRUN_E_CLOSED, "look at the server's log"},
        {CURLE_PARTIAL_FILE, FRUN_E_CLOSED, "look at the server's log"},
        {CURLE_ABORTED_BY_CALLBACK, FRUN_E_CLOSED, "the program is stopping"},
        {CURLE_OUT_OF_MEMORY, FRUN_E_NOMEM, "free memory"},
    };
    *remedy = "try again";
    if (rc == CURLE_WRITE_ERROR && f->err) {
        *remedy = "the answer is above its ceiling";
        return f->err;
    }
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (table[i].code == rc) {
            *remedy = table[i].remedy;
            return table[i].err;
        }
    }
    return FRUN_E_IO;
}

static frun_err perform(struct fetch *f, struct diag *d)
{
    uint64_t from_us = mono_now_us();
    CURLcode rc = f->lib->easy_perform(f->curl);
    long status = 0;
    long version = 0;
    if (rc) {
        const char *remedy;
        frun_err err = explain(f, rc, &remedy);
        diag_set(d, "%s; %s", f->text[0] ? f->text : f->lib->easy_strerror(rc), remedy);
        return err;
    }
    (void)f->lib->easy_getinfo(f->curl, CURLINFO_RESPONSE_CODE, &status);
    (void)f->lib->easy_getinfo(f->curl, CURLINFO_HTTP_VERSION, &version);
    f->answer.time_us = mono_now_us() - from_us;
    f->answer.status = (int)status;
    f->answer.http_version = version == CURL_HTTP_VERSION_1_0   ? 10
                             : version == CURL_HTTP_VERSION_2_0 ? 20
                                                                : 11;
    return FRUN_OK;
}

frun_err fetch_run(const struct fetch_request *r, struct fetch_answer *out, struct diag *d)
{
    struct fetch f = {.request = r};
    char *whole;
    frun_err err = curl_lib_get(&f.lib, d);
    if (err) {
        return err;
    }
    f.curl = f.lib->easy_init();
    f.answer.is_secret = r->is_secret;
    err = f.curl ? FRUN_OK : FRUN_E_NOMEM;
    buf_init(&f.answer.head, FETCH_MAX_HEAD);
    buf_init(&f.answer.body, r->max_body ? r->max_body : FETCH_MAX_BODY);
    if (!err && r->is_secret) {
        err = buf_reserve(&f.answer.body, f.answer.body.max, &whole);
    }
    if (!err) {
        err = add_fields(&f, r, d);
    }
    /* ABAP and the gateway need no Expect round trip for what tools send */
    if (!err) {
        err = add_field(&f, "Expect:");
    }
    if (!err && (!set_common(&f, r) || !set_credentials(&f, r) || !set_message(&f, r))) {
        diag_set(d, "the URL or a field cannot be used; write https://host[:port]/path");
        err = FRUN_E_SYNTAX;
    }
    if (!err) {
        err = perform(&f, d);
    }
    f.lib->slist_free_all(f.fields);
    f.lib->easy_cleanup(f.curl);
    if (err) {
        fetch_answer_done(&f.answer);
        return err;
    }
    *out = f.answer;
    return FRUN_OK;
}

struct span fetch_answer_field(const struct fetch_answer *a, struct span name)
{
    struct span rest = buf_span(&a->head);
    struct span line;
    while (rest.p && span_split(&rest, '\n', &line)) {
        size_t colon = span_find(line, ':');
        if (colon == line.n || !span_eq_nocase(span_head(line, colon), name)) {
            continue;
        }
        struct span value = span_skip(line, colon + 1);
        if (value.n && value.p[value.n - 1] == '\r') {
            value.n--;
        }
        return span_trim(value);
    }
    return (struct span){NULL, 0};
}

void fetch_answer_done(struct fetch_answer *a)
{
    if (a) {
        if (a->is_secret) {
            secret_wipe(a->body.data, a->body.cap);
        }
        buf_done(&a->head);
        buf_done(&a->body);
    }
}
