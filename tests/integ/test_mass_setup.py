# SPDX-License-Identifier: Apache-2.0
"""frunctl mass-setup: many customer networks from one list, repeated, refused, killed."""

import json
import os
import stat
import subprocess
import time

import pytest

from chain import FENCE, FRUN_PASSWORD, FRUN_USER, program, run
from test_frunctl_files import tree

HEAD = ("customer_network;admin_request_parameter;user;password;pusher;pusher_user;"
        "pusher_password\n")


@pytest.fixture
def site(make_chain):
    return make_chain(start=False)


def mass(site, text, *args, encoding="utf-8"):
    path = site.path("list.csv")
    with open(path, "wb") as f:
        f.write(text if isinstance(text, bytes) else text.encode(encoding))
    return run([program("frunctl"), "mass-setup", path, "--config", site.path("frunproxy.ini"),
                *args], deadline=120)


def results(r):
    return {x["endpoint"]: x for x in json.loads(r.stdout)["lines"]}


def test_lines_become_endpoints_that_take_pushes(make_chain):
    chain = make_chain(sim=("--fence", "NEW ONE=new-one-fence"))
    text = ("\ufeff" + HEAD + f'"NEW ONE";new-one-fence;{FRUN_USER};"{FRUN_PASSWORD}";s4-new;;\r\n'
            + "\r\n;;;;;;\r\n# a remark\r\n"
            + f'NEW TWO;"new-two";{FRUN_USER};"pa;ss ""word""";s4-two;two-user;Two-Pass-1\r\n')
    hand = chain.path("handover.csv")
    before = tree(chain.dir)
    r = mass(chain, text)
    assert r.returncode == 0 and "--apply" in r.stdout, r
    before[chain.path("list.csv")] = text.encode()
    after = tree(chain.dir)
    assert {p: t for p, t in after.items() if not p.endswith(".log")} == \
        {p: t for p, t in before.items() if not p.endswith(".log")}, "a dry run writes nothing"
    r = mass(chain, text, "--apply")
    assert r.returncode == 64 and "--handover" in r.stderr and "line 2" in r.stderr, r
    r = mass(chain, text, "--apply", "--handover", hand, "--reload", "--json")
    assert r.returncode == 0, r
    assert {n: x["result"] for n, x in results(r).items()} == {"NEW_ONE": "new", "NEW_TWO": "new"}
    for secret in (FRUN_PASSWORD, 'pa;ss "word"', "Two-Pass-1"):
        assert secret not in r.stdout + r.stderr
    for name in ("NEW_ONE", "NEW_TWO"):
        assert os.stat(chain.path("secrets", name)).st_mode & 0o777 == 0o600
    with open(chain.path("secrets", "NEW_TWO"), encoding="utf-8") as f:
        assert f.read() == 'pa;ss "word"\n'
    assert os.stat(hand).st_mode & 0o777 == 0o600
    with open(hand, encoding="utf-8") as f:
        head, *lines = f.read().splitlines()
    assert head == "endpoint;root_url;pusher;user;password" and len(lines) == 1
    name, url, pusher, user, password = lines[0].split(";")
    assert (name, url, pusher, user) == ("NEW_ONE", "https://push.example.com/NEW_ONE", "s4-new",
                                         "s4-new")
    with open(chain.path("endpoints.d", "NEW_ONE.ini"), encoding="utf-8") as f:
        inner = f.read()
    assert password not in inner and "password_hash = $y$" in inner
    a = chain.push(target="/NEW_ONE/sap/frun/x", auth=(user, password))
    assert a.status == 200, a
    assert chain.last().get_field(FENCE) == "new-one-fence"
    a = chain.push(target="/NEW_TWO/sap/frun/x", auth=("two-user", "Two-Pass-1"))
    assert a.status in (401, 403), "Focused Run does not know this password"
    after = tree(chain.dir)
    r = mass(chain, text, "--apply", "--handover", hand, "--json")
    assert r.returncode == 0 and {x["result"] for x in results(r).values()} == {"kept"}, r
    again = tree(chain.dir)
    assert {p: t for p, t in after.items() if not p.endswith(".log")} == \
        {p: t for p, t in again.items() if not p.endswith(".log")}


