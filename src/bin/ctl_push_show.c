/**
 * frunctl push: how far it is, and what came back.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl.h"
#include "ctl_control.h"
#include "ctl_out.h"
#include "ctl_push.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Payloads below are gone before anybody could read of it, octets. */
#define PROGRESS_MIN_BYTES 262144

void ctl_push_on_sent(void *ctx, uint64_t sent)
{
    struct ctl_push_progress *p = ctx;
    unsigned percent = p->total ? (unsigned)(sent * 100 / p->total) : 100;
    bool is_terminal = isatty(STDERR_FILENO) != 0;
    unsigned step = is_terminal ? 1 : 10;
    if (percent > 100 || percent / step == p->told / step || (!p->is_wanted && !is_terminal)) {
        return;
    }
    p->told = percent;
    (void)fprintf(stderr, "%ssent %.1f of %.1f MiB (%u %%)%s", is_terminal ? "\r" : "",
                  (double)sent / 1048576.0, (double)p->total / 1048576.0, percent,
                  is_terminal && percent < 100 ? "" : "\n");
}

bool ctl_push_is_watched(const struct ctl_push_progress *p)
{
    return p->is_wanted || (isatty(STDERR_FILENO) && p->total >= PROGRESS_MIN_BYTES);
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

static int show_json(const struct fetch_answer *a, struct span by, struct span id, uint64_t sent)
{
    struct span body = buf_span(&a->body);
    bool is_good = a->status >= 200 && a->status < 300;
    json_t *v = json_pack("{s:i, s:f, s:I}", "status", a->status, "ms", (double)a->time_us / 1000.0,
                          "bytes_sent", (json_int_t)sent);
    const struct {
        const char *key;
        struct span text;
    } texts[] = {{"proxy_status", by}, {"request_id", id}, {"answer", body}};
    for (size_t i = 0; i < 3; i++) {
        if (texts[i].text.n) {
            (void)json_object_set_new(v, texts[i].key,
                                      json_stringn(texts[i].text.p, texts[i].text.n));
        }
    }
    if (!is_good) {
        (void)json_object_set_new(v, "remedy", json_string(remedy(a->status)));
    }
    ctl_json_print(v);
    json_decref(v);
    return is_good ? EXIT_SUCCESS : EXIT_FAILURE;
}

int ctl_push_show(const struct fetch_answer *a, bool is_json, uint64_t sent)
{
    struct span by = fetch_answer_field(a, SPAN_LIT("Proxy-Status"));
    struct span id = fetch_answer_field(a, SPAN_LIT("X-Request-ID"));
    if (is_json) {
        return show_json(a, by, id, sent);
    }
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
