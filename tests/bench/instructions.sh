#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Started by ctest: build a Release into the folder $1 and compare its instructions with the recorded ones.
# valgrind cannot run a build with sanitizers, and only one compiler's figures are recorded.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
for tool in gcc valgrind h2load; do
    if ! command -v "$tool" >/dev/null; then
        echo "skipped: $tool is not installed"
        exit 77
    fi
done
CC=gcc cmake -S "$here/../.." -B "$1" -DCMAKE_BUILD_TYPE=Release >/dev/null
cmake --build "$1" -j "$(nproc 2>/dev/null || echo 2)" \
    --target frunproxyd frunconnector frunctl frunsim >"$1/build.log" 2>&1 || { tail -n 40 "$1/build.log"; exit 1; }
FRUN_BIN=$1/bin exec python3 -B "$here/instructions.py" --check
