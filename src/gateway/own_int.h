/**
 * What the files of the own resources share.
 *
 *     own.c         the table, the gathering of bodies, /sap/bc/ping
 *     own_oauth.c   the token service
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_GATEWAY_OWN_INT_H
#define FRUN_GATEWAY_OWN_INT_H

#include "frun/gateway/own.h"

/** POST /oauth/token. @param a ask with its body. */
void own_token(struct own_ask *a);

/** GET /oauth/token, if the configuration allows it. @param a ask. */
void own_token_get(struct own_ask *a);

/** GET /.well-known/jwks.json. @param a ask. */
void own_jwks(struct own_ask *a);

/** GET /oauth/token_keys. @param a ask. */
void own_token_keys(struct own_ask *a);

/** GET /.well-known/openid-configuration and /.well-known/oauth-authorization-server. @param a ask.
 */
void own_metadata(struct own_ask *a);

#endif
