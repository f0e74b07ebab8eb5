/**
 * Rig of the HTTP/2 tests: two sessions, or one and a socket, in one loop; owners that record
 * everything, check every octet and may free their session in any event.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_TEST_H2_RIG_H
#define FRUN_TEST_H2_RIG_H

#include "frun/h2/session.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WINDOW    65535
#define MAX_REQS  1100
#define GUARD_MS  20000
#define FIELD_MAX 40000

struct env;

/* Events in which an owner may free its session. */
enum spot {
    SPOT_NONE,
    SPOT_REQUEST,
    SPOT_SERVED_BODY,
    SPOT_SERVED_END,
    SPOT_GONE,
    SPOT_HEAD,
    SPOT_CALL_BODY,
    SPOT_END,
    SPOT_FAIL,
    SPOT_DRAIN,
    SPOT_ROOM,
    SPOT_COUNT
};

/* A call seen by its owner. */
struct cli {
    struct env *env;
    struct call *call;
    unsigned status;
    enum head_body body;
    uint64_t len;
    uint64_t to_send;
    uint64_t sent;
    uint64_t got;
    size_t take_max; /* per offer, 0: everything */
    bool is_hungry;  /* resumes at once */
    bool is_short_of_end;
    bool is_ended;
    bool is_failed;
    struct call_failure failure;
    char field[64];
};

/* A served request seen by its owner. */
struct srv {
    struct env *env;
    struct served *served;
    char path[64];
    uint64_t to_send;
    uint64_t sent;
    uint64_t got;
    size_t take_max;
    bool is_hungry;
    bool is_body_ended;
    bool is_gone;
    bool wants_continue;
    bool is_answered;
    frun_err head_err;
    frun_err gone_err;
};

struct side {
    struct h2 *h;
    bool is_closed;
    bool is_drained;
    frun_err err;
    char why[160];
};

struct env {
    struct loop *loop;
    struct side client;
    struct side server;
    struct cli *cli;
    struct srv *srv;
    size_t n_cli;
    size_t n_srv;
    size_t n_done; /* calls ended or failed */
    size_t most_in_flight;
    size_t to_open; /* calls that on_capacity opens */
    bool (*until)(struct env *e);
    struct later look;
    struct deadline guard;
    bool is_late;
    unsigned passes; /* of the loop, still to go */
    enum spot spot;
    bool is_spot_hit;
    size_t take_max;
    char big[FIELD_MAX + 1];
};

void rig_poke(struct env *e);
void rig_spin(struct env *e, bool (*until)(struct env *e));
void rig_push_answer(struct srv *r);
void rig_answer(struct srv *r, unsigned status, enum head_body body, uint64_t n);
void rig_push_request(struct cli *c);
frun_err rig_try_open(struct env *e, const char *method, const char *path, uint64_t body,
                      struct cli **out);
struct cli *rig_open_call(struct env *e, const char *method, const char *path, uint64_t body);
void rig_client_capacity(void *ctx);
void rig_tcp_pair(int fd[2]);
struct h2_settings rig_settings(bool is_client);
void rig_begin_side(struct env *e, int *fd, const struct h2_settings *set, struct span first);
struct env *rig_env_new(void);
struct env *rig_env_pair(const struct h2_settings *client, const struct h2_settings *server);
void rig_env_free(struct env *e);
bool rig_all_done(struct env *e);
bool rig_both_closed(struct env *e);
bool rig_server_is_closed(struct env *e);
bool rig_client_is_closed(struct env *e);
/* Let the loop turn so often. */
void rig_turn(struct env *e, unsigned passes);
void rig_settle(struct env *e, uint64_t ms);

#endif