def test_what_differs_is_told_and_changed_on_demand(site):
    lines = HEAD + "A;fence-a;UA;secret-a;pa;;Pass-a\nB;fence-b;UB;secret-b;pb;;Pass-b\n"
    assert mass(site, lines, "--apply").returncode == 0
    before = tree(site.dir)
    other = HEAD + "A;fence-a;UA2;secret-2;pa;;Pass-2\nB;fence-b;UB;secret-b;pb;;Pass-b\n"
    r = mass(site, other, "--apply")
    assert r.returncode == 1 and "user is 'UA' here, 'UA2' in the list" in r.stdout, r
    assert "password" in r.stdout and "secret-2" not in r.stdout and "Pass-2" not in r.stdout
    before[site.path("list.csv")] = other.encode()
    assert tree(site.dir) == before
    r = mass(site, other, "--apply", "--update", "--json")
    assert r.returncode == 0, r
    assert {n: x["result"] for n, x in results(r).items()} == {"A": "changed", "B": "kept"}
    after = tree(site.dir)
    assert after[site.path("secrets", "A")] == b"secret-2\n"
    assert b"user = UA2" in after[site.path("endpoints.d", "A.ini")]
    assert after[site.path("endpoints.d", "B.ini")] == before[site.path("endpoints.d", "B.ini")]
    r = mass(site, other, "--apply")
    assert r.returncode == 0 and "2 kept" in r.stdout, r


def test_an_update_leaves_alone_what_it_does_not_name(site):
    """Further host names stay, and what is inherited from the system does not become a key."""
    path = site.path("endpoints.d", "acme.ini")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    text = text.replace("[endpoint ACME_PROD]\n", "[endpoint ACME_PROD]\n; both are in use\n"
                        "host_name = acme.example.com, acme2.example.com\n")
    site.write("endpoints.d/acme.ini", text)
    r = mass(site, "customer_network;fence;location_id;system;route;host_name;description\n"
             "ACME PROD;acme-prod-proxy;DC1;FR1;tunnel;acme.example.com;a new one\n",
             "--apply", "--update")
    assert r.returncode == 0 and "1 changed" in r.stdout, r
    with open(path, encoding="utf-8") as f:
        assert f.read() == text.replace("description = ACME, productive tenants",
                                        "description = a new one")
    r = mass(site, "customer_network;fence;endpoint\nACME PROD;acme-prod-proxy;OTHER\n", "--apply",
             "--update")
    assert r.returncode == 1 and "[endpoint ACME_PROD] already" in r.stdout, r


@pytest.mark.parametrize("line, why", [
    ("ACME PROD 2;acme-prod-proxy;;;;;", "would be mixed"),
    ("TWICE;fence-good;;;;;", "line 2"),
    ("GOOD;fence-other;;;;;", "line 2"),
    ("X" * 41 + ";f;;;;;", "1..40"),
    ("A/B;f;;;;;", "customer_network"),
    (";f;;;;;", "customer_network is missing"),
    ("NOFENCE;;;;;;", "admin_request_parameter is missing"),
    ("X;f g;;;;;", "admin_request_parameter"),
    ("X;f;user:x;p;;;", "user"),
    ("X;f;U;;;;", "password"),
    ("X;f;;p;;;", "user is missing"),
    ("X;f;;;globex;;", "globex"),
    ("X;f;;;;u;", "pusher is missing"),
    ("X;f;;;p ;;;too;many", "more fields"),
    ('X;"f;;;;;', "not closed"),
    ('X;"f"g;;;;;', "behind a closing quote"),
    ("X;f;;;bad pusher;;", "pusher"),
])
def test_a_refused_line_does_not_keep_the_others(site, line, why):
    r = mass(site, HEAD + "GOOD;fence-good;;;;;\n" + line + "\nLAST;fence-last;;;;;\n", "--apply",
             "--json")
    assert r.returncode == 1, r
    value = json.loads(r.stdout)
    assert [x["result"] for x in value["lines"]] == ["new", "refused", "new"], r
    assert value["lines"][1]["line"] == 3 and why in value["lines"][1]["why"], r
    assert sorted(os.listdir(site.path("endpoints.d"))) == ["GOOD.ini", "LAST.ini", "acme.ini"]
    good = run([program("frunctl"), "config", "check", site.path("frunproxy.ini")])
    assert good.returncode == 0, good


