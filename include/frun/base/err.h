/**
 * Result codes of every function that can fail, and the text that travels with them.
 *
 * A function returns 0 or one negative code; what a person should read goes into a struct diag.
 * Lower rooms return, the room that decides what happens next logs.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_BASE_ERR_H
#define FRUN_BASE_ERR_H

/** The result of a function that can fail must be looked at. */
#define FRUN_MUST_CHECK __attribute__((warn_unused_result))

/** Arguments @p fmt_at and @p args_at are a printf format and its values. */
#define FRUN_PRINTF(fmt_at, args_at) __attribute__((format(printf, fmt_at, args_at)))

/** Result of a function that can fail: FRUN_OK or one of the negative FRUN_E_ codes. */
typedef int frun_err;

/** The codes; each header says which of them a function returns, and what then holds. */
enum {
    FRUN_OK = 0,             /**< done */
    FRUN_E_AGAIN = -1,       /**< not now: more input, or a writable socket, is needed */
    FRUN_E_EOF = -2,         /**< the other side ended in good order */
    FRUN_E_SYNTAX = -3,      /**< the input breaks its grammar */
    FRUN_E_LIMIT = -4,       /**< a ceiling was reached */
    FRUN_E_NOMEM = -5,       /**< memory was refused */
    FRUN_E_IO = -6,          /**< the system refused; errno tells */
    FRUN_E_TLS = -7,         /**< TLS failed: handshake, certificate or record */
    FRUN_E_RESOLVE = -8,     /**< a host name has no address */
    FRUN_E_CONNECT = -9,     /**< no address answered */
    FRUN_E_TIMEOUT = -10,    /**< a deadline passed */
    FRUN_E_DENIED = -11,     /**< known, and not allowed */
    FRUN_E_NOT_FOUND = -12,  /**< no such thing */
    FRUN_E_EXISTS = -13,     /**< there already */
    FRUN_E_CLOSED = -14,     /**< the other side went away, or we closed */
    FRUN_E_PROXY = -15,      /**< the HTTP CONNECT proxy refused */
    FRUN_E_UNSUPPORTED = -16 /**< not in this build, or not on this system */
};

/** Where something is wrong and what to do about it, in words for an administrator. */
struct diag {
    char file[256]; /**< file that names the cause, empty if none */
    unsigned line;  /**< line in it, 1.., 0 if none */
    char text[512]; /**< what is wrong and the remedy, one line, no final full stop */
};

/**
 * Name a result code in a few words ("connection refused or host unreachable").
 *
 * @param err      FRUN_OK or a FRUN_E_ code
 * @return a constant string, never NULL
 * Thread: any.
 */
const char *err_text(frun_err err);

/**
 * Put a text into a diag; file and line stay as they are.
 *
 * @param d        filled; may be NULL, then nothing happens
 * @param fmt      printf format; a longer text is cut
 * Thread: any.
 */
void diag_set(struct diag *d, const char *fmt, ...) FRUN_PRINTF(2, 3);

#endif
