/**
 * The answer of a token end-point, taken apart: shared by token.c, its tests and its fuzz target.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_FETCH_TOKEN_INT_H
#define FRUN_FETCH_TOKEN_INT_H

#include "frun/base/err.h"
#include "frun/base/span.h"

#include <stdint.h>

/** Life of a token whose answer does not tell it, milliseconds. */
#define TOKEN_LIFE_DEFAULT_MS 300000

/** Longest life believed, milliseconds: a day. */
#define TOKEN_LIFE_MAX_MS 86400000

/** Octets of an error code, with the final NUL. */
#define TOKEN_ERROR_BYTES 64

/** What a good answer says. */
struct token_answer {
    char *text;       /**< "Bearer ..."; for secret_wipe() and free() */
    size_t n;         /**< octets of it */
    uint64_t life_ms; /**< from now, 1.. */
};

/**
 * Read a good answer.
 *
 * @param body     JSON
 * @param tenant   zid that a JWT must carry if it carries one, or NULL
 * @param wall_s   seconds since 1970, for a JWT that tells its end but not its beginning
 * @param out      filled on success
 * @param d        filled on failure, without anything of the token
 * @return FRUN_OK; FRUN_E_SYNTAX no proper answer; FRUN_E_DENIED another tenant's token, or
 * expired; FRUN_E_LIMIT too long; FRUN_E_NOMEM Thread: any. Source: RFC 6749 5.1; RFC 7519 4.1.
 */
frun_err token_answer_read(struct span body, const char *tenant, int64_t wall_s,
                           struct token_answer *out, struct diag *d) FRUN_MUST_CHECK;

/** The "error" code of a refusal, if it is one of letters and '_'; else empty. @param body JSON or
 * anything @param out text. Thread: any. Source: RFC 6749 5.2. */
void token_answer_error(struct span body, char out[TOKEN_ERROR_BYTES]);

#endif
