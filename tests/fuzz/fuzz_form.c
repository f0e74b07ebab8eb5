/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/http/form.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Decoded octets lie in the room, one behind the other, none of them a control. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct form f = {.n = 0};
    char *room = malloc(size + 1);
    size_t n = 0;
    if (!room) {
        return 0;
    }
    frun_err err = form_parse(span_make(data, size), room, &f);
    for (size_t i = 0; !err && i < f.n; i++) {
        struct span value;
        const struct span parts[] = {f.fields[i].name, f.fields[i].value};
        for (size_t k = 0; k < 2; k++) {
            if (parts[k].p != room + n) {
                abort();
            }
            for (size_t j = 0; j < parts[k].n; j++) {
                if ((unsigned char)parts[k].p[j] < 0x20) {
                    abort();
                }
            }
            n += parts[k].n;
        }
        if (form_get(&f, f.fields[i].name, &value) == FRUN_OK && !value.p) {
            abort();
        }
    }
    if (n > size) {
        abort();
    }
    free(room);
    return 0;
}
