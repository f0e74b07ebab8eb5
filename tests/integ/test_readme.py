# SPDX-License-Identifier: Apache-2.0
"""README's first configuration, step by step: its commands and files pass the programs' checks."""

import os
import re
import subprocess

import pytest

from chain import bin_dir, program, run

README = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "README.md")


def blocks():
    """Indented blocks of the chapter on the first configuration."""
    with open(README, encoding="utf-8") as f:
        chapter = f.read().split("## A first real configuration")[1].split("\n## ")[0]
    return [re.sub("^    ", "", b, flags=re.M).strip("\n") + "\n"
            for b in re.findall(r"(?:(?:^    .*)?\n)+", chapter, flags=re.M) if b.strip()]


def block(head):
    found = [b for b in blocks() if b.startswith(head)]
    assert len(found) == 1, (head, found)
    return found[0]


def shell(commands, folder):
    """Run README's commands with folder in place of /etc."""
    text = commands.replace("/etc/", f"{folder}/")
    r = subprocess.run(["sh", "-e", "-c", text], capture_output=True, text=True, check=False,
                       cwd=folder, timeout=60,
                       env=dict(os.environ, PATH=bin_dir() + ":" + os.environ["PATH"]))
    assert r.returncode == 0, (text, r)
    return r.stdout


@pytest.fixture
def site(tmp_path):
    shell(block("mkdir -p"), tmp_path)
    site = tmp_path / "frunproxy"
    (site / "secrets" / "acme_prod").write_text("secret\n")
    (site / "tls" / "public.pem").write_bytes((site / "tls" / "gateway.pem").read_bytes())
    (site / "secrets" / "public.key").write_bytes((site / "secrets" / "gateway.key").read_bytes())
    (site / "secrets" / "dc1-a.key").write_bytes((site / "tls" / "dc1-a.key").read_bytes())
    for name in ("public.key", "dc1-a.key"):
        (site / "secrets" / name).chmod(0o600)
    (site / "tls" / "frun-ca.pem").write_bytes((site / "tls" / "ca.pem").read_bytes())
    hashed = run([program("frunctl"), "passwd"], "a password\n").stdout.strip()
    (site / "frunproxy.ini").write_text(block("[gateway]"))
    acme = block("[endpoint ACME_PROD]")
    assert "$y$j9T$..." in acme
    (site / "endpoints.d" / "acme.ini").write_text(acme.replace("$y$j9T$...", hashed))
    (site / "frunconnector.ini").write_text(block("[connector]"))
    return site


@pytest.mark.parametrize("name, file", [("frunproxyd", "frunproxy.ini"),
                                        ("frunconnector", "frunconnector.ini")])
def test_the_files_are_good(site, name, file):
    argv = [program(name), "--config", str(site / file), "--check"]
    r = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30,
                       env=dict(os.environ, CREDENTIALS_DIRECTORY=str(site / "secrets")))
    assert r.returncode == 0 and not r.stderr, r
    # Without systemd's folder the message says what is missing.
    env = {k: v for k, v in os.environ.items() if k != "CREDENTIALS_DIRECTORY"}
    r = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30, env=env)
    assert r.returncode == 78, r
    assert "private_key: " in r.stderr and "LoadCredential=" in r.stderr, r


def test_the_service_may_read_certificates_and_nothing_else(site):
    assert (site / "tls").stat().st_mode & 0o777 == 0o755
    assert (site / "tls" / "ca.pem").stat().st_mode & 0o777 == 0o644
    assert (site / "secrets").stat().st_mode & 0o077 == 0
    assert (site / "secrets" / "gateway.key").stat().st_mode & 0o077 == 0


def test_the_drop_in_names_every_secret(site):
    lines = block("CREDENTIALS_DIRECTORY=").splitlines()
    first = [i for i, x in enumerate(lines) if x.startswith("mkdir ")][0]
    last = [i for i, x in enumerate(lines) if x.startswith("}")][0]
    shell("\n".join(lines[first:last + 1]), site.parent)
    drop_in = site.parent / "systemd/system/frunproxyd.service.d/secrets.conf"
    said = drop_in.read_text().splitlines()
    assert said[0] == "[Service]"
    assert sorted(said[1:]) == sorted(
        f"LoadCredential={name}:{site}/secrets/{name}" for name in os.listdir(site / "secrets"))
