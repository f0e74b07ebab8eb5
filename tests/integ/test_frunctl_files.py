# SPDX-License-Identifier: Apache-2.0
"""frunctl writes configuration files: endpoints, pushers, secrets; checked first, in one step."""

import json
import os
import stat
import subprocess

import pytest

from chain import FENCE, FRUN_PASSWORD, FRUN_USER, program, run


def ctl(*args, stdin=None):
    return run([program("frunctl"), *args], stdin)


def tree(folder):
    found = {}
    for where, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(where, name)
            if not os.path.islink(path) and not stat.S_ISSOCK(os.stat(path).st_mode):
                with open(path, "rb") as f:
                    found[path] = f.read()
    return found


@pytest.fixture
def site(make_chain):
    return make_chain(start=False)


def test_a_new_endpoint_and_its_pusher_work_after_a_reload(make_chain):
    chain = make_chain()
    config = chain.path("frunproxy.ini")
    r = ctl("endpoint", "add", "INITECH", "customer_network=GLOBEX TWO",
            "admin_request_parameter=globex-proxy2", f"admin_request_carrier=header {FENCE}",
            f"user={FRUN_USER}", "system=FR1", "--config", config, stdin=FRUN_PASSWORD + "\n")
    assert r.returncode == 0, r
    assert "frunctl reload" in r.stderr
    path = chain.path("endpoints.d", "INITECH.ini")
    assert os.stat(path).st_mode & 0o777 == os.stat(config).st_mode & 0o666
    secret = chain.path("secrets", "INITECH")
    assert os.stat(secret).st_mode & 0o777 == 0o600
    with open(secret, encoding="utf-8") as f:
        assert f.read() == FRUN_PASSWORD + "\n"
    r = ctl("pusher", "add", "initech", "endpoint=INITECH", "--generate", "--config", config,
            "--reload", "--json")
    assert r.returncode == 0, r
    made = json.loads(r.stdout)
    assert made["user"] == "initech" and len(made["password"]) == 24
    with open(path, encoding="utf-8") as f:
        text = f.read()
    assert "[pusher initech]" in text and made["password"] not in text and "$y$" in text
    a = chain.push(target="/GLOBEX_TWO/sap/frun/x", auth=("initech", made["password"]))
    assert a.status in (200, 403), a  # 403: Focused Run does not know this fence
    r = ctl("endpoint", "root-url", "INITECH", "--config", config, "--json")
    assert json.loads(r.stdout)["root_url"].endswith("/GLOBEX_TWO"), r
    r = ctl("endpoint", "remove", "INITECH", "--config", config)
    assert r.returncode == 1 and "--pushers" in r.stderr and os.path.exists(path)
    r = ctl("endpoint", "remove", "INITECH", "--pushers", "--config", config, "--reload")
    assert r.returncode == 0 and not os.path.exists(path), r
    assert chain.push(target="/GLOBEX_TWO/sap/frun/x").status == 404


def test_nothing_is_written_if_the_whole_is_not_good(site):
    config = site.path("frunproxy.ini")
    before = tree(site.dir)
    for args, status, words in (
            (("X", "admin_request_parameter=acme-prod-proxy"), 1, "acme-prod-proxy"),
            (("X", "admin_request_parameter=x", "nonsense=1"), 78, "nonsense"),
            (("X", "admin_request_parameter=x", "system=FR9"), 78, "FR9"),
            (("X", "admin_request_parameter=x", "customer_network=ACME_PROD"), 78, "ACME"),
            (("ACME_PROD", "admin_request_parameter=x"), 1, "already"),
            (("X", "admin_request_parameter=x", "password=hidden"), 64, "never an argument"),
            (("X", "admin_request_parameter=x ; y"), 64, "comment"),
            (("X", "description=a\n[pusher evil]"), 64, "control"),
            (("X", "Bad Key=1"), 64, "key"), (("X", "word"), 64, "KEY=VALUE"),
            (("a/b", "admin_request_parameter=x"), 64, "NAME"), ((), 64, "NAME")):
        r = ctl("endpoint", "add", *args, "--config", config)
        assert r.returncode == status and words in r.stderr, (args, r)
        assert "hidden" not in r.stderr
        assert tree(site.dir) == before, args
    r = ctl("endpoint", "add", "X", "admin_request_parameter=x", "user=U", "--config", config,
            "--dry-run", "--json", stdin="Pass-1\n")
    assert r.returncode == 0 and tree(site.dir) == before, r
    told = json.loads(r.stdout)
    assert told["dry_run"] and len(told["files"]) == 2 and "Pass-1" not in r.stdout
    assert ctl("endpoint", "add", "X").returncode == 64
    assert ctl("endpoint", "add", "X", "--config", site.path("no.ini")).returncode == 78
    assert ctl("endpoint", "remove", "X", "--config", config).returncode == 1
    assert ctl("pusher", "remove", "X", "--config", config).returncode == 1
    assert ctl("pusher", "add", "x", "--config", config).returncode == 64
    assert ctl("pusher", "add", "x", "endpoint=NO", "--config", config).returncode == 1
    assert ctl("pusher", "add", "globex", "endpoint=GLOBEX", "--config", config).returncode == 1
    assert tree(site.dir) == before


