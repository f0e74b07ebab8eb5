/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/loop/service.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* A stand-in for systemd: the socket that NOTIFY_SOCKET names. */
static int notify_fd = -1;

static int setup(void **state)
{
    (void)state;
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    socklen_t len = sizeof(sa_family_t); /* autobind: an abstract name of the kernel's choice */
    notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (notify_fd < 0 || bind(notify_fd, (struct sockaddr *)&un, len)) {
        return -1;
    }
    len = sizeof(un);
    if (getsockname(notify_fd, (struct sockaddr *)&un, &len)) {
        return -1;
    }
    char name[sizeof(un.sun_path) + 1] = "@";
    memcpy(name + 1, un.sun_path + 1, len - sizeof(sa_family_t) - 1);
    return setenv("NOTIFY_SOCKET", name, 1);
}

static int teardown(void **state)
{
    (void)state;
    close(notify_fd);
    (void)unsetenv("NOTIFY_SOCKET");
    (void)unsetenv("WATCHDOG_USEC");
    return 0;
}

static const char *next_message(void)
{
    static char text[256];
    ssize_t n = recv(notify_fd, text, sizeof(text) - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    return text;
}

static void test_messages(void **state)
{
    (void)state;
#ifdef FRUN_HAVE_SYSTEMD
    service_ready("2 tunnels");
    assert_string_equal(next_message(), "READY=1\nSTATUS=2 tunnels");
    service_status("1 tunnel");
    assert_string_equal(next_message(), "STATUS=1 tunnel");
    service_stopping();
    assert_non_null(strstr(next_message(), "STOPPING=1"));
#else
    service_ready("2 tunnels");
    assert_string_equal(next_message(), "");
#endif
}

static struct loop *l;
static struct deadline stop;

static void on_stop(struct deadline *d)
{
    (void)d;
    loop_stop(l);
}

static bool is_never(void *arg)
{
    (void)arg;
    return false;
}

/* What hangs must be killed: no word to systemd on its behalf. */
static void test_watchdog_of_the_stuck(void **state)
{
    (void)state;
    assert_int_equal(loop_new(&l), FRUN_OK);
    (void)setenv("WATCHDOG_USEC", "300000", 1);
    assert_int_equal(service_watchdog_start(l, is_never, NULL), FRUN_OK);
    deadline_init(&stop, on_stop);
    deadline_set(l, &stop, 500);
    loop_run(l);
    assert_string_equal(next_message(), "");
    service_watchdog_stop();
    loop_free(l);
}

static void test_watchdog(void **state)
{
    (void)state;
    assert_int_equal(loop_new(&l), FRUN_OK);
    assert_int_equal(service_watchdog_start(l, NULL, NULL), FRUN_OK); /* none asked for */
    assert_string_equal(next_message(), "");
    (void)setenv("WATCHDOG_USEC", "600000", 1);
    assert_int_equal(service_watchdog_start(l, NULL, NULL), FRUN_OK);
    deadline_init(&stop, on_stop);
    deadline_set(l, &stop, 1000);
    loop_run(l);
    unsigned pats = 0;
    while (strcmp(next_message(), "WATCHDOG=1") == 0) {
        pats++;
    }
#ifdef FRUN_HAVE_SYSTEMD
    assert_in_range(pats, 3, 8);
#else
    assert_int_equal(pats, 0);
#endif
    service_watchdog_stop();
    service_watchdog_stop();
    loop_free(l);
}

static void test_sockets(void **state)
{
    (void)state;
#ifdef FRUN_HAVE_SYSTEMD
    char pid[16];
    int fds[4];
    /* Descriptors 3 and 4 are the test's to fill, as the service manager would. */
    int a = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(a >= 0);
    int keep3 = fcntl(3, F_DUPFD_CLOEXEC, 10);
    int keep4 = fcntl(4, F_DUPFD_CLOEXEC, 10);
    assert_int_equal(dup2(a, 3), 3);
    assert_int_equal(dup2(a, 4), 4);
    (void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
    (void)setenv("LISTEN_PID", pid, 1);
    (void)setenv("LISTEN_FDS", "2", 1);
    (void)setenv("LISTEN_FDNAMES", "https:tunnel", 1);
    assert_int_equal(service_sockets("tunnel", fds, 4), 1);
    assert_int_equal(fds[0], 4);
    assert_true(fcntl(4, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(4, F_GETFL) & O_NONBLOCK);
    assert_int_equal(service_sockets(NULL, fds, 4), 2);
    assert_int_equal(service_sockets("admin", fds, 4), 0);
    (void)unsetenv("LISTEN_FDS");
    assert_int_equal(service_sockets(NULL, fds, 4), 0);
    if (keep3 >= 0) {
        assert_int_equal(dup2(keep3, 3), 3);
        close(keep3);
    }
    if (keep4 >= 0) {
        assert_int_equal(dup2(keep4, 4), 4);
        close(keep4);
    }
#endif
}

/* What is left with systemd comes as descriptors under one name. */
static void test_kept_sockets(void **state)
{
    (void)state;
#ifdef FRUN_HAVE_SYSTEMD
    char text[256] = "";
    union {
        char octets[CMSG_SPACE(4 * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec iov = {text, sizeof(text) - 1};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control.octets,
                       .msg_controllen = sizeof(control.octets)};
    const int fds[] = {notify_fd, notify_fd};
    service_keep_sockets(fds, 0);
    service_keep_sockets(fds, 2);
    assert_true(recvmsg(notify_fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) > 0);
    assert_string_equal(text, "FDSTORE=1\nFDNAME=" SERVICE_KEPT);
    const struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    if (!c) {
        fail_msg("no descriptors came");
        return;
    }
    assert_int_equal(c->cmsg_len, CMSG_LEN(2 * sizeof(int)));
    for (size_t i = 0; i < 2; i++) {
        int fd;
        memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
        close(fd);
    }
    service_drop_kept();
    memset(text, 0, sizeof(text));
    m.msg_controllen = 0;
    assert_true(recvmsg(notify_fd, &m, MSG_DONTWAIT) > 0);
    assert_string_equal(text, "FDSTOREREMOVE=1\nFDNAME=" SERVICE_KEPT);
#endif
}

struct seen {
    char name[16];
    bool is_blocked;
};

static void look(void *arg)
{
    struct seen *s = arg;
    sigset_t now;
    (void)pthread_getname_np(pthread_self(), s->name, sizeof(s->name));
    pthread_sigmask(SIG_SETMASK, NULL, &now);
    s->is_blocked = sigismember(&now, SIGTERM) == 1;
    loop_stop(l);
}

static void test_thread(void **state)
{
    (void)state;
    struct loop_thread *t = NULL;
    struct seen seen = {0};
    assert_int_equal(loop_new(&l), FRUN_OK);
    assert_int_equal(loop_post(l, look, &seen), FRUN_OK);
    assert_int_equal(loop_thread_start(l, "worker 1", &t), FRUN_OK);
    loop_thread_join(t);
    assert_string_equal(seen.name, "worker 1");
    assert_true(seen.is_blocked);
    loop_free(l);
    loop_thread_join(NULL);
}

/* Buffers of one pass, as a worker that relays a long body takes and returns them. */
static void take_and_return(void *arg)
{
    char *blocks[8];
    for (size_t i = 0; i < 8; i++) {
        blocks[i] = malloc((size_t)64 << 10);
        assert_non_null(blocks[i]);
        memset(blocks[i], 'x', (size_t)64 << 10);
    }
    for (size_t i = 0; i < 8; i++) {
        free(blocks[i]);
    }
    *(int *)arg += 1;
}

static void pass_by_pass(void *arg)
{
    struct rusage before;
    struct rusage after;
    int passes = 0;
    take_and_return(&passes);
    assert_int_equal(getrusage(RUSAGE_THREAD, &before), 0);
    while (passes < 200) {
        take_and_return(&passes);
    }
    assert_int_equal(getrusage(RUSAGE_THREAD, &after), 0);
    *(long *)arg = after.ru_minflt - before.ru_minflt;
    loop_stop(l);
}

/* 200 passes touch 25600 pages; without the setting each pass faults them in anew. */
static void test_memory_stays(void **state)
{
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
    skip();
#endif
    struct loop_thread *t = NULL;
    long faults = 0;
    service_keep_memory();
    assert_int_equal(loop_new(&l), FRUN_OK);
    assert_int_equal(loop_post(l, pass_by_pass, &faults), FRUN_OK);
    assert_int_equal(loop_thread_start(l, "worker 1", &t), FRUN_OK);
    loop_thread_join(t);
    assert_in_range(faults, 0, 2000);
    loop_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_messages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_watchdog_of_the_stuck, setup, teardown),
        cmocka_unit_test_setup_teardown(test_watchdog, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sockets, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kept_sockets, setup, teardown),
        cmocka_unit_test_setup_teardown(test_thread, setup, teardown),
        cmocka_unit_test_setup_teardown(test_memory_stays, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
