/**
 * libcurl, loaded when it is first needed and not before.
 *
 * Its own libraries (TLS of two kinds, LDAP, Kerberos, SSH, RTMP, ...) cost a process about 4 MiB
 * that it shares with nobody, and most gateways never fetch anything. So no program is linked with
 * it: a call of curl_* that does not go through this table does not link.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_FETCH_CURL_LIB_INT_H
#define FRUN_FETCH_CURL_LIB_INT_H

#include "frun/base/err.h"

#include <curl/curl.h>

/** What is used of libcurl; the types are those of its header, so the compiler checks each call. */
struct curl_lib {
    __typeof__(curl_global_init) *global_init;       /**< under the lock of this module only */
    __typeof__(curl_global_cleanup) *global_cleanup; /**< likewise */
    __typeof__(curl_easy_init) *easy_init;           /**< as libcurl says, also the others */
    __typeof__(curl_easy_cleanup) *easy_cleanup;     /**< . */
    __typeof__(curl_easy_setopt) *easy_setopt;       /**< . */
    __typeof__(curl_easy_getinfo) *easy_getinfo;     /**< . */
    __typeof__(curl_easy_perform) *easy_perform;     /**< . */
    __typeof__(curl_easy_strerror) *easy_strerror;   /**< . */
    __typeof__(curl_slist_append) *slist_append;     /**< . */
    __typeof__(curl_slist_free_all) *slist_free_all; /**< . */
};

/**
 * Load libcurl if it is not there yet, and prepare it.
 *
 * @param out      the table, for the rest of the process
 * @param d        filled on failure: which file, what is wrong, the remedy; may be NULL
 * @return FRUN_OK; FRUN_E_UNSUPPORTED it cannot be loaded, or is too old; FRUN_E_NOMEM
 * Thread: any but a worker (reads files). Source: dlopen(3), curl_global_init(3).
 */
frun_err curl_lib_get(const struct curl_lib **out, struct diag *d) FRUN_MUST_CHECK;

/** Undo the preparation, if there was any; the code stays loaded. No transfer runs. Thread: main.
 */
void curl_lib_stop(void);

#endif
