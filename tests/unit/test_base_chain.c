/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/chain.h"
#include "temp.h"

#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static char folder[TEMP_NAME];
static char path[TEMP_PATH];
static char head[TEMP_PATH + 8]; /* its head file */

static int remove_one(const char *name, const struct stat *st, int kind, struct FTW *where)
{
    (void)st;
    (void)kind;
    (void)where;
    return remove(name);
}

static void clean(void)
{
    assert_int_equal(nftw(folder, remove_one, 4, FTW_DEPTH | FTW_PHYS), 0);
}

static int setup(void **state)
{
    (void)state;
    temp_folder(folder);
    (void)snprintf(path, sizeof(path), "%s/audit.log", folder);
    (void)snprintf(head, sizeof(head), "%s.head", path);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    clean();
    return 0;
}

static const struct span key = {"a key of the test", 17};

static struct chain *begin(struct span k, uint64_t max_bytes, unsigned max_files)
{
    struct chain_settings s = {
        .path = path, .key = k, .max_bytes = max_bytes, .max_files = max_files};
    struct chain *c = NULL;
    struct diag d = {.text = ""};
    if (chain_open(&s, true, &c, &d)) {
        fail_msg("%s", d.text);
    }
    return c;
}

static void add(struct chain *c, int from, int to)
{
    for (int i = from; i <= to; i++) {
        char text[64];
        struct diag d = {.text = ""};
        int n = snprintf(text, sizeof(text), "\"event\":\"e%d\"", i);
        struct span record = span_make(text, (size_t)n);
        if (chain_append(c, &record, 1, i % 2, &d)) {
            fail_msg("%s", d.text);
        }
    }
}

static void fill(struct span k, int n)
{
    struct chain *c = begin(k, 1 << 20, 0);
    add(c, 1, n);
    chain_close(c);
}

/* What a check told. */
static char told[4096];

static void on_fault(void *ctx, const char *file, uint64_t line, const char *why)
{
    (void)ctx;
    size_t n = strlen(told);
    (void)snprintf(told + n, sizeof(told) - n, "%s:%llu: %s\n", strrchr(file, '/') + 1,
                   (unsigned long long)line, why);
}

static struct chain_check check(struct span k, struct chain_end expect)
{
    struct chain_check c = {.path = path, .key = k, .expect = expect, .fault = on_fault};
    struct diag d = {.text = ""};
    told[0] = '\0';
    if (chain_verify(&c, &d)) {
        fail_msg("%s", d.text);
    }
    return c;
}

static const struct chain_end nothing;

static void assert_good(struct span k, uint64_t n)
{
    struct chain_check c = check(k, nothing);
    assert_string_equal(told, "");
    assert_int_equal(c.n_faults, 0);
    assert_int_equal(c.n_records, n);
}

static void assert_told(struct span k, const char *what)
{
    struct chain_check c = check(k, nothing);
    if (c.n_faults == 0 || !strstr(told, what)) {
        fail_msg("\"%s\" is not in: %s", what, told);
    }
}

static size_t slurp(const char *name, char *out, size_t room)
{
    FILE *f = fopen(name, "re");
    assert_non_null(f);
    size_t n = fread(out, 1, room - 1, f);
    out[n] = '\0';
    (void)fclose(f);
    return n;
}