def test_comments_and_order_stay(site):
    config = site.path("frunproxy.ini")
    path = site.path("endpoints.d", "acme.ini")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    text = "; the head\r\n" + text.replace(
        "[pusher globex]", "; about globex\n[pusher globex]").replace("\n", "\r\n")
    with open(path, "w", encoding="utf-8", newline="") as f:
        f.write(text)
    before = tree(site.dir)
    os.chmod(path, 0o640)
    assert ctl("pusher", "remove", "s4-acme", "--config", config).returncode == 0
    after = tree(site.dir)
    changed = [p for p in after if after[p] != before.get(p)]
    assert changed == [path] and os.stat(path).st_mode & 0o777 == 0o640
    lines = text.split("\r\n")
    at = lines.index("[pusher s4-acme]")
    end = lines.index("; about globex")
    kept = lines[:at] + lines[end:]
    assert after[path].decode().split("\r\n") == kept


def test_a_pusher_of_several_endpoints_keeps_the_others(site):
    config = site.path("frunproxy.ini")
    r = ctl("pusher", "add", "both", "endpoint=ACME_PROD, GLOBEX", "user=both", "--generate",
            "--config", config)
    assert r.returncode == 0 and "password: " in r.stdout, r
    assert ctl("endpoint", "remove", "GLOBEX", "--pushers", "--config", config).returncode == 0
    r = ctl("pusher", "list", "--config", config, "--json")
    pushers = {p["name"]: p for p in json.loads(r.stdout)["pushers"]}
    assert pushers["both"]["endpoints"] == ["ACME_PROD"] and "globex" not in pushers
    assert "hash" not in r.stdout and "$y$" not in r.stdout


def test_a_link_stays_a_link(site):
    config = site.path("frunproxy.ini")
    path = site.path("endpoints.d", "acme.ini")
    os.rename(path, site.path("acme.real"))
    os.symlink("../acme.real", path)
    assert ctl("pusher", "remove", "s4-acme", "--config", config).returncode == 0
    assert os.path.islink(path)
    with open(site.path("acme.real"), encoding="utf-8") as f:
        assert "s4-acme" not in f.read()


def test_a_secret_into_its_file(site):
    folder = site.path("secrets")
    for n, word in ((0, "made"), (1, "replaced")):
        r = ctl("secret", "set", "new", "--secrets", folder, stdin=f"Geheim-{n}\n")
        assert r.returncode == 0 and r.stdout == f"file:{os.path.realpath(folder)}/new\n", r
        assert word in r.stderr and "Geheim" not in r.stdout + r.stderr
        path = os.path.join(folder, "new")
        assert os.stat(path).st_mode & 0o777 == 0o600
        with open(path, encoding="utf-8") as f:
            assert f.read() == f"Geheim-{n}\n"
    r = ctl("secret", "set", "made", "--config", site.path("frunproxy.ini"), "--generate", "--json")
    told = json.loads(r.stdout)
    assert told["new"] and told["reference"] == "file:" + told["file"], r
    with open(told["file"], encoding="utf-8") as f:
        assert len(f.read()) == 25
    before = tree(site.dir)
    for args, status in ((("x",), 64), (("../x", "--secrets", folder), 64), ((), 64),
                         (("x", "--secrets", site.path("nowhere")), 1),
                         (("x", "--secrets", folder, "--nonsense"), 64)):
        assert ctl("secret", "set", *args, stdin="s\n").returncode == status, args
    assert ctl("secret", "set", "x", "--secrets", folder, stdin="").returncode == 1
    r = ctl("secret", "set", "x", "--secrets", folder, "--dry-run", stdin="s\n")
    assert r.returncode == 0 and tree(site.dir) == before


def test_credentials_of_systemd_are_looked_for_in_the_folder_of_secrets(site):
    config = site.path("frunproxy.ini")
    env = {k: v for k, v in os.environ.items() if k != "CREDENTIALS_DIRECTORY"}
    for name in ("ONE", "TWO"):
        r = subprocess.run([program("frunctl"), "endpoint", "add", name,
                            f"admin_request_parameter={name}", "user=U", "--credential",
                            "--config", config], input="p\n", text=True, capture_output=True,
                           env=env, check=False)
        assert r.returncode == 0, r
    with open(site.path("endpoints.d", "TWO.ini"), encoding="utf-8") as f:
        assert "password = credential:TWO" in f.read()


def test_two_at_once_do_not_lose_each_other(site):
    config = site.path("frunproxy.ini")
    runs = [subprocess.Popen([program("frunctl"), "pusher", "add", f"p{i}", "endpoint=ACME_PROD",
                              "auth=oauth2", "--config", config], stderr=subprocess.PIPE,
                             stdout=subprocess.DEVNULL, text=True) for i in range(6)]
    with open(config, "a", encoding="utf-8") as f:
        f.write("[oauth]\nkey_directory = keys\n")
    good = [i for i, r in enumerate(runs) if (r.communicate(), r.returncode)[1] == 0]
    with open(site.path("endpoints.d", "acme.ini"), encoding="utf-8") as f:
        text = f.read()
    for i in range(6):
        assert (f"[pusher p{i}]" in text) == (i in good), (good, text)
