/**
 * Hash map from octets to a pointer, filled while configuration is prepared and read ever after.
 *
 * Keys are borrowed and must outlive the map. No removal. Reading is safe from any thread once
 * filling has ended.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_BASE_MAP_H
#define FRUN_BASE_MAP_H

#include "frun/base/err.h"
#include "frun/base/span.h"

#include <stdbool.h>

/** A map. */
struct map;

/** Make a map. @param is_nocase compare ASCII letters without case @param out the map; map_free()
 * it @return FRUN_OK; FRUN_E_NOMEM. Thread: any. */
frun_err map_new(bool is_nocase, struct map **out) FRUN_MUST_CHECK;

/** Free the map, not keys or values. @param m map or NULL. Thread: owner. */
void map_free(struct map *m);

/** Add an entry. @param m map @param key borrowed @param value not NULL @return FRUN_OK;
 * FRUN_E_EXISTS; FRUN_E_NOMEM refused, or a million entries already; map unchanged. Thread: owner.
 */
frun_err map_put(struct map *m, struct span key, void *value) FRUN_MUST_CHECK;

/** Find an entry. @param m map @param key octets @return its value, or NULL. Thread: any. */
void *map_get(const struct map *m, struct span key);

#endif
