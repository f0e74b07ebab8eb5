# SPDX-License-Identifier: Apache-2.0
"""Runs as a service of a systemd that was booted for it in a throw-away root: installs the packages,
does with them what an administrator does, and tells what came of it, one line of JSON for each step.
See test_live_systemd.py, which judges."""

import json
import os
import re
import socket
import struct
import subprocess
import sys
import threading
import time

from live_load import Load
from packages_root import ETC, configure, ping, write

HERE = os.path.dirname(os.path.abspath(__file__))
UNITS = ["frunproxyd.service", "frunproxyd.socket", "frunconnector.service"]
SERVICES = ["frunproxyd.service", "frunconnector.service"]
DROP_IN = "/etc/systemd/system/%s.d/%s.conf"


BEGIN = time.monotonic()


def tell(what, **facts):
    print(json.dumps({"what": what, "at_s": round(time.monotonic() - BEGIN, 1), **facts}), flush=True)


def sh(*argv, check=True, deadline=60, **kw):
    r = subprocess.run(argv, capture_output=True, text=True, timeout=deadline, check=False, **kw)
    if check and r.returncode:
        raise SystemExit(f"{argv}: {r.returncode}\n{r.stdout}\n{r.stderr}")
    return r


def ctl(*words, check=True):
    return sh("systemctl", "--no-pager", *words, check=check)


def show(unit, *names):
    r = ctl("show", *[x for n in names for x in ("-p", n)], unit)
    return dict(line.split("=", 1) for line in r.stdout.splitlines())


def state(unit):
    return show(unit, "ActiveState", "SubState", "StatusText", "MainPID", "NRestarts", "Result")


def wait(condition, what, deadline=30):
    end = time.monotonic() + deadline
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise SystemExit(f"not within {deadline} s: {what}\n" + journal())
        time.sleep(0.05)


def journal(*words):
    return sh("journalctl", "--no-pager", "-o", "cat", "-n", "60", *words).stdout


def wait_served():
    """Also the tunnels are there: who is asked is Focused Run."""
    wait(lambda: ping() == "200", "the gateway answers")
    wait(lambda: "2 of 2 tunnels open" in state("frunconnector.service")["StatusText"], "tunnels")


def load():
    return Load(ETC + "/tls/ca.pem", "s4push", "Push-Pass-4711")


def under_load(what, action, **more):
    """The action in the middle of load; it is over when load goes on well behind it."""
    before = {unit: state(unit)["MainPID"] for unit in SERVICES}
    with load() as running:
        running.wait_more(150)
        begin = time.monotonic()
        done = action()
        took = time.monotonic() - begin
        running.wait_more(150)
    tell(what, **running.told(), took=round(took, 2), code=done.returncode, said=done.stdout + done.stderr,
         others=[unit for unit in SERVICES if state(unit)["MainPID"] != before[unit]],
         states=[state(unit)["ActiveState"] for unit in SERVICES], **more)


# -- a DNS server that knows one answer: names are looked up from within the sandbox

