# SPDX-License-Identifier: Apache-2.0
"""The Debian packages: built, without a finding of lintian, installed, started and purged without a trace.

The root they are installed into is an overlay over this machine's, in memory, in name spaces of its
own: nothing is downloaded, and what is left over after the purge is what stands in the overlay."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

import debs
from chain import run

HERE = os.path.dirname(os.path.abspath(__file__))

pytestmark = pytest.mark.skipif(not debs.can_build(), reason="no dpkg-dev")

# In the overlay: / from $1 upwards, then the program.
ENTER = """set -e
mount -t tmpfs over "$1"
mkdir "$1/up" "$1/work" "$1/merged"
mount -t overlay over -o "lowerdir=/,upperdir=$1/up,workdir=$1/work" "$1/merged"
mount -t proc proc "$1/merged/proc"
mount -t tmpfs tmp "$1/merged/tmp"
mount -t tmpfs run "$1/merged/run"
mkdir "$1/merged/run/lock"
rm -f "$1/merged/var/lib/man-db/auto-update" # its index takes longer than all the rest
mkdir -p "$1/merged/dev" && mount --rbind /dev "$1/merged/dev"
over=$1
shift
cp "$@" "$over/merged/tmp/"
set +e
chroot "$over/merged" "$0" /tmp/packages_root.py $(for f in "$@"; do case $f in *.deb) echo "/tmp/${f##*/}";; esac; done)
code=$?
umount "$over/merged/proc"
find "$over/merged/run" -mindepth 1 -name '*frun*' -printf 'left /run/%P\\n'
find "$over/up" -mindepth 1 -printf 'left /%P\\n'
exit $code
"""


@pytest.fixture(scope="module")
def packages():
    return debs.build()


@pytest.mark.skipif(not shutil.which("lintian"), reason="no lintian")
def test_lintian_finds_nothing(packages):
    r = run(["lintian", "--fail-on", "error,warning", "--allow-root", *packages], deadline=120)
    assert r.returncode == 0 and not re.search("^[EW]:", r.stdout, re.M), r.stdout + r.stderr


def field(deb, name):
    return run(["dpkg-deb", "-f", deb, name]).stdout


def test_what_they_need(packages):
    common, connector, gateway = packages
    assert "libcurl4" in field(gateway, "Depends"), "loaded at run time: no tool sees it"
    assert "libcurl4" not in field(connector, "Depends")
    for deb in (gateway, connector):
        assert "frunproxy-common (= " in field(deb, "Depends")
        assert "libssl3" in field(deb, "Depends") and "libnghttp2-14" in field(deb, "Depends")


def test_what_they_hold(packages):
    files = {}
    for deb in packages:
        for line in run(["dpkg-deb", "-c", deb]).stdout.splitlines():
            path = line.split()[5]
            assert line.split()[1] == "root/root", line
            if not path.endswith("/"):
                assert path not in files, f"{path} is in two packages"
                files[path] = os.path.basename(deb).split("_")[0]
    for path, package in (("./usr/bin/frunproxyd", "gateway"), ("./usr/bin/frunconnector", "connector"),
                          ("./usr/bin/frunctl", "common"),
                          ("./usr/lib/systemd/system/frunproxyd.socket", "gateway"),
                          ("./usr/share/man/man8/frunproxyd.8.gz", "gateway"),
                          ("./usr/share/man/man5/frunproxy.ini.5.gz", "gateway"),
                          ("./usr/share/man/man8/frunconnector.8.gz", "connector"),
                          ("./usr/share/man/man5/frunconnector.ini.5.gz", "connector"),
                          ("./usr/share/man/man1/frunctl.1.gz", "common"),
                          ("./usr/share/bash-completion/completions/frunctl", "common"),
                          ("./usr/share/doc/frunproxy-common/MANUAL.md", "common")):
        assert files.get(path) == "frunproxy-" + package, path
    assert not [x for x in files if x.startswith("./etc/")], "a sample as conffile asks at each upgrade"


# What dpkg and the tools it calls keep for themselves.
NOT_OURS = re.compile(r"/var/lib/dpkg/|/var/lib/systemd/(deb-systemd-helper-(enabled|masked))?$|"
                      r"/var/log/(dpkg|alternatives)\.log$|/var/cache/(man|ldconfig)/|/etc/(passwd|group|g?shadow|sub[ug]id)-$|"
                      r"/etc/\.pwd\.lock$|/var/lib/systemd/deb-systemd-helper-(enabled|masked)/[^/]*\.wants$|"
                      r"/etc/systemd/system/[a-z-]*\.target\.wants$")


def test_install_start_upgrade_purge(packages, tmp_path):
    folder = tmp_path / "over"
    folder.mkdir()
    if not debs.can_overlay(folder):
        pytest.skip("no right to mount an overlay")
    r = subprocess.run(["unshare", "-mnpf", "sh", "-c", ENTER, sys.executable, str(folder),
                        os.path.join(HERE, "packages_root.py"), *packages],
                       capture_output=True, text=True, timeout=170, check=False)
    assert r.returncode == 0, r.stdout + r.stderr
    said = {}
    for line in r.stdout.splitlines():
        if line.startswith("{"):
            value = json.loads(line)
            said[value.pop("what")] = value
    assert "write /etc/frunproxy/frunproxy.ini" in said["installed"]["said"]
    assert [x.split(":")[0] for x in said["users"]["rows"]] == ["frunproxyd", "frunconnector"] or \
        sorted(x.split(":")[0] for x in said["users"]["rows"]) == ["frunconnector", "frunproxyd"]
    assert all(x.strip().endswith(":/usr/sbin/nologin") for x in said["users"]["rows"])
    assert said["modes"] == {"secrets": "0o40700", "etc": ["endpoints.d", "secrets", "tls"]}
    assert {os.path.basename(x) for x in said["enabled"]["links"]} == \
        {"frunproxyd.service", "frunproxyd.socket", "frunconnector.service"}
    assert "frunproxyd" in said["status"]["gateway"] and "frunconnector" in said["status"]["connector"]
    assert said["upgraded"] == {"runs": True, "ping": "200", "config": True}
    assert said["stopped"]["codes"] == [0, 0]
    assert said["removed"] == {"config": True, "program": False}
    assert said["purged"]["users"] and "installed" not in said["purged"]["known"]
    # Where the lower root has no such name, purging has left something.
    left = [x[5:] for x in r.stdout.splitlines() if x.startswith("left ")]
    assert left, "the overlay was not looked at"
    new = [x for x in left if not os.path.lexists(x) and not NOT_OURS.search(x)]
    assert new == [], new
    assert not [x for x in left if "frun" in os.path.basename(x) and os.path.lexists(x) is False
                and not x.startswith("/var/lib/dpkg/")], left
