/**
 * The page's files, which page/embed.cmake turns into C.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_ADMIN_PAGE_INT_H
#define FRUN_ADMIN_PAGE_INT_H

#include <stddef.h>

/* A file. */
struct page_file {
    const char *path;
    const char *type;
    const unsigned char *data;
    size_t n;
    const char *etag; /* with its quotes */
};

extern const struct page_file page_files[];
extern const size_t page_n_files;

#endif
