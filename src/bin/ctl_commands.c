/**
 * The table of frunctl's commands: what runs them, and what the help text says of them.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl_commands.h"

#include "ctl.h"

const struct ctl_command ctl_commands[] = {
    {"alert", "list", "[--json]",
     "alerts of the daemon that fire, then those of the last hour that are over", ctl_alert_list},
    {"audit", "show",
     "[FILE] [--config FILE] [--since TIME] [--until TIME] [--event 'access.*'] [--json]",
     "what the audit log says; times as in the log, in UTC, as far as they matter:\n"
     "      2026-11-22T10",
     ctl_audit_show},
    {"audit", "verify", "[FILE...] [--config FILE] [--key KEYFILE] [--expect NUMBER:HASH] [--json]",
     "look for records that were changed, removed, inserted or cut off; prints the last\n"
     "      record, which --expect must find again later; 1: something is wrong",
     ctl_audit_verify},
    {"config", "check", "FILE [--json]",
     "check sections, keys and secrets of a file: 0 good, 78 not;\n"
     "      certificates and keys too: frunproxyd --check, frunconnector --check",
     ctl_config_check},
    {"config", "diff", "[OLD NEW] [--json]",
     "what a reload of the running daemon would change; or what is different in two files",
     ctl_config_diff},
    {"config", "show", "FILE [--json]", "every value as it counts, with defaults; no secrets",
     ctl_config_show},
    {"config", "sample", "gateway|connector [--json]", "print a complete sample file",
     ctl_config_sample},
    {"config", "manual", "[--json]", "print the manual of all keys", ctl_config_manual},
    {"config", "keys", "[--json]",
     "print all keys, tab-separated: file, section, key, type, unit, default, range, reload or\n"
     "      restart, meaning",
     ctl_config_keys},
    {"config", "man", "gateway|connector|frunctl [--json]",
     "print a manual page: frunproxy.ini(5), frunconnector.ini(5), frunctl(1)", ctl_config_man},
    {"config", "commands", "[--json]", "print all commands, for completions", ctl_config_commands},
    {"certificate", "list", "[--json]", "certificates the daemon uses, and how long they last",
     ctl_certificate_list},
    {"connector", "list", "[--json]", "connectors and their tunnels", ctl_connector_list},
    {"connector", "drain", "NAME [--json]",
     "let the gateway's tunnels to a connector end; it dials anew", ctl_connector_drain},
    {NULL, "doctor", "[--config FILE] [--ca FILE] [--bundle FILE.tar.gz] [--json]",
     "look for what is wrong on this machine and on its roads, one remedy a line; 1: something\n"
     "      is; --ca: who signed the front door's certificate, unless the system knows; --bundle: "
     "an\n"
     "      archive without secrets for whoever helps",
     ctl_doctor},
    {NULL, "drain", "[--json]", "let the daemon finish what is under way and end", ctl_drain},
    {"endpoint", "add",
     "NAME [KEY=VALUE...] --config FILE [--password-file FILE|-] [--secrets DIR]\n"
     "                       [--credential] [--force] [--dry-run] [--reload] [--json]",
     "write a section [endpoint NAME], with any key of the manual, into a file of its own;\n"
     "      with user=USER the password goes from the terminal, stdin or a file to a file of the\n"
     "      folder \"secrets\", which --credential names as systemd hands it over",
     ctl_endpoint_add},
    {"endpoint", "check", "NAME|--all [--standby] [--force] [--json]",
     "walk the endpoint's road and say at each step what was found and what to do; 1: a step\n"
     "      failed; --standby: the road that is not taken now; --force: although the credentials\n"
     "      were refused lately; without a daemon as far as the files of --config lead",
     ctl_endpoint_check},
    {"endpoint", "health", "[--json]", "how the endpoints' roads are", ctl_endpoint_health},
    {"endpoint", "list", "[--config FILE] [--json]",
     "list endpoints with their root URLs; with their requests if the daemon runs",
     ctl_endpoint_list},
    {"endpoint", "remove", "NAME --config FILE [--pushers] [--dry-run] [--reload] [--json]",
     "take its section away; --pushers: also from those who may use it", ctl_endpoint_remove},
    {"endpoint", "show", "NAME [--json]", "all about an endpoint of the running daemon",
     ctl_endpoint_show},
    {"endpoint", "root-url", "NAME --config FILE [--json]", "print the root URL of an endpoint",
     ctl_endpoint_root_url},
    {"endpoint", "switch", "NAME [--to ROUTE] [--force] [--json]",
     "move the endpoint to its other road, route or standby_route, if that answers a check",
     ctl_endpoint_switch},
    {"log", "level", "[error|warning|info|debug] [--json]",
     "show or set how chatty the daemon's log is, until it ends", ctl_log_level},
    {NULL, "mass-setup",
     "FILE.csv --config FILE [--apply | --dry-run] [--update] [--handover FILE]\n"
     "                     [--system NAME] [--secrets DIR] [--credential] [--reload] [--json]",
     "set up an endpoint for each line of a list, separated by ';': customer_network;\n"
     "      admin_request_parameter;user;password;pusher;route;location_id;system;host_name;\n"
     "      description, or as its header says; nothing is written without --apply; may be\n"
     "      repeated: what differs is told, and changed with --update; 1: a line was refused or\n"
     "      differs, 65: the list cannot be read",
     ctl_mass_setup},
    {"oauth", "check-issuer", "NAME --config FILE [--json]",
     "fetch the keys of an [issuer NAME] section and print them, or what is wrong",
     ctl_oauth_check_issuer},
    {"oauth", "new-key", "DIR [--config FILE] [--json]",
     "make a signing key for tokens in the folder key_directory", ctl_oauth_new_key},
    {NULL, "passwd", "[--method yescrypt|sha512] [--config FILE] [--json]",
     "print the hash of a password (terminal or stdin)", ctl_passwd},
    {"pki", "init", "DIR [--name TEXT] [--force] [--config FILE] [--json]",
     "make a CA: ca.pem, ca.key", ctl_pki_init},
    {"pki", "gateway", "DIR --name HOST... [--ip IP...] [--force] [--config FILE] [--json]",
     "make the gateway's certificate: gateway.pem, gateway.key", ctl_pki_gateway},
    {"pki", "connector", "DIR --name NAME [--force] [--config FILE] [--json]",
     "make a connector's certificate: NAME.pem, NAME.key", ctl_pki_connector},
    {"pki", "server", "DIR --name HOST... [--ip IP...] [--force] [--config FILE] [--json]",
     "make a back-end server's certificate: HOST.pem, HOST.key", ctl_pki_server},
    {"pki", "revoke", "DIR [CERTIFICATE...] [--days 30] [--config FILE] [--json]",
     "put certificates of this CA on its revocation list, ca.crl, which is client_crl; without "
     "any\n"
     "      a new list is made before the old one ends",
     ctl_pki_revoke},
    {"pusher", "add",
     "NAME endpoint=NAME [KEY=VALUE...] --config FILE [--generate | --password-file FILE|-]\n"
     "                     [--dry-run] [--reload] [--json]",
     "write a section [pusher NAME] beside its endpoint; auth=basic unless given, of whose\n"
     "      password the hash is kept; --generate makes one and shows it once",
     ctl_pusher_add},
    {"pusher", "list", "--config FILE [--json]", "list pushers and how they prove themselves",
     ctl_pusher_list},
    {"pusher", "remove", "NAME --config FILE [--dry-run] [--reload] [--json]",
     "take its section away", ctl_pusher_remove},
    {"pusher", "service-key",
     "NAME --config FILE [--endpoint NAME] [--force] [--x509 [--pki DIR | --certificate FILE]]\n"
     "                     [--json]",
     "make a client secret (--x509: a key and certificate), store its hash in the pusher's "
     "section, print the service key once",
     ctl_pusher_service_key},
    {"pusher", "rotate",
     "NAME --config FILE [--grace 24h] [--endpoint NAME] [--password | --x509 [--pki DIR | "
     "--certificate FILE]] [--json]",
     "the same for a new secret (or password); the old one is accepted for the grace time",
     ctl_pusher_rotate},
    {NULL, "push",
     "--url ROOT_URL/sap/frun/... --user U [--password-file F] [--file JSON] [--ca FILE]\n"
     "  frunctl push --service-key FILE [--url ROOT_URL/sap/frun/...] [--file JSON] [--ca FILE]\n"
     "                     [--method M] [--header 'N: V']... [--proxy http://host:port] "
     "[--progress] [--json]",
     "send a sample or given payload through the front door; without --password-file the\n"
     "      password comes from FRUN_PASSWORD, the terminal or stdin",
     ctl_push},
    {NULL, "requests", "[--json]", "the last requests of the daemon", ctl_requests},
    {NULL, "reload", "[--json]",
     "read the configuration again: 0 it is in use, 78 the one in use is kept", ctl_reload},
    {"secret", "set",
     "NAME (--secrets DIR | --config FILE) [--password-file FILE|- | --generate] [--dry-run]\n"
     "                     [--reload] [--json]",
     "put a secret from the terminal, stdin or a file into DIR/NAME, mode 0600, in one step;\n"
     "      prints how a configuration refers to it",
     ctl_secret_set},
    {NULL, "status", "[--json]", "what the running daemon says of itself", ctl_status},
    {"subaccount", "list", "[--json]", "memberships of the connector and their tunnels",
     ctl_subaccount_list},
    {"system", "list", "[--json]", "systems of the connector and what they have carried",
     ctl_system_list},
    {NULL, "top", "[SECONDS [TIMES]] [--json]",
     "rate, errors and latency of each endpoint, every SECONDS (2)", ctl_top},
    {"tunnel", "list", "[--json]", "tunnels of either daemon", ctl_tunnel_list},
};

const size_t ctl_n_commands = sizeof(ctl_commands) / sizeof(ctl_commands[0]);
