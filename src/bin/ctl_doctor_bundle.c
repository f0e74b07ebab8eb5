/**
 * frunctl doctor --bundle: what somebody who helps from afar needs, without anything secret.
 *
 * A tar archive in a gzip frame whose blocks are stored as they are: nothing else is needed to
 * write one. Configurations lose their secrets, hashes and comments; every text is searched once
 * more for the secrets that the configuration knows.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/file.h"
#include "frun/conf/connector.h"
#include "frun/conf/gateway.h"
#include "frun/conf/ini.h"

#include "ctl.h"
#include "ctl_doctor.h"
#include "ctl_out.h"

#include <glob.h>
#include <jansson.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

/* Octets of an archive at most, and of the end of a log in it. */
#define BUNDLE_MAX_BYTES ((size_t)256 << 20)
#define LOG_TAIL_BYTES   ((size_t)256 << 10)

/* A block of tar. */
#define BLOCK_BYTES 512

/* One file of the archive. */
static frun_err put_file(struct buf *tar, const char *name, struct span text)
{
    static const char zeros[BLOCK_BYTES];
    char head[BLOCK_BYTES] = {0};
    unsigned sum = 0;
    (void)snprintf(head, 100, "frunctl-doctor/%s", name);
    (void)snprintf(head + 100, 8, "0000600");
    (void)snprintf(head + 108, 8, "0000000");
    (void)snprintf(head + 116, 8, "0000000");
    (void)snprintf(head + 124, 12, "%011zo", text.n);
    (void)snprintf(head + 136, 12, "%011llo", (unsigned long long)time(NULL));
    memset(head + 148, ' ', 8);
    head[156] = '0';
    (void)snprintf(head + 257, 6, "ustar");
    memcpy(head + 263, "00", 2);
    for (size_t i = 0; i < sizeof(head); i++) {
        sum += (unsigned char)head[i];
    }
    (void)snprintf(head + 148, 8, "%06o", sum);
    frun_err err = buf_put(tar, span_make(head, sizeof(head)));
    err = err ? err : buf_put(tar, text);
    size_t rest = text.n % BLOCK_BYTES;
    return err || !rest ? err : buf_put(tar, span_make(zeros, BLOCK_BYTES - rest));
}

static uint32_t crc32_of(struct span s)
{
    uint32_t crc = 0xffffffffU;
    for (size_t i = 0; s.p && i < s.n; i++) {
        crc ^= (unsigned char)s.p[i];
        for (int k = 0; k < 8; k++) {
            crc = (crc >> 1) ^ (crc & 1 ? 0xedb88320U : 0);
        }
    }
    return ~crc;
}

static frun_err put_le(struct buf *out, uint32_t v, size_t n)
{
    char octets[4];
    for (size_t i = 0; i < n; i++) {
        octets[i] = (char)(v >> (8 * i));
    }
    return buf_put(out, span_make(octets, n));
}

/* RFC 1952 around stored blocks of RFC 1951 3.2.4. */
static frun_err put_gzip(struct buf *out, struct span tar)
{
    struct span rest = tar;
    frun_err err = buf_put(out, SPAN_LIT("\x1f\x8b\x08\0\0\0\0\0\0\xff"));
    while (!err && rest.n) {
        size_t n = rest.n > 0xffff ? 0xffff : rest.n;
        err = put_le(out, n == rest.n, 1);
        err = err ? err : put_le(out, (uint32_t)n, 2);
        err = err ? err : put_le(out, ~(uint32_t)n & 0xffffU, 2);
        err = err ? err : buf_put(out, span_head(rest, n));
        rest = span_skip(rest, n);
    }
    err = err ? err : put_le(out, crc32_of(tar), 4);
    return err ? err : put_le(out, (uint32_t)tar.n, 4);
}

/* One text; searched for secrets on its way. */
static frun_err put_text(const struct doctor *d, struct buf *tar, const char *name, struct span s)
{
    char *copy = strndup(s.p ? s.p : "", s.n);
    if (!copy) {
        return FRUN_E_NOMEM;
    }
    size_t n = strlen(copy);
    doctor_scrub(d, copy, n);
    frun_err err = put_file(tar, name, span_make(copy, n));
    free(copy);
    return err;
}

static frun_err put_config(const struct doctor *d, struct buf *tar, const char *path)
{
    char name[80];
    size_t n = 0;
    struct buf text;
    const char *base = strrchr(path, '/');
    char *raw = ctl_payload_file(path, &n);
    if (!raw) {
        return FRUN_OK; /* has been said */
    }
    buf_init(&text, BUNDLE_MAX_BYTES);
    bool is_good = doctor_redact(span_make(raw, n), d->is_connector, &text);
    secret_wipe(raw, n);
    free(raw);
    (void)snprintf(name, sizeof(name), "config/%.60s", base ? base + 1 : path);
    frun_err err = is_good ? put_text(d, tar, name, buf_span(&text)) : FRUN_E_NOMEM;
    buf_done(&text);
    return err;
}

