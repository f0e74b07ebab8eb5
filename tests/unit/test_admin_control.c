/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/admin/control.h"

#include "frun/admin/client.h"
#include "frun/admin/json.h"
#include "frun/loop/service.h"
#include "temp.h"

#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static char folder[TEMP_NAME];
static char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
static struct loop *l;
static struct admin_server *s;

/* Somebody who may write to the folder is quick: called when bind() has made its file. */
static void (*quick)(void);

int __real_bind(int fd, const struct sockaddr *name, socklen_t len);
int __wrap_bind(int fd, const struct sockaddr *name, socklen_t len);

int __wrap_bind(int fd, const struct sockaddr *name, socklen_t len)
{
    int failed = __real_bind(fd, name, len);
    if (!failed && quick) {
        quick();
    }
    return failed;
}

static void on_get(void *ctx, struct admin_request *r)
{
    (void)ctx;
    struct buf out;
    buf_init(&out, 100);
    assert_int_equal(buf_put(&out, SPAN_LIT("{\"good\":true}")), FRUN_OK);
    admin_request_answer(r, 200, "application/json", &out);
}

static const struct admin_route routes[] = {{"GET", "/v1/it", false, on_get}};

static int setup(void **state)
{
    (void)state;
    temp_folder(folder);
    (void)snprintf(path, sizeof(path), "%s/control.sock", folder);
    assert_int_equal(loop_new(&l), FRUN_OK);
    assert_int_equal(admin_server_new(l, &ADMIN_LIMITS_DEFAULT, &s), FRUN_OK);
    return admin_server_add(s, routes, 1, NULL);
}

static int teardown(void **state)
{
    (void)state;
    admin_server_free(s);
    loop_free(l);
    (void)unlink(path);
    return rmdir(folder);
}

static struct admin_control *must_open(void)
{
    struct admin_control *c = NULL;
    struct diag d = {.text = ""};
    if (admin_control_open(l, s, path, NULL, &c, &d)) {
        fail_msg("%s", d.text);
    }
    return c;
}

static void test_mode_and_end(void **state)
{
    struct stat is;
    (void)state;
    mode_t before = umask(0);
    struct admin_control *c = must_open();
    (void)umask(before);
    assert_int_equal(stat(path, &is), 0);
    assert_true(S_ISSOCK(is.st_mode));
    assert_int_equal(is.st_mode & 0777, 0660);
    admin_control_free(c);
    assert_int_not_equal(stat(path, &is), 0);
}

static void test_left_behind(void **state)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    (void)state;
    (void)snprintf(name.sun_path, sizeof(name.sun_path), "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
    (void)close(fd);
    admin_control_free(must_open());
}

static void refused(const char *group, frun_err want, const char *text)
{
    struct admin_control *c = NULL;
    struct diag d = {.text = ""};
    assert_int_equal(admin_control_open(l, s, path, group, &c, &d), want);
    if (!strstr(d.text, text)) {
        fail_msg("\"%s\" does not say \"%s\"", d.text, text);
    }
}

static void test_refused(void **state)
{
    struct stat is;
    (void)state;
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    refused(NULL, FRUN_E_EXISTS, "no socket");
    assert_int_equal(stat(path, &is), 0);
    assert_true(S_ISREG(is.st_mode));
    (void)unlink(path);
    refused("no-such-group", FRUN_E_NOT_FOUND, "no group");

    struct admin_control *c = must_open();
    refused(NULL, FRUN_E_EXISTS, "another program listens");
    assert_int_equal(stat(path, &is), 0);
    admin_control_free(c);

    (void)snprintf(path, sizeof(path), "%s/none/control.sock", folder);
    refused(NULL, FRUN_E_IO, "folder");
}

static char victim[100];

static void put_link(void)
{
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink(victim, path), 0);
}

static void put_file(void)
{
    assert_int_equal(rename(victim, path), 0);
}

static void put_hard_link(void)
{
    assert_int_equal(unlink(path), 0);
    assert_int_equal(link(victim, path), 0);
}

static void put_nothing(void)
{
    assert_int_equal(unlink(path), 0);
}

/* What stands in the file's place after bind() gets neither its mode nor its group. */
static void test_swapped_behind_bind(void **state)
{
    static const struct {
        const char *label;
        void (*swap)(void);
        bool is_socket;
    } rows[] = {
        {"link to a file", put_link, false}, {"link to a socket", put_link, true},
        {"file", put_file, false},           {"another socket of ours", put_hard_link, true},
        {"nothing", put_nothing, false},
    };
    (void)state;
    (void)snprintf(victim, sizeof(victim), "%s/victim", folder);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sockaddr_un name = {.sun_family = AF_UNIX};
        struct stat is;
        (void)snprintf(name.sun_path, sizeof(name.sun_path), "%s", victim);
        int fd = rows[i].is_socket ? socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)
                                   : open(victim, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        assert_int_equal(
            rows[i].is_socket ? __real_bind(fd, (struct sockaddr *)&name, sizeof(name)) : 0, 0);
        assert_int_equal(chmod(victim, 0640), 0);
        quick = rows[i].swap;
        refused(NULL, FRUN_E_IO, "others may write to its folder");
        quick = NULL;
        if (lstat(victim, &is) && lstat(path, &is)) {
            fail_msg("%s: it is gone", rows[i].label);
        }
        if ((is.st_mode & 07777) != 0640) {
            fail_msg("%s: its mode is %o", rows[i].label, is.st_mode & 07777);
        }
        (void)close(fd);
        (void)unlink(path);
        (void)unlink(victim);
    }
    admin_control_free(must_open()); /* and now nobody was quick */
}

/* The file is removed only as long as it is the one that was made. */
static void test_replaced_meanwhile(void **state)
{
    struct stat is;
    (void)state;
    struct admin_control *c = must_open();
    (void)unlink(path);
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    (void)close(fd);
    admin_control_free(c);
    assert_int_equal(stat(path, &is), 0);
}

static void test_client(void **state)
{
    struct loop_thread *t = NULL;
    struct buf body;
    struct diag d = {.text = ""};
    unsigned status = 0;
    struct admin_call call = {
        .socket = path, .method = "GET", .target = "/v1/it", .timeout_ms = 20000};
    (void)state;
    buf_init(&body, 1000);
    assert_int_equal(admin_client_call(&call, &status, &body, &d), FRUN_E_CONNECT);
    struct admin_control *c = must_open();
    assert_int_equal(loop_thread_start(l, "admin", &t), FRUN_OK);
    if (admin_client_call(&call, &status, &body, &d)) {
        fail_msg("%s", d.text);
    }
    assert_int_equal(status, 200);
    assert_true(span_eq(buf_span(&body), SPAN_LIT("{\"good\":true}")));
    call.target = "/v1/none";
    assert_int_equal(admin_client_call(&call, &status, &body, &d), FRUN_OK);
    assert_int_equal(status, 404);
    loop_stop(l);
    loop_thread_join(t);
    admin_control_free(c);
    buf_done(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_mode_and_end, setup, teardown),
        cmocka_unit_test_setup_teardown(test_left_behind, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_replaced_meanwhile, setup, teardown),
        cmocka_unit_test_setup_teardown(test_swapped_behind_bind, setup, teardown),
        cmocka_unit_test_setup_teardown(test_client, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
