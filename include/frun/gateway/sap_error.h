/**
 * Which of SAP's programs refused, and why: errors of the connectivity proxy and the Cloud
 * Connector told apart by their documented texts.
 *
 * The status alone does not tell: Focused Run answers 403 and 503 too. What matches no text is
 * Focused Run's own. Pure, no state.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_GATEWAY_SAP_ERROR_H
#define FRUN_GATEWAY_SAP_ERROR_H

#include "frun/base/span.h"
#include "frun/http/exchange.h"

#include <stdbool.h>

/** Octets of an answer's body that are looked at. */
#define SAP_ERROR_MAX_BYTES 4096

/** What went wrong. */
enum sap_error_kind {
    SAP_ERROR_NONE,                   /**< nothing of SAP's: pass it on */
    SAP_ERROR_NO_TUNNEL,              /**< no Cloud Connector for subaccount and location ID */
    SAP_ERROR_ACCESS_DENIED_SYSTEM,   /**< no mapping for the virtual host */
    SAP_ERROR_ACCESS_DENIED_RESOURCE, /**< mapped, but not this path */
    SAP_ERROR_PROXY_AUTH,             /**< our token was not accepted, or there is none */
    SAP_ERROR_BACKEND_UNREACHABLE,    /**< the Cloud Connector cannot connect to Focused Run */
    SAP_ERROR_AFFINITY,               /**< the connection belongs to another tunnel: our fault */
    SAP_ERROR_HTTPS_NOT_ALLOWED,      /**< CONNECT or https:// : our fault */
    SAP_ERROR_NO_SOCKS                /**< no SOCKS5 proxy of SAP's where we took one to be */
};

/** Must the body of an answer with this status be looked at? @param status status @return true if
 * so. Thread: any. */
bool sap_error_is_suspect(unsigned status);

/** Tell an error. @param status of the answer @param body its beginning, as much as there is
 * @return kind. Thread: any. Source: SAP BTP Connectivity troubleshooting; SAP KBA 2667924,
 * 3566727. */
enum sap_error_kind sap_error_find(unsigned status, struct span body);

/** Tell a refusal of the SOCKS5 proxy. @param refusal enum dial_refusal of a call's failure @return
 * kind; SAP_ERROR_NONE if it refused nothing. Thread: any. */
enum sap_error_kind sap_error_of_refusal(unsigned refusal);

/** What a kind means for the pusher. @param kind not SAP_ERROR_NONE @return verdict, constant.
 * Thread: any. */
const struct call_verdict *sap_error_verdict(enum sap_error_kind kind);

#endif
