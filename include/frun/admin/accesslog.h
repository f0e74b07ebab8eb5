/**
 * One line for each request: who, where to, what became of it, who said so, how long it took. Never
 * a secret, never a query. The same code in both daemons; facts that one does not know are left
 * out.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_ADMIN_ACCESSLOG_H
#define FRUN_ADMIN_ACCESSLOG_H

#include "frun/base/span.h"
#include "frun/conf/log.h"

#include <stdint.h>

/** Facts of one finished request; absent spans, NULL and what says so are left out. */
struct accesslog_entry {
    struct span client;      /**< address */
    struct span method;      /**< as sent */
    struct span path;        /**< as sent, without query */
    struct span protocol;    /**< "HTTP/1.1", "HTTP/1.0", "HTTP/2.0" */
    struct span user_agent;  /**< as sent */
    struct span request_id;  /**< ours or the pusher's */
    struct span traceparent; /**< the same, of its trace */
    struct span endpoint;    /**< name */
    struct span pusher;      /**< name */
    const char *auth;        /**< how it proved itself: "basic", "oauth2", "certificate" */
    const char *subaccount;  /**< connector: membership it came by */
    const char *system;      /**< connector: virtual host:port it was for */
    const char *resource;    /**< connector: what allowed it */
    const char *route;       /**< name */
    const char *connector;   /**< name */
    const char *tunnel;      /**< which of its tunnels */
    unsigned status;         /**< of the answer; 0: none was sent */
    const char *by;       /**< who produced the status: "focused-run", "connector", "gateway"; NULL:
                             nobody */
    const char *error;    /**< RFC 9209 error type */
    struct span note;     /**< more about an error */
    unsigned repeats;     /**< times it was sent again; 0: left out */
    uint64_t bytes_in;    /**< request body */
    uint64_t bytes_out;   /**< answer body */
    uint64_t total_us;    /**< head received to answer handed over */
    uint64_t wait_us;     /**< waiting for verification and tunnel */
    uint64_t upstream_us; /**< request sent on to head of the answer */
    uint64_t backend_us;  /**< of it: in the connector's hands; 0: left out */
};

/** Write the line. @param e facts @param form how it looks. Thread: any. */
void accesslog_write(const struct accesslog_entry *e, enum conf_access form);

#endif
