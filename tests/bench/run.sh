#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What a push costs here, beside other programs that do the same work: CPU, latency, memory.
#
#   sh tests/bench/run.sh [--quick] [--only ROW,...] [--json FILE] [--markdown FILE]
#   sh tests/bench/run.sh --report FILE...
#   sh tests/bench/run.sh --instructions [--check] [--record]
#
# --quick           2 rounds instead of 5: about four minutes instead of twelve
# --only ROW,...    some rows; --help names them all, and the other options
# --json FILE       also write every single measurement
# --markdown FILE   also write the tables there
# --report FILE...  measure nothing: tables of what --json wrote, several files as one run
# --instructions    count instructions for each push instead (valgrind): see instructions.py
#
# Installs what it needs (Debian), builds a Release, starts everything on loopback, measures in
# interleaved rounds, prints tables, stops everything. BUILD names the build folder (build).
# How to read the tables: docs/PERFORMANCE.md.
set -eu

top=$(cd "$(dirname "$0")/../.." && pwd)
build=${BUILD:-$top/build}
program=bench.py
peers="nginx libnginx-mod-http-lua haproxy wrk nghttp2-client openssh-server openssh-client stunnel4"
if [ "${1:-}" = --instructions ]; then
    program=instructions.py
    peers="nginx libnginx-mod-http-lua wrk nghttp2-client valgrind libc6-dbg"
    shift
fi

. "$top/tests/need.sh"
# shellcheck disable=SC2086 # a list of words
need gcc libc6-dev make cmake pkg-config libevent-dev libssl-dev libnghttp2-dev \
    libcurl4-openssl-dev libjansson-dev libinih-dev libcrypt-dev libcmocka-dev zlib1g-dev openssl \
    python3 util-linux $peers

echo "building into $build"
cmake -S "$top" -B "$build" -DCMAKE_BUILD_TYPE=Release >/dev/null
if ! cmake --build "$build" -j "$(nproc 2>/dev/null || echo 2)" \
    --target frunproxyd frunconnector frunctl benchload >"$build/bench.log" 2>&1; then
    tail -n 40 "$build/bench.log" >&2
    exit 1
fi
FRUN_BIN=$build/bin exec python3 -B "$top/tests/bench/$program" "$@"
