#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Watch one metric push travel through the whole chain, on loopback, on a bare Debian 12.
#
#   sh conf/quickstart.sh [--once] [--port-base N]
#
# --once         stop after showing; otherwise everything runs until Ctrl-C
# --port-base N  ports N+1 (Focused Run stand-in), N+3 (gateway), N+4 (tunnel), N+5 and N+6 (status pages); 18440
#
# Certificates, secrets and logs live in a temporary folder that is removed at the end.
# BUILD names the build folder (build).
set -eu

once=no
base=18440
while [ $# -gt 0 ]; do
    case $1 in
    --once) once=yes ;;
    --port-base)
        shift
        base=${1:?--port-base needs a number}
        ;;
    --port-base=*) base=${1#*=} ;;
    *)
        sed -n '3,11s/^# \{0,1\}//p' "$0" >&2
        exit 64
        ;;
    esac
    shift
done
case $base in
'' | *[!0-9]*)
    echo "quickstart: --port-base $base is not a number" >&2
    exit 64
    ;;
esac

top=$(cd "$(dirname "$0")/.." && pwd)
build=${BUILD:-$top/build}
sim_port=$((base + 1))
port=$((base + 3))
tunnel_port=$((base + 4))
page_port=$((base + 5))
connector_page_port=$((base + 6))

say() {
    printf '\n\033[1m%s\033[0m\n' "$*"
}

# ---- what is needed, and the programs

. "$top/tests/need.sh"
need gcc libc6-dev make cmake pkg-config libevent-dev libssl-dev libnghttp2-dev \
    libcurl4-openssl-dev libjansson-dev libinih-dev libcrypt-dev libsystemd-dev libcmocka-dev \
    zlib1g-dev openssl curl ca-certificates

say "Building into $build"
cmake -S "$top" -B "$build" -DCMAKE_BUILD_TYPE=Release >/dev/null
if ! cmake --build "$build" -j "$(nproc 2>/dev/null || echo 2)" \
    --target frunproxyd frunconnector frunctl frunsim >"$build/quickstart.log" 2>&1; then
    tail -n 40 "$build/quickstart.log" >&2
    exit 1
fi
bin=$build/bin

# ---- a temporary folder for everything; nothing stays

