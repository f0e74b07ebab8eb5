/* SPDX-License-Identifier: Apache-2.0 */
#include "sim.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

/* Set once at the end, so that no fault holds it up. */
static atomic_bool is_awake;

void sim_wake(void)
{
    atomic_store(&is_awake, true);
}

void sim_sleep(unsigned ms)
{
    while (ms > 0 && !atomic_load(&is_awake)) {
        unsigned part = ms < 50 ? ms : 50;
        struct timespec left = {0, (long)part * 1000000L};
        while (nanosleep(&left, &left) != 0 && errno == EINTR) {
        }
        ms -= part;
    }
}

static int wire_read(struct wire *w, char *to, size_t room)
{
    if (w->ssl) {
        return SSL_read(w->ssl, to, (int)room);
    }
    ssize_t n;
    do {
        n = recv(w->fd, to, room, 0);
    } while (n < 0 && errno == EINTR);
    return (int)n;
}

int wire_fill(struct wire *w)
{
    if (w->head == w->tail) {
        w->head = w->tail = 0;
    }
    int n = w->tail < sizeof(w->in) ? wire_read(w, w->in + w->tail, sizeof(w->in) - w->tail) : 0;
    if (n > 0) {
        w->tail += (size_t)n;
    }
    return n;
}

bool wire_write(struct wire *w, const void *p, size_t n)
{
    const char *from = p;
    while (n > 0) {
        size_t part = n < 16384 ? n : 16384;
        ssize_t done =
            w->ssl ? SSL_write(w->ssl, from, (int)part) : send(w->fd, from, part, MSG_NOSIGNAL);
        if (done <= 0) {
            if (!w->ssl && done < 0 && errno == EINTR) {
                continue;
            }
            return false;
        }
        from += done;
        n -= (size_t)done;
    }
    return true;
}

bool wire_write_paced(struct wire *w, const void *p, size_t n, uint64_t rate)
{
    if (rate == 0) {
        return wire_write(w, p, n);
    }
    const char *from = p;
    size_t step = rate / 20 > 0 ? (size_t)(rate / 20) : 1;
    while (n > 0) {
        size_t part = n < step ? n : step;
        if (!wire_write(w, from, part)) {
            return false;
        }
        from += part;
        n -= part;
        sim_sleep((unsigned)(part * 1000 / rate));
    }
    return true;
}

void wire_cut(struct wire *w)
{
    if (w->ssl) {
        SSL_set_quiet_shutdown(w->ssl, 1);
    }
}

