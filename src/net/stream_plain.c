/* SPDX-License-Identifier: Apache-2.0 */
#include "stream_int.h"

#include <errno.h>
#include <sys/socket.h>

static frun_err plain_handshake(struct stream *s)
{
    (void)s;
    return FRUN_OK;
}

static frun_err plain_read(struct stream *s, void *p, size_t max, size_t *n)
{
    frun_err err = stream_recv(s, p, max, n);
    if (err == FRUN_E_EOF) {
        s->is_eof = true;
    }
    return err;
}

static frun_err plain_put(struct stream *s, struct span data)
{
    return buf_put(&s->out, data);
}

static frun_err plain_seal(struct stream *s)
{
    (void)s;
    return FRUN_OK;
}

static void plain_end(struct stream *s)
{
    (void)s;
}

static frun_err plain_probe(struct stream *s)
{
    char one;
    ssize_t got = recv(s->fd, &one, 1, MSG_PEEK);
    if (got == 0) {
        return FRUN_E_EOF;
    }
    if (got < 0 && errno != EAGAIN && errno != EINTR) {
        return stream_sys_err(errno);
    }
    return FRUN_OK;
}

static frun_err plain_last_words(struct stream *s, frun_err err)
{
    (void)s;
    return err;
}

const struct stream_ops stream_plain_ops = {
    .handshake = plain_handshake,
    .read = plain_read,
    .put = plain_put,
    .seal = plain_seal,
    .end = plain_end,
    .probe = plain_probe,
    .last_words = plain_last_words,
};
