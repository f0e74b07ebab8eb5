/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/conf/files.h"

#include "doc_int.h"

#include <string.h>
#include <sys/stat.h>

/* FNV-1a: nobody who could choose the values gains anything by a collision. */
#define START UINT64_C(14695981039346656037)
#define PRIME UINT64_C(1099511628211)

static uint64_t mix(uint64_t h, uint64_t v)
{
    for (int i = 0; i < 8; i++) {
        h = (h ^ (v >> 8 * i & 0xff)) * PRIME;
    }
    return h;
}

static uint64_t look_at(uint64_t h, const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        return mix(h, 1);
    }
    h = mix(h, (uint64_t)st.st_dev);
    h = mix(h, (uint64_t)st.st_ino);
    h = mix(h, (uint64_t)st.st_size);
    h = mix(h, (uint64_t)st.st_mtim.tv_sec);
    h = mix(h, (uint64_t)st.st_mtim.tv_nsec);
    h = mix(h, (uint64_t)st.st_ctim.tv_sec);
    return mix(h, (uint64_t)st.st_ctim.tv_nsec);
}

static uint64_t look_at_section(uint64_t h, const struct conf_kind *kind, const void *section)
{
    for (size_t k = 0; k < kind->n_rows; k++) {
        const struct conf_row *row = &kind->rows[k];
        const char *path = NULL;
        if (row->type == CONF_PATH) {
            memcpy(&path, (const char *)section + row->offset, sizeof(path));
        }
        h = path && *path ? look_at(h, path) : h;
    }
    return h;
}

uint64_t conf_files_look(const struct conf_doc *d)
{
    uint64_t h = START;
    for (size_t i = 0; i < d->n_kinds; i++) {
        for (size_t j = 0; j < d->kin[i].n; j++) {
            h = look_at_section(h, &d->kinds[i], d->kin[i].items[j]);
        }
    }
    return h ? h : 1;
}