void wire_reset(struct wire *w)
{
    const struct linger now = {1, 0};
    (void)setsockopt(w->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    wire_cut(w);
}

/** Octets of the head that begins at in+head, 0 if its end is not there. */
static size_t head_end(const char *p, size_t n)
{
    const char *end = n >= 4 ? memmem(p, n, "\r\n\r\n", 4) : NULL;
    return end ? (size_t)(end - p) + 4 : 0;
}

static char *trimmed(char *s)
{
    while (*s == ' ' || *s == '\t') {
        s++;
    }
    size_t n = strlen(s);
    while (n > 0 && (s[n - 1] == ' ' || s[n - 1] == '\t')) {
        s[--n] = '\0';
    }
    return s;
}

static bool request_cut(struct request *r)
{
    char *save = r->memory;
    char *line = strsep(&save, "\n");
    line[strcspn(line, "\r")] = '\0';
    r->method = strsep(&line, " ");
    r->target = line ? strsep(&line, " ") : NULL;
    r->version = line;
    if (!r->version || strncmp(r->version, "HTTP/1.", 7) != 0) {
        return false;
    }
    while (save && *save) {
        line = strsep(&save, "\n");
        line[strcspn(line, "\r")] = '\0';
        if (*line == '\0') {
            break;
        }
        char *colon = strchr(line, ':');
        if (!colon || r->n == SIM_MAX_FIELDS) {
            return false;
        }
        *colon = '\0';
        r->fields[r->n].name = line;
        r->fields[r->n].value = trimmed(colon + 1);
        r->n++;
    }
    return true;
}

int request_read(struct wire *w, struct request *r)
{
    size_t have = 0;
    size_t cap = sizeof(w->in);
    char *head = malloc(cap + 1);
    *r = (struct request){.memory = head};
    for (;;) {
        if (!r->memory) {
            return -1;
        }
        /* Everything read so far goes into the head; what lies behind its end goes back. */
        size_t n = w->tail - w->head;
        if (have + n > cap) {
            cap *= 2;
            char *more = cap <= SIM_MAX_HEAD_BYTES ? realloc(r->memory, cap + 1) : NULL;
            if (!more) {
                return -1;
            }
            r->memory = more;
            continue;
        }
        memcpy(r->memory + have, w->in + w->head, n);
        size_t before = have;
        have += n;
        size_t end = head_end(r->memory, have);
        if (end) {
            w->head += end - before;
            r->memory[end] = '\0';
            break;
        }
        w->head = w->tail = 0;
        if (wire_fill(w) <= 0) {
            return have ? -1 : 0;
        }
    }
    if (!request_cut(r)) {
        return -1;
    }
    size_t n = strcspn(r->target, "?");
    r->path = malloc(2 * strlen(r->target) + 2);
    if (!r->path) {
        return -1;
    }
    memcpy(r->path, r->target, n);
    r->path[n] = '\0';
    r->query = r->path + n + 1;
    memcpy(r->query, r->target[n] ? r->target + n + 1 : "",
           r->target[n] ? strlen(r->target + n + 1) + 1 : 1);
    w->requests++;
    return 1;
}

void request_done(struct request *r)
{
    free(r->memory);
    free(r->path);
    r->memory = r->path = NULL;
}

const char *request_field(const struct request *r, const char *name, size_t *n)
{
    const char *first = NULL;
    size_t hits = 0;
    for (size_t i = 0; i < r->n; i++) {
        if (text_same_name(r->fields[i].name, name)) {
            first = first ? first : r->fields[i].value;
            hits++;
        }
    }
    if (n) {
        *n = hits;
    }
    return first;
}

/** A body on its way through: hashed, unpacked, its beginning shown. */
struct intake {
    struct body *body; /**< result */
    EVP_MD_CTX *hash;  /**< over the octets as received */
    z_stream gunzip;   /**< with is_gzip */
    bool is_gzip;      /**< Content-Encoding: gzip */
    bool is_bad;       /**< not gzip after all */
    bool is_end;       /**< gzip trailer seen */
    uint64_t rate;     /**< octets a second, 0: at once */
};

static void intake_show(struct body *b, const unsigned char *p, size_t n)
{
    size_t room = sizeof(b->text) - b->shown;
    size_t part = n < room ? n : room;
    memcpy(b->text + b->shown, p, part);
    b->shown += part;
    b->decoded_bytes += n;
}

static void intake_feed(struct intake *t, const char *p, size_t n)
{
    t->body->bytes += n;
    (void)EVP_DigestUpdate(t->hash, p, n);
    if (!t->is_gzip) {
        intake_show(t->body, (const unsigned char *)p, n);
    } else if (!t->is_bad) {
        unsigned char out[16384];
        unsigned char in[sizeof(((struct wire *)NULL)->in)];
        memcpy(in, p, n);
        t->gunzip.next_in = in;
        t->gunzip.avail_in = (unsigned)n;
        while (!t->is_bad && (t->gunzip.avail_in > 0 || t->gunzip.avail_out == 0)) {
            t->gunzip.next_out = out;
            t->gunzip.avail_out = sizeof(out);
            int rc = t->is_end ? Z_DATA_ERROR : inflate(&t->gunzip, Z_NO_FLUSH);
            intake_show(t->body, out, sizeof(out) - t->gunzip.avail_out);
            t->is_end = t->is_end || rc == Z_STREAM_END;
            t->is_bad = rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR;
            if (t->is_end || rc == Z_BUF_ERROR) {
                t->is_bad = t->is_bad || t->gunzip.avail_in > 0;
                break;
            }
        }
    }
    if (t->rate) {
        sim_sleep((unsigned)(n * 1000 / t->rate));
    }
}

/** Move @p left octets of content. */
static bool intake_take(struct wire *w, struct intake *t, uint64_t left)
{
    while (left > 0) {
        size_t n = w->tail - w->head;
        if (n == 0) {
            if (wire_fill(w) <= 0) {
                return false;
            }
            continue;
        }
        size_t part = left < n ? (size_t)left : n;
        /* In small steps, so that the sender sees a steady trickle. */
        if (t->rate && part > t->rate / 20 + 1) {
            part = (size_t)(t->rate / 20 + 1);
        }
        intake_feed(t, w->in + w->head, part);
        w->head += part;
        left -= part;
    }
    return true;
}

/** A line without its CRLF. */
static bool intake_line(struct wire *w, char *line, size_t room)
{
    size_t n = 0;
    for (;;) {
        if (w->head == w->tail && wire_fill(w) <= 0) {
            return false;
        }
        char c = w->in[w->head++];
        if (c == '\n') {
            break;
        }
        if (n + 1 >= room) {
            return false;
        }
        line[n++] = c;
    }
    if (n == 0 || line[n - 1] != '\r') {
        return false;
    }
    line[n - 1] = '\0';
    return true;
}

static bool intake_chunks(struct wire *w, struct intake *t)
{
    char line[8192];
    for (;;) {
        char *end = NULL;
        if (!intake_line(w, line, sizeof(line)) || !isxdigit((unsigned char)line[0])) {
            return false;
        }
        uint64_t n = strtoull(line, &end, 16);
        if (*end != '\0' && *end != ';') {
            return false;
        }
        if (n == 0) {
            break;
        }
        if (!intake_take(w, t, n) || !intake_line(w, line, sizeof(line)) || line[0] != '\0') {
            return false;
        }
    }
    do {
        if (!intake_line(w, line, sizeof(line))) {
            return false;
        }
    } while (line[0] != '\0');
    return true;
}

static bool intake_run(struct wire *w, const struct request *r, struct intake *t)
{
    size_t n_length = 0;
    size_t n_coding = 0;
    const char *length = request_field(r, "content-length", &n_length);
    const char *coding = request_field(r, "transfer-encoding", &n_coding);
    /* What a front end must never let through is fatal here, so that a test sees it. */
    if (n_length + n_coding > 1) {
        return false;
    }
    const char *expect = request_field(r, "expect", NULL);
    if (expect && !wire_write(w, "HTTP/1.1 100 Continue\r\n\r\n", 25)) {
        return false;
    }
    if (coding) {
        return strcasecmp(coding, "chunked") == 0 && intake_chunks(w, t);
    }
    uint64_t left = 0;
    return !length || (text_size(length, &left) && intake_take(w, t, left));
}

bool body_read(struct wire *w, const struct request *r, uint64_t rate, struct body *b)
{
    *b = (struct body){0};
    struct intake t = {.body = b, .hash = EVP_MD_CTX_new(), .rate = rate};
    const char *packing = request_field(r, "content-encoding", NULL);
    t.is_gzip = packing && strcasecmp(packing, "gzip") == 0;
    if (!t.hash || EVP_DigestInit_ex(t.hash, EVP_sha256(), NULL) != 1 ||
        (t.is_gzip && inflateInit2(&t.gunzip, 31) != Z_OK)) {
        EVP_MD_CTX_free(t.hash);
        return false;
    }
    bool is_ok = intake_run(w, r, &t);
    b->is_complete = is_ok && !t.is_bad && (!t.is_gzip || t.is_end || b->bytes == 0);
    unsigned char digest[32];
    (void)EVP_DigestFinal_ex(t.hash, digest, NULL);
    for (size_t i = 0; i < sizeof(digest); i++) {
        static const char hex[] = "0123456789abcdef";
        b->sha256[2 * i] = hex[digest[i] >> 4];
        b->sha256[2 * i + 1] = hex[digest[i] & 15];
    }
    EVP_MD_CTX_free(t.hash);
    if (t.is_gzip) {
        (void)inflateEnd(&t.gunzip);
    }
    return is_ok;
}
