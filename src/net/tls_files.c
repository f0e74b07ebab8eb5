/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/net/tls_files.h"

#include "frun/base/secret.h"
#include "tls_int.h"

#include <openssl/evp.h>

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/** A certificate that ends within this time is worth a warning, seconds. */
#define SOON_SECONDS (14 * INT64_C(86400))

/* -- what a client's context is made of: to read that costs a fraction of making it
 * --------------------------------------------------------------------------------------- */

static bool put_octets(EVP_MD_CTX *md, const void *p, size_t n)
{
    return EVP_DigestUpdate(md, &n, sizeof(n)) == 1 && EVP_DigestUpdate(md, p, n) == 1;
}

static bool put_file(EVP_MD_CTX *md, const char *name)
{
    char text[8192];
    size_t n = 0;
    if (!name) {
        return put_octets(md, "", 0);
    }
    FILE *f = fopen(name, "re");
    bool is_good = f != NULL;
    while (is_good && (n = fread(text, 1, sizeof(text), f)) > 0) {
        is_good = put_octets(md, text, n);
    }
    secret_wipe(text, sizeof(text));
    is_good = is_good && !ferror(f);
    if (f) {
        (void)fclose(f);
    }
    return is_good && put_octets(md, "", 0);
}

static bool digest(const struct tls_settings *s, unsigned char out[EVP_MAX_MD_SIZE])
{
    const unsigned char flags[] = {s->must_be_asked, s->is_mutual, s->certificate != NULL,
                                   s->ca_file != NULL};
    const char *alpn = s->alpn ? s->alpn : "";
    const char *label = s->label ? s->label : "";
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool is_good = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 &&
                   put_octets(md, flags, sizeof(flags)) && put_octets(md, alpn, strlen(alpn)) &&
                   put_octets(md, label, strlen(label)) && put_file(md, s->certificate) &&
                   put_file(md, s->private_key) && put_file(md, s->ca_file) &&
                   EVP_DigestFinal_ex(md, out, NULL) == 1;
    EVP_MD_CTX_free(md);
    return is_good;
}

/* Made anew only if it would be another one. The files are looked at before and after: one that
 * changes meanwhile leaves a context that is made anew the next time. */
static frun_err make_client(const struct tls_settings *s, struct tls_ctx **out, struct diag *d)
{
    unsigned char before[EVP_MAX_MD_SIZE];
    unsigned char after[EVP_MAX_MD_SIZE];
    const struct tls_ctx *old = s->before;
    bool is_known = digest(s, before);
    if (is_known && old && old->has_source &&
        memcmp(old->source, before, sizeof(old->source)) == 0) {
        *out = tls_ref((struct tls_ctx *)(uintptr_t)old);
        return FRUN_OK;
    }
    frun_err err = tls_client_new(s, out, d);
    if (!err && is_known && digest(s, after)) {
        memcpy((*out)->source, before, sizeof((*out)->source));
        (*out)->has_source = memcmp(before, after, sizeof((*out)->source)) == 0;
    }
    return err;
}

static frun_err make(const struct tls_settings *s, bool is_server, struct tls_ctx **out,
                     struct diag *d)
{
    return is_server ? tls_server_new(s, out, d) : make_client(s, out, d);
}

static void tell(FILE *report, const struct conf_doc *doc, const struct tls_place *at,
                 bool is_error, const char *why)
{
    conf_place_print(doc, report, is_error, at->section, at->key, why);
}

/* Certificate and key alone: is one of them wrong? The text names the file that is. */
static bool report_pair(const struct tls_source *s, const struct conf_doc *doc, FILE *report)
{
    struct tls_settings pair = {.certificate = s->tls.certificate,
                                .private_key = s->tls.private_key};
    struct tls_ctx *t = NULL;
    struct diag d = {.text = ""};
    if (!pair.certificate || tls_client_new(&pair, &t, &d) == FRUN_OK) {
        tls_unref(&t);
        return false;
    }
    size_t n = strlen(pair.private_key);
    bool is_key = strncmp(d.text, pair.private_key, n) == 0 && d.text[n] == ':' &&
                  (strcmp(pair.certificate, pair.private_key) != 0 || strstr(d.text, "key"));
    tell(report, doc, is_key ? &s->private_key : &s->certificate, true, d.text);
    return true;
}

