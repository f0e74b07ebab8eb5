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

had_nginx=$(command -v nginx || true)
. "$top/tests/need.sh"
need gcc libc6-dev make cmake pkg-config libevent-dev libssl-dev libnghttp2-dev \
    libcurl4-openssl-dev libjansson-dev libinih-dev libcrypt-dev libcmocka-dev zlib1g-dev openssl \
    python3 nginx libnginx-mod-http-lua wrk util-linux
if [ -z "$had_nginx" ]; then
    # Debian starts the service at once; nobody asked for one. need() has set root.
    ${root:-} invoke-rc.d nginx stop >/dev/null 2>&1 || true
fi

echo "building into $build"
cmake -S "$top" -B "$build" -DCMAKE_BUILD_TYPE=Release >/dev/null
if ! cmake --build "$build" -j "$(nproc 2>/dev/null || echo 2)" \
    --target frunproxyd frunconnector >"$build/bench.log" 2>&1; then
    tail -n 40 "$build/bench.log" >&2
    exit 1
fi
FRUN_BIN=$build/bin exec python3 "$top/tests/bench/bench.py" "$@"
