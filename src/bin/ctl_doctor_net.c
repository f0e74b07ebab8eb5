/**
 * frunctl doctor: the road to a peer, one step after the other: DNS, proxy, TCP, TLS.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/secret.h"
#include "frun/base/text.h"

#include "ctl_doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* Octets of an answer's head that are looked at. */
#define HEAD_BYTES 16384

/* "http://proxy.corp:3128" taken apart. false: it is something else. */
static bool split_proxy(const char *url, char host[256], char port[8])
{
    const char *p = strstr(url, "://");
    p = p ? p + 3 : url;
    const char *colon = strrchr(p, ':');
    size_t n = colon ? (size_t)(colon - p) : 0;
    if (n == 0 || n >= 256) {
        return false;
    }
    if (p[0] == '[' && p[n - 1] == ']') {
        p++;
        n -= 2;
    }
    (void)snprintf(host, 256, "%.*s", (int)n, p);
    (void)snprintf(port, 8, "%s", colon + 1);
    return true;
}

/* One address, within the time. The socket, or -1 with errno. */
static int connect_one(const struct addrinfo *a)
{
    const struct timeval wait = {DOCTOR_WAIT_MS / 1000, 0};
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int code = 0;
    socklen_t size = sizeof(code);
    if (fd < 0) {
        return -1;
    }
    if (connect(fd, a->ai_addr, a->ai_addrlen) && errno == EINPROGRESS) {
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        code = poll(&p, 1, DOCTOR_WAIT_MS) == 1 ? 0 : ETIMEDOUT;
        if (!code && getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &size)) {
            code = errno;
        }
    } else if (errno && errno != EINPROGRESS) {
        code = errno;
    }
    if (code) {
        (void)close(fd);
        errno = code;
        return -1;
    }
    /* blocking from here on, each read and write with its end */
    (void)fcntl(fd, F_SETFL, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
    return fd;
}

/* Name to addresses to a socket. */
static int reach(struct doctor *d, const char *host, const char *port, const char *what)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    char text[NI_MAXHOST] = "";
    int fd = -1;
    int code = getaddrinfo(host, port, &hints, &list);
    if (code) {
        doctor_say(d, "dns", STEPS_FAIL, "%s %s: %s", what, host, gai_strerror(code));
        doctor_remedy(d, "correct the name, or what /etc/resolv.conf asks; 'getent hosts %s'",
                      host);
        return -1;
    }
    (void)getnameinfo(list->ai_addr, list->ai_addrlen, text, sizeof(text), NULL, 0, NI_NUMERICHOST);
    doctor_say(d, "dns", STEPS_OK, "%s %s is %s", what, host, text);
    for (const struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
        errno = 0;
        fd = connect_one(a);
    }
    code = errno;
    freeaddrinfo(list);
    if (fd < 0) {
        doctor_say(d, "tcp", STEPS_FAIL, "%s %s:%s: %s", what, host, port, strerrordesc_np(code));
        doctor_remedy(d, "%s",
                      code == ECONNREFUSED ? "nobody listens there: start it, or correct the port"
                                           : "a firewall drops it: let this machine reach that "
                                             "port");
    } else {
        doctor_say(d, "tcp", STEPS_OK, "%s %s:%s answers", what, host, port);
    }
    return fd;
}

/* Up to the blank line that ends a head; what came. */
static size_t read_head(const struct doctor_line *l, char *head, size_t room)
{
    size_t n = 0;
    /* each read has its end; this is for one that sends drop by drop */
    time_t end = time(NULL) + 2 * DOCTOR_WAIT_MS / 1000;
    while (n + 1 < room && time(NULL) < end) {
        ssize_t got =
            l->ssl ? SSL_read(l->ssl, head + n, (int)(room - 1 - n)) : read(l->fd, head + n, 1);
        if (got <= 0) {
            break;
        }
        n += (size_t)got;
        head[n] = '\0';
        if (strstr(head, "\r\n\r\n")) {
            break;
        }
    }
    head[n] = '\0';
    return n;
}

unsigned doctor_status(const char *head)
{
    uint64_t status = 0;
    if (strncmp(head, "HTTP/1.", 7) != 0 || strlen(head) < 12 ||
        span_to_u64(span_make(head + 9, 3), &status)) {
        return 0;
    }
    return (unsigned)status;
}

