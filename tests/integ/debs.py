# SPDX-License-Identifier: Apache-2.0
"""The Debian packages for the tests that install them, and the root that they are installed into."""

import glob
import os
import shutil
import subprocess

from chain import bin_dir, run

HERE = os.path.dirname(os.path.abspath(__file__))
NAMES = ["frunproxy-common", "frunproxy-connector", "frunproxy-gateway"]


def can_build():
    return bool(shutil.which("dpkg-shlibdeps") and shutil.which("cpack"))


def build():
    """Of the build that ctest has made beside the one under test; it is made here if somebody has not."""
    folder = os.environ.get("FRUN_PACKAGES")
    if not folder:
        release = os.path.join(bin_dir(), "..", "release")
        for argv in (["sh", os.path.join(HERE, "..", "release.sh"), release],
                     ["cpack", "--config", os.path.join(release, "CPackConfig.cmake")]):
            r = run(argv, deadline=280)
            assert r.returncode == 0, r.stdout[-4000:] + r.stderr[-4000:]
        folder = os.path.join(release, "packages")
    debs = sorted(glob.glob(os.path.join(folder, "*.deb")))
    assert [os.path.basename(x).split("_")[0] for x in debs] == NAMES
    return debs


def sh(*argv):
    r = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert r.returncode == 0, r.stdout + r.stderr
    return r.stdout


def as_version(debs, version, folder):
    """The same packages under another version: what an upgrade comes from."""
    now = sh("dpkg-deb", "-f", debs[0], "Version").strip()
    result = []
    for deb in debs:
        tree = os.path.join(folder, "tree")
        sh("dpkg-deb", "-R", deb, tree)
        control = os.path.join(tree, "DEBIAN", "control")
        with open(control, encoding="utf-8") as f:
            text = f.read()
        with open(control, "w", encoding="utf-8") as f:
            f.write(text.replace(f"Version: {now}", f"Version: {version}").replace(f"(= {now})", f"(= {version})"))
        result.append(os.path.join(folder, os.path.basename(deb).replace(f"_{now}_", f"_{version}_")))
        sh("dpkg-deb", "--root-owner-group", "-Znone", "-b", tree, result[-1])
        shutil.rmtree(tree)
    return result


def can_overlay(folder):
    r = subprocess.run(["unshare", "-mn", "sh", "-c", 'mount -t tmpfs x "$0" && mkdir "$0/u" "$0/w" "$0/m" &&'
                        ' mount -t overlay x -o "lowerdir=/,upperdir=$0/u,workdir=$0/w" "$0/m"', str(folder)],
                       capture_output=True, check=False, timeout=30)
    return r.returncode == 0
