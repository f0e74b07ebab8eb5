# SPDX-License-Identifier: Apache-2.0
"""Runs inside a throw-away root (an overlay over this machine's, in name spaces of its own), as root:
installs the packages, starts what their units start, asks them, upgrades, removes, purges. One line of
JSON for each finding; see test_packages.py."""

import fcntl
import json
import os
import re
import shlex
import socket
import struct
import subprocess
import sys
import time

ETC = "/etc/frunproxy"


def tell(what, **facts):
    print(json.dumps({"what": what, **facts}), flush=True)


def sh(*argv, check=True, **kw):
    r = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False, **kw)
    if check and r.returncode:
        raise SystemExit(f"{argv}: {r.returncode}\n{r.stdout}\n{r.stderr}")
    return r


def loopback_up():
    with socket.socket() as s:
        fcntl.ioctl(s, 0x8914, struct.pack("16sH14s", b"lo", 0x49, b"\0" * 14))  # SIOCSIFFLAGS


def write(path, text, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(path, mode)


def configure():
    tls = ETC + "/tls"
    sh("frunctl", "pki", "init", tls)
    sh("frunctl", "pki", "gateway", tls, "--name", "push.example.com", "--ip", "127.0.0.1")
    sh("frunctl", "pki", "connector", tls, "--name", "dc1-a")
    for key in ("gateway.key", "dc1-a.key"):
        os.rename(f"{tls}/{key}", f"{ETC}/secrets/{key}")
    write(ETC + "/frunproxy.ini", """[gateway]
public_url  = https://push.example.com
listen      = 127.0.0.1:443
certificate = tls/gateway.pem
private_key = credential:gateway.key
include     = endpoints.d/*.ini
[tunnel]
listen      = 127.0.0.1:8444
certificate = tls/gateway.pem
private_key = credential:gateway.key
client_ca   = tls/ca.pem
[connector DC1-A]
certificate_subject = CN=dc1-a
location_id = DC1
""")
    hashed = sh("frunctl", "passwd", input="Push-Pass-4711\n").stdout.strip()
    write(ETC + "/secrets/acme_prod", "Frun-Pass-0815\n", 0o600)
    write(ETC + "/endpoints.d/acme.ini", f"""[system FR1]
system_id    = FR1
client       = 100
virtual_host = fr1_frun:443
location_id  = DC1
[endpoint ACME_PROD]
system                  = FR1
customer_network        = ACME PROD
admin_request_parameter = acme-prod-proxy
admin_request_carrier   = header X-Admin-Request-Parameter
user                    = FRUN_PUSH
password                = credential:acme_prod
[pusher s4-acme]
endpoint      = ACME_PROD
user          = s4push
password_hash = {hashed}
""")
    write(ETC + "/frunconnector.ini", """[connector]
name        = dc1-a
certificate = tls/dc1-a.pem
private_key = credential:dc1-a.key
[subaccount provider]
gateway     = 127.0.0.1:8444
gateway_ca  = tls/ca.pem
location_id = DC1
[system fr1_frun:443]
backend_type   = ABAP System
protocol       = HTTP
internal_host  = 127.0.0.1
internal_port  = 8000
principal_type = None
host_in_request_header = virtual
[resource ping]
system = fr1_frun:443
path   = /sap/bc/ping
policy = path-only
active = yes
""")


def unit(name):
    with open(f"/usr/lib/systemd/system/{name}", encoding="utf-8") as f:
        return f.read()


def start(name, folder, sockets=()):
    """What systemd would do for the unit: user, folders, credentials, sockets."""
    user = name
    uid = int(sh("id", "-u", user).stdout)
    own = f"/tmp/credentials-{name}"
    os.makedirs(own)
    for file in os.listdir(ETC + "/secrets"):
        write(f"{own}/{file}", open(f"{ETC}/secrets/{file}", encoding="utf-8").read(), 0o400)
        os.chown(f"{own}/{file}", uid, uid)
    os.chown(own, uid, uid)
    for kind in ("run", "var/lib", "var/log"):
        os.makedirs(f"/{kind}/{folder}", exist_ok=True)
        os.chown(f"/{kind}/{folder}", uid, uid)
    text = unit(name + ".service")
    drop = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--no-new-privs"]
    env = {"PATH": os.environ["PATH"], "CREDENTIALS_DIRECTORY": own}
    argv = drop + shlex.split(re.search(r"^ExecStart=(.*)$", text, re.M)[1])
    sh(*argv, "--check", env=env)
    if sockets:
        hand = ("import os, sys\nn = int(sys.argv[1])\nos.dup2(n, 3)\n"
                "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1', "
                "LISTEN_FDNAMES='gateway')\nos.execvp(sys.argv[2], sys.argv[2:])\n")
        argv = [sys.executable, "-c", hand, str(sockets[0])] + argv
    log = open(f"/tmp/{name}.log", "ab")
    return subprocess.Popen(argv, env=env, pass_fds=sockets, stdout=log, stderr=log)


def ping():
    r = sh("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", ETC + "/tls/ca.pem",
           "--connect-to", "push.example.com:443:127.0.0.1:443", "https://push.example.com/sap/bc/ping",
           check=False)
    return r.stdout


def wait_ping(want="200"):
    end = time.monotonic() + 30
    while ping() != want:
        if time.monotonic() > end:
            raise SystemExit("no ping: " + ping() + "\n" + open("/tmp/frunproxyd.log").read() +
                             open("/tmp/frunconnector.log").read())
        time.sleep(0.1)


def main():
    debs = sys.argv[1:]
    names = ["frunproxy-gateway", "frunproxy-connector", "frunproxy-common"]
    loopback_up()
    users = open("/etc/passwd", encoding="utf-8").read()
    r = sh("dpkg", "--force-unsafe-io", "-i", *debs)
    tell("installed", said=r.stdout)
    tell("users", rows=[x for x in open("/etc/passwd", encoding="utf-8") if x.startswith("frun")])
    tell("modes", secrets=oct(os.stat(ETC + "/secrets").st_mode), etc=sorted(os.listdir(ETC)))
    enabled = sh("find", "/etc/systemd/system", "-name", "frun*").stdout.split()
    tell("enabled", links=sorted(enabled))
    configure()
    with socket.create_server(("127.0.0.1", 443), backlog=64) as door:
        gateway = start("frunproxyd", "frunproxy", (door.fileno(),))
        connector = start("frunconnector", "frunconnector")
        wait_ping()
        tell("status", gateway=sh("frunctl", "status").stdout,
             connector=sh("frunctl", "status", "--socket", "/run/frunconnector/control.sock").stdout)
        sh("dpkg", "--force-unsafe-io", "-i", *debs)
        tell("upgraded", runs=gateway.poll() is None and connector.poll() is None, ping=ping(),
             config=os.path.exists(ETC + "/frunproxy.ini"))
        for p in (gateway, connector):
            p.terminate()
        tell("stopped", codes=[p.wait(40) for p in (gateway, connector)])
    sh("dpkg", "-r", *names)
    tell("removed", config=os.path.exists(ETC + "/frunproxy.ini"),
         program=os.path.exists("/usr/bin/frunproxyd"))
    r = sh("dpkg", "-P", *names)
    for name in os.listdir("/tmp"):  # ours, not the packages'
        sh("rm", "-rf", "/tmp/" + name)
    tell("purged", said=r.stdout, users=users == open("/etc/passwd", encoding="utf-8").read(),
         known=sh("dpkg-query", "-W", "-f", "${Package} ${Status}\\n", "frunproxy*",
                  check=False).stdout)


if __name__ == "__main__":
    main()
