/**
 * frunctl: everything an administrator does by hand. One table of commands; each stands in a
 * ctl_*.c file.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>

/* One command of one or two words. */
struct command {
    const char *group; /* first word, or NULL */
    const char *name;  /* last word */
    const char *args;  /* for the usage text */
    const char *help;  /* one line */
    int (*run)(int argc, char **argv);
};

static const struct command commands[] = {
    {"config", "check", "FILE",
     "check sections, keys and secrets of a file: 0 good, 78 not;\n"
     "      certificates and keys too: frunproxyd --check, frunconnector --check",
     ctl_config_check},
    {"config", "sample", "gateway|connector", "print a complete sample file", ctl_config_sample},
    {"config", "manual", "", "print the manual of all keys", ctl_config_manual},
    {"config", "keys", "", "print file, section and key of all keys", ctl_config_keys},
    {"certificate", "list", "[--json]", "certificates the daemon uses, and how long they last",
     ctl_certificate_list},
    {"connector", "list", "[--json]", "connectors and their tunnels", ctl_connector_list},
    {"connector", "drain", "NAME [--json]",
     "let the gateway's tunnels to a connector end; it dials anew", ctl_connector_drain},
    {NULL, "drain", "[--json]", "let the daemon finish what is under way and end", ctl_drain},
    {"endpoint", "check", "NAME|--all [--standby] [--force] [--json]",
     "walk the endpoint's road and say at each step what was found and what to do; 1: a step\n"
     "      failed; --standby: the road that is not taken now; --force: although the credentials\n"
     "      were refused lately",
     ctl_endpoint_check},
    {"endpoint", "health", "[--json]", "how the endpoints' roads are", ctl_endpoint_health},
    {"endpoint", "list", "[--config FILE] [--json]",
     "list endpoints with their root URLs; with their requests if the daemon runs",
     ctl_endpoint_list},
    {"endpoint", "show", "NAME [--json]", "all about an endpoint of the running daemon",
     ctl_endpoint_show},
    {"endpoint", "root-url", "NAME --config FILE", "print the root URL of an endpoint",
     ctl_endpoint_root_url},
    {"endpoint", "switch", "NAME [--to ROUTE] [--force] [--json]",
     "move the endpoint to its other road, route or standby_route, if that answers a check",
     ctl_endpoint_switch},
    {"log", "level", "[error|warning|info|debug] [--json]",
     "show or set how chatty the daemon's log is, until it ends", ctl_log_level},
    {"oauth", "check-issuer", "NAME --config FILE",
     "fetch the keys of an [issuer NAME] section and print them, or what is wrong",
     ctl_oauth_check_issuer},
    {"oauth", "new-key", "DIR", "make a signing key for tokens in the folder key_directory",
     ctl_oauth_new_key},
    {NULL, "passwd", "[--method yescrypt|sha512]",
     "print the hash of a password (terminal or stdin)", ctl_passwd},
    {"pki", "init", "DIR [--name TEXT] [--force]", "make a CA: ca.pem, ca.key", ctl_pki_init},
    {"pki", "gateway", "DIR --name HOST... [--ip IP...] [--force]",
     "make the gateway's certificate: gateway.pem, gateway.key", ctl_pki_gateway},
    {"pki", "connector", "DIR --name NAME [--force]",
     "make a connector's certificate: NAME.pem, NAME.key", ctl_pki_connector},
    {"pki", "server", "DIR --name HOST... [--ip IP...] [--force]",
     "make a back-end server's certificate: HOST.pem, HOST.key", ctl_pki_server},
    {"pusher", "list", "--config FILE", "list pushers and how they prove themselves",
     ctl_pusher_list},
    {"pusher", "service-key",
     "NAME --config FILE [--endpoint NAME] [--force] [--x509 [--pki DIR | --certificate FILE]]",
     "make a client secret (--x509: a key and certificate), store its hash in the pusher's "
     "section, print the service key once",
     ctl_pusher_service_key},
    {"pusher", "rotate",
     "NAME --config FILE [--grace 24h] [--endpoint NAME] [--password | --x509 [--pki DIR | "
     "--certificate FILE]]",
     "the same for a new secret (or password); the old one is accepted for the grace time",
     ctl_pusher_rotate},
    {NULL, "push",
     "--url ROOT_URL/sap/frun/... --user U [--password-file F] [--file JSON] [--ca FILE]\n"
     "  frunctl push --service-key FILE [--url ROOT_URL/sap/frun/...] [--file JSON] [--ca FILE]\n"
     "                     [--method M] [--header 'N: V']... [--proxy http://host:port]",
     "send a sample or given payload through the front door; without --password-file the\n"
     "      password comes from FRUN_PASSWORD, the terminal or stdin",
     ctl_push},
    {NULL, "requests", "[--json]", "the last requests of the daemon", ctl_requests},
    {NULL, "status", "[--json]", "what the running daemon says of itself", ctl_status},
    {"subaccount", "list", "[--json]", "memberships of the connector and their tunnels",
     ctl_subaccount_list},
    {"system", "list", "[--json]", "systems of the connector and what they have carried",
     ctl_system_list},
    {NULL, "top", "[SECONDS [TIMES]] [--json]",
     "rate, errors and latency of each endpoint, every SECONDS (2)", ctl_top},
    {"tunnel", "list", "[--json]", "tunnels of either daemon", ctl_tunnel_list},
};

