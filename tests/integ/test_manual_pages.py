# SPDX-License-Identifier: Apache-2.0
"""Manual pages without a finding of mandoc; every key and command in them; completions that complete."""

import os
import re
import shutil
import subprocess

import pytest

from chain import bin_dir, program, run

HERE = os.path.dirname(os.path.abspath(__file__))
COMPLETIONS = os.path.join(HERE, "..", "..", "conf", "completions")
PAGES = ["frunproxyd.8", "frunconnector.8", "frunctl.1", "frunproxy.ini.5", "frunconnector.ini.5"]


def page(name):
    return os.path.join(bin_dir(), "..", "man", name)


def text(name):
    with open(page(name), encoding="utf-8") as f:
        return f.read()


def commands():
    rows = [x.split("\t") for x in run([program("frunctl"), "config", "commands"]).stdout.splitlines()]
    assert len(rows) > 20 and all(len(x) == 4 for x in rows)
    return [(("" if g == "-" else g + " ") + n, args) for g, n, args, _ in rows]


@pytest.mark.skipif(not shutil.which("mandoc"), reason="no mandoc")
@pytest.mark.parametrize("name", PAGES)
def test_mandoc_finds_nothing(name):
    r = run(["mandoc", "-T", "lint", "-W", "warning", page(name)])
    assert r.returncode == 0 and not r.stdout, r.stdout
    shown = run(["mandoc", "-T", "ascii", page(name)]).stdout
    assert len(shown.splitlines()) > 30 and "@" not in re.sub(r"\S+@\S+\.\S+", "", shown)


def test_every_command_has_its_place():
    found = re.findall(r'^\.It Cm "([a-z0-9 -]+)"', text("frunctl.1"), re.M)
    assert {x for x in found} == {name for name, _ in commands()}
    helped = run([program("frunctl"), "--help"]).stdout
    for name, _ in commands():
        assert f"\n  {name}" in helped


@pytest.mark.parametrize("side,name", [("gateway", "frunproxy.ini.5"), ("connector", "frunconnector.ini.5")])
def test_every_key_has_its_place(side, name):
    want = [tuple(x.split("\t")[1:3]) for x in run([program("frunctl"), "config", "keys"]).stdout.splitlines()
            if x.startswith(side + "\t")]
    found, section = [], ""
    for line in text(name).splitlines():
        m = re.match(r"\.Ss \[([\w-]+)", line)
        section = m[1] if m else section
        m = re.match(r"\.It Ic (\w+) No = Ar ", line)
        if m:
            found.append((section, m[1]))
    assert found == want


def complete(*words, cwd=None):
    """What bash would offer for these words, the last one under way."""
    script = ('source "$1"; shift; COMP_WORDS=(frunctl "$@"); COMP_CWORD=$#; _frunctl; '
              'printf "%s\\n" "${COMPREPLY[@]}"')
    r = subprocess.run(["bash", "-c", script, "bash", os.path.join(COMPLETIONS, "frunctl.bash"), *words],
                       capture_output=True, text=True, timeout=60, check=False, cwd=cwd,
                       env=dict(os.environ, PATH=os.path.abspath(bin_dir()) + ":" + os.environ["PATH"]))
    assert r.returncode == 0 and not r.stderr, r
    return r.stdout.split()


def test_bash_completes_every_command():
    # The list of commands from memory: the program itself is asked once, not a hundred times.
    all_commands = commands()
    listed = run([program("frunctl"), "config", "commands"]).stdout

    def complete(*words):
        script = ('frunctl() { [ "$*" = "config commands" ] && printf "%s" "$LISTED"; }; source "$1"; shift; '
                  'COMP_WORDS=(frunctl "$@"); COMP_CWORD=$#; _frunctl; printf "%s\\n" "${COMPREPLY[@]}"')
        r = subprocess.run(["bash", "-c", script, "bash", os.path.join(COMPLETIONS, "frunctl.bash"), *words],
                           capture_output=True, text=True, timeout=60, check=False,
                           env=dict(os.environ, LISTED=listed))
        assert r.returncode == 0 and not r.stderr, r
        return r.stdout.split()
    assert set(complete("")) >= {name.split()[0] for name, _ in all_commands} | {"--help", "--version"}
    for name, args in all_commands:
        first, _, second = name.partition(" ")
        if second:
            assert second in complete(first, "")
            assert complete(first, second[:-1]) and second in complete(first, second[:-1])
        else:
            assert first in complete(first[:-1])
        for option in re.findall(r"--[a-z0-9-]+", args):
            assert option in complete(*name.split(), option[:-1]), (name, option)