bool doctor_exchange(const struct doctor_line *l, struct span request, char *head, size_t room)
{
    int n = (int)request.n;
    bool is_sent = l->ssl ? SSL_write(l->ssl, request.p, n) == n
                          : send(l->fd, request.p, request.n, MSG_NOSIGNAL) == n;
    head[0] = '\0';
    return is_sent && read_head(l, head, room) > 0;
}

static void say_proxy(struct doctor *d, const char *proxy, const char *head)
{
    unsigned status = doctor_status(head);
    int n = (int)strcspn(head, "\r\n");
    if (status == 407) {
        doctor_say(d, "proxy", STEPS_FAIL, "%s asks for credentials (407)", proxy);
        doctor_remedy(d, "set proxy_user and proxy_password; only Basic is spoken, a proxy that "
                         "wants NTLM or Kerberos needs an exception for this machine");
    } else if (!head[0]) {
        doctor_say(d, "proxy", STEPS_FAIL, "%s does not answer CONNECT", proxy);
        doctor_remedy(d, "it is no HTTP proxy, or it waits for its own way out: ask who runs it");
    } else if (!status) {
        doctor_say(d, "proxy", STEPS_FAIL, "%s answers no HTTP: %.60s", proxy, head);
        doctor_remedy(d, "correct host and port of the proxy");
    } else {
        doctor_say(d, "proxy", STEPS_FAIL, "%s refuses CONNECT: %.*s", proxy, n > 100 ? 100 : n,
                   head);
        doctor_remedy(d, "%s",
                      status == 502 || status == 503 || status == 504
                          ? "the proxy itself cannot reach the gateway: its DNS or its firewall"
                          : "have host and port of the gateway allowed for CONNECT in the proxy");
    }
}

static bool ask_proxy(struct doctor *d, const struct doctor_peer *p, int fd)
{
    struct buf b;
    char head[HEAD_BYTES];
    char plain[1100];
    char coded[TEXT_BASE64_BYTES(sizeof(plain))];
    const struct doctor_line l = {.fd = fd};
    buf_init(&b, 8192);
    frun_err err = buf_printf(&b, "CONNECT %s:%u HTTP/1.1\r\nHost: %s:%u\r\n", p->host, p->port,
                              p->host, p->port);
    if (!err && p->proxy_user) {
        int n = snprintf(plain, sizeof(plain), "%s:%s", p->proxy_user,
                         p->proxy_password ? secret_span(p->proxy_password).p : "");
        n = n < (int)sizeof(plain) ? n : (int)sizeof(plain) - 1;
        (void)text_base64(span_make(plain, (size_t)n), coded);
        err = buf_printf(&b, "Proxy-Authorization: Basic %s\r\n", coded);
        secret_wipe(plain, sizeof(plain));
    }
    err = err ? err : buf_printf(&b, "\r\n");
    head[0] = '\0';
    bool is_open = !err && doctor_exchange(&l, buf_span(&b), head, sizeof(head)) &&
                   doctor_status(head) / 100 == 2;
    if (b.data) {
        secret_wipe(b.data, buf_len(&b));
    }
    buf_done(&b);
    if (is_open) {
        doctor_say(d, "proxy", STEPS_OK, "%s lets CONNECT through", p->proxy);
    } else {
        say_proxy(d, p->proxy, head);
    }
    return is_open;
}

int doctor_tcp(struct doctor *d, const struct doctor_peer *p)
{
    char host[256];
    char port[8];
    if (!p->proxy) {
        (void)snprintf(port, sizeof(port), "%u", p->port);
        return reach(d, p->host, port, "host");
    }
    if (!split_proxy(p->proxy, host, port)) {
        doctor_say(d, "proxy", STEPS_FAIL, "%s is no http://host:port", p->proxy);
        return -1;
    }
    int fd = reach(d, host, port, "proxy");
    if (fd >= 0 && !ask_proxy(d, p, fd)) {
        (void)close(fd);
        fd = -1;
    }
    return fd;
}

void doctor_close(struct doctor_line *l)
{
    SSL_free(l->ssl);
    SSL_CTX_free(l->ctx);
    if (l->fd >= 0) {
        (void)close(l->fd);
    }
    *l = (struct doctor_line){.fd = -1};
}