static bool report_ca(const struct tls_source *s, const struct conf_doc *doc, FILE *report)
{
    struct tls_settings ca = {.ca_file = s->tls.ca_file};
    struct tls_ctx *t = NULL;
    struct diag d = {.text = ""};
    if (!ca.ca_file || tls_client_new(&ca, &t, &d) == FRUN_OK) {
        tls_unref(&t);
        return false;
    }
    tell(report, doc, &s->ca, true, d.text);
    return true;
}

/* The lists, with the CAs that they are to be compared with. */
static bool report_crl(const struct tls_source *s, const struct conf_doc *doc, FILE *report)
{
    struct tls_settings all = s->tls;
    struct tls_ctx *t = NULL;
    struct diag d = {.text = ""};
    if (!all.crl_file || !all.ca_file || tls_server_new(&all, &t, &d) == FRUN_OK ||
        strncmp(d.text, all.crl_file, strlen(all.crl_file)) != 0) {
        tls_unref(&t);
        return false;
    }
    tell(report, doc, &s->crl, true, d.text);
    return true;
}

/* Where doubts about the lists go. */
struct doubt {
    const struct tls_source *s;
    const struct conf_doc *doc;
    FILE *report;
};

static void on_doubt(void *ctx, const char *text)
{
    const struct doubt *x = ctx;
    char why[1024];
    (void)snprintf(why, sizeof(why), "%.400s: %s", x->s->tls.crl_file, text);
    tell(x->report, x->doc, &x->s->crl, false, why);
}

static void day_of(int64_t seconds, char out[32])
{
    time_t at = (time_t)seconds;
    struct tm tm;
    if (!gmtime_r(&at, &tm) || strftime(out, 32, "%Y-%m-%d %H:%M UTC", &tm) == 0) {
        out[0] = '\0';
    }
}

static void warn_of_end(const struct tls_place *at, const struct conf_doc *doc, FILE *report,
                        const char *file, struct tls_validity v)
{
    int64_t now = (int64_t)time(NULL);
    char day[32];
    char why[512];
    if (v.until == 0 || (now >= v.from && v.until - now > SOON_SECONDS)) {
        return;
    }
    day_of(now < v.from ? v.from : v.until, day);
    (void)snprintf(why, sizeof(why), "%s %s %s%s", file,
                   now < v.from     ? "is not valid before"
                   : now >= v.until ? "expired on"
                                    : "expires on",
                   day,
                   now < v.from     ? "; check this machine's clock"
                   : now >= v.until ? ": connections fail, renew it"
                                    : "; renew it in time");
    tell(report, doc, at, false, why);
}

/* Whoever can read it can be us. */
static void warn_of_readers(const struct tls_source *s, const struct conf_doc *doc, FILE *report)
{
    struct stat st;
    char why[512];
    if (!s->tls.private_key || stat(s->tls.private_key, &st) ||
        !(st.st_mode & (S_IROTH | S_IWOTH))) {
        return;
    }
    (void)snprintf(why, sizeof(why), "%.400s can be read or written by everybody; chmod o-rw it",
                   s->tls.private_key);
    tell(report, doc, &s->private_key, false, why);
}

frun_err tls_files_load(const struct tls_source *s, const struct conf_doc *doc, bool is_server,
                        FILE *report, struct tls_ctx **out)
{
    struct diag d = {.text = ""};
    frun_err err = make(&s->tls, is_server, out, &d);
    if (!report || err == FRUN_E_NOMEM) {
        return err;
    }
    if (!err) {
        warn_of_readers(s, doc, report);
        warn_of_end(&s->certificate, doc, report, s->tls.certificate, tls_own_validity(*out));
        warn_of_end(&s->ca, doc, report, s->tls.ca_file, tls_ca_validity(*out));
        tls_crl_doubts(*out, on_doubt, &(struct doubt){s, doc, report});
        return FRUN_OK;
    }
    /* Each part alone, so that one does not hide what is wrong with the other. */
    bool is_told = report_pair(s, doc, report);
    is_told = report_ca(s, doc, report) || is_told;
    is_told = (!is_told && report_crl(s, doc, report)) || is_told;
    if (!is_told) {
        tell(report, doc, s->tls.ca_file ? &s->ca : &s->certificate, true, d.text);
    }
    return err;
}
