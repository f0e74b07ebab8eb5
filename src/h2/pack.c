/* SPDX-License-Identifier: Apache-2.0 */
#include "h2_int.h"

#include <string.h>

/* Behind a name, and behind its value. No octet of a field with its high bit set looks like them.
 */
#define END_OF_NAME  '\x81'
#define END_OF_FIELD '\x82'

#define ONES 0x0101010101010101U
#define HIGH 0x8080808080808080U

/* Are eight octets blanks or visible ASCII? */
static bool is_text8(uint64_t w)
{
    uint64_t low = w & ~HIGH;

    return ((low + ONES * 0x60) & ~(low + ONES) & ~w & HIGH) == HIGH;
}

/* Copy from @p p to @p to with the high bits turned over; text is what they were, or become. The
 * last step looks at some octets again: memory that overlaps is none here. */
static bool turn(char *to, struct span s, bool is_text_before)
{
    uint64_t w;
    size_t i = 0;

    if (s.n < 8) {
        char eight[8] = "        ";

        for (i = 0; i < s.n; i++) {
            eight[i] = (char)(s.p[i] ^ '\x80');
            to[i] = eight[i];
            eight[i] = is_text_before ? s.p[i] : eight[i];
        }
        memcpy(&w, eight, 8);
        return is_text8(w);
    }
    for (; i < s.n; i += 8) {
        size_t at = i + 8 <= s.n ? i : s.n - 8;
        uint64_t turned;

        memcpy(&w, s.p + at, 8);
        turned = w ^ HIGH;
        memcpy(to + at, &turned, 8);
        if (!is_text8(is_text_before ? w : turned)) {
            return false;
        }
    }
    return true;
}

bool h2_pack(struct h2_list *l, struct span name, struct span value)
{
    char *to = l->packed + l->packed_n;

    if (name.n + value.n + 2 > sizeof(l->packed) - l->packed_n || !turn(to, name, true) ||
        !turn(to + name.n + 1, value, true)) {
        return false;
    }
    to[name.n] = END_OF_NAME;
    to[name.n + 1 + value.n] = END_OF_FIELD;
    l->packed_n += name.n + value.n + 2;
    return true;
}

bool h2_unpack(struct span *rest, char *room, struct field *out)
{
    size_t name = span_find(*rest, END_OF_NAME);
    size_t both = span_find(*rest, END_OF_FIELD);

    if (both == rest->n || name > both) {
        return false;
    }
    out->name = span_make(room, name);
    out->value = span_make(room + name, both - name - 1);
    if (!turn(room, span_head(*rest, name), false) ||
        !turn(room + name, span_make(rest->p + name + 1, both - name - 1), false)) {
        return false;
    }
    *rest = span_skip(*rest, both + 1);
    return true;
}
