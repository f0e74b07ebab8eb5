/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/err.h"

#include <stdarg.h>
#include <stdio.h>

const char *err_text(frun_err err)
{
    switch (err) {
    case FRUN_OK:
        return "success";
    case FRUN_E_AGAIN:
        return "not ready yet";
    case FRUN_E_EOF:
        return "end of input";
    case FRUN_E_SYNTAX:
        return "malformed input";
    case FRUN_E_LIMIT:
        return "a limit was reached";
    case FRUN_E_NOMEM:
        return "out of memory";
    case FRUN_E_IO:
        return "input or output error";
    case FRUN_E_TLS:
        return "TLS failure";
    case FRUN_E_RESOLVE:
        return "host name has no address";
    case FRUN_E_CONNECT:
        return "connection refused or host unreachable";
    case FRUN_E_TIMEOUT:
        return "timed out";
    case FRUN_E_DENIED:
        return "not allowed";
    case FRUN_E_NOT_FOUND:
        return "not found";
    case FRUN_E_EXISTS:
        return "exists already";
    case FRUN_E_CLOSED:
        return "connection closed";
    case FRUN_E_PROXY:
        return "refused by the HTTP proxy";
    case FRUN_E_UNSUPPORTED:
        return "not supported by this build or system";
    default:
        return "unknown error";
    }
}

void diag_set(struct diag *d, const char *fmt, ...)
{
    va_list ap;

    if (!d) {
        return;
    }
    va_start(ap, fmt);
    if (vsnprintf(d->text, sizeof(d->text), fmt, ap) < 0) {
        d->text[0] = '\0';
    }
    va_end(ap);
}
