/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/loop/offload.h"

#include "frun/loop/service.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define JOBS 64

struct sum {
    struct offload_job job;
    unsigned n;
    unsigned result;
    pthread_t worked_by;
    pthread_t done_by;
};

static struct loop *l;
static unsigned n_done;
static unsigned n_expected;
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void work(struct offload_job *j)
{
    struct sum *s = list_entry(j, struct sum, job);
    pthread_mutex_lock(&gate); /* lets a test hold the helpers */
    pthread_mutex_unlock(&gate);
    for (unsigned i = 1; i <= s->n; i++) {
        s->result += i;
    }
    s->worked_by = pthread_self();
}

static void done(struct offload_job *j)
{
    struct sum *s = list_entry(j, struct sum, job);
    s->done_by = pthread_self();
    if (++n_done == n_expected) {
        loop_stop(l);
    }
}

static int setup(void **state)
{
    (void)state;
    n_done = 0;
    return loop_new(&l);
}

static int teardown(void **state)
{
    (void)state;
    loop_free(l);
    return 0;
}

static void test_jobs_come_home(void **state)
{
    (void)state;
    static struct sum sums[JOBS];
    struct offload *o = NULL;
    memset(sums, 0, sizeof(sums));
    n_expected = JOBS;
    assert_int_equal(offload_new(3, JOBS, &o), FRUN_OK);
    for (unsigned i = 0; i < JOBS; i++) {
        sums[i] = (struct sum){.job = {.work = work, .done = done}, .n = i};
        assert_int_equal(offload_submit(o, l, &sums[i].job), FRUN_OK);
    }
    loop_run(l);
    for (unsigned i = 0; i < JOBS; i++) {
        assert_int_equal(sums[i].result, i * (i + 1) / 2);
        assert_true(pthread_equal(sums[i].done_by, pthread_self()));
        assert_false(pthread_equal(sums[i].worked_by, pthread_self()));
    }
    offload_free(o);
}

static void test_full_queue(void **state)
{
    (void)state;
    static struct sum sums[8];
    struct offload *o = NULL;
    unsigned taken = 0;
    memset(sums, 0, sizeof(sums));
    assert_int_equal(offload_new(1, 3, &o), FRUN_OK);
    pthread_mutex_lock(&gate);
    frun_err err = FRUN_OK;
    while (taken < 8) {
        sums[taken] = (struct sum){.job = {.work = work, .done = done}, .n = 2};
        err = offload_submit(o, l, &sums[taken].job);
        if (err) {
            break;
        }
        taken++;
    }
    assert_int_equal(err, FRUN_E_LIMIT);
    assert_in_range(taken, 3, 4); /* three wait, one may be in work */
    n_expected = taken;
    pthread_mutex_unlock(&gate);
    /* Ending the pool finishes what is queued; the results come home afterwards. */
    offload_free(o);
    loop_run(l);
    assert_int_equal(n_done, taken);
    for (unsigned i = 0; i < taken; i++) {
        assert_int_equal(sums[i].result, 3);
    }
}

static void test_done_in_loop_free(void **state)
{
    (void)state;
    struct sum sum = {.job = {.work = work, .done = done}, .n = 4};
    struct offload *o = NULL;
    n_expected = 2;
    assert_int_equal(offload_new(1, 1, &o), FRUN_OK);
    assert_int_equal(offload_submit(o, l, &sum.job), FRUN_OK);
    offload_free(o);
    loop_free(l);
    l = NULL;
    assert_int_equal(n_done, 1);
    assert_int_equal(sum.result, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_jobs_come_home, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full_queue, setup, teardown),
        cmocka_unit_test_setup_teardown(test_done_in_loop_free, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
