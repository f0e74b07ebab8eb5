/**
 * frunproxyd: the internet side. Parses its arguments, calls the gateway room, returns.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/log.h"
#include "frun/conf/gateway.h"
#include "frun/gateway/gateway.h"
#include "frun/loop/service.h"
#include "frun/loop/startup.h"
#include "frun/net/tls_memory.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>

static const char usage[] =
    "frunproxyd - takes monitoring pushes of SAP cloud services and forwards them to SAP Focused "
    "Run\n"
    "\n"
    "usage: frunproxyd --config FILE [--check]\n"
    "\n"
    "  -c, --config FILE  configuration (frunproxy.ini)\n"
    "  -t, --check        check the configuration with its certificates and secrets, then exit: 0 "
    "good, 78 not\n"
    "  -V, --version      print the version\n"
    "  -h, --help         print this\n"
    "\n"
    "signals: SIGTERM and SIGINT finish what is under way and end, a second one ends at once;\n"
    "SIGHUP reads the configuration again; SIGUSR1, and SIGHUP too, open the log file again\n"
    "exit status: 0 in good order, 64 wrong usage, 78 wrong configuration, 1 any other failure\n";

/* No secret reaches a core dump or another process of the same user; a closed connection is no
 * reason to die. */
static void protect(void)
{
    struct rlimit none = {0, 0};
    struct rlimit files;
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    (void)umask(077);
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)sigaction(SIGPIPE, &ignore, NULL);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
}

static int serve(struct gateway *g)
{
    frun_err err = gateway_run(g);
    if (err) {
        log_error(NULL, "cannot run: %s", err_text(err));
    }
    return err ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* The report ends here: before anything is served, and in any case. */
static int run(struct conf_gw *conf, const char *path, bool is_check, struct startup_report *report)
{
    struct diag d = {.text = ""};
    const struct log_settings *log = &conf->log->settings;
    frun_err bad_log = is_check ? log_check(log, &d) : log_start(log, &d);
    if (bad_log) {
        conf_place_print(conf->doc, report->to, true, conf->log, conf_log_culprit(conf->log),
                         d.text);
        if (!is_check) {
            startup_report_end(report, d.text);
            return EX_CONFIG;
        }
    }
    struct gateway *g = NULL;
    frun_err err = gateway_new(conf, is_check, report->to, &g, &d);
    startup_report_end(report, err || bad_log ? d.text : NULL);
    int status = EXIT_SUCCESS;
    if (err) {
        if (!is_check) {
            log_error(NULL, "%s: %s", path, d.text);
        }
        status = err == FRUN_E_NOMEM ? EXIT_FAILURE : EX_CONFIG;
    } else if (bad_log) {
        status = EX_CONFIG;
    } else if (is_check) {
        (void)printf("%s: good: %zu endpoint(s), %zu pusher(s), %zu system(s)\n", path,
                     conf->n_endpoints, conf->n_pushers, conf->n_systems);
    } else {
        status = serve(g);
    }
    gateway_free(g);
    log_stop();
    return status;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"check", no_argument, NULL, 't'},
                                            {"version", no_argument, NULL, 'V'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    const char *path = NULL;
    bool is_check = false;
    /* Single-threaded here. NOLINTNEXTLINE(concurrency-mt-unsafe) */
    for (int c; (c = getopt_long(argc, argv, "c:tVh", options, NULL)) != -1;) {
        switch (c) {
        case 'c':
            path = optarg;
            break;
        case 't':
            is_check = true;
            break;
        case 'V':
            (void)printf("frunproxyd %s\n", FRUN_VERSION);
            return EXIT_SUCCESS;
        case 'h':
            (void)fputs(usage, stdout);
            return EXIT_SUCCESS;
        default:
            (void)fputs("try frunproxyd --help\n", stderr);
            return EX_USAGE;
        }
    }
    if (!path || optind != argc) {
        (void)fputs(usage, stderr);
        return EX_USAGE;
    }
    protect();
    service_keep_memory();
    (void)tls_memory_from_stock();
    struct conf_gw *conf = NULL;
    struct startup_report report;
    startup_report_begin(&report);
    frun_err err = conf_gw_load(path, report.to, &conf);
    if (err) {
        startup_report_end(&report, err_text(err));
        return err == FRUN_E_NOMEM ? EXIT_FAILURE : EX_CONFIG;
    }
    int status = run(conf, path, is_check, &report);
    conf_gw_unref(&conf);
    return status;
}
