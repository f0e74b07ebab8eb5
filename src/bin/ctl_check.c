/**
 * frunctl endpoint check: walk a road, as the running daemon sees it; without one by its files.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/steps.h"

#include "ctl.h"
#include "ctl_check.h"
#include "ctl_control.h"
#include "ctl_out.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

/* -- arguments
 * -------------------------------------------------------------------------------------------------------
 */

static int take_flag(int *argc, char **argv, int at)
{
    memmove(&argv[at], &argv[at + 1], (size_t)(*argc - at) * sizeof(*argv));
    (*argc)--;
    return at - 1;
}

int ctl_check_parse(int argc, char **argv, struct ctl_check *k)
{
    *k = (struct ctl_check){.is_all = false};
    for (int i = 1; i < argc; i++) {
        bool *flag = strcmp(argv[i], "--all") == 0       ? &k->is_all
                     : strcmp(argv[i], "--force") == 0   ? &k->is_forced
                     : strcmp(argv[i], "--standby") == 0 ? &k->is_standby
                                                         : NULL;
        if (flag) {
            *flag = true;
            i = take_flag(&argc, argv, i);
        } else if (strcmp(argv[i], "--to") == 0 && i + 1 < argc) {
            k->to = argv[i + 1];
            i = take_flag(&argc, argv, i + 1);
            i = take_flag(&argc, argv, i);
        }
    }
    int status = ctl_control_parse(argc, argv, 1, &k->control);
    if (!status && (k->control.n_words == 1) == k->is_all) {
        return ctl_misuse(k->is_all ? "either NAME or --all, not both"
                                    : "the endpoint's NAME is missing");
    }
    return status;
}

/* -- steps
 * -----------------------------------------------------------------------------------------------------------
 */

const char *ctl_check_text(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));
    return s ? s : "";
}

void ctl_check_steps(const json_t *array, struct steps *out)
{
    out->n = 0;
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *v = json_array_get(array, i);
        enum steps_state state = STEPS_WARN;
        (void)!steps_state_of(ctl_check_text(v, "state"), &state);
        steps_add(out, ctl_check_text(v, "step"), state, "%s", ctl_check_text(v, "found"));
        steps_remedy(out, "%s", ctl_check_text(v, "remedy"));
    }
}

static bool is_failure(const json_t *result)
{
    const char *verdict = ctl_check_text(result, "verdict");
    return strcmp(verdict, "up") != 0 && strcmp(verdict, "unverified") != 0;
}

static void print_result(const json_t *v)
{
    struct steps s;
    ctl_check_steps(json_object_get(v, "steps"), &s);
    (void)printf("%s by %s%s: %s\n", ctl_check_text(v, "endpoint"), ctl_check_text(v, "road"),
                 json_is_true(json_object_get(v, "standby")) ? " (standby_route)" : "",
                 ctl_check_text(v, "verdict"));
    steps_print(&s, stdout, 2);
}

/* -- check
 * -----------------------------------------------------------------------------------------------------------
 */

static int ask_check(struct ctl_check *k, const char *name, json_t **out)
{
    char coded[CTL_TARGET_BYTES / 2];
    char target[CTL_TARGET_BYTES];
    if (!ctl_control_encode(name, coded, sizeof(coded))) {
        return ctl_misuse("the name is too long");
    }
    (void)snprintf(target, sizeof(target), "/api/v1/endpoints/%s/check?force=%d&standby=%d", coded,
                   k->is_forced, k->is_standby);
    return ctl_control_ask(&k->control, "POST", target, NULL, out);
}

int ctl_check_show(struct ctl_check *k, json_t *v, json_t *all)
{
    if (all) {
        (void)json_array_append(all, v);
    } else if (k->control.is_json) {
        ctl_json_print(v);
    } else {
        print_result(v);
    }
    return is_failure(v) ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int check_one(struct ctl_check *k, const char *name, json_t *all)
{
    json_t *v = NULL;
    int status = ask_check(k, name, &v);
    if (!status) {
        status = ctl_check_show(k, v, all);
        json_decref(v);
    }
    return status;
}

/* One after the other: a wrong password of many is tried once, and the rest is told so. */
static int check_all(struct ctl_check *k)
{
    json_t *names = NULL;
    json_t *all = k->control.is_json ? json_array() : NULL;
    int worst = ctl_control_ask(&k->control, "GET", "/api/v1/health", NULL, &names);
    for (size_t i = 0; i < json_array_size(names); i++) {
        int status = check_one(k, ctl_check_text(json_array_get(names, i), "endpoint"), all);
        worst = status ? status : worst;
        (void)fflush(stdout);
    }
    if (all && names) {
        ctl_json_print(all);
    }
    json_decref(names);
    json_decref(all);
    return worst;
}

int ctl_endpoint_check(int argc, char **argv)
{
    struct ctl_check k;
    int status = ctl_check_parse(argc, argv, &k);
    if (status) {
        return status;
    }
    if (k.to) {
        return ctl_misuse("--to is for switching");
    }
    status = k.is_all ? check_all(&k) : check_one(&k, k.control.words[0], NULL);
    const char *config = status == EX_UNAVAILABLE ? ctl_check_config(&k) : NULL;
    return config ? ctl_check_files(&k, config) : status;
}
