/**
 * A check's result as frunctl and the API show it.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/gateway/probe.h"
#include "frun/gateway/switchover.h"

#include <jansson.h>

json_t *probe_steps_json(const struct steps *s)
{
    json_t *all = json_array();
    for (size_t i = 0; all && i < s->n; i++) {
        const struct step *it = &s->items[i];
        /* Texts of other servers may be anything; jansson takes UTF-8 alone. */
        json_t *found = json_string(it->found);
        json_t *v =
            json_pack("{s:s, s:s, s:o, s:s}", "step", it->name, "state", steps_word(it->state),
                      "found", found ? found : json_string("?"), "remedy", it->remedy);
        if (json_array_append_new(all, v)) {
            json_decref(all);
            return NULL;
        }
    }
    return all;
}

json_t *probe_json(const char *name, const struct probe_result *r)
{
    return json_pack("{s:s, s:s, s:b, s:s, s:I, s:I, s:o}", "endpoint", name, "road",
                     switchover_name(r->road), "standby", r->is_standby, "verdict",
                     finding_word(r->verdict), "status", (json_int_t)r->status, "ms",
                     (json_int_t)(r->total_us / 1000), "steps", probe_steps_json(&r->steps));
}
