/**
 * Distinguished names as text, "CN=s4-acme,O=ACME,C=DE": taken apart for those who compare them.
 *
 * Reads RFC 4514 and what people paste: the older RFC 2253 with quoted values, blanks around the
 * separators as SAP's tools print them, ';' as separator. Knows nothing of what the types mean.
 * Pure.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_CONF_DN_H
#define FRUN_CONF_DN_H

#include "frun/base/err.h"
#include "frun/base/span.h"

#include <stdbool.h>
#include <stddef.h>

/** Most attributes of one name. */
#define DN_MAX_PARTS 32

/** Most octets of all values of one name. */
#define DN_MAX_BYTES 1024

/** One attribute. */
struct dn_part {
    struct span type;  /**< "CN" or "2.5.4.3"; lent by the text */
    struct span value; /**< octets without escapes: UTF-8 text, or DER; lent by the name */
    bool is_der;       /**< it was written as "#04024869" */
    bool is_joined;    /**< belongs to one RDN with the part before it ("+") */
};

/** A name taken apart. Not to be copied: it lends what stands in itself. */
struct dn {
    struct dn_part parts[DN_MAX_PARTS]; /**< in the order of the text: the most special one first */
    size_t n;                           /**< count, 1.. */
    char room[DN_MAX_BYTES];            /**< values */
    size_t n_room;                      /**< octets used */
};

/** Take a name apart. @param text name; borrowed as long as @p out is used @param out parts; filled
 * in part on failure @param why out: on failure what is wrong, constant text @return FRUN_OK;
 * FRUN_E_SYNTAX; FRUN_E_LIMIT too many parts or octets. Thread: any. Source: RFC 4514 2, 3; RFC
 * 2253 4. */
frun_err dn_parse(struct span text, struct dn *out, const char **why) FRUN_MUST_CHECK;

#endif