/* The main file and what it includes. */
static frun_err put_configs(const struct doctor *d, struct buf *tar)
{
    const char *config = d->control.config;
    const char *slash = strrchr(config, '/');
    frun_err err = put_config(d, tar, config);
    for (size_t i = 0; d->gw && i < d->gw->gateway->include.n; i++) {
        const char *item = d->gw->gateway->include.items[i];
        char pattern[PATH_MAX];
        glob_t found = {0};
        bool is_relative = item[0] != '/' && slash;
        (void)snprintf(pattern, sizeof(pattern), "%.*s%s",
                       is_relative ? (int)(slash - config) + 1 : 0, is_relative ? config : "",
                       item);
        /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
        int rc = glob(pattern, 0, NULL, &found);
        for (size_t k = 0; rc == 0 && !err && k < found.gl_pathc; k++) {
            err = put_config(d, tar, found.gl_pathv[k]);
        }
        globfree(&found);
    }
    return err;
}

static frun_err put_json(const struct doctor *d, struct buf *tar, const char *name, const json_t *v)
{
    char *text = json_dumps(v, JSON_INDENT(2));
    frun_err err = text ? put_text(d, tar, name, span_of(text)) : FRUN_E_NOMEM;
    free(text);
    return err;
}

static frun_err put_answers(struct doctor *d, struct buf *tar)
{
    static const char *const names[2][7] = {
        {"status", "certificates", "requests", "systems", "tunnels", "endpoints", "health"},
        {"status", "certificates", "requests", "systems", "tunnels", "subaccounts", NULL}};
    frun_err err = FRUN_OK;
    for (size_t i = 0; d->is_running && !err && i < 7 && names[d->is_connector][i]; i++) {
        char target[64];
        char file[64];
        json_t *v = NULL;
        (void)snprintf(target, sizeof(target), "/api/v1/%s", names[d->is_connector][i]);
        (void)snprintf(file, sizeof(file), "daemon/%s.json", names[d->is_connector][i]);
        if (ctl_control_ask(&d->control, "GET", target, NULL, &v) == 0) {
            err = put_json(d, tar, file, v);
        }
        json_decref(v);
    }
    return err;
}

/* The end of a log, if it is a file. */
static frun_err put_tail(const struct doctor *d, struct buf *tar, const char *name,
                         const char *path)
{
    FILE *f = path ? fopen(path, "re") : NULL;
    char *text = f ? malloc(LOG_TAIL_BYTES) : NULL;
    frun_err err = FRUN_OK;
    if (text && (fseek(f, -(long)LOG_TAIL_BYTES, SEEK_END) == 0 || fseek(f, 0, SEEK_SET) == 0)) {
        size_t n = fread(text, 1, LOG_TAIL_BYTES, f);
        err = put_text(d, tar, name, span_make(text, n));
    }
    free(text);
    if (f) {
        (void)fclose(f);
    }
    return err;
}

static frun_err put_log(const struct doctor *d, struct buf *tar)
{
    const struct conf_log *log = d->gw ? d->gw->log : d->cn ? d->cn->log : NULL;
    if (!log) {
        return FRUN_OK;
    }
    frun_err err = put_tail(d, tar, "log.txt", conf_log_file(log));
    return err ? err : put_tail(d, tar, "access.txt", conf_log_access_file(log));
}

static frun_err put_versions(const struct doctor *d, struct buf *tar)
{
    struct utsname u = {.sysname = ""};
    char text[1024];
    (void)uname(&u);
    int n = snprintf(text, sizeof(text), "frunctl %s\n%s\n%s %s %s\nside: %s\n", FRUN_VERSION,
                     OpenSSL_version(OPENSSL_VERSION), u.sysname, u.release, u.machine,
                     d->is_connector ? "connector" : "gateway");
    return put_text(d, tar, "versions.txt", span_make(text, (size_t)n));
}

int doctor_bundle(struct doctor *d, json_t *findings)
{
    static const char end[2 * BLOCK_BYTES];
    struct buf tar;
    struct buf out;
    struct diag why = {.text = ""};
    buf_init(&tar, BUNDLE_MAX_BYTES);
    buf_init(&out, BUNDLE_MAX_BYTES);
    frun_err err = put_versions(d, &tar);
    err = err ? err : put_json(d, &tar, "findings.json", findings);
    err = err ? err : put_configs(d, &tar);
    err = err ? err : put_answers(d, &tar);
    err = err ? err : put_log(d, &tar);
    err = err ? err : buf_put(&tar, span_make(end, sizeof(end)));
    err = err ? err : put_gzip(&out, buf_span(&tar));
    err = err ? err : file_replace(d->bundle, buf_span(&out), &why);
    buf_done(&tar);
    buf_done(&out);
    if (err) {
        return ctl_fail("%s", why.text[0] ? why.text : err_text(err));
    }
    (void)fprintf(ctl_err(),
                  "frunctl: wrote %s, without secrets; look through it before you send it\n",
                  d->bundle);
    return 0;
}
