/**
 * frunctl mass-setup: many customer networks from one list. Read, compare, plan, write, report.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_BIN_CTL_MASS_H
#define FRUN_BIN_CTL_MASS_H

#include "ctl_pusher.h"
#include "ctl_wish.h"

#include <stdbool.h>
#include <stddef.h>

/* Most lines of a list. */
#define CTL_MASS_MAX_LINES 20000

/* The columns, in their order without a header up to CTL_COL_DESCRIPTION. */
enum ctl_col {
    CTL_COL_NETWORK,
    CTL_COL_FENCE,
    CTL_COL_USER,
    CTL_COL_PASSWORD,
    CTL_COL_PUSHER,
    CTL_COL_ROUTE,
    CTL_COL_LOCATION,
    CTL_COL_SYSTEM,
    CTL_COL_HOST,
    CTL_COL_DESCRIPTION,
    CTL_COL_PUSHER_USER,
    CTL_COL_PUSHER_PASSWORD,
    CTL_COL_ENDPOINT,
    CTL_COL_VIRTUAL_HOST,
    CTL_COL_CARRIER,
    CTL_COLS
};

/* What becomes of a line. */
enum ctl_mass_result {
    CTL_MASS_NEW,     /* its sections are written */
    CTL_MASS_KEPT,    /* all it says is there already */
    CTL_MASS_CHANGED, /* --update: what differs is changed */
    CTL_MASS_DIFFERS, /* something differs, and is left alone */
    CTL_MASS_REFUSED  /* it cannot be used */
};

/* One line of the list. */
struct ctl_mass_line {
    unsigned no;                  /* in the list */
    const char *fields[CTL_COLS]; /* "" if not given */
    char name[72];                /* of the endpoint's section */
    enum ctl_mass_result result;
    char why[400];                 /* what differs, or is wrong; never a secret */
    char file[PATH_MAX];           /* of its own, if it is new */
    const struct conf_endpoint *e; /* that is there already */
    bool needs_pusher;             /* its pusher is not there yet */
    struct secret *password;       /* of that pusher, made by us */
    char hash[CTL_HASH_BYTES];     /* of the pusher's password */
};

/* The whole; wish.change is the change. */
struct ctl_mass {
    struct ctl_wish wish;
    const char *list;     /* file */
    const char *system;   /* --system: of lines that say none */
    const char *handover; /* --handover: where made passwords go */
    bool is_applied;      /* --apply */
    char *text;           /* of the list, cut */
    size_t n_text;
    char *known; /* what stands in the hand-over file, cut */
    size_t n_known;
    struct ctl_mass_line *lines;
    size_t n;
};

/* Name of a column as the configuration has it. */
const char *ctl_mass_column(enum ctl_col col);

/* The user of a line's pusher: as given, else the pusher's name. */
const char *ctl_mass_pusher_user(const struct ctl_mass_line *l);

/* Refuse a line, for the first reason found. */
void ctl_mass_refuse(struct ctl_mass_line *l, const char *fmt, ...) FRUN_PRINTF(2, 3);

/* Read the list into lines; what is wrong with one is said there. 0, or an exit status. */
int ctl_mass_read(struct ctl_mass *m);

/* Find the endpoints that are there already, and what differs. */
void ctl_mass_compare(struct ctl_mass *m);

/* Does a key of the endpoint that is there differ from what its line says? */
bool ctl_mass_key_differs(const struct ctl_mass_line *l, enum ctl_col col);

/* Draft everything that the lines want, anew. 0, or an exit status. */
int ctl_mass_plan(struct ctl_mass *m);

/* Read what was handed over before. 0, or an exit status. */
int ctl_mass_known(struct ctl_mass *m);

/* The password that was handed over for a pusher, or NULL. */
const char *ctl_mass_known_password(struct ctl_mass *m, const char *pusher);

/* Write the hand-over file: what was there, and what was made now. 0, or an exit status. */
int ctl_mass_hand_over(struct ctl_mass *m);

/* Tell what became of each line. 1 if a line was refused or differs, else 0. */
int ctl_mass_report(const struct ctl_mass *m);

#endif