def answer_dns(s):
    while True:
        query, peer = s.recvfrom(512)
        end = query.index(b"\0", 12) + 5
        is_a = query[end - 4:end - 2] == b"\0\1" and b"\x04push\x07example\x03com" in query
        head = query[:2] + struct.pack("!HHHHH", 0x8180, 1, 1 if is_a else 0, 0, 0)
        s.sendto(head + query[12:end] + (b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x7f\0\0\1" if is_a else b""), peer)


def serve_names():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", 53))
    threading.Thread(target=answer_dns, args=(s,), daemon=True).start()
    os.unlink("/etc/resolv.conf")
    write("/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:2\n")
    write("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n")
    write("/etc/hosts", "127.0.0.1 localhost\n")


# -- the steps

def install(debs):
    r = sh("dpkg", "--force-unsafe-io", "-i", *debs)
    ctl("start", "frunproxyd.service", check=False)
    tell("installed", said=r.stdout, states={u: state(u)["ActiveState"] for u in UNITS},
         enabled=ctl("is-enabled", *UNITS).stdout.split(),
         condition=show("frunproxyd.service", "ConditionResult")["ConditionResult"])


def append(name, text):
    with open(f"{ETC}/{name}", "a", encoding="utf-8") as f:
        f.write(text)


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def set_up():
    configure()
    path = ETC + "/frunconnector.ini"
    write(path, read(path).replace("gateway     = 127.0.0.1:8444", "gateway = push.example.com:8444"))
    append("frunconnector.ini", "[resource frun]\nsystem = fr1_frun:443\npath = /sap/frun\n"
           "policy = path-and-all-sub-paths\nactive = yes\n")
    # As README.md says.
    for unit in SERVICES:
        lines = [f"LoadCredential={x}:{ETC}/secrets/{x}" for x in sorted(os.listdir(ETC + "/secrets"))]
        write(DROP_IN % (unit, "secrets"), "\n".join(["[Service]", *lines, ""]))
    ctl("daemon-reload")
    sh("systemd-run", "--unit=sim", HERE + "/frunsim", "--plain", "--listen", "127.0.0.1:8000", "--user",
       "FRUN_PUSH", "--password-file", ETC + "/secrets/acme_prod")


def starts():
    codes = [ctl("start", u, check=False).returncode for u in SERVICES]
    wait_served()
    status = read(f"/proc/{state(UNITS[0])['MainPID']}/status")
    tell("started", codes=codes, states={u: state(u) for u in UNITS},
         security=[sh("systemd-analyze", "security", "--no-pager", u).stdout.splitlines()[-1]
                   for u in SERVICES],
         process=dict(re.findall(r"^(Uid|CapEff|CapBnd|NoNewPrivs|Seccomp):\t(\S+)", status, re.M)),
         uid=sh("id", "-u", "frunproxyd").stdout.strip(),
         status=sh("frunctl", "status").stdout,
         audit=sh("frunctl", "audit", "verify", "--config", ETC + "/frunproxy.ini", check=False).returncode,
         dns="push.example.com" in journal("-u", UNITS[2]),
         lines=[[x["PRIORITY"], x["MESSAGE"]] for x in map(
             json.loads, journal("-o", "json", *[w for u in SERVICES for w in ("-u", u)]).splitlines())])


def reloads():
    facts = {}
    for name, file in (("gateway", "frunproxy.ini"), ("connector", "frunconnector.ini")):
        unit = SERVICES[0] if name == "gateway" else SERVICES[1]
        good = read(f"{ETC}/{file}")
        pid = state(unit)["MainPID"]
        append(file, "bogus = 1\n")
        bad = ctl("reload", unit, check=False)
        shown = ctl("status", unit, check=False).stdout
        refused = state(unit)
        write(f"{ETC}/{file}", good + "[log]\naccess = off\n")
        again = ctl("reload", unit, check=False)
        facts[name] = {"codes": [bad.returncode, again.returncode], "shown": shown, "refused": refused,
                       "after": state(unit), "same": pid == state(unit)["MainPID"], "ping": ping()}
    tell("reloaded", **facts)


def without_socket():
    """The gateway opens port 443 itself; over the restart systemd keeps it."""
    ctl("mask", "--now", "frunproxyd.socket")
    ctl("stop", "frunproxyd.service")
    write(DROP_IN % (UNITS[0], "port"), "[Service]\nAmbientCapabilities=CAP_NET_BIND_SERVICE\n"
          "CapabilityBoundingSet=CAP_NET_BIND_SERVICE\nPrivateUsers=no\n")
    ctl("daemon-reload")
    ctl("start", UNITS[0])
    wait_served()
    under_load("restarted kept", lambda: ctl("restart", UNITS[0], check=False))
    os.unlink(DROP_IN % (UNITS[0], "port"))
    ctl("stop", UNITS[0])
    tell("stopped", ping=ping())
    ctl("unmask", "frunproxyd.socket")
    ctl("daemon-reload")
    ctl("start", UNITS[0])
    wait_served()


def killed():
    for unit in SERVICES:
        before = state(unit)
        os.kill(int(before["MainPID"]), 9)
        wait(lambda: state(unit)["MainPID"] not in ("0", before["MainPID"]), unit + " is started again")
    wait_served()
    tell("killed", restarts=[state(u)["NRestarts"] for u in SERVICES])


def does_not_start():
    good = read(ETC + "/frunproxy.ini")
    append("frunproxy.ini", "bogus = 1\nmore = 2\n")
    code = ctl("restart", UNITS[0], check=False).returncode
    wait(lambda: state(UNITS[0])["SubState"] == "auto-restart", "it waits for the next try")
    facts = {"code": code, "shown": ctl("status", UNITS[0], check=False).stdout,
             "errors": journal("-u", UNITS[0], "-p", "err"), "socket": state(UNITS[1])["ActiveState"]}
    write(ETC + "/frunproxy.ini", good)
    wait_served()
    tell("not started", **facts)


def upgrade_refused(debs):
    good = read(ETC + "/frunproxy.ini")
    pid = state(UNITS[0])["MainPID"]
    append("frunproxy.ini", "bogus = 1\n")
    r = sh("dpkg", "--force-unsafe-io", "-i", *debs)
    tell("upgrade refused", said=r.stdout + r.stderr, same=pid == state(UNITS[0])["MainPID"], ping=ping())
    write(ETC + "/frunproxy.ini", good)


def extras():
    """What the sandbox could keep from the daemon: a command, CPUs, a group, a log file."""
    good = read(ETC + "/frunproxy.ini")
    write("/usr/local/bin/frun-alert", "#!/bin/sh\ncat >> /var/log/frunproxy/alerts\nlogger -t frun-alert hello\n", 0o755)
    write(DROP_IN % (UNITS[0], "group"), "[Service]\nPrivateUsers=no\nSupplementaryGroups=adm\n"
          "SystemCallFilter=@chown\nRuntimeDirectoryMode=0755\n")
    ctl("daemon-reload")
    text = good.replace("[log]\naccess = off\n", "").replace("[gateway]\n", "[gateway]\ncpu_affinity = yes\n", 1)
    write(ETC + "/frunproxy.ini", text + "[alert]\ncommand = /usr/local/bin/frun-alert\n"
          "certificate_days = 3650\n[log]\nlevel = debug\ntarget = file:/var/log/frunproxy/log\n[admin]\ngroup = adm\n")
    ctl("restart", UNITS[0])
    wait_served()
    wait(lambda: os.path.exists("/var/log/frunproxy/alerts") and "hello" in journal("-t", "frun-alert"),
         "the alert's command")
    as_member = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--groups=adm", "frunctl", "status"]
    tell("extras", log=read("/var/log/frunproxy/log"), alerts=read("/var/log/frunproxy/alerts"),
         member=sh(*as_member, check=False).returncode)
    os.unlink("/usr/local/bin/frun-alert")
    os.unlink(DROP_IN % (UNITS[0], "group"))
    write(ETC + "/frunproxy.ini", good)
    ctl("daemon-reload")
    ctl("restart", UNITS[0])
    wait_served()


def drained():
    sh("frunctl", "drain", "--socket", "/run/frunconnector/control.sock")
    wait(lambda: state(UNITS[2])["ActiveState"] == "inactive", "the connector ends")
    time.sleep(1.5)  # longer than RestartSec
    tell("drained", state=state(UNITS[2])["ActiveState"])
    ctl("start", UNITS[2])
    wait_served()


def left_over():
    roots = ["/etc", "/run", "/usr/bin", "/usr/lib/systemd", "/usr/share", "/var"]
    r = sh("find", *roots, "-xdev", "-name", "*frun*", "-not", "-path", "/var/lib/apt/*", check=False)
    return [x for x in r.stdout.splitlines() if not x.endswith("/cfrun")]


def removal(debs):
    names = ["frunproxy-gateway", "frunproxy-connector", "frunproxy-common"]
    sh("dpkg", "-r", *names)
    gone = {u: state(u)["ActiveState"] for u in UNITS}
    kept = os.path.exists(ETC + "/frunproxy.ini") and os.path.exists("/var/lib/frunproxy/audit.log")
    user = sh("id", "frunproxyd", check=False).returncode == 0
    sh("dpkg", "--force-unsafe-io", "-i", *debs)
    ctl("start", *SERVICES)
    wait_served()
    ctl("stop", "sim.service")
    sh("dpkg", "-P", *names)
    tell("removed", gone=gone, kept=kept, user=user, left=left_over(),
         users=[x for x in ("frunproxyd", "frunconnector") if sh("id", x, check=False).returncode == 0],
         units=ctl("list-units", "--all", "--legend=no", "frun*").stdout,
         processes=sh("pgrep", "-a", "^frun", check=False).stdout)


def main():
    older = sorted(x for x in sys.argv[1:] if "_0.0.1_" in x)
    debs = sorted(x for x in sys.argv[1:] if x not in older)
    tell("booted", systemd=sh("systemctl", "--version").stdout.splitlines()[0], pid1=read("/proc/1/comm").strip())
    serve_names()
    install(older)
    set_up()
    starts()
    reloads()
    under_load("restarted gateway", lambda: ctl("restart", UNITS[0], check=False))
    under_load("restarted connector", lambda: ctl("restart", UNITS[2], check=False))
    without_socket()
    files = [read(f"{ETC}/{x}") for x in ("frunproxy.ini", "frunconnector.ini", "endpoints.d/acme.ini")]
    under_load("upgraded", lambda: sh("dpkg", "--force-unsafe-io", "-i", *debs, check=False))
    tell("after the upgrade",
         kept=files == [read(f"{ETC}/{x}") for x in ("frunproxy.ini", "frunconnector.ini", "endpoints.d/acme.ini")],
         programs=[os.readlink(f"/proc/{state(u)['MainPID']}/exe") for u in SERVICES])
    under_load("downgraded", lambda: sh("dpkg", "--force-unsafe-io", "-i", *older, check=False))
    killed()
    does_not_start()
    upgrade_refused(debs)
    extras()
    drained()
    removal(debs)
    tell("end")


if __name__ == "__main__":
    main()