def test_bash_completes_choices_and_files(tmp_path):
    assert set(complete("log", "level", "")) >= {"debug", "error", "info", "warning"}
    assert set(complete("config", "sample", "")) == {"connector", "gateway"}
    (tmp_path / "some.ini").write_text("")
    assert complete("config", "check", "so", cwd=tmp_path) == ["some.ini"]
    assert complete("status", "--config", "so", cwd=tmp_path) == ["some.ini"]
    assert complete("nonsense", "") == []


def test_bash_completes_names(chain):
    config = ["--config", chain.path("frunproxy.ini")]
    assert set(complete("endpoint", "show", *config, "")) == {"ACME_PROD", "GLOBEX"}
    assert complete("endpoint", "show", *config, "GL") == ["GLOBEX"]
    assert set(complete("pusher", "rotate", *config, "")) == {"s4-acme", "globex"}
    assert complete("pusher", "rotate", *config, "s4-acme", "--endpoint", "A") == ["ACME_PROD"]
    assert "DC1-A" in complete("connector", "drain", *config, "")


@pytest.mark.skipif(not shutil.which("zsh"), reason="no zsh")
def test_zsh_takes_its_file():
    r = run(["zsh", "-n", os.path.join(COMPLETIONS, "_frunctl")])
    assert r.returncode == 0 and not r.stderr, r
    script = ('compdef() { :; }; _describe() { print -l -- ${(P)2}; }; compadd() { print -l -- "$@"; }; '
              'words=(frunctl endpoint ""); CURRENT=3; PREFIX=""; source "$1"')
    r = subprocess.run(["zsh", "-f", "-c", script, "zsh", os.path.join(COMPLETIONS, "_frunctl")],
                       capture_output=True, text=True, timeout=60, check=False,
                       env=dict(os.environ, PATH=os.path.abspath(bin_dir()) + ":" + os.environ["PATH"]))
    assert "root-url:" in r.stdout, r


def ctl(*args):
    return run([program("frunctl"), *args])


def test_config_prints(chain):
    shown = ctl("config", "show", chain.path("frunproxy.ini"))
    assert shown.returncode == 0 and "public_url" in shown.stdout and "(secret)" in shown.stdout, shown
    assert "Frun-Pass" not in shown.stdout and "$6$" not in shown.stdout
    assert "[gateway]" in ctl("config", "sample", "gateway").stdout
    assert "[subaccount " in ctl("config", "sample", "connector").stdout
    assert ctl("config", "manual").stdout.startswith("# Configuration")
    assert "gateway\tgateway\tlisten" in ctl("config", "keys").stdout
    assert ".Dt FRUNPROXY.INI 5\n" in ctl("config", "man", "gateway").stdout
    for wrong in (("man",), ("man", "nobody"), ("man", "gateway", "x"), ("commands", "x"), ("keys", "x"),
                  ("manual", "x"), ("sample",), ("sample", "x")):
        r = ctl("config", *wrong)
        assert r.returncode == 64 and not r.stdout and "frunctl: " in r.stderr, (wrong, r)


def test_pki_server(tmp_path):
    assert run([program("frunctl"), "pki", "init", str(tmp_path)]).returncode == 0
    r = run([program("frunctl"), "pki", "server", str(tmp_path), "--name", "frun.corp", "--ip", "192.0.2.7"])
    assert r.returncode == 0 and (tmp_path / "frun.corp.key").stat().st_mode & 0o77 == 0, r
    r = run(["openssl", "verify", "-CAfile", tmp_path / "ca.pem", "-verify_hostname", "frun.corp",
             tmp_path / "frun.corp.pem"])
    assert r.returncode == 0, r.stderr


def test_every_command_is_tried_somewhere():
    """By these tests, with the words that somebody would type."""
    text = "".join(open(os.path.join(HERE, x), encoding="utf-8").read() for x in sorted(os.listdir(HERE))
                   if x.endswith(".py"))
    for name, _ in commands():
        typed = '", "'.join(name.split())
        assert f'"{typed}"' in text or re.search(rf'[" ]{name}[" ]', text), f"frunctl {name} is in no test"
