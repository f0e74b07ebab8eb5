# SPDX-License-Identifier: Apache-2.0
"""The units: systemd finds nothing wrong with them, and they are shut tightly."""

import os
import re
import shutil

import pytest

from chain import run

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "systemd")
SERVICES = ["frunproxyd.service", "frunconnector.service"]

pytestmark = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze")


def unit(name):
    with open(os.path.join(FOLDER, name), encoding="utf-8") as f:
        return f.read()


@pytest.fixture
def installed(tmp_path):
    """verify wants the programs to be there."""
    binary = tmp_path / "program"
    binary.write_text("#!/bin/sh\n")
    binary.chmod(0o755)
    for name in SERVICES + ["frunproxyd.socket"]:
        (tmp_path / name).write_text(re.sub(r"/usr/(local/)?s?bin/\S+", str(binary), unit(name)))
    return tmp_path


@pytest.mark.parametrize("name", SERVICES + ["frunproxyd.socket"])
def test_verify(installed, name):
    r = run(["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", installed / name])
    mine = [x for x in r.stderr.splitlines() if "frun" in x]
    assert r.returncode == 0 and not mine, r.stderr


@pytest.mark.parametrize("name", SERVICES)
def test_security_is_at_most_1_5(installed, name):
    r = run(["systemd-analyze", "security", "--offline=true", "--threshold=15", "--no-pager",
             installed / name])
    level = re.search(r"exposure level for \S+: ([0-9.]+)", r.stdout)
    assert level and float(level[1]) <= 1.5, r.stdout + r.stderr


@pytest.mark.parametrize("name", SERVICES)
def test_what_the_units_promise(name):
    text = unit(name)
    assert "ExecStartPre=" not in text, "its lines are not those that systemctl status shows"
    for line in ("Type=notify", "WatchdogSec=", "DynamicUser=yes", "LoadCredential=",
                 "KillSignal=SIGTERM", "Restart="):
        assert re.search("^#?" + line, text, re.M), line
