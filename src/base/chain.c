/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/chain.h"

#include "chain_int.h"
#include "frun/base/text.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What stands around the two hashes at the end of a line. */
#define BEFORE_PREV ",\"prev\":\""
#define BEFORE_HASH "\",\"hash\":\""
#define BEHIND_HASH "\"}"
#define HEX_BYTES   ((size_t)CHAIN_HASH_BYTES - 1)

const char chain_zero[CHAIN_HASH_BYTES] =
    "0000000000000000000000000000000000000000000000000000000000000000";

void chain_hash(struct span key, struct span s, char out[CHAIN_HASH_BYTES])
{
    unsigned char raw[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    bool is_done;

    if (key.p) {
        is_done = HMAC(EVP_sha256(), key.p, (int)key.n, (const unsigned char *)s.p, s.n, raw, &n);
    } else {
        is_done = EVP_Digest(s.p, s.n, raw, &n, EVP_sha256(), NULL) == 1;
    }
    if (!is_done || n != HEX_BYTES / 2) {
        /* A hash that is not one would look like proof. */
        abort();
    }
    text_hex(span_make(raw, n), out);
}

static bool is_hex(struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!(s.p[i] >= '0' && s.p[i] <= '9') && !(s.p[i] >= 'a' && s.p[i] <= 'f')) {
            return false;
        }
    }
    return true;
}

/* Cut literal text off the end. */
static bool cut_end(struct span *s, struct span end)
{
    if (s->n < end.n || !span_eq(span_skip(*s, s->n - end.n), end)) {
        return false;
    }
    s->n -= end.n;
    return true;
}

static bool cut_hash(struct span *s, struct span *hash)
{
    if (s->n < HEX_BYTES) {
        return false;
    }
    s->n -= HEX_BYTES;
    *hash = span_make(s->p + s->n, HEX_BYTES);
    return is_hex(*hash);
}

bool chain_cut(struct span line, struct chain_line *out)
{
    struct chain_line l = {0};
    struct span rest = line;

    if (!span_starts(rest, SPAN_LIT("{\"seq\":")) || !cut_end(&rest, SPAN_LIT(BEHIND_HASH)) ||
        !cut_hash(&rest, &l.hash) || !cut_end(&rest, SPAN_LIT(BEFORE_HASH))) {
        return false;
    }
    l.head = rest;
    if (!cut_hash(&rest, &l.prev) || !cut_end(&rest, SPAN_LIT(BEFORE_PREV)) ||
        rest.n < sizeof("{\"seq\":") - 1) {
        return false;
    }
    rest = span_skip(rest, sizeof("{\"seq\":") - 1);
    size_t digits = span_find(rest, ',');
    if (span_to_u64(span_head(rest, digits), &l.seq)) {
        return false;
    }
    *out = l;
    return true;
}

size_t chain_compose(struct span key, struct chain_end *end, struct span record, char *out)
{
    int n = snprintf(out, CHAIN_LINE_BYTES, "{\"seq\":%" PRIu64 ",%.*s" BEFORE_PREV "%s",
                     end->seq + 1, SPAN_FMT(record), end->hash);
    size_t at = n < 0 ? 0 : (size_t)n;

    end->seq++;
    chain_hash(key, span_make(out, at), end->hash);
    n = snprintf(out + at, CHAIN_LINE_BYTES - at, BEFORE_HASH "%s" BEHIND_HASH "\n", end->hash);
    return at + (n < 0 ? 0 : (size_t)n);
}

/* The text of a head file without its own proof. */
static size_t head_text(const struct chain_head *h, char out[CHAIN_HEAD_BYTES])
{
    int n = snprintf(out, CHAIN_HEAD_BYTES,
                     "frun audit head 1 %020" PRIu64 " %020" PRIu64 " %020" PRIu64 " %s ", h->first,
                     h->end.seq, h->size, h->end.hash);
    return n < 0 ? 0 : (size_t)n;
}

