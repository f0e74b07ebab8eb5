#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Compare frunproxy with nginx on this machine: CPU per request, memory per idle connection.
#
#   sh tests/bench/run.sh [--quick] [--json FILE]
#
# --quick      2 rounds instead of 5
# --json FILE  also write every single measurement
#
# Installs what it needs (Debian), builds a Release, starts everything on loopback, measures in
# interleaved rounds, prints tables, stops everything. BUILD names the build folder (build).
# How to read the tables: docs/PERFORMANCE.md.
set -eu

top=$(cd "$(dirname "$0")/../.." && pwd)
build=${BUILD:-$top/build}

packages="gcc libc6-dev make cmake pkg-config libevent-dev libssl-dev libnghttp2-dev
libcurl4-openssl-dev libjansson-dev libinih-dev libcrypt-dev zlib1g-dev openssl python3
nginx libnginx-mod-http-lua wrk util-linux"
missing=
had_nginx=no
for package in $packages; do
    if ! dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed'; then
        missing="$missing $package"
    elif [ "$package" = nginx ]; then
        had_nginx=yes
    fi
done
if [ -n "$missing" ]; then
    root=
    if [ "$(id -u)" -ne 0 ]; then
        root=sudo
    fi
    echo "installing:$missing"
    $root apt-get update -q >/dev/null
    # shellcheck disable=SC2086 # a list of words
    $root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends $missing >/dev/null
    if [ $had_nginx = no ]; then
        # Debian starts the service at once; nobody asked for one.
        $root invoke-rc.d nginx stop >/dev/null 2>&1 || true
    fi
fi

echo "building into $build"
cmake -S "$top" -B "$build" -DCMAKE_BUILD_TYPE=Release >/dev/null
if ! cmake --build "$build" -j "$(nproc 2>/dev/null || echo 2)" \
    --target frunproxyd frunconnector >"$build/bench.log" 2>&1; then
    tail -n 40 "$build/bench.log" >&2
    exit 1
fi
FRUN_BIN=$build/bin exec python3 "$top/tests/bench/bench.py" "$@"
