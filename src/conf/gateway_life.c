/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/conf/gateway.h"

#include <stdlib.h>

frun_err conf_gw_load(const char *path, FILE *report, struct conf_gw **out)
{
    return conf_gw_load_drafts(path, NULL, report, out);
}

struct conf_gw *conf_gw_ref(struct conf_gw *c)
{
    (void)__atomic_add_fetch(&c->refs, 1, __ATOMIC_RELAXED);
    return c;
}

void conf_gw_unref(struct conf_gw **c)
{
    struct conf_gw *gone = *c;
    *c = NULL;
    if (gone && __atomic_sub_fetch(&gone->refs, 1, __ATOMIC_ACQ_REL) == 0) {
        conf_free(gone->doc);
        free(gone);
    }
}