def test_lists_that_cannot_be_used(site):
    before = tree(site.dir)
    for text, status, why in (
            (HEAD.encode() + "Bühler;f;;;;;\n".encode("latin-1"), 65, "UTF-8"),
            (b"customer_network;nonsense\nA;b\n", 65, "nonsense"),
            (b"customer_network;fence;fence\nA;b;c\n", 65, "twice"),
            (b"", 65, "no lines"), (HEAD.encode(), 65, "no lines")):
        r = mass(site, text, "--apply")
        assert r.returncode == status and why in r.stderr, (text, r)
    for args, status in (((), 64), (("a", "b"), 64), (("a", "--nonsense"), 64),
                         (("a", "--apply", "--dry-run"), 64), ((site.path("no.csv"),), 1)):
        r = run([program("frunctl"), "mass-setup", *args, "--config", site.path("frunproxy.ini")])
        assert r.returncode == status, (args, r)
    os.unlink(site.path("list.csv"))
    assert tree(site.dir) == before


def test_without_a_header_and_with_one_of_spaces(site):
    r = mass(site, "PLAIN;plain-fence;U;p;;tunnel;DC1;FR1;;a description\n", "--apply")
    assert r.returncode == 0, r
    with open(site.path("endpoints.d", "PLAIN.ini"), encoding="utf-8") as f:
        assert "description = a description" in f.read()
    r = mass(site, "Fence;Customer Network;Location ID\nodd-fence;ODD ONE;DC1\n", "--apply")
    assert r.returncode == 0 and os.path.exists(site.path("endpoints.d", "ODD_ONE.ini")), r


def test_a_secret_that_somebody_has_put_there_is_not_lost(site):
    site.write("secrets/MINE", "another\n")
    text = HEAD + "MINE;mine;U;secret-1;;;\n"
    r = mass(site, text, "--apply")
    assert r.returncode == 1 and "--update" in r.stdout, r
    with open(site.path("secrets", "MINE"), encoding="utf-8") as f:
        assert f.read() == "another\n"


def five_hundred():
    return HEAD + "".join(f"NETWORK {i};fence-{i};U{i};secret-{i};pusher-{i};;\n"
                          for i in range(500))


def test_five_hundred_lines(site):
    began = time.monotonic()
    hand = site.path("hand.csv")
    r = mass(site, five_hundred(), "--apply", "--handover", hand)
    assert r.returncode == 0 and "500 new" in r.stdout, r.stdout[-500:] + r.stderr[-2000:]
    r = mass(site, five_hundred(), "--apply", "--handover", hand)
    assert r.returncode == 0 and "500 kept" in r.stdout, r.stdout[-500:] + r.stderr[-2000:]
    assert time.monotonic() - began < 60
    with open(hand, encoding="utf-8") as f:
        lines = f.read().splitlines()
    assert len(lines) == 501 and len({x.split(";")[4] for x in lines}) == 501


def written(site):
    return [n for n in os.listdir(site.path("endpoints.d")) if n.endswith(".ini")]


@pytest.mark.parametrize("files", (1, 200))
def test_killed_in_the_middle_and_run_again(site, files):
    """Whatever is there after a kill is good, and the same command finishes it."""
    hand = site.path("hand.csv")
    site.write("list.csv", five_hundred())
    argv = [program("frunctl"), "mass-setup", site.path("list.csv"), "--config",
            site.path("frunproxy.ini"), "--apply", "--handover", hand]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
        while child.poll() is None and len(written(site)) <= files:
            time.sleep(0.001)
        child.kill()
    made = written(site)
    assert len(made) > 1
    good = run([program("frunctl"), "config", "check", site.path("frunproxy.ini")])
    assert good.returncode == 0, good
    before = tree(site.path("endpoints.d"))
    r = run(argv, deadline=120)
    assert r.returncode == 0, r.stdout[-500:] + r.stderr[-2000:]
    assert f"{500 - (len(made) - 1)} new, {len(made) - 1} kept" in r.stdout, r.stdout[-300:]
    after = tree(site.path("endpoints.d"))
    assert len(after) == 501
    assert not [p for p in after if p.endswith("-new")]
    assert all(after[p] == t for p, t in before.items() if p.endswith(".ini"))
    with open(hand, encoding="utf-8") as f:
        lines = f.read().splitlines()[1:]
    assert len(lines) == 500 and len({x.split(";")[2] for x in lines}) == 500
    for name in os.listdir(site.path("secrets")):
        assert stat.S_IMODE(os.stat(site.path("secrets", name)).st_mode) == 0o600
