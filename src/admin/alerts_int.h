/**
 * What the files of the alerts share: the command that is told.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_ADMIN_ALERTS_INT_H
#define FRUN_ADMIN_ALERTS_INT_H

#include "frun/base/err.h"
#include "frun/loop/loop.h"

/** Texts that wait for the command at most. */
#define ALERTS_QUEUE 64

/** The command gets this long, milliseconds. */
#define ALERTS_COMMAND_MS 30000

struct alerts_command;

/** Make it. @param l loop @param out it @return FRUN_OK; FRUN_E_NOMEM. */
frun_err alerts_command_new(struct loop *l, struct alerts_command **out) FRUN_MUST_CHECK;

/** Kill what runs and free. @param c it or NULL. */
void alerts_command_free(struct alerts_command *c);

/** The program from now on. @param c it @param path or NULL, copied. */
void alerts_command_set(struct alerts_command *c, const char *path);

/** Tell it. @param c it @param text JSON on one line, free()d later; NULL: memory was refused. */
void alerts_command_tell(struct alerts_command *c, char *text);

#endif
