#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Build the programs as they are delivered, for the tests that pack them or count their instructions.
#
#   sh tests/release.sh FOLDER [cmake option]...
#
# ctest does it once for all. The compiler is gcc if there is one: only its figures are recorded.
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
build=$1
shift
if command -v gcc >/dev/null; then
    export CC=gcc
fi
# Packing would build the tests, too, if installing depended on everything.
cmake -S "$top" -B "$build" -DCMAKE_BUILD_TYPE=Release -DCMAKE_SKIP_INSTALL_ALL_DEPENDENCY=ON "$@" >/dev/null
if ! cmake --build "$build" -j "$(nproc 2>/dev/null || echo 2)" \
    --target frunproxyd frunconnector frunctl frunsim man debian_changelog >"$build/build.log" 2>&1; then
    tail -n 40 "$build/build.log"
    exit 1
fi