frun_err chain_head_read(int fd, struct span key, struct chain_head *out)
{
    char text[CHAIN_HEAD_BYTES] = "";
    char again[CHAIN_HEAD_BYTES];
    char proof[CHAIN_HASH_BYTES];
    struct chain_head h = {0};
    ssize_t got = pread(fd, text, sizeof(text) - 1, 0);

    if (got <= 0) {
        return got == 0 ? FRUN_E_NOT_FOUND : FRUN_E_IO;
    }
    struct span rest = span_make(text, (size_t)got);
    struct span word = {0};
    uint64_t *numbers[] = {&h.first, &h.end.seq, &h.size};
    for (int i = 0; i < 4; i++) {
        (void)span_split(&rest, ' ', &word); /* "frun audit head 1" */
    }
    for (size_t i = 0; i < 3; i++) {
        if (!span_split(&rest, ' ', &word) || span_to_u64(word, numbers[i])) {
            return FRUN_E_SYNTAX;
        }
    }
    if (!span_split(&rest, ' ', &word) || word.n != HEX_BYTES || !is_hex(word)) {
        return FRUN_E_SYNTAX;
    }
    memcpy(h.end.hash, word.p, HEX_BYTES);
    size_t n = head_text(&h, again);
    chain_hash(key, span_make(again, n), proof);
    if (n + HEX_BYTES + 1 != (size_t)got || memcmp(again, text, n) != 0 ||
        memcmp(text + n, proof, HEX_BYTES) != 0) {
        return FRUN_E_SYNTAX;
    }
    *out = h;
    return FRUN_OK;
}

frun_err chain_head_write(int fd, struct span key, const struct chain_head *h, bool is_synced)
{
    char text[CHAIN_HEAD_BYTES];
    size_t n = head_text(h, text);

    chain_hash(key, span_make(text, n), text + n);
    n += HEX_BYTES;
    text[n++] = '\n';
    /* One sector, always of the same length: it is the old one or the new one after a crash. */
    if (pwrite(fd, text, n, 0) != (ssize_t)n || (is_synced && fdatasync(fd) != 0)) {
        return FRUN_E_IO;
    }
    return FRUN_OK;
}

bool chain_full_name(const char *path, uint64_t last, char *out, size_t room)
{
    int n = snprintf(out, room, "%s.%012" PRIu64, path, last);
    return n > 0 && (size_t)n < room;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* The number in the name of a full file; 0: it is none. */
static uint64_t number_of(const char *entry, struct span base)
{
    uint64_t number = 0;
    struct span name = span_of(entry);

    if (name.n <= base.n + 1 || !span_starts(name, base) || name.p[base.n] != '.' ||
        span_to_u64(span_skip(name, base.n + 1), &number)) {
        return 0;
    }
    return number;
}

frun_err chain_full_files(const char *path, uint64_t **out, size_t *n)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    struct span base = span_of(slash ? slash + 1 : path);
    uint64_t *all = NULL;
    size_t count = 0;
    size_t room = 0;
    frun_err err = FRUN_OK;

    (void)snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - path) + 1 : 1,
                   slash ? path : ".");
    DIR *dir = opendir(folder);
    if (!dir) {
        return FRUN_E_IO;
    }
    /* One thread reads this stream. NOLINTNEXTLINE(concurrency-mt-unsafe) */
    for (const struct dirent *e; !err && (e = readdir(dir));) {
        uint64_t number = number_of(e->d_name, base);
        if (number == 0) {
            continue;
        }
        if (count == room) {
            room = room ? 2 * room : 16;
            uint64_t *more = realloc(all, room * sizeof(*all));
            if (!more) {
                err = FRUN_E_NOMEM;
                break;
            }
            all = more;
        }
        all[count++] = number;
    }
    (void)closedir(dir);
    if (err) {
        free(all);
        return err;
    }
    if (count > 1) {
        qsort(all, count, sizeof(*all), by_number);
    }
    *out = all;
    *n = count;
    return FRUN_OK;
}
