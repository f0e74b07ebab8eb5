/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/admin/page.h"

#include "page_int.h"
#include "server_int.h"

/* The file of a request's path; it is one of ours, or there would be no route to here. */
static const struct page_file *file_of(struct span path)
{
    for (size_t i = 0; i < page_n_files; i++) {
        if (span_eq(path, span_of(page_files[i].path))) {
            return &page_files[i];
        }
    }
    return &page_files[0];
}

static void get_file(void *ctx, struct admin_request *r)
{
    const struct page_file *f = file_of(r->uri.path);
    const struct field *known = head_find(&r->head, SPAN_LIT("If-None-Match"));
    struct buf body;
    (void)ctx;
    buf_init(&body, ADMIN_MAX_ANSWER_BYTES);
    admin_request_set(r, "ETag", span_of(f->etag));
    admin_request_set(r, "Cache-Control", SPAN_LIT("no-cache"));
    if (known && span_eq(known->value, span_of(f->etag))) {
        admin_request_answer(r, 304, f->type, &body);
    } else if (buf_put(&body, span_make(f->data, f->n)) == FRUN_OK) {
        admin_request_answer(r, 200, f->type, &body);
    } else {
        admin_request_fail(r, 500, "out of memory");
    }
    buf_done(&body);
}

static const struct admin_route routes[] = {
    {"GET", "/", false, get_file},         {"GET", "/page.css", false, get_file},
    {"GET", "/page.js", false, get_file},  {"GET", "/charts.js", false, get_file},
    {"GET", "/icon.svg", false, get_file},
};

frun_err admin_page_add(struct admin_server *s)
{
    return admin_server_add(s, routes, sizeof(routes) / sizeof(routes[0]), NULL);
}
