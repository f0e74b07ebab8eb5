/**
 * Which paths an endpoint maps: those of a preset, then its own, which win.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/conf/gateway.h"

#include "frun/conf/check.h"
#include "schema_int.h"

#include <string.h>

/* What services that believe to talk to SAP Cloud ALM call below the root URL. Which paths SAP's
 * own proxy makes of them is not public: all go below the one that is known to take such data. */
static const struct conf_map cloud_alm[] = {
    {"/api/landscape-management/v1/Registration",
     "/sap/frun/ngdci/api/landscape-management/v1/Registration"},
    {"/api/calm-metrics", "/sap/frun/ngdci/api/calm-metrics"},
    {"/api/calm-logs", "/sap/frun/ngdci/api/calm-logs"},
};

static struct conf_map *find(struct conf_map *maps, size_t n, const char *from)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(maps[i].from, from) == 0) {
            return &maps[i];
        }
    }
    return NULL;
}

static const char *keep(struct conf_doc *d, struct span s)
{
    return conf_text(d, "%.*s", SPAN_FMT(s));
}

bool conf_map_resolve(struct conf_doc *d, struct conf_endpoint *e)
{
    size_t n_preset = e->paths == CONF_PATHS_CLOUD_ALM ? sizeof(cloud_alm) / sizeof(*cloud_alm) : 0;
    struct conf_map *maps = arena_alloc(conf_arena(d), (n_preset + e->map.n + 1) * sizeof(*maps));
    if (!maps) {
        return false;
    }
    size_t n = 0;
    for (size_t i = 0; i < e->map.n; i++) {
        struct span from;
        struct span to;
        if (conf_check_map(span_of(e->map.items[i]), &from, &to)) {
            continue; /* the row's check has told it */
        }
        struct conf_map own = {keep(d, from), keep(d, to)};
        if (find(maps, n, own.from)) {
            conf_issue_add(d, true, e, "map", "%s is mapped twice", own.from);
        } else {
            maps[n++] = own;
        }
    }
    for (size_t i = 0; i < n_preset; i++) {
        if (!find(maps, n, cloud_alm[i].from)) {
            maps[n++] = cloud_alm[i];
        }
    }
    e->maps = maps;
    e->n_maps = n;
    return true;
}
