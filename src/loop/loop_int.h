/**
 * Mail between threads without an allocation at the moment of posting: for the loop room only.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_LOOP_INT_H
#define FRUN_LOOP_INT_H

#include "frun/loop/loop.h"

/** One posted job. */
struct loop_mail {
    struct loop_mail *next; /**< private */
    loop_job_fn fn;         /**< job */
    void *arg;              /**< its argument */
};

/** Post mail that the caller allocated with malloc; the loop frees it once the job has run. @param
 * l loop @param m mail, taken. Thread: any. */
void loop_post_mail(struct loop *l, struct loop_mail *m);

#endif
