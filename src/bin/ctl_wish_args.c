/**
 * The command line of the commands that write sections.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/conf/check.h"

#include "ctl.h"
#include "ctl_wish.h"

#include <getopt.h>
#include <string.h>
#include <sysexits.h>

const char *ctl_value_check(struct span value)
{
    for (size_t i = 0; i < value.n; i++) {
        unsigned char c = (unsigned char)value.p[i];
        if (c < ' ' || c == 0x7f) {
            return "control characters cannot stand in it";
        }
        if (c == ';' && (i == 0 || value.p[i - 1] == ' ' || value.p[i - 1] == '\t')) {
            return "a blank and ';' would begin a comment";
        }
    }
    return span_trim(value).n == value.n ? NULL : "it begins or ends with a blank";
}

const char *ctl_secret_check(struct span value)
{
    for (size_t k = 0; k < value.n; k++) {
        if ((unsigned char)value.p[k] < ' ') {
            return "control characters cannot stand in it";
        }
    }
    return value.n > 512 ? "longer than 512 octets" : NULL;
}

static int take_pair(struct ctl_wish *w, const char *text)
{
    struct span s = span_of(text);
    size_t eq = span_find(s, '=');
    const char *why = eq == s.n ? "it is not KEY=VALUE" : ctl_value_check(span_skip(s, eq + 1));
    for (size_t i = 0; !why && i < eq; i++) {
        char c = text[i];
        why = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ? NULL
                                                                           : "no key is called so";
    }
    if (!why && w->n_pairs == CTL_MAX_PAIRS) {
        why = "there are too many";
    }
    if (why) {
        /* not the value: it may be a secret that should not have been here */
        return ctl_misuse("argument '%.*s': %s", (int)(eq > 40 ? 40 : eq), text, why);
    }
    w->pairs[w->n_pairs++] = text;
    return 0;
}

static int set_option(struct ctl_wish *w, int c, const char *value)
{
    switch (c) {
    case 'c':
        w->change.config = value;
        break;
    case 's':
        w->secrets = value;
        break;
    case 'p':
        w->password_file = value;
        break;
    case 'g':
        w->is_generated = true;
        break;
    case 'C':
        w->is_credential = true;
        break;
    case 'P':
        w->has_pushers = true;
        break;
    case 'f':
        w->is_update = true;
        break;
    case 'n':
        w->change.is_dry = true;
        break;
    case 'r':
        w->change.is_reload = true;
        break;
    case 'j':
        w->change.is_json = true;
        break;
    default:
        return EX_USAGE;
    }
    return 0;
}

int ctl_wish_parse(int argc, char **argv, const char *allowed, bool has_pairs, struct ctl_wish *w)
{
    static const struct option all[] = {{"config", required_argument, NULL, 'c'},
                                        {"secrets", required_argument, NULL, 's'},
                                        {"password-file", required_argument, NULL, 'p'},
                                        {"generate", no_argument, NULL, 'g'},
                                        {"credential", no_argument, NULL, 'C'},
                                        {"pushers", no_argument, NULL, 'P'},
                                        {"force", no_argument, NULL, 'f'},
                                        {"dry-run", no_argument, NULL, 'n'},
                                        {"reload", no_argument, NULL, 'r'},
                                        {"json", no_argument, NULL, 'j'},
                                        {NULL, 0, NULL, 0}};
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
    for (int c; (c = getopt_long(argc, argv, "c:j", all, NULL)) != -1;) {
        if (c != '?' && !strchr("cnrj", c) && !strchr(allowed, c)) {
            return ctl_misuse("an option does not belong to this command");
        }
        int status = set_option(w, c, optarg);
        if (status) {
            return status;
        }
    }
    if (optind == argc) {
        return ctl_misuse("the NAME is missing");
    }
    w->name = argv[optind++];
    const char *why = conf_check("name", span_of(w->name));
    if (why) {
        return ctl_misuse("NAME: %s", why);
    }
    for (; optind < argc; optind++) {
        int status = has_pairs ? take_pair(w, argv[optind])
                               : ctl_misuse("'%s' is one argument too many", argv[optind]);
        if (status) {
            return status;
        }
    }
    return 0;
}
