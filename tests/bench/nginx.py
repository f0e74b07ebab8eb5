# SPDX-License-Identifier: Apache-2.0
"""nginx in two parts: the origin that everybody pushes to, and the peer to compare with."""

import os

COMMON = """
daemon off;
master_process off;
pid {dir}/{name}.pid;
error_log {dir}/{name}.log warn;
worker_rlimit_nofile 65536;
"""

EVENTS = "events {{ worker_connections 8192; }}\n"

# Answers only when it has the whole body, as an application does, and only if credentials and fence
# are right: a wrong request would show as a failed one.
ORIGIN = """
load_module {modules}/ndk_http_module.so;
load_module {modules}/ngx_http_lua_module.so;
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 300s;
    client_max_body_size 64m;
    client_body_buffer_size 1m;
    {temp}
    ssl_certificate {tls}/frun.pem;
    ssl_certificate_key {tls}/frun.key;
    server {{
        {listen}
        location / {{
            content_by_lua_block {{
                ngx.req.read_body()
                local ok = ngx.var.http_authorization == "{basic}"
                    and ngx.var.http_x_admin_request_parameter == "acme-prod-proxy"
                ngx.status = ok and 200 or 403
                ngx.header["Content-Length"] = 2
                ngx.print("ok")
            }}
        }}
    }}
}}
"""

PEER = """
http {{
    log_format full '$remote_addr [$time_iso8601] "$request" $status $body_bytes_sent '
                    '$request_length $request_time $upstream_response_time "$http_user_agent"';
    access_log {access_log};
    keepalive_requests 1000000000;
    keepalive_timeout 300s;
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
        listen 127.0.0.1:{port} ssl backlog=4096;
        location /ACME_PROD/ {{
            if ($is_known = 0) {{ return 401; }}
            proxy_pass https://origin/;
            proxy_http_version 1.1;
            proxy_request_buffering off;
            proxy_ssl_verify on;
            proxy_ssl_name frun.corp;
            proxy_ssl_trusted_certificate {tls}/frun-ca.pem;
            proxy_set_header Connection "";
            proxy_set_header Host fr1_frun:443;
            proxy_set_header Authorization "{basic}";
            proxy_set_header X-Admin-Request-Parameter acme-prod-proxy;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto https;
            proxy_set_header X-Request-Id $request_id;
        }}
    }}
}}
"""


def write(folder, name, text, **values):
    """Write one configuration. Returns the command that runs it in the foreground."""
    path = os.path.join(folder, name + ".conf")
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temp = " ".join(f"{k}_temp_path {folder}/{name}-temp;" for k in kinds)
    with open(path, "w", encoding="utf-8") as f:
        f.write((COMMON + text + EVENTS).format(dir=folder, name=name, temp=temp, **values))
    return ["nginx", "-p", folder, "-e", os.path.join(folder, name + ".log"), "-c", path]
