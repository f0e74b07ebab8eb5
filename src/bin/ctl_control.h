/**
 * What the commands share that speak to a running daemon.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_BIN_CTL_CONTROL_H
#define FRUN_BIN_CTL_CONTROL_H

#include <stdbool.h>
#include <stddef.h>

struct json_t;

/* Words a command takes beside its options. */
#define CTL_MAX_WORDS 4

/* Where the daemon is, how to print, and the words of the command. */
struct ctl_control {
    const char *socket;               /* --socket, else found by --config or tried */
    const char *config;               /* --config, or NULL */
    bool is_json;                     /* --json */
    bool is_quiet;                    /* no word about a daemon that cannot be reached */
    const char *words[CTL_MAX_WORDS]; /* in order */
    size_t n_words;                   /* count */
    char found[108];                  /* of --config */
};

/* --socket PATH, --config FILE, --json and at most max_words words. EXIT_SUCCESS, or reported. */
int ctl_control_parse(int argc, char **argv, size_t max_words, struct ctl_control *c);

/* Ask the daemon; what it refuses is reported in its own words. body: JSON text or NULL. value:
 * out, the answer, json_decref() it. EXIT_SUCCESS; EX_UNAVAILABLE no daemon; EX_NOPERM; EX_CONFIG;
 * EXIT_FAILURE. */
int ctl_control_ask(struct ctl_control *c, const char *method, const char *target, const char *body,
                    struct json_t **value);

/* Percent-encode a name for a path: everything but letters, digits, '-', '_', '.' and '~'. false:
 * it does not fit. */
bool ctl_control_encode(const char *name, char *out, size_t room);

/* A text, number or truth of an object for people, "-" if it is not there. room: for numbers. */
const char *ctl_control_text(const struct json_t *object, const char *key, char *room, size_t size);

/* A column of a table. */
struct ctl_column {
    const char *head; /* over it */
    const char *key;  /* of the objects */
    bool is_right;    /* a number */
};

/* Print objects of an array as a table; columns that no object has are left out. */
void ctl_control_table(const struct json_t *array, const struct ctl_column *columns, size_t n);

#endif
