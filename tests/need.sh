# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Sourced by the scripts that need Debian packages: need PACKAGE... installs those that are missing, as root
# or by sudo. A service that Debian starts as soon as it is installed is stopped again: nobody asked for one.
need() {
    missing=
    for package in "$@"; do
        if ! dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed'; then
            missing="$missing $package"
        fi
    done
    if [ -z "$missing" ]; then
        return 0
    fi
    root=
    if [ "$(id -u)" -ne 0 ]; then
        root=sudo
    fi
    new=
    for service in nginx haproxy ssh stunnel4 prometheus; do
        [ -e "/etc/init.d/$service" ] || new="$new $service"
    done
    echo "installing:$missing"
    $root apt-get update -q >/dev/null
    # shellcheck disable=SC2086 # a list of words
    $root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends $missing >/dev/null
    for service in $new; do
        if [ -e "/etc/init.d/$service" ]; then
            $root invoke-rc.d "$service" stop >/dev/null 2>&1 || true
        fi
    done
}
