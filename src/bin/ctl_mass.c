/**
 * frunctl mass-setup: the command. What is wrong with one line never keeps the others from being
 * set up; what was killed in the middle is finished by the same command again.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/conf/gateway.h"

#include "ctl.h"
#include "ctl_control.h"
#include "ctl_mass.h"
#include "ctl_out.h"

#include <getopt.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

/* How often lines that the whole check refuses are taken out and the rest is tried again. */
#define MAX_ROUNDS 4

static int set_option(struct ctl_mass *m, int c, const char *value)
{
    switch (c) {
    case 'c':
        m->wish.change.config = value;
        break;
    case 's':
        m->wish.secrets = value;
        break;
    case 'S':
        m->system = value;
        break;
    case 'h':
        m->handover = value;
        break;
    case 'a':
        m->is_applied = true;
        break;
    case 'n':
        m->wish.change.is_dry = true;
        break;
    case 'u':
        m->wish.is_update = true;
        break;
    case 'C':
        m->wish.is_credential = true;
        break;
    case 'r':
        m->wish.change.is_reload = true;
        break;
    case 'j':
        m->wish.change.is_json = true;
        break;
    default:
        return EX_USAGE;
    }
    return 0;
}

static int parse(int argc, char **argv, struct ctl_mass *m)
{
    static const struct option all[] = {{"config", required_argument, NULL, 'c'},
                                        {"secrets", required_argument, NULL, 's'},
                                        {"system", required_argument, NULL, 'S'},
                                        {"handover", required_argument, NULL, 'h'},
                                        {"apply", no_argument, NULL, 'a'},
                                        {"dry-run", no_argument, NULL, 'n'},
                                        {"update", no_argument, NULL, 'u'},
                                        {"credential", no_argument, NULL, 'C'},
                                        {"reload", no_argument, NULL, 'r'},
                                        {"json", no_argument, NULL, 'j'},
                                        {NULL, 0, NULL, 0}};
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
    for (int c; (c = getopt_long(argc, argv, "c:j", all, NULL)) != -1;) {
        int status = set_option(m, c, optarg);
        if (status) {
            return status;
        }
    }
    if (argc - optind != 1) {
        return ctl_misuse("one list FILE is wanted");
    }
    if (m->is_applied && m->wish.change.is_dry) {
        return ctl_misuse("--apply and --dry-run are two ways; take one");
    }
    m->list = argv[optind];
    m->wish.change.is_dry = !m->is_applied;
    return 0;
}

/* Lines whose own file the report of the check names. How many. */
static size_t blame(struct ctl_mass *m, const char *report)
{
    size_t n = 0;
    for (size_t i = 0; i < m->n; i++) {
        struct ctl_mass_line *l = &m->lines[i];
        size_t len = strlen(l->file);
        const char *at = l->result == CTL_MASS_NEW && strcmp(l->file, m->wish.change.config) != 0
                             ? report
                             : NULL;
        while (at && (at = strstr(at, l->file)) != NULL) {
            struct span s = span_head(span_of(at), span_find(span_of(at), '\n'));
            at += s.n;
            s = span_skip(s, len);
            size_t colon = s.n && s.p[0] == ':' ? span_find(span_skip(s, 1), ':') + 1 : s.n;
            s = span_trim(span_skip(s, colon + 1));
            if (s.n && !span_starts(s, SPAN_LIT("warning:"))) {
                ctl_mass_refuse(l, "%.*s", SPAN_FMT(s));
                n++;
                break;
            }
        }
    }
    return n;
}

/* Draft, check as a whole, take out who is to blame, again. */
static int prepare(struct ctl_mass *m)
{
    int status = EX_CONFIG;
    for (int round = 0; status == EX_CONFIG && round < MAX_ROUNDS; round++) {
        struct conf_gw *gw = NULL;
        char *report = NULL;
        size_t n = 0;
        status = ctl_mass_plan(m);
        FILE *f = status ? NULL : open_memstream(&report, &n);
        if (!status && !f) {
            status = ctl_fail("out of memory");
        }
        status = status ? status : ctl_change_check(&m->wish.change, f, &gw);
        if (f) {
            (void)fclose(f);
        }
        conf_gw_unref(&gw);
        if (status == EX_CONFIG && blame(m, report) == 0) {
            (void)fputs(report, ctl_err());
            free(report);
            (void)ctl_fail("with these lines the configuration is not good; nothing has been "
                           "changed");
            return EX_CONFIG;
        }
        free(report);
    }
    return status;
}

static int run(struct ctl_mass *m)
{
    int status = ctl_mass_read(m);
    status = status ? status : ctl_wish_load(&m->wish);
    status = status ? status : ctl_mass_known(m);
    if (status) {
        return status;
    }
    ctl_mass_compare(m);
    status = prepare(m);
    if (!status && m->is_applied) {
        status = ctl_mass_hand_over(m);
        status = status ? status : ctl_change_write(&m->wish.change);
    }
    if (status) {
        return status;
    }
    int verdict = ctl_mass_report(m);
    if (m->is_applied && m->wish.change.n) {
        status = ctl_change_reload(&m->wish.change);
    }
    return status ? status : verdict;
}

int ctl_mass_setup(int argc, char **argv)
{
    struct ctl_mass m = {.n = 0};
    int status = parse(argc, argv, &m);
    status = status ? status : run(&m);
    for (size_t i = 0; i < m.n; i++) {
        secret_free(m.lines[i].password);
    }
    if (m.text) {
        secret_wipe(m.text, m.n_text);
    }
    if (m.known) {
        secret_wipe(m.known, m.n_known);
    }
    free(m.lines);
    free(m.text);
    free(m.known);
    ctl_wish_done(&m.wish);
    return status;
}

/* -- report */

int ctl_mass_report(const struct ctl_mass *m)
{
    static const char *const words[] = {"new", "kept", "changed", "differs", "refused"};
    size_t counts[5] = {0};
    json_t *lines = json_array();
    for (size_t i = 0; i < m->n; i++) {
        const struct ctl_mass_line *l = &m->lines[i];
        counts[l->result]++;
        if (m->wish.change.is_json) {
            json_t *v = json_pack("{s:i, s:s, s:s}", "line", (int)l->no, "endpoint", l->name,
                                  "result", words[l->result]);
            if (l->why[0]) {
                (void)json_object_set_new(v, "why", json_string(l->why));
            }
            (void)json_array_append_new(lines, v);
        } else {
            (void)printf("line %u: %s: %s%s%s%s\n", l->no, l->name, words[l->result],
                         l->why[0] ? ": " : "", l->why,
                         l->result == CTL_MASS_DIFFERS ? "; --update changes it" : "");
        }
    }
    if (m->wish.change.is_json) {
        json_t *all = json_pack("{s:b, s:o}", "dry_run", m->wish.change.is_dry, "lines", lines);
        for (size_t i = 0; i < 5; i++) {
            (void)json_object_set_new(all, words[i], json_integer((json_int_t)counts[i]));
        }
        ctl_json_print(all);
        json_decref(all);
    } else {
        json_decref(lines);
        (void)printf("%zu new, %zu kept, %zu changed, %zu differ, %zu refused%s\n", counts[0],
                     counts[1], counts[2], counts[3], counts[4],
                     m->is_applied ? "" : "; nothing is written without --apply");
    }
    return counts[CTL_MASS_DIFFERS] || counts[CTL_MASS_REFUSED] ? EXIT_FAILURE : EXIT_SUCCESS;
}
