# SPDX-License-Identifier: Apache-2.0
"""What the tests of the token service share: sections, a token request, tokens taken apart."""

import base64
import json
import urllib.parse

from chain import PASSWORD, USER, password_hash

SECRET, OLD_SECRET = "client-secret-of-acme-0123456789", "client-secret-before-9876543210"
CLIENT = "sb-s4-acme"
FORM = ("Content-Type", "application/x-www-form-urlencoded")


def sections(**over):
    """One pusher with both ways, one with a token only."""
    return {
        "oauth": {"key_directory": "keys", **over},
        "pusher s4-acme": {"endpoint": "ACME_PROD", "auth": "basic, oauth2", "user": USER,
                           "password_hash": password_hash(PASSWORD),
                           "client_secret_hash": password_hash(SECRET)},
        "pusher globex": {"endpoint": "GLOBEX", "auth": "oauth2", "user": None,
                          "password_hash": None, "client_id": "globex!b7|client",
                          "client_secret_hash": password_hash(SECRET)},
    }


def form(**fields):
    return urllib.parse.urlencode(fields).encode()


def ask(chain, body=None, fields=(FORM,), auth=None, method="POST", target="/oauth/token", **kw):
    if body is None and method == "POST":
        body = form(grant_type="client_credentials", client_id=CLIENT, client_secret=SECRET)
    return chain.request(method, target, fields, body, auth=auth, **kw)


def token(chain, client=CLIENT, secret=SECRET, **kw):
    a = ask(chain, form(grant_type="client_credentials", client_id=client, client_secret=secret),
            **kw)
    assert a.status == 200, a
    return json.loads(a.body)["access_token"]


def bearer(text):
    return ("Authorization", "Bearer " + text)


def push(chain, text, target="/ACME_PROD/sap/frun/ngdci", **kw):
    fields = (("Content-Type", "application/json"), bearer(text))
    return chain.push(target=target, fields=fields, auth=None, **kw)


def part(text, i):
    piece = text.split(".")[i]
    return base64.urlsafe_b64decode(piece + "=" * (-len(piece) % 4))


def claims(text):
    return json.loads(part(text, 1))


def header(text):
    return json.loads(part(text, 0))


def encode(octets):
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")
