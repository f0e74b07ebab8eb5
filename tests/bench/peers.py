# SPDX-License-Identifier: Apache-2.0
"""The origin that everybody pushes to, and the peers that do our work: nginx, haproxy, ssh, stunnel.

Each function writes one configuration and returns the command that runs it in the foreground.
"""

import os
import shutil
import stat
import subprocess

MODULES = "/usr/lib/nginx/modules"
FENCE = "acme-prod-proxy"
HOST = "fr1_frun"

NGINX = """
daemon off;
master_process off;
pid {dir}/{name}.pid;
error_log {dir}/{name}.log warn;
worker_rlimit_nofile {files};
"""

EVENTS = "events {{ worker_connections 8192; }}\n"

# Answers only when it has the whole body, as an application does, and only if Host, credentials, fence
# and length are right: a wrong request would show as a failed one. Customer network number n has
# the fence net-n-proxy.
ORIGIN = """
load_module {modules}/ndk_http_module.so;
load_module {modules}/ngx_http_lua_module.so;
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
    client_body_timeout 600s;
    client_max_body_size 64m;
    client_body_buffer_size 1m;
    {temp}
    ssl_certificate {tls}/frun.pem;
    ssl_certificate_key {tls}/frun.key;
    server {{
        listen 127.0.0.1:{port} {ssl} backlog=4096;
        location / {{
            content_by_lua_block {{
                ngx.req.read_body()
                local v = ngx.var
                local fence = v.arg_n and "net-" .. v.arg_n .. "-proxy" or "{fence}"
                local octets = v.content_length or #(ngx.req.get_body_data() or "")
                local ok = v.http_authorization == "{basic}" and v.http_host == "{host}"
                    and v.http_x_admin_request_parameter == fence
                    and tonumber(octets) == tonumber(v.http_x_bench_octets) and {also}
                ngx.status = ok and 200 or 403
                ngx.header["Content-Length"] = 2
                ngx.print("ok")
            }}
        }}
    }}
}}
"""

# What SAP's connectivity proxy is asked: absolute target and token. It stands for everything behind it.
AS_SAP_PROXY = """v.http_proxy_authorization
                    and v.request:find(" http://frun-virtual:443/sap/frun/", 1, true)"""

# Credentials are compared as text: auth_basic would read a file and hash for each request.
PEER = """
http {{
    log_format full '$remote_addr [$time_iso8601] "$request" $status $body_bytes_sent '
                    '$request_length $request_time $upstream_response_time "$http_user_agent"';
    access_log {access_log};
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
    client_max_body_size 64m;
    client_body_buffer_size 64k;
    {temp}
    ssl_certificate {tls}/gateway.pem;
    ssl_certificate_key {tls}/gateway.key;
    ssl_protocols TLSv1.2 TLSv1.3;
    upstream origin {{
        server 127.0.0.1:{origin};
        keepalive 64;
        keepalive_requests 1000000000;
    }}
    map $http_authorization $is_known {{
        default 0;
        "{pusher}" 1;
    }}
    server {{
        listen 127.0.0.1:{port} ssl http2 backlog=4096;
        location /ACME_PROD/ {{
            if ($is_known = 0) {{ return 401; }}
            proxy_pass https://origin/;
            proxy_http_version 1.1;
            proxy_request_buffering off;
            proxy_ssl_verify on;
            proxy_ssl_name frun.corp;
            proxy_ssl_trusted_certificate {tls}/frun-ca.pem;
            proxy_set_header Connection "";
            proxy_set_header Host {host};
            proxy_set_header Authorization "{basic}";
            proxy_set_header X-Admin-Request-Parameter {fence};
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto https;
            proxy_set_header X-Request-Id $request_id;
        }}
    }}
}}
"""

