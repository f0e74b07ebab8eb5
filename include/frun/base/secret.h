/**
 * A password, token or key text: wiped on free, compared in constant time, never formatted.
 *
 * There is deliberately no way to print one. Whoever needs the octets takes secret_span() for as
 * long as the secret lives.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_BASE_SECRET_H
#define FRUN_BASE_SECRET_H

#include "frun/base/err.h"
#include "frun/base/span.h"

#include <stdbool.h>

/** A secret. */
struct secret;

/** Longest secret, octets. */
#define SECRET_MAX_BYTES 4096

/** Copy octets into a new secret. @param s octets @param out secret; secret_free() it @return
 * FRUN_OK; FRUN_E_LIMIT; FRUN_E_NOMEM. Thread: any. */
frun_err secret_new(struct span s, struct secret **out) FRUN_MUST_CHECK;

/** Wipe and free. @param s secret or NULL. Thread: owner. */
void secret_free(struct secret *s);

/** Lend the octets; a NUL follows them. @param s secret or NULL @return span, empty for NULL.
 * Thread: any. */
struct span secret_span(const struct secret *s);

/** Same octets, in time that depends on the lengths only? @param a one @param b other @return true
 * if equal. Thread: any. */
bool secret_equal(struct span a, struct span b);

/** Overwrite memory so that no compiler removes it. @param p memory @param n octets. Thread: any.
 */
void secret_wipe(void *p, size_t n);

/**
 * Where systemd put a credential: the file of that name in CREDENTIALS_DIRECTORY.
 *
 * @param name     name of the credential, no path
 * @param out      path, not looked at yet
 * @param room     octets at @p out
 * @param d        filled on failure; may be NULL
 * @return FRUN_OK; FRUN_E_SYNTAX no credential's name; FRUN_E_NOT_FOUND CREDENTIALS_DIRECTORY is
 * not set; FRUN_E_LIMIT the path is too long
 * Thread: main. Source: systemd.exec(5) CREDENTIALS_DIRECTORY.
 */
frun_err secret_credential_path(const char *name, char *out, size_t room,
                                struct diag *d) FRUN_MUST_CHECK;

/**
 * Fetch a secret from where a configuration value says it is.
 *
 * @param where    "file:PATH", "credential:NAME" (systemd LoadCredential), "env:NAME", or the
 * literal itself
 * @param base_dir folder that a relative PATH starts from; NULL: the working directory
 * @param out      secret; one final line end of a file is not part of it
 * @param is_literal out: true if @p where was the literal itself (the caller warns); may be NULL
 * @param d        filled on failure with the place and the remedy; may be NULL
 * @return FRUN_OK; FRUN_E_NOT_FOUND no such file, credential or variable; FRUN_E_IO; FRUN_E_LIMIT;
 * FRUN_E_NOMEM; FRUN_E_SYNTAX empty, or no credential's name; Thread: main (reads files). Source:
 * systemd.exec(5) CREDENTIALS_DIRECTORY.
 */
frun_err secret_fetch(const char *where, const char *base_dir, struct secret **out,
                      bool *is_literal, struct diag *d) FRUN_MUST_CHECK;

#endif
