/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct secret {
    size_t n;
    char text[]; /* n octets and a NUL */
};

/* Octets of a file that are looked at: the longest secret, CR LF, and one to tell "longer". */
#define SECRET_FILE_BYTES (SECRET_MAX_BYTES + 3)

frun_err secret_new(struct span s, struct secret **out)
{
    if (s.n > SECRET_MAX_BYTES) {
        return FRUN_E_LIMIT;
    }
    struct secret *made = malloc(sizeof(*made) + s.n + 1);
    if (!made) {
        return FRUN_E_NOMEM;
    }
    made->n = s.n;
    if (s.n > 0) {
        memcpy(made->text, s.p, s.n);
    }
    made->text[s.n] = '\0';
    *out = made;
    return FRUN_OK;
}

void secret_free(struct secret *s)
{
    if (!s) {
        return;
    }
    secret_wipe(s, sizeof(*s) + s->n + 1);
    free(s);
}

struct span secret_span(const struct secret *s)
{
    return s ? span_make(s->text, s->n) : span_make("", 0);
}

bool secret_equal(struct span a, struct span b)
{
    return a.n == b.n && (a.n == 0 || CRYPTO_memcmp(a.p, b.p, a.n) == 0);
}

void secret_wipe(void *p, size_t n)
{
    if (p && n > 0) {
        OPENSSL_cleanse(p, n);
    }
}

static frun_err take_text(struct span s, const char *what, struct secret **out, struct diag *d)
{
    if (s.n == 0) {
        diag_set(d, "%s is empty; put the secret there", what);
        return FRUN_E_SYNTAX;
    }
    frun_err err = secret_new(s, out);
    if (err) {
        diag_set(d, "%s: %s (a secret has at most %d octets)", what, err_text(err),
                 SECRET_MAX_BYTES);
    }
    return err;
}

static frun_err read_some(int fd, char *at, size_t room, size_t *len)
{
    *len = 0;
    while (*len < room) {
        ssize_t got = read(fd, at + *len, room - *len);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return FRUN_E_IO;
        }
        if (got == 0) {
            break;
        }
        *len += (size_t)got;
    }
    return FRUN_OK;
}

static frun_err from_file(const char *path, struct secret **out, struct diag *d)
{
    char text[SECRET_FILE_BYTES];
    char what[PATH_MAX + 16];
    char why[128];
    size_t n = 0;

    (void)snprintf(what, sizeof(what), "file \"%s\"", path);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    frun_err err = fd < 0 ? FRUN_E_IO : read_some(fd, text, sizeof(text), &n);
    if (err) {
        err = errno == ENOENT || errno == ENOTDIR ? FRUN_E_NOT_FOUND : FRUN_E_IO;
        diag_set(d, "cannot read %s: %s; %s", what, strerror_r(errno, why, sizeof(why)),
                 err == FRUN_E_NOT_FOUND ? "make it, or correct the name"
                                         : "the service's user must be able to read it, or systemd "
                                           "hands it over as credential:NAME");
    } else {
        if (n > 0 && text[n - 1] == '\n') {
            n -= n > 1 && text[n - 2] == '\r' ? 2 : 1;
        }
        err = take_text(span_make(text, n), what, out, d);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    secret_wipe(text, sizeof(text));
    return err;
}

static frun_err from_path(const char *dir, const char *name, struct secret **out, struct diag *d)
{
    char path[PATH_MAX];
    bool is_joined = dir && name[0] != '/';

    int n =
        snprintf(path, sizeof(path), "%s%s%s", is_joined ? dir : "", is_joined ? "/" : "", name);
    if (n < 0 || (size_t)n >= sizeof(path)) {
        diag_set(d, "the path of the secret is too long");
        return FRUN_E_LIMIT;
    }
    return from_file(path, out, d);
}

frun_err secret_credential_path(const char *name, char *out, size_t room, struct diag *d)
{
    /* Nothing in this program changes the environment. NOLINTNEXTLINE(concurrency-mt-unsafe) */
    const char *dir = getenv("CREDENTIALS_DIRECTORY");

    /* A name is one file in systemd's folder; a path would lead out of it. */
    if (strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
        diag_set(d, "\"%s\" is not the name of a credential", name);
        return FRUN_E_SYNTAX;
    }
    if (!dir || dir[0] == '\0') {
        diag_set(d,
                 "credential \"%s\": CREDENTIALS_DIRECTORY is not set; systemd sets it with "
                 "LoadCredential=%s:PATH, by hand name a folder that has a file %s",
                 name, name, name);
        return FRUN_E_NOT_FOUND;
    }
    int n = snprintf(out, room, "%s/%s", dir, name);
    if (n < 0 || (size_t)n >= room) {
        diag_set(d, "the path of credential \"%s\" is too long", name);
        return FRUN_E_LIMIT;
    }
    return FRUN_OK;
}

static frun_err from_credential(const char *name, struct secret **out, struct diag *d)
{
    char path[PATH_MAX];
    frun_err err = secret_credential_path(name, path, sizeof(path), d);
    return err ? err : from_file(path, out, d);
}

static frun_err from_env(const char *name, struct secret **out, struct diag *d)
{
    /* Nothing in this program changes the environment. NOLINTNEXTLINE(concurrency-mt-unsafe) */
    const char *value = getenv(name);

    if (!value) {
        diag_set(d, "environment variable %s is not set", name);
        return FRUN_E_NOT_FOUND;
    }
    return take_text(span_of(value), "the environment variable", out, d);
}

/* The text behind the prefix, or NULL. */
static const char *after(const char *where, const char *prefix)
{
    size_t n = strlen(prefix);

    return strncmp(where, prefix, n) == 0 ? where + n : NULL;
}

frun_err secret_fetch(const char *where, const char *base_dir, struct secret **out,
                      bool *is_literal, struct diag *d)
{
    const char *file = after(where, "file:");
    const char *credential = after(where, "credential:");
    const char *env = after(where, "env:");
    const char *name = file ? file : credential ? credential : env;
    frun_err err;

    if (!name) {
        err = take_text(span_of(where), "the value", out, d);
    } else if (name[0] == '\0') {
        diag_set(d, "a name must follow \"%s\"", where);
        err = FRUN_E_SYNTAX;
    } else if (file) {
        err = from_path(base_dir, name, out, d);
    } else {
        err = credential ? from_credential(name, out, d) : from_env(name, out, d);
    }
    if (!err && is_literal) {
        *is_literal = !name;
    }
    return err;
}
