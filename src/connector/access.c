/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/connector/access.h"

#include "frun/http/uri.h"

#include <stdio.h>

/* Hosts come as "fr1_frun", "192.0.2.1" or "[2001:db8::1]"; the brackets say nothing. */
static struct span without_brackets(struct span host)
{
    if (host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']') {
        return span_make(host.p + 1, host.n - 2);
    }
    return host;
}

static const struct conf_mapping *find_mapping(const struct conf_cn *conf, struct span host,
                                               unsigned port, size_t *index)
{
    for (size_t i = 0; i < conf->n_mappings; i++) {
        const struct conf_mapping *m = conf->mappings[i];
        if (m->virtual_port == port &&
            span_eq_nocase(without_brackets(span_of(m->virtual_host)), without_brackets(host))) {
            *index = i;
            return m;
        }
    }
    return NULL;
}

static bool covers(const struct conf_resource *r, struct span path)
{
    struct span root = span_of(r->path);
    if (r->policy == 0) {
        return span_eq(path, root);
    }
    if (root.n > 1 && root.p[root.n - 1] == '/') {
        /* "/a/" with all sub-paths: the boundary is in the text already, and "/a" is not meant. */
        return span_starts(path, root);
    }
    return uri_is_under(path, root);
}

enum access_verdict access_judge(const struct conf_cn *conf, struct span authority,
                                 struct span path, struct access_result *out)
{
    *out = (struct access_result){.verdict = ACCESS_DENIED_SYSTEM, .path = path};
    struct span host = {0};
    unsigned port = 0;
    if (!uri_is_authority(authority, &host, &port)) {
        return out->verdict;
    }
    out->host = without_brackets(host);
    out->port = port ? port : ACCESS_DEFAULT_PORT;
    out->mapping = find_mapping(conf, host, out->port, &out->index);
    if (!out->mapping) {
        return out->verdict;
    }
    out->verdict = ACCESS_DENIED_RESOURCE;
    for (size_t i = 0; i < out->mapping->n_resources; i++) {
        const struct conf_resource *r = out->mapping->resources[i];
        if (!covers(r, path)) {
            continue;
        }
        if (r->active) {
            out->verdict = ACCESS_ALLOWED;
            out->resource = r;
            out->suspended = NULL;
            return out->verdict;
        }
        out->suspended = r;
    }
    return out->verdict;
}

/* Octets that are no plain ASCII would spoil JSON and log alike. */
static void plain(char *out, size_t max, struct span s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n && n + 1 < max; i++) {
        out[n++] = s.p[i] > 0x20 && s.p[i] < 0x7f ? s.p[i] : '?';
    }
    out[n] = '\0';
}

void access_text(const struct access_result *r, char out[ACCESS_TEXT_BYTES])
{
    char host[96];
    char path[160];
    plain(host, sizeof(host), r->host);
    plain(path, sizeof(path), r->path);
    const char *left = span_find(r->host, ':') < r->host.n ? "[" : "";
    const char *right = left[0] ? "]" : "";
    if (!r->host.p) {
        (void)snprintf(out, ACCESS_TEXT_BYTES,
                       "Access denied to system: the host of the request is malformed");
    } else if (r->verdict == ACCESS_DENIED_SYSTEM) {
        (void)snprintf(out, ACCESS_TEXT_BYTES,
                       "Access denied to system %s%s%s:%u: no system mapping has this virtual host "
                       "and port; if the request is meant to pass, add [system %s%s%s:%u] to "
                       "frunconnector.ini",
                       left, host, right, r->port, left, host, right, r->port);
    } else if (r->verdict == ACCESS_DENIED_RESOURCE && r->suspended) {
        (void)snprintf(out, ACCESS_TEXT_BYTES,
                       "Access denied to resource %s on system %s%s%s:%u: [resource %s] covers it "
                       "but is suspended; if the request is meant to pass, set its active = yes in "
                       "frunconnector.ini",
                       path, left, host, right, r->port, r->suspended->place.name);
    } else if (r->verdict == ACCESS_DENIED_RESOURCE) {
        (void)snprintf(out, ACCESS_TEXT_BYTES,
                       "Access denied to resource %s on system %s%s%s:%u: no active resource "
                       "covers the path; if the request is meant to pass, add a [resource NAME] "
                       "for this system to frunconnector.ini",
                       path, left, host, right, r->port);
    } else {
        (void)snprintf(out, ACCESS_TEXT_BYTES, "Access allowed to resource %s on system %s%s%s:%u",
                       path, left, host, right, r->port);
    }
}