dir=$(mktemp -d "${TMPDIR:-/tmp}/frunproxy-quickstart.XXXXXX")
pids=
finish() {
    trap - EXIT INT TERM
    for pid in $pids; do
        kill "$pid" 2>/dev/null || true
    done
    for pid in $pids; do
        wait "$pid" 2>/dev/null || true
    done
    rm -rf "$dir"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
umask 077
cd "$dir"

say "Making throw-away certificates and secrets in $dir"
mkdir secrets endpoints.d
"$bin/frunctl" pki init tls >/dev/null
"$bin/frunctl" pki gateway tls --name push.example.com --ip 127.0.0.1 >/dev/null
"$bin/frunctl" pki connector tls --name dc1-a >/dev/null
"$bin/frunctl" pki server tls --name frun.corp --ip 127.0.0.1 >/dev/null
for secret in pusher acme_prod; do
    openssl rand -base64 18 >secrets/$secret
done
hash=$("$bin/frunctl" passwd <secrets/pusher)

cat >frunproxy.ini <<END
[gateway]
public_url  = https://127.0.0.1:$port
listen      = 127.0.0.1:$port
certificate = tls/gateway.pem
private_key = tls/gateway.key
workers     = auto
include     = endpoints.d/*.ini

[tunnel]
listen      = 127.0.0.1:$tunnel_port
certificate = tls/gateway.pem
private_key = tls/gateway.key
client_ca   = tls/ca.pem

[admin]
control_socket = control.sock
listen = 127.0.0.1:$page_port

[audit]
file = audit.log

[connector DC1-A]
certificate_subject = CN=dc1-a
location_id = DC1

[system FR1]
system_id    = FR1
client       = 100
role         = production
logon_url    = https://frun.corp:44300
virtual_host = fr1_frun:443
location_id  = DC1
route        = tunnel
END

cat >endpoints.d/acme.ini <<END
[endpoint ACME_PROD]
system                  = FR1
customer_network        = ACME PROD
admin_request_parameter = acme-prod-proxy
admin_request_carrier   = header X-Admin-Request-Parameter
user                    = FRUN_PUSH
password                = file:../secrets/acme_prod
description             = ACME, productive tenants

[pusher s4-acme]
endpoint      = ACME_PROD
auth          = basic
user          = s4push
password_hash = $hash
END

cat >frunconnector.ini <<END
[connector]
name        = dc1-a
certificate = tls/dc1-a.pem
private_key = tls/dc1-a.key

[admin]
control_socket = connector.sock
listen = 127.0.0.1:$connector_page_port

[audit]
file = connector-audit.log

[subaccount provider]
gateway     = 127.0.0.1:$tunnel_port
gateway_ca  = tls/ca.pem
location_id = DC1

[system fr1_frun:443]
backend_type  = ABAP System
protocol      = HTTPS
internal_host = 127.0.0.1
internal_port = $sim_port
backend_ca    = tls/ca.pem
principal_type = X.509 Certificate
system_certificate_for_logon = no
host_in_request_header = virtual

[resource frun]
system = fr1_frun:443
path   = /sap/frun
policy = path-and-all-sub-paths
active = yes

[resource ping]
system = fr1_frun:443
path   = /sap/bc/ping
policy = path-only
active = yes
END

# A health metric as SAP's managed services push it: a quota is three data points.
cat >metrics.json <<'END'
{"resourceMetrics": [{
  "resource": {"attributes": [
    {"key": "service.name", "value": {"stringValue": "my300001.s4hana.example.com"}},
    {"key": "service.type", "value": {"stringValue": "SAP_S4HANA_CLOUD"}}]},
  "scopeMetrics": [{
    "scope": {"name": "sap.calm.hm", "version": "1.0"},
    "metrics": [
      {"name": "abap_system_users_count", "unit": "1", "description": "Users logged on",
       "gauge": {"dataPoints": [
         {"asDouble": 1, "attributes": [
           {"key": "sap.calm.hm.metric.type", "value": {"stringValue": "quota"}},
           {"key": "sap.calm.hm.metric.rating", "value": {"stringValue": "ok"}}]},
         {"asDouble": 5000, "attributes": [
           {"key": "sap.calm.hm.quota", "value": {"stringValue": "limit"}}]},
         {"asDouble": 417, "attributes": [
           {"key": "sap.calm.hm.quota", "value": {"stringValue": "value"}}]}]}},
      {"name": "abap_core_dump_count_5m", "unit": "1", "description": "Short dumps, 5 minutes",
       "gauge": {"dataPoints": [
         {"asDouble": 0, "attributes": [
           {"key": "sap.calm.hm.metric.type", "value": {"stringValue": "status"}},
           {"key": "sap.calm.hm.metric.rating", "value": {"stringValue": "ok"}}]}]}}]}]}]}
END

# ---- start all three

start() {
    name=$1
    shift
    "$@" >"$name.log" 2>&1 &
    pids="$! $pids"
}

alive() {
    for pid in $pids; do
        if ! kill -0 "$pid" 2>/dev/null; then
            echo "quickstart: a program ended:" >&2
            tail -n 20 ./*.log >&2
            exit 1
        fi
    done
}

say "Starting frunsim, frunproxyd and frunconnector on 127.0.0.1"
start frunsim "$bin/frunsim" --listen "127.0.0.1:$sim_port" --certificate tls/frun.corp.pem \
    --private-key tls/frun.corp.key --user FRUN_PUSH --password-file secrets/acme_prod \
    --fence "ACME PROD=acme-prod-proxy"
start frunproxyd "$bin/frunproxyd" --config frunproxy.ini
start frunconnector "$bin/frunconnector" --config frunconnector.ini

tries=0
until [ "$(curl -s --cacert tls/ca.pem -o /dev/null -w '%{http_code}' \
    "https://127.0.0.1:$port/sap/bc/ping")" = 200 ]; do
    alive
    tries=$((tries + 1))
    if [ $tries -gt 150 ]; then
        echo "quickstart: the gateway did not become healthy within 30 s" >&2
        tail -n 20 ./*.log >&2
        exit 1
    fi
    sleep 0.2
done
echo "the gateway is healthy: its tunnel to the connector stands"

# ---- push, and look at both ends

say "Pushing OTLP metrics as s4-acme to endpoint ACME_PROD"
root_url=$("$bin/frunctl" endpoint root-url --config frunproxy.ini ACME_PROD)
echo "root URL that the pusher was given: $root_url"
"$bin/frunctl" push --url "$root_url/sap/frun/ngdci" --user s4push \
    --password-file secrets/pusher --ca tls/ca.pem --file metrics.json

say "What Focused Run received"
curl -sS --cacert tls/ca.pem "https://127.0.0.1:$sim_port/_sim/received?form=text" |
    while IFS= read -r line; do
        # Names lose their capitals in the tunnel's HTTP/2.
        case $(printf '%s' "${line%%:*}" | tr '[:upper:]' '[:lower:]') in
        host) note="replaced: the virtual host" ;;
        authorization) note="replaced: the endpoint's technical user" ;;
        x-admin-request-parameter) note="added: fence of customer network ACME PROD" ;;
        x-forwarded-* | forwarded | clientprotocol | via) note="added" ;;
        x-request-id | traceparent) note="added (kept if the pusher sends a valid one)" ;;
        ssl_client_cert) note="added empty: no certificate logon" ;;
        *) note= ;;
        esac
        if [ -n "$note" ]; then
            printf '  %-52s <- %s\n' "$line" "$note"
        else
            printf '  %s\n' "$line"
        fi
    done

say "The gateway's access line"
grep '"status"' frunproxyd.log | grep -v '/sap/bc/ping' | tail -n 1 || true

say "The status pages, live in a browser on this host"
echo "  gateway:   http://127.0.0.1:$page_port/"
echo "  connector: http://127.0.0.1:$connector_page_port/"
for page in $page_port $connector_page_port; do
    curl -sS -o /dev/null --fail "http://127.0.0.1:$page/"
done

if [ "$once" = yes ]; then
    say "Done. Everything ends now and $dir is removed."
    exit 0
fi

say "Try it by hand (in another terminal)"
cat <<END
  curl --cacert $dir/tls/ca.pem -u "s4push:\$(cat $dir/secrets/pusher)" \\
      -H 'Content-Type: application/json' --data-binary @$dir/metrics.json \\
      $root_url/sap/frun/ngdci

  a forged fence is dropped:    add  -H 'X-Admin-Request-Parameter: globex'
  a foreign path is refused:    .../ACME_PROD/sap/opu/odata
  what Focused Run got so far:  curl --cacert $dir/tls/ca.pem \\
      'https://127.0.0.1:$sim_port/_sim/received?form=text'
  a Focused Run that fails:     .../ACME_PROD/sap/frun/ngdci?_sim=status:503
  logs:                         $dir/*.log

Ctrl-C ends everything and removes $dir.
END
while :; do
    alive
    sleep 1
done
