/**
 * What frunctl's commands share: each command is one function, and the small helpers around them.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_BIN_CTL_H
#define FRUN_BIN_CTL_H

#include "frun/base/err.h"
#include "frun/base/secret.h"

#include <stdbool.h>
#include <stddef.h>

struct conf_row;

/* Where the daemons' configurations are on a machine that packages have set up. */
#define CTL_CONFIG_GATEWAY   "/etc/frunproxy/frunproxy.ini"
#define CTL_CONFIG_CONNECTOR "/etc/frunproxy/frunconnector.ini"

/* A command: argv[0] is its last word, options follow; the result is the exit status. */
int ctl_reload(int argc, char **argv);
int ctl_config_diff(int argc, char **argv);
int ctl_config_show(int argc, char **argv);
int ctl_audit_show(int argc, char **argv);
int ctl_audit_verify(int argc, char **argv);
int ctl_config_check(int argc, char **argv);
int ctl_config_keys(int argc, char **argv);
int ctl_config_sample(int argc, char **argv);
int ctl_config_manual(int argc, char **argv);
int ctl_config_man(int argc, char **argv);
int ctl_config_commands(int argc, char **argv);
int ctl_doctor(int argc, char **argv);
int ctl_endpoint_add(int argc, char **argv);
int ctl_endpoint_check(int argc, char **argv);
int ctl_endpoint_health(int argc, char **argv);
int ctl_endpoint_switch(int argc, char **argv);
int ctl_endpoint_list(int argc, char **argv);
int ctl_endpoint_remove(int argc, char **argv);
int ctl_endpoint_root_url(int argc, char **argv);
int ctl_mass_setup(int argc, char **argv);
int ctl_oauth_check_issuer(int argc, char **argv);
int ctl_oauth_new_key(int argc, char **argv);
int ctl_passwd(int argc, char **argv);
int ctl_pki_init(int argc, char **argv);
int ctl_pki_gateway(int argc, char **argv);
int ctl_pki_connector(int argc, char **argv);
int ctl_pki_revoke(int argc, char **argv);
int ctl_pki_server(int argc, char **argv);
int ctl_push(int argc, char **argv);
int ctl_pusher_add(int argc, char **argv);
int ctl_pusher_list(int argc, char **argv);
int ctl_pusher_remove(int argc, char **argv);
int ctl_pusher_rotate(int argc, char **argv);
int ctl_pusher_service_key(int argc, char **argv);
int ctl_secret_set(int argc, char **argv);
int ctl_alert_list(int argc, char **argv);
int ctl_certificate_list(int argc, char **argv);
int ctl_connector_drain(int argc, char **argv);
int ctl_connector_list(int argc, char **argv);
int ctl_drain(int argc, char **argv);
int ctl_endpoint_show(int argc, char **argv);
int ctl_log_level(int argc, char **argv);
int ctl_requests(int argc, char **argv);
int ctl_status(int argc, char **argv);
int ctl_subaccount_list(int argc, char **argv);
int ctl_system_list(int argc, char **argv);
int ctl_top(int argc, char **argv);
int ctl_tunnel_list(int argc, char **argv);

struct ctl_control;

/* endpoint list, as the running daemon has it. */
int ctl_endpoint_live(struct ctl_control *c);

/* Print "frunctl: ..." and return EX_USAGE: the arguments make no sense. */
int ctl_misuse(const char *fmt, ...) FRUN_PRINTF(1, 2);

/* Print "frunctl: ..." and return EXIT_FAILURE: the arguments make sense, the rest did not. */
int ctl_fail(const char *fmt, ...) FRUN_PRINTF(1, 2);

/* Whose file is it? Only its section heads are looked at. EXIT_SUCCESS, or EX_CONFIG, reported. */
int ctl_config_side(const char *path, bool *is_connector);

/* Read a password: from the terminal without echo (twice if asked), else one line of stdin. The
 * caller frees it. FRUN_E_SYNTAX: empty or the two differ; reported already. */
frun_err ctl_password(const char *prompt, bool is_twice, struct secret **out) FRUN_MUST_CHECK;

/* crypt(5) hash of a password by the method of that prefix ("$y$"). EXIT_SUCCESS, or reported. */
int ctl_hash(const char *prefix, const struct secret *password, char *out, size_t size);

/* The same for one that was made at random, by the cheapest yescrypt. */
int ctl_hash_random(const struct secret *password, char *out, size_t size);

/* A row's type in words. */
const char *ctl_row_type(const struct conf_row *row);

/* Limits or choices of a row in words; choices stand apart by "|", or by ", " in a table. */
void ctl_row_range(const struct conf_row *row, bool is_table, char *out, size_t room);

/* OTLP metrics as S/4HANA Cloud sends them for health monitoring; free() the text. NULL: no memory.
 */
char *ctl_payload_sample(void);

/* Read a whole file; free() it. NULL: reported. */
char *ctl_payload_file(const char *path, size_t *n);

#endif
