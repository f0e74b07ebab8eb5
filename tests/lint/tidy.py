# SPDX-License-Identifier: Apache-2.0
"""clang-tidy 14 over one room. Arguments: root folder, build folder with compile_commands.json, room."""
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys

from common import SKIPPED, files, root, verdict


def linter():
    for name in ("clang-tidy-14", "clang-tidy"):
        path = shutil.which(name)
        if path and "version 14." in subprocess.run([path, "--version"], capture_output=True, text=True,
                                                    check=True).stdout:
            return path
    print("skipped: no clang-tidy 14 here")
    sys.exit(SKIPPED)


# The analyzer walks through a function by ever new combinations of branches until it has seen so many states. With a third of
# its default it reaches the same statements in less than half of the time.
BUDGET = ["--extra-arg=" + word for word in ("-Xclang", "-analyzer-config", "-Xclang", "max-nodes=75000")]


def check(name):
    """The database may speak gcc's flags, which clang does not know."""
    got = subprocess.run([tool, "--quiet", "-p", sys.argv[2], "--extra-arg=-Wno-error",
                          "--extra-arg=-Wno-unknown-warning-option", *BUDGET, os.path.join(root(), name)],
                         capture_output=True, text=True, check=False)
    found = [line for line in got.stdout.splitlines() if re.search(r": (error|warning): ", line)]
    return found or ([got.stdout + got.stderr] if got.returncode else [])


os.nice(10) # it takes what is left over by tests that keep time
tool = linter()
names = files(".c", under=(f"src/{sys.argv[3]}/",))
with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
    results = list(pool.map(check, names))
verdict(sorted({e for r in results for e in r}), f"{len(names)} files")
