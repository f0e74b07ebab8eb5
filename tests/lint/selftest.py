# SPDX-License-Identifier: Apache-2.0
"""The lints bite: a small sound tree passes each of them, the same tree with one fault does not."""
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
SPDX = "/* SPDX-License-Identifier: Apache-2.0 */\n"
HEADER = "include/frun/base/cup.h"
SOURCE = "src/base/cup.c"
TREE = {
    "src/ROOMS": "base openssl\nhttp\ngateway openssl\nconnector\nbin\n",
    HEADER: "/**\n * Cups.\n */\n" + SPDX + """#ifndef FRUN_BASE_CUP_H
#define FRUN_BASE_CUP_H

#include <stddef.h>

struct saucer;

/** A cup. */
struct cup {
    int full; /**< litres, or so (roughly); more or less */
    /** Called when empty. */
    void (*on_empty)(struct cup *c);
    union {
        int a; /**< one */
        int b; /**< two */
    } u;       /**< either */
};

/** What a cup holds. */
enum cup_kind {
    CUP_TEA,   /**< leaves */
    CUP_COFFEE /**< beans */
};

/** Fill it. @param c cup @return FRUN_OK; FRUN_E_LIMIT. Thread: any. */
frun_err cup_fill(struct cup *c) FRUN_MUST_CHECK;

/** Is it full? @param c cup @return litres. Thread: any. */
static inline int cup_full(const struct cup *c)
{
    return c->full;
}

#endif
""",
    SOURCE: SPDX + '#include "frun/base/cup.h"\n\n#include <stdio.h>\n\nint cup_x(void)\n{\n    return 0; /*1*/\n}\n',
    "src/gateway/a.c": SPDX + '#include "a_int.h"\n\n#include "frun/base/cup.h"\n',
    "src/gateway/a_int.h": SPDX,
    "src/gateway/b.c": SPDX + '#include "a_int.h"\n\nstatic const char text[] = "cup %s is "\n                           "quite full";\n',
    "docs/TROUBLESHOOTING.md": "| `cup ... is quite full` | see `src/base/cup.c::cup_x`, [here](TROUBLESHOOTING.md) |\n",
    "include/frun/connector/b.h": "/**\n */\n#ifndef FRUN_CONNECTOR_B_H\n#define FRUN_CONNECTOR_B_H\n#endif\n" + SPDX,
}
BODY = "    return 0; /*1*/\n"
FAULTS = [  # lint, file, what is replaced, by what, words of the finding
    ("layers", SOURCE, "<stdio.h>", "<curl/curl.h>", "does not own curl"),
    ("layers", SOURCE, "<stdio.h>", "<zlib.h>", "neither"),
    ("layers", SOURCE, "<stdio.h>", '"frun/connector/b.h"', "must not know"),
    ("layers", SOURCE, "<stdio.h>", '"../gateway/a_int.h"', "no header of this room"),
    ("layers", SOURCE, '#include "frun/base/cup.h"\n', "", "own header"),
    ("layers", "src/gateway/a.c", "base/cup.h", "connector/b.h", "must not know"),
    ("symbols", HEADER, "cup_fill(", "fill(", "begins with none"),
    ("symbols", HEADER, "cup_full(", "saucepan_full(", "begins with none"),
    ("symbols", HEADER, "struct saucer;", "extern int cups;", "extern data"),
    ("symbols", HEADER, "FRUN_BASE_CUP_H\n", "CUP_H\n", "guard"),
    ("size", SOURCE, BODY, BODY * 90, "at most 80"),
    ("size", SOURCE, SPDX, "\n" * 801, "at most 800"),
    ("docs", HEADER, "/**\n * Cups.\n */\n", "", "module"),
    ("docs", HEADER, "/** A cup. */", "", "struct cup: no comment"),
    ("docs", HEADER, "/**< litres, or so (roughly); more or less */", "/* litres */", "int full"),
    ("docs", HEADER, "/** Called when empty. */", "", "on_empty"),
    ("docs", HEADER, "/**< one */", "", "int a"),
    ("docs", HEADER, "/**< two */", "", "int b"),
    ("docs", HEADER, "/**< either */", "", "union"),
    ("docs", HEADER, "/**< leaves */", "", "CUP_TEA"),
    ("docs", HEADER, "/**< beans */", "", "CUP_COFFEE"),
    ("docs", HEADER, "/** What a cup holds. */", "", "enum cup_kind: no comment"),
    ("docs", HEADER, " FRUN_E_LIMIT.", "", "cup_fill(): no FRUN_E_"),
    ("docs", HEADER, "litres. Thread: any.", "litres.", 'cup_full(): no "Thread:"'),
    ("docs", HEADER, "/** Is it full? @param c cup @return litres. Thread: any. */", "", "cup_full(): no comment"),
    ("banned", SOURCE, BODY, "    return atoi(x);\n", "atoi() is banned"),
    ("banned", SOURCE, BODY, "    exit(1);\n", "exit() outside"),
    ("banned", SOURCE, BODY, "    open(p, O_RDONLY);\n", "without O_CLOEXEC"),
    ("banned", SOURCE, BODY, '    fopen(p, "r");\n', 'without "e"'),
    ("banned", SOURCE, SPDX, "", "no SPDX"),
    ("banned", SOURCE, "/*1*/", "/* TO" "DO */", "TO" "DO"),
    ("banned", "src/ROOMS", "base", "# /ho" "me/me/x\nbase", "/ho" "me/me/"),
    ("guides", "docs/TROUBLESHOOTING.md", "quite full", "rather full", "no program says"),
    ("guides", "docs/TROUBLESHOOTING.md", "cup.c", "pot.c", "there is no src/base/pot.c"),
    ("guides", "docs/TROUBLESHOOTING.md", "cup_x", "cup_y", "there is no cup_y"),
    ("guides", "docs/TROUBLESHOOTING.md", "(TROUBLESHOOTING", "(GONE", "leads nowhere"),
    ("format", SOURCE, "    return", "  return", "cup.c"),
]


def run(lint, folder):
    command = [sys.executable, "-B", os.path.join(HERE, lint + ".py"), folder]
    got = subprocess.run(command, capture_output=True, text=True, check=False)
    return got.returncode, got.stdout + got.stderr


failures = 0
with tempfile.TemporaryDirectory() as top:
    shutil.copy(os.path.join(HERE, "../../.clang-format"), top)
    for name, text in TREE.items():
        os.makedirs(os.path.join(top, os.path.dirname(name)), exist_ok=True)
        with open(os.path.join(top, name), "w", encoding="utf-8") as f:
            f.write(text)
    rows = [(lint, None, "", "", "") for lint in sorted({f[0] for f in FAULTS})] + FAULTS
    for lint, name, old, new, words in rows:
        if name:
            with open(os.path.join(top, name), "w", encoding="utf-8") as f:
                f.write(TREE[name].replace(old, new))
        code, out = run(lint, top)
        if code != 77 and (code != (1 if name else 0) or words not in out):
            failures += 1
            print(f"{lint}: {old!r} -> {new!r}: want {words!r}, got {code}: {out}")
        if name:
            with open(os.path.join(top, name), "w", encoding="utf-8") as f:
                f.write(TREE[name])
print(f"{failures} of {len(rows)} rows failed")
sys.exit(1 if failures else 0)