static void spill(const char *name, const char *text, size_t n)
{
    FILE *f = fopen(name, "we");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void a_chain_grows(void **state)
{
    (void)state;
    for (int keyed = 0; keyed < 2; keyed++) {
        struct span k = keyed ? key : (struct span){0};
        fill(k, 5);
        assert_good(k, 5);
        fill(k, 3); /* goes on where it ended */
        assert_good(k, 8);
        clean();
        assert_int_equal(mkdir(folder, 0700), 0);
    }
}

/* Every octet of the file counts. */
static void every_change_is_found(void **state)
{
    (void)state;
    char text[4096];
    fill(key, 3);
    size_t n = slurp(path, text, sizeof(text));
    for (size_t i = 0; i < n; i++) {
        text[i] = (char)(text[i] ^ 1);
        spill(path, text, n);
        struct chain_check c = check(key, nothing);
        if (c.n_faults == 0) {
            fail_msg("octet %zu", i);
        }
        text[i] = (char)(text[i] ^ 1);
    }
    spill(path, text, n);
    assert_good(key, 3);
}

/* Every way to cut the end off. */
static void every_cut_is_found(void **state)
{
    (void)state;
    char text[4096];
    fill((struct span){0}, 3);
    size_t n = slurp(path, text, sizeof(text));
    for (size_t i = 0; i < n; i++) {
        spill(path, text, i);
        struct chain_check c = check((struct span){0}, nothing);
        if (c.n_faults == 0) {
            fail_msg("%zu octets", i);
        }
    }
}

static char *line_at(char *text, int n)
{
    while (n-- > 1) {
        text = strchr(text, '\n') + 1;
    }
    return text;
}

static void tampering_is_named(void **state)
{
    (void)state;
    char text[4096];
    char other[4096];
    fill(key, 5);
    size_t n = slurp(path, text, sizeof(text));

    /* changed */
    memcpy(other, text, n + 1);
    memcpy(strstr(other, "\"e3\""), "\"e9\"", 4);
    spill(path, other, n);
    assert_told(key, "audit.log:3: record 3 was changed");

    /* removed from the middle */
    memcpy(other, text, n + 1);
    char *third = line_at(other, 3);
    char *fourth = line_at(other, 4);
    memmove(third, fourth, strlen(fourth) + 1);
    spill(path, other, strlen(other));
    assert_told(key, "audit.log:3: 1 record(s) were removed before record 4");

    /* inserted: a line of its own again */
    memcpy(other, text, n + 1);
    size_t len = (size_t)(line_at(text, 3) - line_at(text, 2));
    char *at = line_at(other, 3);
    memmove(at + len, at, strlen(at) + 1);
    memcpy(at, line_at(text, 2), len);
    spill(path, other, strlen(other));
    assert_told(key, "audit.log:3: record 2 stands behind record 2: it was inserted or moved");

    /* two in the other order */
    memcpy(other, text, n + 1);
    size_t second = (size_t)(line_at(text, 2) - text);
    size_t n_2 = (size_t)(line_at(text, 3) - line_at(text, 2));
    size_t n_3 = (size_t)(line_at(text, 4) - line_at(text, 3));
    memcpy(other + second, text + second + n_2, n_3);
    memcpy(other + second + n_3, text + second, n_2);
    spill(path, other, n);
    assert_told(key, "audit.log:2: 1 record(s) were removed before record 3");
    assert_told(key, "audit.log:3: record 2 stands behind record 3: it was inserted or moved");

    /* a line that never ends takes no memory; NULs end nothing */
    memcpy(other, text, n);
    memset(other + n, 0, 40);
    other[n + 40] = '\n';
    spill(path, other, n + 41);
    assert_told(key, "audit.log:6: is no record");
    FILE *f = fopen(path, "ae");
    assert_non_null(f);
    for (int i = 0; i < 3 * CHAIN_LINE_BYTES; i++) {
        assert_int_equal(fputc('x', f), 'x');
    }
    assert_int_equal(fputs("\n", f) < 0, 0);
    assert_int_equal(fclose(f), 0);
    assert_told(key, "audit.log:7: is no record");

    /* the end cut off at a line end */
    spill(path, text, (size_t)(line_at(text, 4) - text));
    assert_told(key, "audit.log.head:0: 2 record(s) are missing at the end, the last one was 5");

    /* everything gone */
    spill(path, "", 0);
    assert_told(key, "5 record(s) are missing at the end");

    /* foreign text at the end */
    memcpy(other, text, n);
    memcpy(other + n, "hello\n", 6);
    spill(path, other, n + 6);
    assert_told(key, "audit.log:6: is no record");

    /* the head */
    spill(path, text, n);
    assert_int_equal(unlink(head), 0);
    assert_told(key, "the head file is missing");
    spill(head, "frun audit head 1 0", 19);
    assert_told(key, "the head file was changed");
}

/* Without the key nobody writes a chain that passes. */
static void another_key_is_found(void **state)
{
    (void)state;
    fill((struct span){0}, 2);
    assert_told(key, "record 1 was changed, or written with another key");
    assert_told(key, "the head file was changed, or written with another key");
}

/* Whoever rewrites all of it, head included, is caught by what was noted elsewhere. */
static void a_noted_end_is_proof(void **state)
{
    (void)state;
    struct span none = {0};
    fill(none, 4);
    struct chain_end noted = check(none, nothing).end;
    fill(none, 2);
    assert_int_equal(check(none, noted).n_faults, 0);
    clean();
    assert_int_equal(mkdir(folder, 0700), 0);
    struct chain *c = begin(none, 1 << 20, 0);
    add(c, 11, 16);
    chain_close(c);
    assert_int_equal(check(none, noted).n_faults, 1);
    assert_non_null(strstr(told, "record 4 is not the one that was seen before"));
}

/* Files become full, the chain goes on; the oldest go and the head knows it. */
static void full_files_follow_each_other(void **state)
{
    (void)state;
    char name[TEMP_PATH + 16];
    char text[8192];
    struct chain *c = begin(key, 4096, 0);
    add(c, 1, 60);
    chain_close(c);
    assert_good(key, 60);
    size_t n = slurp(path, text, sizeof(text));
    assert_true(n <= 4096);

    /* now only the two youngest full ones are kept */
    c = begin(key, 4096, 2);
    add(c, 61, 140);
    chain_close(c);
    struct chain_check k = check(key, nothing);
    assert_string_equal(told, "");
    assert_true(k.n_records < 80);
    assert_int_equal(k.end.seq, 140);

    /* an old one removed by hand is missed */
    unsigned long long first = 140 - k.n_records + 1;
    bool is_gone = false;
    for (unsigned long long i = first; !is_gone && i < 140; i++) {
        (void)snprintf(name, sizeof(name), "%s.%012llu", path, i);
        is_gone = unlink(name) == 0;
    }
    assert_true(is_gone);
    assert_told(key, "are missing at the beginning");
}

/* A crash between the line and the head, in the middle of a line, and between the two steps of a
 * change of files: mended without a word. */
static void a_crash_is_mended(void **state)
{
    (void)state;
    char old[512];
    char text[8192];
    fill(key, 2);
    size_t n_old = slurp(head, old, sizeof(old));
    fill(key, 2);
    spill(head, old, n_old);
    assert_good(key, 4); /* they prove themselves */
    fill(key, 1);
    assert_good(key, 5);

    size_t n = slurp(path, text, sizeof(text));
    memcpy(text + n, "{\"seq\":6,\"eve", 13);
    spill(path, text, n + 13);
    assert_told(key, "the last line is cut short");
    fill(key, 1);
    assert_good(key, 6);

    char name[TEMP_PATH + 16];
    (void)snprintf(name, sizeof(name), "%s.%012d", path, 6);
    assert_int_equal(rename(path, name), 0);
    fill(key, 1);
    assert_good(key, 7);
}

/* What was cut off before the next start is on record for ever. */
static void damage_becomes_a_record(void **state)
{
    (void)state;
    char text[8192];
    fill(key, 4);
    size_t n = slurp(path, text, sizeof(text));
    spill(path, text, (size_t)(line_at(text, 3) - text));
    fill(key, 1);
    n = slurp(path, text, sizeof(text));
    assert_true(n > 0);
    assert_non_null(strstr(text, "\"event\":\"audit.damaged\""));
    assert_told(key, "audit.log:3: 2 record(s) were removed before record 5");

    struct chain *c = begin(key, 1 << 20, 0);
    assert_int_equal(unlink(head), 0);
    add(c, 9, 9);
    chain_close(c);
    n = slurp(path, text, sizeof(text));
    assert_true(n > 0);
    assert_non_null(strstr(text, "the head file was"));
}

/* Two writers, one chain. */
static void writers_take_turns(void **state)
{
    (void)state;
    struct chain *a = begin(key, 4096, 0);
    struct chain *b = begin(key, 4096, 0);
    for (int i = 0; i < 40; i++) {
        add(i % 2 ? a : b, i, i);
    }
    chain_close(a);
    chain_close(b);
    assert_good(key, 40);
}

/* A full disk: nothing half-written, and it goes on when there is room. */
static void a_full_disk_is_survived(void **state)
{
    (void)state;
    struct rlimit was;
    struct rlimit small;
    struct chain *c = begin(key, 1 << 20, 0);
    struct span record = SPAN_LIT("\"event\":\"x\"");
    struct diag d = {.text = ""};
    add(c, 1, 3);
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    assert_int_equal(sigaction(SIGXFSZ, &ignore, NULL), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    small = was;
    small.rlim_cur = 600;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_int_equal(chain_append(c, &record, 1, true, &d), FRUN_E_IO);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    assert_non_null(strstr(d.text, "cannot write"));
    assert_good(key, 3);
    assert_int_equal(chain_append(c, &record, 1, true, &d), FRUN_OK);
    chain_close(c);
    assert_good(key, 4);
}

static void limits_hold(void **state)
{
    (void)state;
    struct chain *c = begin(key, 4096, 0);
    static char big[CHAIN_RECORD_BYTES + 1];
    struct diag d = {.text = ""};
    memset(big, 'x', sizeof(big));
    struct span record = span_make(big, sizeof(big));
    assert_int_equal(chain_append(c, &record, 1, true, &d), FRUN_E_LIMIT);
    record.n--;
    assert_int_equal(chain_append(c, &record, 1, true, &d), FRUN_OK);
    assert_int_equal(chain_end(c)->seq, 1);
    chain_close(c);
    assert_good(key, 1);

    struct chain_settings s = {.path = "/nonexistent/audit.log", .max_bytes = 4096};
    assert_int_equal(chain_open(&s, true, &c, &d), FRUN_E_IO);
    assert_int_equal(chain_open(&s, false, &c, &d), FRUN_E_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_chain_grows, setup, teardown),
        cmocka_unit_test_setup_teardown(every_change_is_found, setup, teardown),
        cmocka_unit_test_setup_teardown(every_cut_is_found, setup, teardown),
        cmocka_unit_test_setup_teardown(tampering_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(another_key_is_found, setup, teardown),
        cmocka_unit_test_setup_teardown(a_noted_end_is_proof, setup, teardown),
        cmocka_unit_test_setup_teardown(full_files_follow_each_other, setup, teardown),
        cmocka_unit_test_setup_teardown(a_crash_is_mended, setup, teardown),
        cmocka_unit_test_setup_teardown(damage_becomes_a_record, setup, teardown),
        cmocka_unit_test_setup_teardown(writers_take_turns, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_disk_is_survived, setup, teardown),
        cmocka_unit_test_setup_teardown(limits_hold, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
