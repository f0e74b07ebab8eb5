# SPDX-License-Identifier: Apache-2.0
"""clang-format 14 has nothing to change; other versions format differently, so they are not asked."""
import shutil
import subprocess
import sys

from common import SKIPPED, files, root, verdict


def formatter():
    for name in ("clang-format-14", "clang-format"):
        path = shutil.which(name)
        if path and " 14." in subprocess.run([path, "--version"], capture_output=True, text=True,
                                             check=True).stdout:
            return path
    print("skipped: no clang-format 14 here")
    sys.exit(SKIPPED)


tool = formatter()
names = files(".c", ".h")
jobs = [subprocess.Popen([tool, "--dry-run", "-Werror"] + names[i::4], cwd=root(), stderr=subprocess.PIPE,
                         text=True) for i in range(4) if names[i::4]]
errors = []
for job in jobs:
    out = job.communicate()[1]
    found = [line for line in out.splitlines() if ": error:" in line]
    errors += found or ([out] if job.returncode else [])
verdict(errors, f"{len(names)} files")
