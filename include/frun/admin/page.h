/**
 * The status page's files: HTML, style, scripts. They are part of the program, so that the page
 * needs nothing from anywhere else; what they show comes from the API.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_ADMIN_PAGE_H
#define FRUN_ADMIN_PAGE_H

#include "frun/admin/server.h"
#include "frun/base/err.h"

/** Serve them. @param s server @return FRUN_OK; FRUN_E_NOMEM. Thread: owner. */
frun_err admin_page_add(struct admin_server *s) FRUN_MUST_CHECK;

#endif
