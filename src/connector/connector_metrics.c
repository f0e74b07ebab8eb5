/**
 * What monitoring reads: /metrics.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "connector_int.h"

#include "frun/admin/metrics.h"

static const char *const class_names[METER_CLASSES] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};

static const char *const origin_names[METER_ORIGINS] = {"none", "focused-run", "connector",
                                                        "sap-connectivity", "connector"};

/* Rows are told once for each family: what stands together in the text. */
enum family { REQUESTS, DENIED, DURATION, BYTES_IN, BYTES_OUT, REPEATS };

struct teller {
    struct admin_metrics *m;
    enum family family;
};

static void tell_requests(struct admin_metrics *m, struct admin_label *labels,
                          const struct meter_sum *sum)
{
    for (size_t i = 0; i < METER_CLASSES; i++) {
        for (size_t k = 0; k < METER_ORIGINS; k++) {
            if (sum->requests[i][k]) {
                labels[1] = (struct admin_label){"code", span_of(class_names[i])};
                labels[2] = (struct admin_label){"origin", span_of(origin_names[k])};
                admin_metrics_value(m, labels, 3, (double)sum->requests[i][k]);
            }
        }
    }
}

static void on_row(void *ctx, struct span name, unsigned variant, const struct meter_sum *sum)
{
    const struct teller *t = ctx;
    struct span shown = !name.p ? SPAN_LIT("(none)") : name.n ? name : SPAN_LIT("(other)");
    struct admin_label labels[3] = {{"system", shown}};
    (void)variant;
    switch (t->family) {
    case REQUESTS:
        tell_requests(t->m, labels, sum);
        break;
    case DENIED:
        admin_metrics_value(t->m, labels, 1, (double)sum->denials[METER_DENIAL_FORBIDDEN]);
        break;
    case DURATION:
        admin_metrics_histogram(t->m, labels, 1, sum->total_buckets, sum->total_us);
        break;
    case BYTES_IN:
        admin_metrics_value(t->m, labels, 1, (double)sum->bytes_in);
        break;
    case BYTES_OUT:
        admin_metrics_value(t->m, labels, 1, (double)sum->bytes_out);
        break;
    case REPEATS:
        admin_metrics_value(t->m, labels, 1, (double)sum->repeats);
        break;
    }
}

static void put_requests(struct admin_metrics *m, const struct connector *c)
{
    static const struct {
        enum family family;
        const char *name;
        const char *type;
        const char *unit;
        const char *help;
    } families[] = {
        {REQUESTS, "requests", "counter", "", "Ended requests by status class and who answered."},
        {DENIED, "access_denied", "counter", "", "Requests that access control refused."},
        {DURATION, "request_duration_seconds", "histogram", "seconds",
         "Head received to answer handed over."},
        {BYTES_IN, "request_body_bytes", "counter", "bytes", "Octets of request bodies."},
        {BYTES_OUT, "answer_body_bytes", "counter", "bytes", "Octets of answer bodies."},
        {REPEATS, "repeats", "counter", "", "Times a request was sent on again."},
    };
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        struct teller t = {m, families[i].family};
        admin_metrics_family(m, families[i].name, families[i].type, families[i].unit,
                             families[i].help);
        meter_each(c->meter, on_row, &t);
    }
}

static double number_of(const struct subaccount_count *n, size_t which)
{
    const double all[] = {(double)n->open, (double)n->wanted, (double)n->opened, (double)n->failed};
    return all[which];
}

static void put_tunnels(struct admin_metrics *m, const struct connector *c)
{
    static const struct {
        const char *name;
        const char *type;
        const char *help;
    } families[] = {{"tunnels", "gauge", "Tunnels that take requests."},
                    {"tunnels_wanted", "gauge", "Tunnels there should be."},
                    {"tunnels_opened", "counter", "Times a tunnel came to stand."},
                    {"tunnels_failed", "counter",
                     "Times a tunnel was lost or could not be made; it is dialled again."}};
    for (size_t k = 0; k < sizeof(families) / sizeof(families[0]); k++) {
        admin_metrics_family(m, families[k].name, families[k].type, "", families[k].help);
        for (size_t i = 0; i < c->n_subaccounts; i++) {
            struct subaccount_count n = {0};
            const char *name = subaccount_conf(c->subaccounts[i])->place.name;
            const struct admin_label label = {"subaccount", span_of(name)};
            subaccount_count(c->subaccounts[i], &n);
            admin_metrics_value(m, &label, 1, number_of(&n, k));
        }
    }
}

static void put_certificate(void *ctx, const char *what, const char *name, int64_t until_s)
{
    const struct admin_label labels[] = {{"what", span_of(what)}, {"name", span_of(name)}};
    admin_metrics_value(ctx, labels, 2, (double)until_s);
}

void connector_metrics(void *ctx, struct admin_request *r)
{
    const struct connector *c = ctx;
    struct admin_metrics m;
    admin_metrics_begin(&m, "frunconnector_", r);
    admin_metrics_process(&m, (double)c->started_s);
    admin_metrics_family(&m, "in_flight_requests", "gauge", "", "Requests under way.");
    admin_metrics_value(&m, NULL, 0, (double)connector_in_flight(c));
    put_tunnels(&m, c);
    put_requests(&m, c);
    admin_metrics_family(&m, "certificate_expiry_seconds", "gauge", "seconds",
                         "When a certificate ends, seconds since 1970.");
    connector_certificates(c, put_certificate, &m);
    alerts_metrics(c->alerts, &m);
    admin_metrics_answer(&m, r);
}
