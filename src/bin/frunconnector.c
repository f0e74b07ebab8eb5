/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frunconnector: stands beside Focused Run, dials out to gateways and forwards what comes through
 * the tunnels. Reads arguments, hardens the process, loads the configuration, runs the connector.
 */
#include "frun/base/log.h"
#include "frun/conf/connector.h"
#include "frun/connector/connector.h"
#include "frun/connector/trust.h"
#include "frun/loop/service.h"
#include "frun/loop/startup.h"
#include "frun/net/tls_memory.h"

#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

/** Exit codes; sysexits(3). */
enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 64, EXIT_CONFIG = 78 };

/** Descriptors wanted: tunnels, back-end connections and some air. */
enum { DESCRIPTORS = 65536 };

/** What the command line asks for. */
struct arguments {
    const char *config; /**< --config, or NULL */
    bool is_check;      /**< --check */
    bool is_help;       /**< --help */
    bool is_version;    /**< --version */
};

static const char help_text[] =
    "Usage: frunconnector --config FILE [--check]\n"
    "\n"
    "Dials out to gateways (frunproxyd), takes requests through these tunnels and forwards what\n"
    "its access control allows to SAP Focused Run.\n"
    "\n"
    "  -c, --config FILE  configuration (frunconnector.ini)\n"
    "  -t, --check        check configuration, certificates, keys and secrets, then end\n"
    "  -h, --help         show this text\n"
    "  -V, --version      show the version\n"
    "\n"
    "Signals: SIGTERM and SIGINT finish what is in flight and end, a second one ends at once;\n"
    "SIGHUP reads the configuration again; SIGUSR1, and SIGHUP too, open the log file again.\n"
    "Exit status: 0 in good order, 64 wrong usage, 78 wrong configuration, 1 any other failure.\n";

static bool read_arguments(int argc, char **argv, struct arguments *out)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"check", no_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {NULL, 0, NULL, 0},
    };
    int c;
    /* Single-threaded here. NOLINTNEXTLINE(concurrency-mt-unsafe) */
    while ((c = getopt_long(argc, argv, "c:thV", options, NULL)) != -1) {
        switch (c) {
        case 'c':
            out->config = optarg;
            break;
        case 't':
            out->is_check = true;
            break;
        case 'h':
            out->is_help = true;
            break;
        case 'V':
            out->is_version = true;
            break;
        default:
            return false;
        }
    }
    if (optind < argc) {
        (void)fprintf(stderr, "frunconnector: unexpected argument: %s\n", argv[optind]);
        return false;
    }
    if (!out->config && !out->is_help && !out->is_version) {
        (void)fprintf(stderr, "frunconnector: --config FILE is needed\n");
        return false;
    }
    return true;
}

/* No secret reaches a core dump or a foreign debugger; new files are ours alone; a peer that goes
 * away is an error code, not a signal. */
static bool harden(void)
{
    struct rlimit none = {0, 0};
    struct rlimit files;
    (void)umask(077);
    if (setrlimit(RLIMIT_CORE, &none) || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)) {
        return false;
    }
    if (!getrlimit(RLIMIT_NOFILE, &files) && files.rlim_cur < DESCRIPTORS) {
        files.rlim_cur = files.rlim_max < DESCRIPTORS ? files.rlim_max : DESCRIPTORS;
        (void)setrlimit(RLIMIT_NOFILE, &files); /* fewer connections then, no failure */
    }
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    return sigaction(SIGPIPE, &ignore, NULL) == 0;
}

static int run(struct conf_cn *conf, const struct trust *trust)
{
    struct diag d = {0};
    if (log_start(&conf->log->settings, &d)) {
        conf_place_print(conf->doc, stderr, true, conf->log, conf_log_culprit(conf->log), d.text);
        service_status(d.text);
        return EXIT_CONFIG;
    }
    frun_err err = connector_run(conf, trust, &d);
    if (err) {
        log_error(NULL, "%s", d.text);
        service_status(d.text);
    }
    log_stop();
    return err ? EXIT_FAILED : EXIT_OK;
}

static int check(const struct conf_cn *conf, const char *path)
{
    struct diag d = {0};
    if (log_check(&conf->log->settings, &d)) {
        conf_place_print(conf->doc, stderr, true, conf->log, conf_log_culprit(conf->log), d.text);
        return EXIT_CONFIG;
    }
    (void)printf("%s: good: %zu subaccount(s), %zu system(s)\n", path, conf->n_subaccounts,
                 conf->n_mappings);
    return EXIT_OK;
}

static int load_and_run(const struct arguments *args)
{
    struct conf_cn *conf = NULL;
    struct trust *trust = NULL;
    int status = EXIT_OK;
    struct startup_report report;
    startup_report_begin(&report);
    frun_err err = conf_cn_load(args->config, report.to, &conf);
    if (!err) {
        err = trust_load(conf, NULL, report.to, &trust);
    }
    startup_report_end(&report, err ? err_text(err) : NULL);
    if (err == FRUN_E_NOMEM) {
        (void)fprintf(stderr, "frunconnector: %s\n", err_text(err));
        status = EXIT_FAILED;
    } else if (err) {
        status = EXIT_CONFIG;
    } else {
        status = args->is_check ? check(conf, args->config) : run(conf, trust);
    }
    trust_free(trust);
    conf_cn_unref(&conf);
    return status;
}

int main(int argc, char **argv)
{
    struct arguments args = {0};
    if (!read_arguments(argc, argv, &args)) {
        (void)fprintf(stderr, "Try 'frunconnector --help'.\n");
        return EXIT_USAGE;
    }
    if (args.is_help) {
        (void)fputs(help_text, stdout);
        return EXIT_OK;
    }
    if (args.is_version) {
        (void)printf("frunconnector %s\n", FRUN_VERSION);
        return EXIT_OK;
    }
    service_keep_memory();
    (void)tls_memory_from_stock();
    if (!harden()) {
        (void)fprintf(stderr, "frunconnector: core dumps cannot be switched off\n");
        return EXIT_FAILED;
    }
    return load_and_run(&args);
}
