/* SPDX-License-Identifier: Apache-2.0 */
#include "reload_rig.h"

#include "frun/admin/reloading.h"
#include "frun/loop/loop.h"
#include "tls_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* -- memory
 * ------------------------------------------------------------------------------------------------------
 */

_Thread_local int rig_left = -1;
_Thread_local int rig_left_ssl = -1;

static bool is_last(int *n)
{
    if (*n < 0 || (*n)-- > 0) {
        return false;
    }
    errno = ENOMEM;
    return true;
}

static bool refuses(void)
{
    return is_last(&rig_left);
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__real_aligned_alloc(size_t align, size_t n);
char *__real_strdup(const char *s);
char *__real_strndup(const char *s, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_aligned_alloc(size_t align, size_t n);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);

void *__wrap_malloc(size_t n)
{
    return refuses() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return refuses() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
    return refuses() ? NULL : __real_realloc(p, n);
}

void *__wrap_aligned_alloc(size_t align, size_t n)
{
    return refuses() ? NULL : __real_aligned_alloc(align, n);
}

char *__wrap_strdup(const char *s)
{
    return refuses() ? NULL : __real_strdup(s);
}

char *__wrap_strndup(const char *s, size_t n)
{
    return refuses() ? NULL : __real_strndup(s, n);
}

static void *ssl_malloc(size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    return is_last(&rig_left_ssl) ? NULL : __real_malloc(n);
}

static void *ssl_realloc(void *p, size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    return is_last(&rig_left_ssl) ? NULL : __real_realloc(p, n);
}

static void ssl_free(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    free(p);
}

bool rig_init(void)
{
    return CRYPTO_set_mem_functions(ssl_malloc, ssl_realloc, ssl_free) == 1;
}

void rig_refuse_each(int *counter, int step, int n_least, rig_once_fn once)
{
    bool is_other = true;
    bool is_over = false;
    int n = 0;
    for (; !is_over; n += step) {
        *counter = n;
        once(n, &is_other);
        is_over = *counter >= 0; /* there were fewer */
        *counter = -1;
    }
    assert_true(n > n_least);
    print_message("%d allocations\n", n);
}

/* -- what a reload says in the end, and when
 * --------------------------------------------------------------------------------------- */

unsigned rig_n_ended;
bool rig_is_kept;
char rig_why[512];
atomic_uint_fast64_t rig_later_ms;

void __real_admin_reloading_end(struct admin_reloading *x, const char *cause, const char *kept,
                                uint64_t ms);
void __wrap_admin_reloading_end(struct admin_reloading *x, const char *cause, const char *kept,
                                uint64_t ms);

void __wrap_admin_reloading_end(struct admin_reloading *x, const char *cause, const char *kept,
                                uint64_t ms)
{
    rig_n_ended++;
    rig_is_kept = kept != NULL;
    (void)snprintf(rig_why, sizeof(rig_why), "%s", kept ? kept : "");
    __real_admin_reloading_end(x, cause, kept, ms);
}

uint64_t __real_mono_now_ms(void);
uint64_t __wrap_mono_now_ms(void);

uint64_t __wrap_mono_now_ms(void)
{
    return __real_mono_now_ms() + atomic_load(&rig_later_ms);
}

static void stop(void *arg)
{
    loop_stop(arg);
}

/* The mail that ends the pass is not what is refused. */
void rig_pass(struct loop *l)
{
    int before = rig_left;
    rig_left = -1;
    assert_int_equal(loop_post(l, stop, l), FRUN_OK);
    rig_left = before;
    loop_run(l);
}

static struct loop *turning;

static void on_nudge(struct deadline *d)
{
    (void)d;
    loop_stop(turning);
}

/* The loop sleeps by another clock: it is woken first, and then it is late. */
void rig_let_pass(struct loop *l, uint64_t ms)
{
    struct deadline nudge;
    turning = l;
    deadline_init(&nudge, on_nudge);
    deadline_set(l, &nudge, 1);
    atomic_fetch_add(&rig_later_ms, ms);
    loop_run(l);
    deadline_clear(&nudge); /* something else may have stopped it */
}

/* -- sockets and files
 * -------------------------------------------------------------------------------------------------
 */

unsigned rig_free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    (void)close(fd);
    return ntohs(a.sin_port);
}

/* By their names: helpers open and close theirs meanwhile. */
size_t rig_count_sockets(void)
{
    static const char kind[] = "socket:";
    size_t n = 0;
    for (int fd = 0; fd < 256; fd++) {
        char path[64];
        char name[sizeof(kind) - 1];
        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        n += readlink(path, name, sizeof(name)) == sizeof(name) &&
                     memcmp(name, kind, sizeof(name)) == 0
                 ? 1
                 : 0;
    }
    return n;
}

FILE *rig_begin_file(struct tls_fixture *f, const char *name)
{
    FILE *out = fopen(fixture_path(f, name), "we");
    assert_non_null(out);
    return out;
}

void rig_put_file(struct tls_fixture *f, const char *name, const char *text)
{
    FILE *out = rig_begin_file(f, name);
    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(chmod(fixture_path(f, name), 0600), 0);
}

void rig_clean_folder(const struct tls_fixture *f, const char *name)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/%s", f->dir, name);
    DIR *d = opendir(path);
    for (const struct dirent *e; d && (e = readdir(d)) != NULL;) {
        (void)unlinkat(dirfd(d), e->d_name, 0);
    }
    if (d) {
        (void)closedir(d);
        (void)rmdir(path);
    }
}
