# SPDX-License-Identifier: Apache-2.0
"""What the guides quote is there: messages in the source, tests, files, and the ends of links."""
import os
import re

from common import code, files, read, root, verdict

GUIDES = [x for x in files(".md") if x == "README.md" or x.startswith("docs/")]
MIN_BYTES = 6  # shorter pieces of a message say nothing
LITERAL = re.compile(r'"((?:\\.|[^"\\\n])*)"')
errors = []
count = {"messages": 0, "links": 0, "names": 0}


def literals():
    """Texts of the source, adjacent literals joined, what printf fills in replaced by a mark."""
    texts = []
    for name in files(".c", ".h", under=("src/", "include/")):
        body = code(read(name), keep_strings=True)
        for m in re.finditer(r'"(?:\\.|[^"\\\n])*"(?:\s*(?:[A-Z_]+\s*)?"(?:\\.|[^"\\\n])*")*', body):
            text = "".join(LITERAL.findall(m.group(0))).replace('\\"', '"')
            texts.append(re.sub(r"%[-+ #0]*(?:\*|\d+)?(?:\.(?:\*|\d+))?[hlzj]*[a-zA-Z]", "\0", text))
    return "\n".join(texts) + "\n" + "\n".join(read(n) for n in files(".service", ".socket"))


def messages():
    all_texts = literals()
    for name in ("docs/TROUBLESHOOTING.md",):
        for number, line in enumerate(read(name).splitlines(), 1):
            cell = line.split(" | ")[0]
            if not cell.startswith("| `") and not re.match(r"\| .*`", cell):
                continue
            for quoted in re.findall(r"`([^`]+)`", cell):
                if quoted.startswith(("systemctl", "by", "focused-run", "note")):
                    continue
                count["messages"] += 1
                for piece in quoted.split("..."):
                    piece = piece.strip()
                    if len(piece) >= MIN_BYTES and piece not in all_texts:
                        errors.append(f"{name}:{number}: no program says \"{piece}\"")


def names():
    """Paths in backticks, and tests as file::test."""
    for name in GUIDES:
        for number, line in enumerate(read(name).splitlines(), 1):
            for path in re.findall(r"`((?:src|include|tests|docs|conf|systemd)/[\w./*-]+(?:::\w+)?)`", line):
                file, _, test = path.partition("::")
                count["names"] += 1
                top = os.path.join(root(), file)
                if "*" in file:
                    continue
                if not os.path.exists(top):
                    errors.append(f"{name}:{number}: there is no {file}")
                elif test and not re.search(rf"\b{test}\(", read(file)):
                    errors.append(f"{name}:{number}: there is no {test} in {file}")


def links():
    for name in GUIDES:
        for number, line in enumerate(read(name).splitlines(), 1):
            for to in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", line):
                count["links"] += 1
                if not to.startswith(("http:", "https:")) and not os.path.exists(
                        os.path.join(root(), os.path.dirname(name), to)):
                    errors.append(f"{name}:{number}: the link leads nowhere: {to}")


messages()
names()
links()
verdict(errors, ", ".join(f"{n} {what}" for what, n in count.items()))
