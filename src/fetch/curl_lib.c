/* SPDX-License-Identifier: Apache-2.0 */
#include "curl_lib_int.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Found where the loader of the system finds all other libraries of this program. */
#define CURL_LIB_FILE "libcurl.so.4"

static const char remedy[] = "install libcurl 7.88 or later (Debian: libcurl4)";

static const struct {
    const char *name;
    size_t at;
} symbols[] = {
    {"curl_global_init", offsetof(struct curl_lib, global_init)},
    {"curl_global_cleanup", offsetof(struct curl_lib, global_cleanup)},
    {"curl_easy_init", offsetof(struct curl_lib, easy_init)},
    {"curl_easy_cleanup", offsetof(struct curl_lib, easy_cleanup)},
    {"curl_easy_setopt", offsetof(struct curl_lib, easy_setopt)},
    {"curl_easy_getinfo", offsetof(struct curl_lib, easy_getinfo)},
    {"curl_easy_perform", offsetof(struct curl_lib, easy_perform)},
    {"curl_easy_strerror", offsetof(struct curl_lib, easy_strerror)},
    {"curl_slist_append", offsetof(struct curl_lib, slist_append)},
    {"curl_slist_free_all", offsetof(struct curl_lib, slist_free_all)},
};

/* Loading is a matter of the process, like the loader's own tables. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct curl_lib lib; /* written once, under the lock */
static bool is_loaded;      /* under the lock */
static bool is_prepared;    /* under the lock */

static frun_err refused(struct diag *d)
{
    const char *why = dlerror(); /* names the file. NOLINT(concurrency-mt-unsafe): under the lock */

    diag_set(d, "libcurl cannot be loaded: %.300s; %s", why ? why : CURL_LIB_FILE, remedy);
    return FRUN_E_UNSUPPORTED;
}

/* All symbols now, so that nothing can be missing in the middle of a transfer; none for others. */
static frun_err load(struct diag *d)
{
    void *file = dlopen(CURL_LIB_FILE, RTLD_NOW | RTLD_LOCAL);

    if (!file) {
        return refused(d);
    }
    for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
        void *found = dlsym(file, symbols[i].name);

        if (!found) {
            frun_err err = refused(d);

            (void)dlclose(file);
            return err;
        }
        /* ISO C converts no object pointer to a function's, POSIX makes them alike. */
        memcpy((char *)&lib + symbols[i].at, &found, sizeof(found));
    }
    is_loaded = true;
    return FRUN_OK;
}

static frun_err prepare(struct diag *d)
{
    if (lib.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        diag_set(d, "libcurl cannot be prepared: out of memory");
        return FRUN_E_NOMEM;
    }
    is_prepared = true;
    return FRUN_OK;
}

frun_err curl_lib_get(const struct curl_lib **out, struct diag *d)
{
    frun_err err = FRUN_OK;

    (void)pthread_mutex_lock(&lock);
    if (!is_loaded) {
        err = load(d);
    }
    if (!err && !is_prepared) {
        err = prepare(d);
    }
    (void)pthread_mutex_unlock(&lock);
    if (!err) {
        *out = &lib;
    }
    return err;
}

void curl_lib_stop(void)
{
    (void)pthread_mutex_lock(&lock);
    if (is_prepared) {
        lib.global_cleanup();
        is_prepared = false;
    }
    (void)pthread_mutex_unlock(&lock);
}
