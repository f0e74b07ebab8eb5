/**
 * What frunctl says, as text or as JSON.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl_out.h"

#include "ctl.h"

#include <getopt.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

/* Digits of a number: 0.36 is to be printed as the daemon said it. */
#define DIGITS 15

/* The process's two streams, and what is kept of them. */
static struct {
    bool is_json;
    bool is_printed; /* a value stands on standard output */
    bool is_starved; /* there was no memory for one */
    FILE *kept;      /* errors, warnings, hints */
    char *text;      /* of kept */
    size_t n;        /* octets of text */
} out;

/* getopt takes what is clearly meant: "--js". Behind "--" no option follows. */
static bool is_json_option(const char *arg)
{
    size_t n = strlen(arg);
    return strcmp(arg, "-j") == 0 || (n > 2 && strncmp(arg, "--json", n) == 0);
}

void ctl_out_begin(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        out.is_json |= is_json_option(argv[i]);
    }
    if (out.is_json) {
        out.kept = open_memstream(&out.text, &out.n);
        opterr = 0; /* getopt writes to standard error itself */
    }
}

bool ctl_is_json(void)
{
    return out.is_json;
}

FILE *ctl_err(void)
{
    return out.kept ? out.kept : stderr;
}

static void put(const json_t *value, size_t flags)
{
    if (!value) {
        out.is_starved = true;
        return;
    }
    (void)json_dumpf(value, stdout,
                     flags | JSON_REAL_PRECISION(DIGITS)); /* main() looks at ferror() */
    (void)puts("");
    out.is_printed = true;
}

void ctl_json_print(const struct json_t *value)
{
    put(value, JSON_INDENT(2));
}

void ctl_json_line(const struct json_t *value)
{
    put(value, JSON_COMPACT);
    (void)fflush(stdout);
}

void ctl_json_text(const char *text, size_t n)
{
    (void)fwrite(text, 1, n, stdout);
    (void)puts("");
    out.is_printed = true;
}

int ctl_json_take(struct json_t *value)
{
    ctl_json_print(value);
    int status = value ? EXIT_SUCCESS : ctl_fail("out of memory");
    json_decref(value);
    return status;
}

int ctl_document(const char *name, void (*print)(const void *what), const void *what)
{
    char *text = NULL;
    size_t n = 0;
    FILE *to = stdout;
    if (!out.is_json) {
        print(what);
        return EXIT_SUCCESS;
    }
    FILE *f = open_memstream(&text, &n);
    if (!f) {
        return ctl_fail("out of memory");
    }
    stdout = f; /* glibc lets it be set: the printers need not know */
    print(what);
    stdout = to;
    bool is_whole = !ferror(f);
    is_whole = fclose(f) == 0 && is_whole;
    int status =
        ctl_json_take(is_whole ? json_pack("{s:s, s:s%}", "name", name, "text", text, n) : NULL);
    free(text);
    return status;
}

/* Lines without the program's name; octets that are no UTF-8 become question marks. */
static json_t *lines_of(const char *text)
{
    static const char prefix[] = "frunctl: ";
    json_t *list = json_array();
    while (*text) {
        size_t n = strcspn(text, "\n");
        size_t skip = strncmp(text, prefix, sizeof(prefix) - 1) == 0 ? sizeof(prefix) - 1 : 0;
        json_t *line = json_stringn(text + skip, n - skip);
        char *copy = line ? NULL : strndup(text + skip, n - skip);
        for (char *p = copy; p && *p; p++) {
            *p = (unsigned char)*p < 0x80 ? *p : '?';
        }
        line = line ? line : json_string(copy ? copy : "out of memory");
        free(copy);
        if (n > 0) {
            (void)json_array_append(list, line);
        }
        json_decref(line);
        text += n + (text[n] == '\n');
    }
    return list;
}

int ctl_out_end(int status)
{
    if (!out.is_json) {
        return status;
    }
    if (out.is_starved && !out.is_printed) {
        (void)fputs("out of memory\n", ctl_err());
        status = status ? status : EXIT_FAILURE;
    }
    bool is_told = out.kept && fclose(out.kept) == 0 && out.n > 0;
    out.kept = NULL;
    json_t *lines = lines_of(is_told ? out.text
                             : status == EX_USAGE
                                 ? "an option is unknown, or lacks its value; see frunctl --help"
                                 : "");
    if (!out.is_printed && status) {
        json_t *v =
            json_pack("{s:s, s:i, s:O}", "result", "failed", "exit", status, "errors", lines);
        ctl_json_print(v);
        json_decref(v);
    } else if (json_array_size(lines) > 0) {
        json_t *v = json_pack("{s:O}", "messages", lines);
        (void)json_dumpf(v, stderr, JSON_COMPACT);
        (void)fputs("\n", stderr);
        json_decref(v);
    }
    json_decref(lines);
    free(out.text);
    out.text = NULL;
    return status;
}