HAPROXY = """
global
    nbthread 1
    maxconn 4000
    ssl-default-bind-options ssl-min-ver TLSv1.2
defaults
    mode http
    timeout connect 5s
    timeout client 600s
    timeout server 600s
    timeout http-keep-alive 600s
    option http-keep-alive
    http-reuse always
frontend door
    bind 127.0.0.1:{port} ssl crt {pem} alpn h2,http/1.1 backlog 4096
    http-request deny deny_status 401 unless {{ req.hdr(authorization) -m str "{pusher}" }}
    http-request deny deny_status 404 unless {{ path_beg /ACME_PROD/ }}
    http-request replace-path /ACME_PROD(/.*) \\1
    http-request set-header Host {host}
    http-request set-header Authorization "{basic}"
    http-request set-header X-Admin-Request-Parameter {fence}
    http-request set-header X-Forwarded-For %[src]
    http-request set-header X-Forwarded-Proto https
    http-request set-header X-Request-Id %[uuid]
    default_backend origin
backend origin
    server frun 127.0.0.1:{origin} ssl verify required ca-file {tls}/frun-ca.pem verifyhost frun.corp sni str(frun.corp)
"""

SSHD = """
ListenAddress 127.0.0.1:{port}
HostKey {dir}/{name}.host
AuthorizedKeysFile {dir}/{name}.key.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
AllowTcpForwarding remote
UseDNS no
LogLevel ERROR
"""

STUNNEL = """
foreground = yes
pid =
debug = 3
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1
[ssh]
client = {client}
accept = 127.0.0.1:{port}
connect = 127.0.0.1:{to}
{trust}
"""


def _write(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


def nginx(folder, name, text, files, **values):
    """text is ORIGIN or PEER."""
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temp = " ".join(f"{k}_temp_path {folder}/{name}-temp;" for k in kinds)
    text = (NGINX + text + EVENTS).format(dir=folder, name=name, temp=temp, files=files,
                                          modules=MODULES, fence=FENCE, **{"host": HOST, **values})
    path = _write(os.path.join(folder, name + ".conf"), text)
    return ["nginx", "-p", folder, "-e", os.path.join(folder, name + ".log"), "-c", path]


def haproxy(folder, tls, **values):
    pem = os.path.join(folder, "haproxy.pem")
    with open(pem, "w", encoding="ascii") as to:
        for name in ("gateway.pem", "gateway.key"):
            with open(os.path.join(tls, name), encoding="ascii") as f:
                to.write(f.read())
    text = HAPROXY.format(pem=pem, tls=tls, fence=FENCE, host=HOST, **values)
    return ["haproxy", "-db", "-f", _write(os.path.join(folder, "haproxy.cfg"), text)]


def sshd(folder, name, port):
    """A daemon of its own, with throw-away keys that open nothing else."""
    for key in (".host", ".key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f",
                        os.path.join(folder, name + key)], check=True, stdin=subprocess.DEVNULL)
    if os.geteuid() == 0:
        os.makedirs("/run/sshd", stat.S_IRWXU | 0o55, exist_ok=True)  # sshd wants it
    path = _write(os.path.join(folder, name + ".conf"), SSHD.format(dir=folder, name=name, port=port))
    return [shutil.which("sshd") or "/usr/sbin/sshd", "-D", "-e", "-f", path]


def ssh(folder, name, port, remote_port, origin):
    """Dials out like a connector; the cipher is the fastest it has here."""
    return ["ssh", "-N", "-F", "/dev/null", "-p", str(port), "-i", os.path.join(folder, name + ".key"),
            "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no",
            "-o", f"UserKnownHostsFile={folder}/{name}.known", "-o", "LogLevel=ERROR",
            "-o", "Ciphers=aes128-gcm@openssh.com", "-o", "ExitOnForwardFailure=yes",
            "-R", f"127.0.0.1:{remote_port}:127.0.0.1:{origin}", "127.0.0.1"]


def stunnel(folder, tls, port, to, is_client):
    trust = f"CAfile = {tls}/ca.pem\nverifyChain = yes\ncheckHost = push.example.com" if is_client \
        else f"cert = {tls}/gateway.pem\nkey = {tls}/gateway.key"
    name = "stunnel-client" if is_client else "stunnel-server"
    text = STUNNEL.format(client="yes" if is_client else "no", port=port, to=to, trust=trust)
    return ["stunnel4", _write(os.path.join(folder, name + ".conf"), text)]