/* All commands, or those that begin with these words. */
static void usage(FILE *to, const char *group, const char *name)
{
    (void)fputs("frunctl - checks, certificates, passwords and test pushes for frunproxy\n\n"
                "usage: frunctl COMMAND [ARGUMENTS]\n\n",
                to);
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        const struct command *c = &commands[i];
        if ((group && strcmp(group, c->group ? c->group : c->name) != 0) ||
            (name && strcmp(name, c->name) != 0)) {
            continue;
        }
        (void)fprintf(to, "  %s%s%s%s%s\n      %s\n", c->group ? c->group : "", c->group ? " " : "",
                      c->name, c->args[0] ? " " : "", c->args, c->help);
    }
    (void)fputs(
        "\n  --help, --version\n\n"
        "commands that speak to a running daemon take --socket PATH, or --config FILE to find\n"
        "its control socket; else the usual ones are tried, the gateway's first\n\n"
        "exit status: 0 done, 1 failed, 64 wrong arguments, 69 no daemon answers,\n"
        "77 not permitted, 78 bad configuration\n",
        to);
}

static int report(int status, const char *fmt, va_list ap) FRUN_PRINTF(2, 0);

static int report(int status, const char *fmt, va_list ap)
{
    (void)fputs("frunctl: ", stderr);
    (void)vfprintf(stderr, fmt, ap);
    (void)fputs(status == EX_USAGE ? "; see frunctl --help\n" : "\n", stderr);
    return status;
}

int ctl_misuse(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int status = report(EX_USAGE, fmt, ap);
    va_end(ap);
    return status;
}

int ctl_fail(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int status = report(EXIT_FAILURE, fmt, ap);
    va_end(ap);
    return status;
}

/* The command that argv begins with, and how many words it has; NULL: none. */
static const struct command *find(int argc, char **argv, int *words)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        const struct command *c = &commands[i];
        *words = c->group ? 2 : 1;
        if (argc > *words && strcmp(argv[*words], c->name) == 0 &&
            (!c->group || strcmp(argv[1], c->group) == 0)) {
            return c;
        }
    }
    return NULL;
}

/* Passwords and keys pass through this process: no core dump, nothing readable by others. */
static void protect(void)
{
    struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    (void)umask(077);
}

/* "frunctl pki connector --help" as well as "frunctl --help". */
static bool wants_help(int argc, char **argv)
{
    return argc > 1 && (strcmp(argv[argc - 1], "--help") == 0 || strcmp(argv[argc - 1], "-h") == 0);
}

int main(int argc, char **argv)
{
    int words = 0;
    protect();
    const struct command *c = find(argc, argv, &words);
    if (wants_help(argc, argv)) {
        usage(stdout, argc > 2 ? argv[1] : NULL, c && c->group ? c->name : NULL);
        return EXIT_SUCCESS;
    }
    if (c) {
        int status = c->run(argc - words, argv + words);
        if (fflush(stdout) || ferror(stdout)) {
            return ctl_fail("cannot write the output");
        }
        return status;
    }
    if (argc == 2 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)) {
        (void)puts("frunctl " FRUN_VERSION);
        return EXIT_SUCCESS;
    }
    usage(stderr, NULL, NULL);
    return EX_USAGE;
}
