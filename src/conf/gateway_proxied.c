/**
 * Balancers that bring connections by the PROXY protocol.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "schema_int.h"

bool conf_proxied_resolve(struct conf_doc *d, const void *section, struct conf_proxied *p)
{
    if (p->protocol == CONF_PROXY_OFF && p->trusted.n) {
        conf_issue_add(d, false, section, "proxy_trusted", "has no effect: proxy_protocol = off");
    } else if (p->protocol != CONF_PROXY_OFF && !p->trusted.n) {
        conf_issue_add(d, true, section, "proxy_protocol",
                       "needs proxy_trusted, the addresses of the balancers: whoever else could "
                       "connect might claim any address");
    }
    struct cidr *nets = arena_alloc(conf_arena(d), (p->trusted.n + 1) * sizeof(*nets));
    if (!nets) {
        return false;
    }
    for (size_t i = 0; i < p->trusted.n; i++) {
        /* What is malformed has been told by the row's check. */
        if (cidr_parse(span_of(p->trusted.items[i]), &nets[p->n_nets]) == FRUN_OK) {
            p->n_nets++;
        }
    }
    p->nets = nets;
    return true;
}
