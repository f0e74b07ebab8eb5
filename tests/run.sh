#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Install what the tests need (Debian), build with ASan and UBSan, run everything with ctest.
#
#   sh tests/run.sh [ctest argument]...
#
# BUILD names the build folder (build-test); CC picks the compiler.
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
build=${BUILD:-$top/build-test}

. "$top/tests/need.sh"
need gcc libc6-dev make cmake pkg-config clang-format clang-tidy libevent-dev libssl-dev \
    libnghttp2-dev libcurl4-openssl-dev libjansson-dev libinih-dev libcrypt-dev libsystemd-dev \
    libcmocka-dev zlib1g-dev openssl curl systemd dbus procps python3 python3-pytest python3-hpack \
    python3-requests-oauthlib \
    prometheus chromium chromium-driver python3-selenium \
    lintian mandoc zsh dpkg-dev file fakeroot \
    nginx libnginx-mod-http-lua libnginx-mod-stream haproxy wrk nghttp2-client valgrind libc6-dbg

jobs=$(nproc 2>/dev/null || echo 2)
cmake -S "$top" -B "$build" -DCMAKE_BUILD_TYPE=Debug -DFRUN_SANITIZE=address,undefined \
    -DFRUN_WERROR="${FRUN_WERROR:-ON}" >/dev/null
echo "building into $build"
if ! cmake --build "$build" -j "$jobs" >"$build/build.log" 2>&1; then
    grep -n -A 12 -E 'error|warning|undefined' "$build/build.log" | head -n 80
    exit 1
fi

# Three places for each core, because most tests wait more than they compute; those that do not take all three.
# ctest ends with its summary, and with a code that says whether all passed.
exec ctest --test-dir "$build" --output-on-failure -j "$((3 * jobs))" "$@"
