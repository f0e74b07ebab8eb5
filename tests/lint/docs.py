# SPDX-License-Identifier: Apache-2.0
"""Each public prototype, type, field and enum constant says what it is; prototypes name results and thread."""
import re

from common import files, read, verdict

DOC = re.compile(r"\x01(\d+)\x02")
errors = []
count = {"prototypes": 0, "types": 0, "fields": 0, "constants": 0}


def prepare(text):
    """Header text after its guard, doc comments as numbered marks, the rest of comments and # lines gone."""
    docs = []

    def mark(m):
        if not m.group(0).startswith("/**"):
            return " "
        docs.append(m.group(0))
        return f"\x01{len(docs) - 1}\x02"
    text = text[text.find("#define"):]
    text = re.sub(r"/\*.*?\*/", mark, text, flags=re.S)
    return re.sub(r"^[ \t]*#(?:.*\\\n)*.*$", "\x03", text, flags=re.M), docs


def split(text, enders):
    """Pieces that end outside braces and brackets at one of enders, or behind a function's body."""
    depth, start, is_body = 0, 0, False
    for i, c in enumerate(text):
        if c in "({":
            if c == "{" and depth == 0:
                is_body = bool(re.search(r"\)[\s\w]*$", text[start:i]))
            depth += 1
        elif c in ")}":
            depth -= 1
        if depth == 0 and (c in enders or (c == "}" and is_body)):
            yield text[start:i + 1]
            start, is_body = i + 1, False
    yield text[start:]


def doc_of(piece, docs):
    """Text of the last comment before the declaration, without decoration; comments after # lines do not count."""
    before = re.match(r"(?:\s|\x01\d+\x02|\x03)*", piece).group(0).split("\x03")[-1]
    found = DOC.findall(before)
    return re.sub(r"^/\*\*<?|\*/$|^\s*\*", "", docs[int(found[-1])], flags=re.M).strip() if found else ""


def members(path, owner, body, docs, ender, kind):
    """Fields or constants: a comment before, or one behind on the same line."""
    pieces = list(split(body, ender))
    for i, piece in enumerate(pieces):
        behind = re.match(r"[ \t]*\n?[ \t]*\x01(\d+)\x02", pieces[i + 1]) if i + 1 < len(pieces) else None
        trail = DOC.findall(piece[len(piece.rstrip(" \n\t" + ender)) - 12:]) if i + 1 == len(pieces) else []
        lead = piece
        first = DOC.match(piece.lstrip())
        if i > 0 and first and docs[int(first.group(1))].startswith("/**<"):
            lead = piece.lstrip()[first.end():]
        name = DOC.sub(" ", lead).replace("\x03", " ").strip()
        if not name:
            continue
        count[kind] += 1
        is_behind = bool(behind) and docs[int(behind.group(1))].startswith("/**<")
        is_trail = any(docs[int(t)].startswith("/**<") for t in trail)
        if not (doc_of(lead, docs) or is_behind or is_trail):
            errors.append(f"{path}: {owner}: no comment at: {' '.join(name.split())[:60]}")
        inner = re.search(r"\b(struct|union)\s*\{(.*)\}", lead, flags=re.S)
        if inner:
            members(path, owner, inner.group(2), docs, ";", "fields")


def item(path, piece, docs):
    text = DOC.sub(" ", piece).replace("\x03", " ").strip()
    doc = doc_of(piece, docs)
    type_def = re.match(r"(?:typedef\s+)?(struct|union|enum)\s*(\w*)\s*\{(.*)\}", text, flags=re.S)
    if not text or text == ";" or re.fullmatch(r"(struct|union|enum)\s+\w+\s*;", text):
        return
    if type_def:
        count["types"] += 1
        owner = f"{type_def.group(1)} {type_def.group(2)}".strip()
        if not doc:
            errors.append(f"{path}: {owner}: no comment")
        body = piece[piece.index("{") + 1:piece.rindex("}")]
        is_enum = type_def.group(1) == "enum"
        members(path, owner, body, docs, "," if is_enum else ";", "constants" if is_enum else "fields")
        return
    name = re.search(r"(\w+)\s*\(", text)
    short = name.group(1) + "()" if name and "typedef" not in text else " ".join(text.split())[:60]
    if len(doc) < 8:
        errors.append(f"{path}: {short}: no comment")
    elif name and "typedef" not in text:
        count["prototypes"] += 1
        if not re.search(r"Thread:\s+\w", doc):
            errors.append(f'{path}: {short}: no "Thread:" note')
        if re.match(r"(static\s+|inline\s+)*frun_err\b", text) and "FRUN_E_" not in doc:
            errors.append(f"{path}: {short}: no FRUN_E_ code is named")


headers = files(".h", under=("include/",))
for header in headers:
    stripped, comments = prepare(read(header))
    if not read(header).startswith("/**\n"):
        errors.append(f"{header}: does not begin with a comment on the module")
    for one in split(stripped, ";"):
        item(header, one, comments)
verdict(errors, f"{len(headers)} headers, " + ", ".join(f"{n} {k}" for k, n in count.items()))
