# SPDX-License-Identifier: Apache-2.0
"""Functions of at most 80 lines, files of at most 800, programs of at most 250."""
from common import files, functions, read, verdict

FUNCTION_LINES, FILE_LINES, PROGRAM_LINES = 80, 800, 250
errors = []
names = files(".c", ".h", ".py", ".sh", under=("include/", "src/", "tests/", "conf/"))
count = 0
for name in names:
    text = read(name)
    ceiling = PROGRAM_LINES if name.startswith("src/bin/") and name.endswith(".c") else FILE_LINES
    lines = text.count("\n")
    if lines > ceiling:
        errors.append(f"{name}: {lines} lines, at most {ceiling}")
    if not name.endswith((".c", ".h")):
        continue
    for function, first, last in functions(text):
        count += 1
        if last - first + 1 > FUNCTION_LINES:
            errors.append(f"{name}:{first}: {function}() has {last - first + 1} lines, at most {FUNCTION_LINES}")
verdict(errors, f"{len(names)} files, {count} functions")
