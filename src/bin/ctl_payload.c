/**
 * Payloads of frunctl push: the sample, or a file.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/buf.h"

#include "ctl.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Largest --file, octets. */
#define MAX_PAYLOAD (64UL * 1024 * 1024)

static json_t *attribute(const char *key, const char *text)
{
    return json_pack("{s:s, s:{s:s}}", "key", key, "value", "stringValue", text);
}

/* One data point with its time; `attributes` is taken over. */
static json_t *point(double value, json_t *attributes)
{
    char now[32];
    (void)snprintf(now, sizeof(now), "%lld000000000", (long long)time(NULL));
    return json_pack("{s:s, s:f, s:o}", "timeUnixNano", now, "asDouble", value, "attributes",
                     attributes);
}

/* A quota metric has three points: rating, limit and value. */
static json_t *quota_metric(void)
{
    const char *type = "sap.calm.hm.metric.type";
    json_t *rated = point(63.5, json_pack("[o, o]", attribute(type, "quota"),
                                          attribute("sap.calm.hm.metric.rating", "ok")));
    json_t *limit = point(100.0, json_pack("[o, o]", attribute(type, "quota"),
                                           attribute("sap.calm.hm.quota", "limit")));
    json_t *value = point(63.5, json_pack("[o, o]", attribute(type, "quota"),
                                          attribute("sap.calm.hm.quota", "value")));
    return json_pack("{s:s, s:s, s:s, s:{s:[o, o, o]}}", "name", "HDB_MEMORY_USED", "unit", "%",
                     "description", "Used memory of the database", "gauge", "dataPoints", rated,
                     limit, value);
}

static json_t *status_metric(void)
{
    json_t *rated = point(1.0, json_pack("[o, o]", attribute("sap.calm.hm.metric.type", "status"),
                                         attribute("sap.calm.hm.metric.rating", "warning")));
    return json_pack("{s:s, s:s, s:s, s:{s:[o]}}", "name", "SHORT_DUMPS", "unit", "1",
                     "description", "Short dumps of the last hour", "gauge", "dataPoints", rated);
}

/* OTLP metrics as S/4HANA Cloud sends them for health monitoring. */
char *ctl_payload_sample(void)
{
    json_t *resource =
        json_pack("{s:[o, o, o]}", "attributes", attribute("service.name", "S/4HANA Cloud"),
                  attribute("service.instance.id", "my300000"),
                  attribute("sap.calm.hm.service.type", "S4HANA"));
    json_t *root =
        json_pack("{s:[{s:o, s:[{s:{s:s, s:s}, s:[o, o]}]}]}", "resourceMetrics", "resource",
                  resource, "scopeMetrics", "scope", "name", "frunctl.sample", "version",
                  FRUN_VERSION, "metrics", quota_metric(), status_metric());
    char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    return text;
}

char *ctl_payload_file(const char *path, size_t *n)
{
    struct buf b;
    char *at;
    size_t got = 1;
    buf_init(&b, MAX_PAYLOAD);
    FILE *f = fopen(path, "re");
    if (!f) {
        (void)ctl_fail("cannot read %s: %s", path, strerrordesc_np(errno));
        return NULL;
    }
    frun_err err = FRUN_OK;
    while (!err && got > 0) {
        err = buf_reserve(&b, 16384, &at);
        got = err ? 0 : fread(at, 1, 16384, f);
        buf_commit(&b, got);
    }
    if (!err && ferror(f)) {
        err = FRUN_E_IO;
    }
    (void)fclose(f);
    if (err) {
        (void)ctl_fail("cannot read %s: %s", path,
                       err == FRUN_E_LIMIT ? "larger than 64 MiB" : err_text(err));
        buf_done(&b);
        return NULL;
    }
    *n = buf_len(&b);
    return b.data;
}
