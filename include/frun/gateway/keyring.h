/**
 * The signing keys of a running gateway: read at the start, tended on a timer, handed to every
 * worker by mail. Main thread's; blocks on files.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_GATEWAY_KEYRING_H
#define FRUN_GATEWAY_KEYRING_H

#include "frun/base/err.h"
#include "frun/conf/gateway.h"
#include "frun/gateway/worker.h"
#include "frun/loop/loop.h"

#include <stdbool.h>

/** The keyring. */
struct keyring;

/** Read the keys; unless @p is_check make what is missing. @param c configuration with [oauth],
 * one reference is taken @param is_check change nothing; a folder that is not there yet is good
 * @param out keyring; keyring_free() it @param d filled on failure, with the remedy @return
 * FRUN_OK; FRUN_E_IO, FRUN_E_NOT_FOUND the keys cannot be used; FRUN_E_NOMEM. Thread: main. */
frun_err keyring_new(struct conf_gw *c, bool is_check, struct keyring **out,
                     struct diag *d) FRUN_MUST_CHECK;

/** Give the keys to workers that have not started, and look after them from now on. @param r
 * keyring @param main_loop main's loop @param shared the workers. Thread: main. */
void keyring_start(struct keyring *r, struct loop *main_loop, struct gateway_shared *shared);

/** As keyring_start(), but the workers run. @param r keyring @param main_loop main's loop @param
 * shared the workers @param before the keyring whose place it takes: what the workers have already
 * is not given again; or NULL. Thread: main. */
void keyring_replace(struct keyring *r, struct loop *main_loop, struct gateway_shared *shared,
                     const struct keyring *before);

/** Take the keys from the workers, there are no tokens any more; free. @param r started keyring or
 * NULL. Thread: main. */
void keyring_end(struct keyring *r);

/** Free; before the loops. @param r keyring or NULL. Thread: main. */
void keyring_free(struct keyring *r);

#endif
