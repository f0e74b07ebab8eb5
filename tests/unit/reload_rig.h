/**
 * What tests of a reload share: loops that turn when the test says so, memory that is refused, a
 * clock that is put forward, and what a reload says in the end. Link reload_rig.c and wrap what it
 * wraps: frun_reload_rig() in CMake.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_TESTS_RELOAD_RIG_H
#define FRUN_TESTS_RELOAD_RIG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct loop;
struct tls_fixture;

/** Allocations that still succeed before one is refused; negative: all of them. Of this thread:
 * helpers have nothing to do with it. */
extern _Thread_local int rig_left;     /**< ours */
extern _Thread_local int rig_left_ssl; /**< OpenSSL's */

extern unsigned rig_n_ended;              /**< reloads that have ended */
extern bool rig_is_kept;                  /**< what the last one said: nothing has changed */
extern char rig_why[512];                 /**< and why not */
extern atomic_uint_fast64_t rig_later_ms; /**< added to the clock; helpers look at it too */

/** Before anything else. @return whether OpenSSL's memory can be refused. */
bool rig_init(void);

/** One reload while an allocation is refused. @param n which @param is_other the configuration to
 * use; turned round by a reload that used it. */
typedef void (*rig_once_fn)(int n, bool *is_other);

/** Refuse every @p step-th allocation, one at a time, until there are no more. @param counter
 * rig_left or rig_left_ssl @param step from one to the next @param n_least there are more than so
 * many @param once reloads. */
void rig_refuse_each(int *counter, int step, int n_least, rig_once_fn once);

/** Turn a loop until it has done what there is to do. @param l it. */
void rig_pass(struct loop *l);

/** Time passes at once, and the loop does what was to be done then. @param l it @param ms so long.
 */
void rig_let_pass(struct loop *l, uint64_t ms);

/** A port nobody listens on. @return it. */
unsigned rig_free_port(void);

/** Open sockets; other descriptors come and go with the log's thread. @return count. */
size_t rig_count_sockets(void);

/** Begin a file. @param f its folder @param name its name @return open for writing. */
FILE *rig_begin_file(struct tls_fixture *f, const char *name);

/** Write a file, mode 0600. @param f its folder @param name its name @param text content. */
void rig_put_file(struct tls_fixture *f, const char *name, const char *text);

/** Remove a folder and its files. @param f where it is @param name its name. */
void rig_clean_folder(const struct tls_fixture *f, const char *name);

#endif
