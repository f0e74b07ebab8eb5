/**
 * frunctl passwd: crypt(5) hashes for pushers; and reading passwords without showing them.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl.h"
#include "ctl_audit.h"
#include "ctl_out.h"

#include <crypt.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <termios.h>
#include <unistd.h>

/* Longest password, octets with line end and NUL; libcrypt takes 512. */
#define LINE_BYTES 514

/* One line of f into a secret, without its end. */
static frun_err read_line(FILE *f, struct secret **out)
{
    char line[LINE_BYTES];
    frun_err err = FRUN_E_SYNTAX;
    if (fgets(line, sizeof(line), f)) {
        size_t n = strcspn(line, "\r\n");
        err = n ? secret_new(span_make(line, n), out) : FRUN_E_SYNTAX;
        if (n == sizeof(line) - 1) {
            secret_free(*out);
            *out = NULL;
            err = FRUN_E_LIMIT;
        }
    }
    secret_wipe(line, sizeof(line));
    return err;
}

/* Ask at the terminal; its echo is off meanwhile. */
static frun_err ask(const char *prompt, struct secret **out)
{
    struct termios before;
    bool is_set = tcgetattr(STDIN_FILENO, &before) == 0;
    struct termios quiet = before;
    if (!is_set) {
        return FRUN_E_IO;
    }
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    (void)fprintf(stderr, "%s: ", prompt);
    if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet)) {
        return FRUN_E_IO;
    }
    frun_err err = read_line(stdin, out);
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    (void)fputs("\n", stderr);
    return err;
}

frun_err ctl_password(const char *prompt, bool is_twice, struct secret **out)
{
    struct secret *one = NULL;
    struct secret *two = NULL;
    bool is_terminal = isatty(STDIN_FILENO) != 0;
    /* no copy of the password stays behind in stdio's buffer */
    (void)setvbuf(stdin, NULL, _IONBF, 0);
    frun_err err = is_terminal ? ask(prompt, &one) : read_line(stdin, &one);
    if (!err && is_terminal && is_twice) {
        err = ask("Again", &two);
        if (!err && !secret_equal(secret_span(one), secret_span(two))) {
            (void)ctl_fail("the two differ; try again");
            err = FRUN_E_SYNTAX;
            goto out;
        }
    }
    if (err) {
        (void)ctl_fail("no password: %s", err == FRUN_E_SYNTAX  ? "it is empty"
                                          : err == FRUN_E_LIMIT ? "it is longer than 512 octets"
                                                                : err_text(err));
    }
out:
    secret_free(two);
    if (err) {
        secret_free(one);
        return err;
    }
    *out = one;
    return FRUN_OK;
}

static int hash_by(const char *prefix, unsigned long cost, const struct secret *password, char *out,
                   size_t size)
{
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    struct crypt_data *work = calloc(1, sizeof(*work));
    if (!work) {
        return ctl_fail("out of memory");
    }
    const char *hash = NULL;
    if (crypt_gensalt_rn(prefix, cost, NULL, 0, setting, sizeof(setting))) {
        hash = crypt_r(secret_span(password).p, setting, work);
    }
    bool is_made = hash && hash[0] == '$' && strlen(hash) < size;
    if (is_made) {
        (void)snprintf(out, size, "%s", hash);
    }
    secret_wipe(work, sizeof(*work));
    free(work);
    return is_made ? EXIT_SUCCESS : ctl_fail("libcrypt refuses this method");
}

int ctl_hash(const char *prefix, const struct secret *password, char *out, size_t size)
{
    return hash_by(prefix, 0, password, out, size);
}

/* Nobody guesses 144 random bits, however quickly each guess is checked; gateways check them too.
 */
int ctl_hash_random(const struct secret *password, char *out, size_t size)
{
    return hash_by("$y$", 1, password, out, size);
}

int ctl_passwd(int argc, char **argv)
{
    static const struct option options[] = {{"method", required_argument, NULL, 'm'},
                                            {"config", required_argument, NULL, 'c'},
                                            {"json", no_argument, NULL, 'j'},
                                            {NULL, 0, NULL, 0}};
    const char *prefix = "$y$";
    const char *config = NULL;
    struct secret *password = NULL;
    int c;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
    while ((c = getopt_long(argc, argv, "m:", options, NULL)) != -1) {
        if (c == 'm' && strcmp(optarg, "yescrypt") == 0) {
            prefix = "$y$";
        } else if (c == 'm' && strcmp(optarg, "sha512") == 0) {
            prefix = "$6$";
        } else if (c == 'c') {
            config = optarg;
        } else if (c != 'j') {
            return c == 'm' ? ctl_misuse("'%s' is not yescrypt or sha512", optarg) : EX_USAGE;
        }
    }
    if (optind < argc) {
        return ctl_misuse("a password is never an argument; it is asked for, or read from stdin");
    }
    if (ctl_password("Password", true, &password)) {
        return EXIT_FAILURE;
    }
    char hash[CRYPT_OUTPUT_SIZE];
    int status = ctl_hash(prefix, password, hash, sizeof(hash));
    secret_free(password);
    if (status) {
        return status;
    }
    const char *method = prefix[1] == 'y' ? "yescrypt" : "sha512";
    ctl_audit_made(config, "credential.made", "hash of a password", method);
    if (ctl_is_json()) {
        return ctl_json_take(json_pack("{s:s, s:s}", "method", method, "hash", hash));
    }
    (void)puts(hash);
    return EXIT_SUCCESS;
}
