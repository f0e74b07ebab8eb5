/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/steps.h"

#include <stdarg.h>
#include <string.h>

static const char *const words[] = {
    [STEPS_OK] = "ok", [STEPS_WARN] = "warn", [STEPS_FAIL] = "fail", [STEPS_SKIPPED] = "skipped"};

/* Texts come from other servers too: what would move a terminal's cursor is not shown. */
static void clean(char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f) {
            *text = '?';
        }
    }
}

static void put(char *to, const char *fmt, va_list ap) FRUN_PRINTF(2, 0);

static void put(char *to, const char *fmt, va_list ap)
{
    (void)vsnprintf(to, STEPS_TEXT_BYTES, fmt, ap);
    clean(to);
}

void steps_add(struct steps *s, const char *name, enum steps_state state, const char *fmt, ...)
{
    if (s->n >= STEPS_MAX) {
        return;
    }
    struct step *it = &s->items[s->n++];
    va_list ap;
    (void)snprintf(it->name, sizeof(it->name), "%s", name);
    clean(it->name);
    it->state = state;
    it->remedy[0] = '\0';
    va_start(ap, fmt);
    put(it->found, fmt, ap);
    va_end(ap);
}

void steps_remedy(struct steps *s, const char *fmt, ...)
{
    va_list ap;
    if (s->n == 0) {
        return;
    }
    va_start(ap, fmt);
    put(s->items[s->n - 1].remedy, fmt, ap);
    va_end(ap);
}

const char *steps_word(enum steps_state state)
{
    return words[state];
}

frun_err steps_state_of(const char *word, enum steps_state *out)
{
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(word, words[i]) == 0) {
            *out = (enum steps_state)i;
            return FRUN_OK;
        }
    }
    return FRUN_E_NOT_FOUND;
}

const struct step *steps_worst(const struct steps *s)
{
    const struct step *worst = NULL;
    for (size_t i = 0; i < s->n; i++) {
        const struct step *it = &s->items[i];
        if (it->state == STEPS_FAIL) {
            return it;
        }
        if (it->state == STEPS_WARN && !worst) {
            worst = it;
        }
    }
    return worst;
}

void steps_print(const struct steps *s, FILE *to, int indent)
{
    int width = 0;
    for (size_t i = 0; i < s->n; i++) {
        int n = (int)strlen(s->items[i].name);
        width = n > width ? n : width;
    }
    for (size_t i = 0; i < s->n; i++) {
        const struct step *it = &s->items[i];
        (void)fprintf(to, "%*s%-*s  %-7s%s%s\n", indent, "", width, it->name, words[it->state],
                      it->found[0] ? "  " : "", it->found);
        if (it->remedy[0]) {
            (void)fprintf(to, "%*s-> %s\n", indent + width + 11, "", it->remedy);
        }
    }
}
