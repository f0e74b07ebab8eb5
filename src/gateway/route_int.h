/**
 * What the routes share: heads with more fields, requests that wait.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_GATEWAY_ROUTE_INT_H
#define FRUN_GATEWAY_ROUTE_INT_H

#include "frun/base/list.h"
#include "frun/fetch/token.h"
#include "frun/gateway/hub.h"
#include "frun/http/head.h"

/** Retry-After while something is away, seconds. */
#define ROUTE_RETRY_S 5

/** Copy a head, but not the room behind its last field. @param from head @param to other; borrows
 * what @p from borrows. Thread: any. */
void route_copy_head(const struct head *from, struct head *to);

/** Tell everybody in the list once; who waits again stands there afterwards. @param waiting hub
 * waiters. Thread: worker. */
void route_wake_all(struct list *waiting);

/** Begin to fetch a token before the first request needs it: what is wrong is known at the start.
 * @param t token @param d desk. Thread: worker. */
void route_fetch_early(struct token *t, struct token_desk *d);

#endif
