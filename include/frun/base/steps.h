/**
 * What a walk along some road found, step by step: how each went, what was found, what to do.
 *
 * A short list with copied texts, so that it can be kept, handed between threads by value, and
 * shown in several forms. No opinions: who walks decides what a step is.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_BASE_STEPS_H
#define FRUN_BASE_STEPS_H

#include "frun/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/** Most steps of one walk. */
#define STEPS_MAX 16

/** Octets of what was found, and of the remedy, with the final NUL; longer texts are cut. */
#define STEPS_TEXT_BYTES 512

/** How a step went. */
enum steps_state {
    STEPS_OK,     /**< as it should be */
    STEPS_WARN,   /**< it works, or nobody knows; somebody should look */
    STEPS_FAIL,   /**< the road ends here */
    STEPS_SKIPPED /**< not reached, or not possible from here */
};

/** One step. */
struct step {
    char name[24];                 /**< "tls" */
    enum steps_state state;        /**< how it went */
    char found[STEPS_TEXT_BYTES];  /**< what was found; "" if there is nothing to say */
    char remedy[STEPS_TEXT_BYTES]; /**< what to do; "" if nothing */
};

/** A walk; zero it before use. */
struct steps {
    size_t n;                     /**< steps so far */
    struct step items[STEPS_MAX]; /**< in the order of the road */
};

/** Add a step without a remedy; nothing happens above STEPS_MAX. @param s walk @param name step's
 * @param state how it went @param fmt printf format of what was found; controls become '?'. Thread:
 * owner. */
void steps_add(struct steps *s, const char *name, enum steps_state state, const char *fmt, ...)
    FRUN_PRINTF(4, 5);

/** Say what to do about the step that was added last. @param s walk with a step @param fmt printf
 * format. Thread: owner. */
void steps_remedy(struct steps *s, const char *fmt, ...) FRUN_PRINTF(2, 3);

/** A state in one word: "ok", "warn", "fail", "skipped". @param state state @return constant text.
 * Thread: any. */
const char *steps_word(enum steps_state state);

/** The state that a word means. @param word as steps_word() gives it @param out state @return
 * FRUN_OK; FRUN_E_NOT_FOUND no such word, @p out untouched. Thread: any. */
frun_err steps_state_of(const char *word, enum steps_state *out) FRUN_MUST_CHECK;

/** The first step that failed, or else the first that warns. @param s walk @return it, lives with
 * @p s; NULL: all is well. Thread: owner. */
const struct step *steps_worst(const struct steps *s);

/** Print as aligned lines, each remedy below its step. @param s walk @param to stream @param indent
 * blanks before each line. Thread: owner. */
void steps_print(const struct steps *s, FILE *to, int indent);

#endif
