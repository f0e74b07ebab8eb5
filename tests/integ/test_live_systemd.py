# SPDX-License-Identifier: Apache-2.0
"""The packages under a systemd that runs: installed, started, reloaded, restarted, upgraded, removed.

A systemd of its own is booted in name spaces, in an overlay over this machine's root as in
test_packages.py. What the units' sandbox denies, what becomes of sockets and requests over a restart,
and what an administrator is shown: all of that only a running systemd tells."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading

import debs
import pytest
from chain import program

HERE = os.path.dirname(os.path.abspath(__file__))
SYSTEMD = "/lib/systemd/systemd"

pytestmark = [
    pytest.mark.skipif(not debs.can_build(), reason="no dpkg-dev"),
    pytest.mark.skipif(os.geteuid() != 0 or not os.path.exists(SYSTEMD) or not shutil.which("dbus-daemon"),
                       reason="wants root, systemd and dbus"),
]

# $1: folder for the overlay, $2: what is put in as /srv/live, $3: a terminal for the console. Devices
# are nodes of its own: systemd changes the mode of what it finds as its console.
BOOT = """set -e
mount --make-rprivate /
mount -t tmpfs over "$1"
m=$1/merged
mkdir "$1/up" "$1/work" "$m"
mount -t overlay over -o "lowerdir=/,upperdir=$1/up,workdir=$1/work" "$m"
mount -t proc proc "$m/proc"
mount -t sysfs -o ro sysfs "$m/sys"
mount -t cgroup2 cgroup2 "$m/sys/fs/cgroup"
mount -t tmpfs -o mode=1777 tmp "$m/tmp"
mount -t tmpfs -o mode=755 run "$m/run"
mount -t tmpfs -o mode=755 dev "$m/dev"
for n in null.3 zero.5 full.7 random.8 urandom.9; do mknod -m 666 "$m/dev/${n%.*}" c 1 "${n#*.}"; done
mknod -m 666 "$m/dev/tty" c 5 0
mkdir "$m/dev/pts" "$m/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$m/dev/pts"
mount -t tmpfs -o mode=1777 shm "$m/dev/shm"
ln -s pts/ptmx "$m/dev/ptmx"
ln -s /proc/self/fd "$m/dev/fd"
touch "$m/dev/console"
mount --bind "$3" "$m/dev/console"
rm -rf "$m"/etc/systemd/system/*.wants "$m/usr/sbin/policy-rc.d" "$m/var/lib/man-db/auto-update"
mkdir -p "$m/srv/live" "$m/srv/before"
mount --bind "$2" "$m/srv/live"
cp "$2/live.target" "$2/live.service" "$m/etc/systemd/system/"
cd "$m"
pivot_root . srv/before
umount -l /srv/before
mount --make-rshared /
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin \\
    SYSTEMD --system --unit=live.target --log-target=console --show-status=true
""".replace("SYSTEMD", SYSTEMD)

TARGET = "[Unit]\nRequires=basic.target\nAfter=basic.target\nWants=live.service\nAllowIsolate=yes\n"
SERVICE = """[Unit]
After=basic.target
[Service]
Type=oneshot
ExecStart=%s /srv/live/live_root.py %s
ExecStopPost=/bin/systemctl exit 0
StandardOutput=append:/srv/live/out
StandardError=inherit
Environment=PYTHONDONTWRITEBYTECODE=1
"""
DEADLINE = 300


def cgroup_folder():
    """Where cgroups of version 2 are mounted, at our own place in them."""
    with open("/proc/self/mounts", encoding="utf-8") as f:
        mounts = [line.split()[1] for line in f if line.split()[2] == "cgroup2"]
    with open("/proc/self/cgroup", encoding="utf-8") as f:
        own = [line.strip()[3:] for line in f if line.startswith("0::")]
    return mounts[0] + own[0].rstrip("/") if mounts and own else None


def boot(folder, live):
    """Run it to its end; what the console shows."""
    group = os.path.join(cgroup_folder(), f"frun-live-{os.getpid()}")
    ours, theirs = os.openpty()
    console = bytearray()

    def listen():
        try:
            while data := os.read(ours, 4096):
                console.extend(data)
        except OSError:
            pass

    threading.Thread(target=listen, daemon=True).start()
    os.mkdir(group)
    try:
        p = subprocess.Popen(["sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec unshare -mnpfCiu --kill-child sh -c "$@"',
                              group, BOOT, "sh", str(folder), str(live), os.ttyname(theirs)],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            said = p.communicate(timeout=DEADLINE)[0]
        except subprocess.TimeoutExpired:
            p.kill()
            said = p.communicate()[0] + f"\nnot ended after {DEADLINE} s".encode()
    finally:
        # With the first process the others have gone, and so have what they were grouped in.
        for path, _, _ in os.walk(group, topdown=False):
            try:
                os.rmdir(path)
            except OSError:
                pass
        os.close(theirs)
    return (bytes(console) + said).decode(errors="replace")


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    """What was found, by step."""
    base = tmp_path_factory.mktemp("live")
    folder, inside = base / "over", base / "inside"
    folder.mkdir()
    inside.mkdir()
    if not debs.can_overlay(folder) or not cgroup_folder():
        pytest.skip("no right to mount an overlay, or no cgroups of version 2")
    now = debs.build()
    older = debs.as_version(now, "0.0.1", str(inside))
    for file in [*now, program("frunsim"), *[os.path.join(HERE, x) for x in
                                             ("live_root.py", "live_load.py", "packages_root.py")]]:
        shutil.copy(file, inside)
    names = " ".join("/srv/live/" + os.path.basename(x) for x in older + now)
    (inside / "live.target").write_text(TARGET)
    (inside / "live.service").write_text(SERVICE % (sys.executable, names))
    (inside / "out").touch()
    try:
        console = boot(folder, inside)
    except OSError as e:
        pytest.skip(f"no cgroup of its own: {e}")
    out = (inside / "out").read_text()
    found = {}
    for line in out.splitlines():
        if line.startswith("{"):
            value = json.loads(line)
            found[value.pop("what")] = value
    if "booted" not in found and "exec" not in out:
        pytest.skip("systemd does not boot in name spaces here: " + " | ".join(console.splitlines()[-3:]))
    assert "end" in found, out[-6000:] + console[-2000:]
    return found


def test_installed_and_quiet(live):
    assert live["booted"]["pid1"] == "systemd"
    seen = live["installed"]
    assert set(seen["states"].values()) == {"inactive"} and seen["enabled"] == ["enabled"] * 3
    assert seen["condition"] == "no" and "write /etc/frunproxy/frunproxy.ini" in seen["said"]


def test_started(live):
    seen = live["started"]
    assert seen["codes"] == [0, 0] and seen["audit"] == 0
    gateway, connector = seen["states"]["frunproxyd.service"], seen["states"]["frunconnector.service"]
    assert gateway["ActiveState"] == connector["ActiveState"] == "active"
    assert seen["states"]["frunproxyd.socket"]["ActiveState"] == "active", "it comes with its service"
    assert gateway["StatusText"].startswith("serving 1 endpoint(s)")
    assert connector["StatusText"] == "2 of 2 tunnels open"
    assert seen["process"] == {"Uid": seen["uid"], "CapEff": "0" * 16, "CapBnd": "0" * 16,
                               "NoNewPrivs": "1", "Seccomp": "2"}
    assert "frunproxyd" in seen["status"]
    assert seen["dns"], "the gateway's name was looked up in the sandbox"
    for line in seen["security"]:
        assert float(re.search(r"exposure level for \S+: ([0-9.]+)", line)[1]) <= 1.5, line
    # Severities reach the journal, and a good start has nothing to complain about.
    assert {p for p, _ in seen["lines"]} <= {"6", "5", "4"}, seen["lines"]
    assert any("serving 1 endpoint(s)" in text for p, text in seen["lines"] if p == "6")


@pytest.mark.parametrize("name", ["gateway", "connector"])
def test_reload(live, name):
    seen = live["reloaded"][name]
    assert seen["codes"] == [1, 0], "a file with an error, then a good one, with credentials"
    assert seen["same"] and seen["ping"] == "200"
    assert "the last reload was refused" in seen["refused"]["StatusText"]
    assert ".bogus: unknown key" in seen["shown"] and "status=78" in seen["shown"]
    assert seen["refused"]["ActiveState"] == "active"
    assert "refused" not in seen["after"]["StatusText"]


@pytest.mark.parametrize("what,others", [
    ("restarted gateway", ["frunproxyd.service"]),
    ("restarted connector", ["frunconnector.service"]),
    ("restarted kept", ["frunproxyd.service"]),
    ("upgraded", ["frunproxyd.service", "frunconnector.service"]),
    ("downgraded", ["frunproxyd.service", "frunconnector.service"]),
])
def test_nothing_is_lost(live, what, others):
    seen = live[what]
    print(what, seen["took"], seen["counts"])
    assert seen["code"] == 0, seen["said"]
    assert seen["others"] == others, "restarted, and nothing else"
    assert seen["states"] == ["active", "active"]
    assert all(c["requests"] for c in seen["counts"].values()), seen["counts"]
    assert seen["failed"] == 0, (seen["counts"], seen["failures"])


def test_upgraded(live):
    seen = live["after the upgrade"]
    assert seen["kept"], "configuration files are left alone"
    assert seen["programs"] == ["/usr/bin/frunproxyd", "/usr/bin/frunconnector"], "the new ones run"


def test_upgrade_that_does_not_take_the_configuration(live):
    seen = live["upgrade refused"]
    assert seen["same"] and seen["ping"] == "200", "the former program runs on"
    assert ".bogus: unknown key" in seen["said"] and "the former one runs on" in seen["said"]


def test_stop_closes_the_port(live):
    assert live["stopped"]["ping"] == "000"


def test_killed_and_back(live):
    assert [int(x) >= 1 for x in live["killed"]["restarts"]] == [True, True]


def test_why_it_does_not_start(live):
    seen = live["not started"]
    assert seen["code"] == 1 and seen["socket"] == "active"
    assert "not started, 2 errors: /etc/frunproxy/frunproxy.ini" in seen["shown"]
    assert ".bogus: unknown key" in seen["errors"] and ".more: unknown key" in seen["errors"]


def test_what_the_sandbox_could_deny(live):
    seen = live["extras"]
    assert "stays on CPU" in seen["log"] and "is not pinned" not in seen["log"]
    assert '"alert":"certificate-expiry"' in seen["alerts"]
    assert seen["member"] == 0, "a member of the group may use frunctl"


def test_drained_for_good(live):
    assert live["drained"]["state"] == "inactive"


def test_removed_and_purged(live):
    seen = live["removed"]
    assert set(seen["gone"].values()) == {"inactive"}
    assert seen["kept"] and seen["user"], "configuration, state and user stay with the removal"
    assert seen["left"] == [] and seen["users"] == [] and seen["units"] == "" and seen["processes"] == ""
